package faults

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func steps(seed uint64, n int) (all []Step) {
	for s := range Plan(seed) {
		if all = append(all, s); len(all) == n {
			break
		}
	}
	return all
}

func TestPlanIsItsSeeds(t *testing.T) {
	if diff := cmp.Diff(steps(7, 300), steps(7, 300)); diff != "" {
		t.Errorf("two plans of one seed:\n%s", diff)
	}
	if cmp.Equal(steps(7, 20), steps(8, 20)) {
		t.Error("another seed has the same plan")
	}
}

// TestPlanHasAllKinds before any kind comes more often than it has cards.
func TestPlanHasAllKinds(t *testing.T) {
	if len(Kinds) < 15 {
		t.Fatalf("%d kinds", len(Kinds))
	}
	cards := 0
	for _, k := range Kinds {
		cards += k.Cards
	}
	for seed := range uint64(50) {
		var dealt []string
		for _, s := range steps(seed, cards) {
			for _, f := range s.Faults {
				dealt = append(dealt, f.Kind.Name)
			}
		}
		count := map[string]int{}
		for _, name := range dealt[:cards] {
			count[name]++
		}
		for _, k := range Kinds {
			if count[k.Name] != k.Cards {
				t.Errorf("seed %d: %q came %d times in the first deck, want %d", seed, k.Name, count[k.Name], k.Cards)
			}
		}
	}
}

func TestStepsCanBeCarriedOut(t *testing.T) {
	pairs := 0
	for seed := range uint64(50) {
		for _, s := range steps(seed, 200) {
			if len(s.Faults) == 2 {
				pairs++
			}
			if n := len(s.Faults); n < 1 || n > 2 || n == 2 && s.Faults[0].Kind.Parts&s.Faults[1].Kind.Parts != 0 {
				t.Fatalf("these can't go together: %+v", s.Faults)
			}
			if s.Pause < shortest || s.Pause > rest {
				t.Errorf("a pause of %v", s.Pause)
			}
			for _, f := range s.Faults {
				if low, high := slices.Min([]float64{f.A, f.B, f.C}), slices.Max([]float64{f.A, f.B, f.C}); low < 0 || high >= 1 {
					t.Errorf("figures of %+v", f)
				}
			}
		}
	}
	if pairs < 200 {
		t.Errorf("only %d of 10,000 steps have two faults", pairs)
	}
}

func TestFigures(t *testing.T) {
	for _, c := range []struct {
		x    float64
		pick int
		d    time.Duration
	}{{0, 0, time.Second}, {0.34, 1, 1340 * time.Millisecond}, {0.999999, 2, 1999999 * time.Microsecond}, {1, 2, 2 * time.Second}} {
		if got := Pick(3, c.x); got != c.pick {
			t.Errorf("Pick(3, %v) = %d, want %d", c.x, got, c.pick)
		}
		if got := Between(time.Second, 2*time.Second, c.x); got != c.d {
			t.Errorf("Between(1s, 2s, %v) = %v, want %v", c.x, got, c.d)
		}
	}
}
