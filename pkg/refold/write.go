package refold

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// ErrNothing says that there is nothing to copy or to rebuild yet.
var ErrNothing = errors.New("nothing of the partition is folded yet")

// Snapshot folds partition p to the committed offset and writes that state as a
// whole snapshot. It doesn't need Redis.
func (parts Parts) Snapshot(ctx context.Context, p int32) (engine.Copied, error) {
	began := time.Now()
	c, err := parts.Journal.Committed(ctx, p)
	if err != nil {
		return engine.Copied{}, err
	}
	if c <= 0 {
		return engine.Copied{}, ErrNothing
	}
	f := parts.fold(p)
	if err := f.to(ctx, c); err != nil {
		return engine.Copied{}, err
	}
	done, err := engine.Copy(ctx, p, f.memory, parts.Snapshots, "state-"+rand.Text())
	done.Took = time.Since(began)
	return done, err
}

// Rebuild gives the state of partition p in Redis up. The processor that owns it,
// or the next one, folds it again, from the newest whole snapshot or from the
// journal's start; where neither reaches into the journal it is refused. from is
// where that begins, to the committed offset, up to which nothing is published.
func (parts Parts) Rebuild(ctx context.Context, p int32) (from, to int64, err error) {
	start, end, topicID, err := parts.Journal.Bounds(ctx, p)
	if err != nil {
		return 0, 0, err
	}
	if to, err = parts.Journal.Committed(ctx, p); err != nil {
		return 0, 0, err
	}
	w, ok, err := engine.Find(ctx, parts.Snapshots, p, engine.Fits(stitch.Logic, parts.Environment, topicID, start, end))
	if err != nil {
		return 0, 0, err
	}
	if !ok && start > 0 {
		return 0, 0, fmt.Errorf("journal partition %d: the journal begins at %d and no whole snapshot reaches into it: "+
			"the state in Redis is all there is, and stays", p, start)
	}
	meta := stitch.Meta{Logic: stitch.Logic, TopicID: topicID, Environment: parts.Environment, Number: p}
	head := engine.Head{
		Position: engine.Position{Generation: "rebuild-" + rand.Text(), Applied: -1},
		Logic:    stitch.Logic, Meta: wire.MarshalState(&meta),
	}
	// Whatever a running owner has folded meanwhile is given up as well.
	for range tries {
		old, _, err := parts.State.Head(ctx, p)
		if err != nil {
			return 0, 0, err
		}
		if begun, err := parts.State.Begin(ctx, p, old.Position, head); begun || err != nil {
			return w.Meta.Applied, to, err
		}
	}
	return 0, 0, fmt.Errorf("journal partition %d never stood still: its state was not given up; try again", p)
}

// Rebuilt says how far the state of partition p is folded: below zero while no
// processor has begun, or a snapshot is being restored.
func (parts Parts) Rebuilt(ctx context.Context, p int32) (int64, error) {
	h, ok, err := parts.State.Head(ctx, p)
	if err == nil && !ok {
		return -1, nil
	}
	return h.Applied, err
}
