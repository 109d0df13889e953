package traffic

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestQueue compares the queue with a stable sort.
func TestQueue(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var q queue[int]
	var want []due[int]
	sorted := func() {
		slices.SortStableFunc(want, func(a, b due[int]) int { return int(a.at - b.at) })
	}
	for i := range 3000 {
		at := rnd.Int64N(100)
		switch what := rnd.IntN(5); {
		case len(want) == 0 || what < 3:
			q.push(at, i)
			want = append(want, due[int]{at: at, what: i})
		case what == 3:
			sorted()
			got := q.pop()
			if diff := cmp.Diff([]int64{want[0].at, int64(want[0].what)}, []int64{got.at, int64(got.what)}); diff != "" {
				t.Fatal(diff)
			}
			want = want[1:]
		default:
			sorted()
			q.replace(at, i)
			want = append(want[1:], due[int]{at: at, what: i})
		}
	}
	if len(q.items) != len(want) {
		t.Errorf("%d items, want %d", len(q.items), len(want))
	}
}

// TestMemory: what waits to arrive doesn't grow with the lines that were made.
func TestMemory(t *testing.T) {
	g := New(Options{Seed: 3, People: 20})
	waiting := func(lines int) (most int) {
		for range lines {
			g.Next()
			most = max(most, len(g.pending.items))
		}
		return most
	}
	early, late := waiting(20_000), waiting(40_000)
	if late > 2*early || late > 30*20 {
		t.Errorf("%d lines waited for their arrival at first, and %d later, for 20 people", early, late)
	}
	if len(g.visits.items) != 20 {
		t.Errorf("%d people, want 20", len(g.visits.items))
	}
}

func TestAppendCents(t *testing.T) {
	for cents, want := range map[int64]string{0: "0", 5: "0.05", 50: "0.5", 100: "1", 1234: "12.34", 120030: "1200.3"} {
		if got := string(appendCents(nil, cents)); got != want {
			t.Errorf("%d cents: %s, want %s", cents, got, want)
		}
	}
}

func TestClock(t *testing.T) {
	var c clock
	for _, tt := range []struct {
		ms   int64
		want string
	}{
		{0, "1970-01-01T00:00:00.000"},
		{1_795_420_800_123, "2026-11-23T08:00:00.123"},
		{1_795_478_399_999, "2026-11-23T23:59:59.999"},
		{1_795_478_400_000, "2026-11-24T00:00:00.000"},
		{1_795_478_399_050, "2026-11-23T23:59:59.050"}, // back over midnight
	} {
		if got := string(c.append(nil, tt.ms)); got != tt.want {
			t.Errorf("%d: %s, want %s", tt.ms, got, tt.want)
		}
	}
}

func TestUUID(t *testing.T) {
	got := string(appendUUID(nil, uuid{0x0123456789abcdef, 0xfedcba9876543210}))
	if want := "01234567-89ab-4def-bedc-ba9876543210"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
