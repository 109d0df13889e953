package refold_test

import (
	"context"
	"testing"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/engine/memory"
	"lockstitch/pkg/refold"
	"lockstitch/stitch"
)

// journal is refold.Journal, folded up to its end.
type journal struct{ *memory.Journal }

func (j journal) Partitions(context.Context) (int32, error) {
	return int32(j.Journal.Partitions()), nil
}

func (j journal) Bounds(ctx context.Context, p int32) (start, end int64, topicID string, err error) {
	return j.Log(p).Bounds(ctx)
}

func (j journal) Read(ctx context.Context, p int32, from int64, max int) ([]engine.Entry, error) {
	return j.Log(p).Read(ctx, from, max)
}

func (j journal) Committed(_ context.Context, p int32) (int64, error) {
	return int64(len(j.Entries(p))), nil
}

// busy is a state whose owner moves it on after each look at the head, as often as
// batches says.
type busy struct {
	*memory.State
	batches int
}

func (b *busy) Head(ctx context.Context, p int32) (h engine.Head, ok bool, err error) {
	h, ok, err = b.State.Head(ctx, p)
	if b.batches == 0 || err != nil {
		return h, ok, err
	}
	b.batches--
	next := engine.Position{Generation: h.Generation, Applied: h.Applied + 1}
	_, err = b.Swap(ctx, p, engine.Delta{Base: h.Position, Next: next, Logic: h.Logic, Meta: h.Meta})
	return h, ok, err
}

// TestRebuildUnderWay: a state is given up though its owner folds on meanwhile.
func TestRebuildUnderWay(t *testing.T) {
	ctx := t.Context()
	state := &busy{State: memory.NewState(), batches: 3}
	h := engine.Head{Position: engine.Position{Generation: "one"}, Logic: stitch.Logic}
	if begun, err := state.Begin(ctx, 0, engine.Position{}, h); !begun || err != nil {
		t.Fatal(begun, err)
	}
	parts := refold.Parts{
		Journal: journal{memory.NewJournal(1, func() int64 { return 0 })}, State: state, Snapshots: memory.NewSnapshots(),
	}
	if _, _, err := parts.Rebuild(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if at, err := parts.Rebuilt(ctx, 0); err != nil || at != -1 {
		t.Errorf("rebuilt up to %d, %v; want a state that is given up", at, err)
	}
}
