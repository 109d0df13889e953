package enginetest

import (
	"context"
	"errors"
	"time"

	"lockstitch/pkg/engine"
)

func testEmpty(t *logTest) {
	start, end, _ := t.bounds()
	if start != 0 || end != 0 {
		t.Fatalf("bounds of an empty partition: [%d, %d)", start, end)
	}
	t.wantCommitted(-1, true)
}

func testBounds(t *logTest) {
	_, _, id := t.bounds()
	t.Append(numbered("record", 5)...)
	start, end, same := t.bounds()
	if start != 0 || end != 5 || same != id {
		t.Fatalf("bounds [%d, %d) of topic %q, want [0, 5) of %q", start, end, same, id)
	}
}

func testTruncated(t *logTest) {
	values := numbered("record", 10)
	t.Append(values...)
	t.Truncate(4)
	if start, end, _ := t.bounds(); start != 4 || end != 10 {
		t.Fatalf("bounds [%d, %d), want [4, 10)", start, end)
	}
	if got, err := t.Log.Read(t.ctx, 3, 10); !errors.Is(err, engine.ErrTruncated) {
		t.Fatalf("read from 3: %d records, %v; want ErrTruncated", len(got), err)
	}
	t.wantValues(values[4:], t.read(4, 6, 10))
}

func testRead(t *logTest) {
	values := append(numbered("record", 20), anyBytes(), []byte{0})
	t.Append(values...)
	for _, max := range []int{1, 3, 100} {
		got := t.read(0, len(values), max)
		t.wantValues(values, got)
		for _, e := range got {
			if e.Time <= 0 || e.Size < len(e.Value) {
				t.Fatalf("record %d: append time %d, size %d", e.Offset, e.Time, e.Size)
			}
		}
	}
	t.wantValues(values[15:], t.read(15, len(values)-15, 100))
	t.wantValues(values[2:4], t.read(2, 2, 2)) // back again, as after a take-over
}

// testReadWaits: a reader that is at the end gets what comes. An adapter that
// never waits returns nothing until then, and is asked again.
func testReadWaits(t *logTest) {
	t.Append(numbered("first", 1)...)
	t.read(0, 1, 10)
	type result struct {
		entries []engine.Entry
		err     error
	}
	got, began := make(chan result, 1), make(chan struct{})
	go func() {
		close(began)
		var r result
		for len(r.entries) == 0 && r.err == nil && t.ctx.Err() == nil {
			r.entries, r.err = t.Log.Read(t.ctx, 1, 10)
		}
		got <- r
	}()
	<-began
	t.Append(numbered("second", 1)...)
	r := <-got
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.wantValues(numbered("second", 1), r.entries)
}

func testReadEnds(t *logTest) {
	t.Append(numbered("record", 1)...)
	ctx, cancel := context.WithTimeout(t.ctx, 20*time.Millisecond)
	defer cancel()
	if got, err := t.Log.Read(ctx, 1, 10); len(got) != 0 || err != nil {
		t.Fatalf("read until the context ended: %d records, %v; want none and no error", len(got), err)
	}
	t.wantValues(numbered("record", 1), t.read(0, 1, 10))
}

func testRevokedRead(t *logTest) {
	got, began := make(chan error, 1), make(chan struct{})
	go func() {
		close(began)
		for {
			some, err := t.Log.Read(t.ctx, 0, 10)
			if len(some) > 0 || err != nil || t.ctx.Err() != nil {
				got <- err
				return
			}
		}
	}()
	<-began
	t.Revoke()
	wantLost(t, "a read", <-got)
}
