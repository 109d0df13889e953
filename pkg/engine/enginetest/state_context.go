package enginetest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"lockstitch/pkg/engine"
)

func testCancelled(t *stateTest) {
	t.go10()
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	calls := map[string]func() error{
		"Head":   func() error { _, _, err := t.s.Head(ctx, 0); return err },
		"Timers": func() error { _, _, _, err := t.s.Timers(ctx, 0, gen); return err },
		"Read":   func() error { _, _, _, err := t.s.Read(ctx, 0, gen, []string{"c:a"}); return err },
		"Page":   func() error { _, _, _, err := t.s.Page(ctx, 0, gen, 0, engine.Pages); return err },
		"Swap":   func() error { _, err := t.s.Swap(ctx, 0, delta(10, 11, "c:new")); return err },
		"Begin":  func() error { _, err := t.s.Begin(ctx, 0, at(gen, 10), headAt("other", 0)); return err },
		"Promote": func() error {
			_, err := t.s.Promote(ctx, 0, at(gen, 10), logic, logic+1, nil)
			return err
		},
		"Check":  func() error { return t.s.Check(ctx) },
		"Memory": func() error { _, err := t.s.Memory(ctx); return err },
	}
	for name, call := range calls {
		if call() == nil {
			t.Fatalf("%s under a context that has ended: no error", name)
		}
		t.at10()
	}
}

// testDeadline lets contexts end at ever later moments of a swap. Whatever the
// caller was told, the state is at base or at next, and wholly so.
func testDeadline(t *stateTest) {
	t.begin()
	keys := make([]string, 2000)
	for i := range keys {
		keys[i] = fmt.Sprintf("c:%d", i)
	}
	base := int64(0)
	for i := range 40 {
		d := delta(base, base+1, keys...)
		ctx, cancel := context.WithTimeout(t.ctx, time.Duration(i)*200*time.Microsecond)
		moved, err := t.s.Swap(ctx, 0, d)
		cancel()
		if err == nil && !moved {
			t.Fatal("the only owner was refused")
		}
		if base = t.whole(keys, base); err == nil && base != d.Next.Applied {
			t.Fatal("moved, and yet it is at base")
		}
		t.swap(d, true) // asked again, it is done or done already
		base = t.whole(keys, base)
	}
}

// whole expects that all values are as of one position, base or the next, and
// returns it.
func (t *stateTest) whole(keys []string, base int64) int64 {
	t.Helper()
	for {
		values, before, after, err := t.s.Read(t.ctx, 0, gen, keys)
		if err != nil {
			t.Fatal(err)
		}
		if before != after {
			continue // a swap that was given up still came through
		}
		if before.Applied != base && before.Applied != base+1 {
			t.Fatalf("at %v, coming from %d", before, base)
		}
		t.consistent(keys, values, before.Applied)
		return before.Applied
	}
}

func (t *stateTest) consistent(keys []string, values [][]byte, applied int64) {
	t.Helper()
	for i, k := range keys {
		want := valueAt(k, applied)
		if applied == 0 {
			want = nil
		}
		if !bytes.Equal(values[i], want) {
			t.Errorf("at %d: %s is %q", applied, k, values[i])
			return
		}
	}
}

// testRace: of owners who each take the head to a place of their own, one gets there.
func testRace(t *stateTest) {
	t.begin()
	base := int64(0)
	for range 20 {
		const owners = 8
		var moved [owners]bool
		var wg sync.WaitGroup
		for i := range owners {
			wg.Go(func() {
				var err error
				if moved[i], err = t.s.Swap(t.ctx, 0, delta(base, base+1+int64(i), "c:a")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		winner := -1
		for i, m := range moved {
			if m && winner >= 0 {
				t.Fatalf("owners %d and %d both moved the head", winner, i)
			}
			if m {
				winner = i
			}
		}
		if winner < 0 {
			t.Fatal("no owner moved the head")
		}
		base += 1 + int64(winner)
		t.wantHead(0, headAt(gen, base))
		t.want(gen, at(gen, base), map[string][]byte{"c:a": valueAt("c:a", base)})
	}
}

// testReadRace: a read whose position is the same before and after saw that
// position and nothing else.
func testReadRace(t *stateTest) {
	t.begin()
	keys := make([]string, 1500)
	for i := range keys {
		keys[i] = fmt.Sprintf("c:%d", i)
	}
	const last = 50
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range int64(last) {
			if moved, err := t.s.Swap(t.ctx, 0, delta(i, i+1, keys...)); err != nil || !moved {
				t.Errorf("swap %d: moved %v, %v", i, moved, err)
				return
			}
		}
	})
	defer wg.Wait()
	for seen := (engine.Position{}); seen.Applied < last && !t.Failed(); {
		values, before, after, err := t.s.Read(t.ctx, 0, gen, keys)
		if err != nil {
			t.Fatal(err)
		}
		if before.Applied < seen.Applied || after.Applied < before.Applied {
			t.Fatalf("the head went back: %v, then %v and %v", seen, before, after)
		}
		if before == after {
			t.consistent(keys, values, before.Applied)
		}
		seen = after
	}
}

func testFit(t *stateTest) {
	for range 2 { // what a check may write, the next one finds
		if err := t.s.Check(t.ctx); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := t.s.Memory(t.ctx); err != nil || n < 0 {
		t.Fatalf("memory: %d, %v", n, err)
	}
	t.wantHead(0, engine.Head{})
}
