package memory_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/engine/enginetest"
	"lockstitch/pkg/engine/memory"
	"lockstitch/stitch"
)

func TestState(t *testing.T) {
	enginetest.TestState(t, func(*testing.T) engine.State { return memory.NewState() })
}

func TestLog(t *testing.T) {
	enginetest.TestLog(t, func(*testing.T) enginetest.Harness { return harness(newJournal(3)) })
}

// newJournal stamps records 1, 2, 3 and so on.
func newJournal(partitions int) *memory.Journal {
	now := int64(0)
	return memory.NewJournal(partitions, func() int64 { now++; return now })
}

func harness(j *memory.Journal) enginetest.Harness {
	return enginetest.Harness{
		Log: j.Log(0), Partitions: j.Partitions(),
		Append: func(values ...[]byte) {
			for _, v := range values {
				j.Append(0, v)
			}
		},
		Revoke:        func() { j.Revoke(0) },
		Again:         func() engine.Log { return j.Log(0) },
		Published:     func(topic engine.Topic) [][]enginetest.Record { return published(j, topic) },
		Truncate:      func(start int64) { j.Truncate(0, start) },
		CommitForeign: func(offset int64) { j.CommitForeign(0, offset) },
	}
}

func published(j *memory.Journal, topic engine.Topic) (parts [][]enginetest.Record) {
	if topic == engine.TopicJournal {
		for p := range j.Partitions() {
			var records []enginetest.Record
			for _, e := range j.Entries(int32(p)) {
				records = append(records, enginetest.Record{Value: e.Value})
			}
			parts = append(parts, records)
		}
		return parts
	}
	var records []enginetest.Record
	for _, p := range j.Published(topic) {
		records = append(records, enginetest.Record{Key: p.Key, Value: p.Value, Headers: p.Headers})
	}
	return [][]enginetest.Record{records}
}

// TestRestore: a store that lost its last seconds, then everything.
func TestRestore(t *testing.T) {
	ctx, s := t.Context(), memory.NewState()
	h := engine.Head{Position: engine.Position{Generation: "g"}, Logic: 1, Meta: []byte("m")}
	if begun, err := s.Begin(ctx, 0, engine.Position{}, h); !begun || err != nil {
		t.Fatal(begun, err)
	}
	swap := func(base int64) {
		t.Helper()
		d := engine.Delta{
			Base: engine.Position{Generation: "g", Applied: base}, Next: engine.Position{Generation: "g", Applied: base + 1},
			Logic: 1, Set: []engine.KV{{Key: "c:a", Value: []byte{byte(base)}}},
			Timers: []engine.TimerChange{{Key: "f:o", Timer: stitch.Timer{At: base + 1}}},
		}
		if moved, err := s.Swap(ctx, 0, d); !moved || err != nil {
			t.Fatal(moved, err)
		}
	}
	swap(0)
	kept := s.Clone()
	want, entities, timers, _ := s.Dump(0)
	for range 2 { // a kept moment can be gone back to twice
		swap(1)
		s.Restore(kept)
		h, e, ti, ok := s.Dump(0)
		if diff := cmp.Diff([]any{true, want, entities, timers}, []any{ok, h, e, ti}, cmp.AllowUnexported(stitch.Timer{})); diff != "" {
			t.Fatalf("restored (-want +got):\n%s", diff)
		}
	}
	s.Restore(memory.NewState())
	if _, _, _, ok := s.Dump(0); ok {
		t.Fatal("the partition is still there")
	}
}

// TestJournal: gaps, several owners at once, a topic made anew.
func TestJournal(t *testing.T) {
	ctx, j := t.Context(), newJournal(2)
	l, other := j.Log(0), j.Log(0)
	j.Append(0, []byte("a"))
	j.Gap(0, 3)
	j.Append(0, []byte("b"))
	entries, err := l.Read(ctx, 1, 10)
	want := []engine.Entry{{Offset: 4, Time: 2, Value: []byte("b"), Size: 1}}
	if diff := cmp.Diff(want, entries); err != nil || diff != "" {
		t.Fatalf("after a gap: %v (-want +got):\n%s", err, diff)
	}
	if _, err := l.Read(ctx, 6, 10); !errors.Is(err, engine.ErrTruncated) {
		t.Fatalf("read past the end: %v", err)
	}
	j.Truncate(0, 2) // into the gap
	if start, end, _, err := l.Bounds(ctx); start != 2 || end != 5 || err != nil {
		t.Fatalf("bounds [%d, %d), %v", start, end, err)
	}
	j.Truncate(0, 100)
	if start, end, _, err := l.Bounds(ctx); start != 5 || end != 5 || err != nil {
		t.Fatalf("bounds [%d, %d), %v", start, end, err)
	}

	if err := other.Append(ctx, []byte("of a paused owner")); err != nil {
		t.Fatalf("a second owner revoked the first: %v", err)
	}
	_, _, before, _ := l.Bounds(ctx)
	j.Recreate()
	start, end, after, err := l.Bounds(ctx)
	if start != 0 || end != 0 || before == after || err != nil {
		t.Fatalf("made anew: bounds [%d, %d), topic %q as before %q, %v", start, end, after, before, err)
	}
	j.Revoke(0)
	for _, l := range []engine.Log{l, other} {
		if err := l.Commit(ctx, 1); !errors.Is(err, engine.ErrLost) {
			t.Fatalf("commit after a revoke: %v", err)
		}
	}
	if c := j.Committed(0); c != -1 {
		t.Fatalf("committed %d", c)
	}
}
