package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// Whole is a snapshot that has its end.
type Whole struct {
	ID    string
	Meta  stitch.Meta // Meta.Applied is its offset X: it is the state of journal[0, X)
	First int64       // offset of its begin in the log of snapshots
	Last  int64       // and of its end
	Parts int64
}

// Find returns the whole snapshot of the highest offset among those that fit; ok
// is false where there is none. It looks from the end backwards, as far as it has
// to: there may be hundreds of snapshots, each as large as the state.
func Find(ctx context.Context, snapshots Snapshots, p int32, fits func(stitch.Meta) bool) (w Whole, ok bool, err error) {
	start, end, err := snapshots.Bounds(ctx, p)
	if err != nil || start >= end {
		return w, false, err
	}
	for n := int64(64); ; n *= 4 {
		from := max(start, end-n)
		whole, err := wholes(ctx, snapshots, p, from)
		if err != nil {
			return w, false, err
		}
		for _, s := range whole {
			if fits(s.Meta) && (!ok || s.Meta.Applied > w.Meta.Applied) {
				w, ok = s, true
			}
		}
		if ok || from == start {
			return w, ok, nil
		}
	}
}

// Ended returns the offset of the snapshot of partition p that ended last, of those
// that fit, 0 for none: a quick look, which doesn't see whether its parts are there.
func Ended(ctx context.Context, snapshots Snapshots, p int32, fits func(stitch.Meta) bool) (at int64, err error) {
	start, end, err := snapshots.Bounds(ctx, p)
	for n := int64(16); err == nil && at == 0 && start < end; n *= 4 {
		from := max(start, end-n)
		err = snapshots.Scan(ctx, p, from, func(_ int64, record []byte) error {
			var r wire.SnapshotRecord
			var m stitch.Meta
			if wire.UnmarshalState(record, &r) == nil && r.Kind == wire.SnapshotEnd && wire.UnmarshalState(r.Meta, &m) == nil && fits(m) {
				at = m.Applied
			}
			return nil
		})
		if from == start {
			break
		}
	}
	return at, err
}

// wholes returns the whole snapshots that begin at or after from, in the order of
// their ends. What is torn, damaged, or of another program is passed over.
func wholes(ctx context.Context, snapshots Snapshots, p int32, from int64) ([]Whole, error) {
	type open struct {
		Whole
		digest hash.Hash
	}
	var whole []Whole
	begun := map[string]*open{}
	err := snapshots.Scan(ctx, p, from, func(offset int64, record []byte) error {
		var r wire.SnapshotRecord
		if err := wire.UnmarshalState(record, &r); err != nil {
			return nil
		}
		s := begun[r.ID]
		switch {
		case r.Kind == wire.SnapshotBegin:
			s = &open{Whole{ID: r.ID, First: offset}, sha256.New()}
			if wire.UnmarshalState(r.Meta, &s.Meta) == nil {
				begun[r.ID] = s
			}
		case s == nil: // its begin was cut by retention
		case r.Kind == wire.SnapshotPart:
			s.Parts++
			s.digest.Write(record)
		case r.Kind == wire.SnapshotEnd:
			if s.Last = offset; r.Parts == s.Parts && bytes.Equal(r.Digest, s.digest.Sum(nil)) {
				whole = append(whole, s.Whole)
			}
			delete(begun, r.ID)
		}
		return nil
	})
	return whole, err
}

// Fits says of a snapshot whether a rebuild by a logic can begin with it, where the journal
// partition holds [start, end).
func Fits(logic int, environment, topicID string, start, end int64) func(stitch.Meta) bool {
	return func(m stitch.Meta) bool {
		return m.Logic == logic && m.Environment == environment && m.TopicID == topicID &&
			start <= m.Applied && m.Applied <= end
	}
}

// errRead ends a scan that has seen what it wanted.
var errRead = errors.New("read")

// Entities calls f for the entities of each part of a whole snapshot, part by part.
func (w Whole) Entities(ctx context.Context, snapshots Snapshots, p int32, f func([]wire.SnapshotEntity) error) error {
	left := w.Parts
	err := snapshots.Scan(ctx, p, w.First, func(offset int64, record []byte) error {
		var r wire.SnapshotRecord
		if err := wire.UnmarshalState(record, &r); offset > w.Last || left == 0 {
			return errRead
		} else if err != nil || r.ID != w.ID || r.Kind != wire.SnapshotPart {
			return nil
		}
		left--
		return f(r.Entities)
	})
	if errors.Is(err, errRead) {
		err = nil
	}
	if err == nil && left > 0 {
		err = fmt.Errorf("snapshot of journal partition %d at %d: %d of its %d parts are gone meanwhile", p, w.Meta.Applied, left, w.Parts)
	}
	return err
}

// restore writes the snapshot into the generation that has begun at pos, below
// zero: until the head is at the snapshot's offset, nobody takes the state for one.
func (o *Owner) restore(ctx context.Context, w Whole, pos Position) (Position, error) {
	meta := wire.MarshalState(&w.Meta)
	move := func(d Delta) error {
		d.Base, d.Logic, d.Meta = pos, o.opt.Logic, meta
		moved, err := o.state.Swap(ctx, o.p, d)
		if err == nil && !moved {
			err = errAgain
		}
		pos = d.Next
		return err
	}
	err := w.Entities(ctx, o.snapshots, o.p, func(entities []wire.SnapshotEntity) error {
		d := Delta{Next: Position{pos.Generation, pos.Applied + 1}}
		for _, kv := range entities {
			var e stitch.Entity
			if err := wire.UnmarshalState(kv.State, &e); err != nil {
				return fmt.Errorf("an entity of the snapshot at %d: %w", w.Meta.Applied, err)
			}
			d.Set = append(d.Set, KV{Key: string(kv.Key), Value: kv.State})
			if e.Timer.At != 0 {
				d.Timers = append(d.Timers, TimerChange{Key: string(kv.Key), Timer: e.Timer})
			}
		}
		return move(d)
	})
	if err != nil {
		return pos, err
	}
	return pos, move(Delta{Next: Position{pos.Generation, w.Meta.Applied}})
}
