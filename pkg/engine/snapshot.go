package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"time"

	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// A snapshot is the partition's state at one offset X, exactly, though batches go
// on while it is copied (docs/decisions/0008-exact-snapshots.md): an entity that
// a batch is about to touch, and whose page isn't copied yet, is copied first as
// it is, and passed over when its page's turn comes. As the owner is the only
// writer, and copies in its own turns, nothing comes in between.
const (
	partSize   = 256 << 10 // bytes of a part's entities, about
	manyCopied = 1000      // entities that one read is to bring, about
)

// copying is a snapshot that is being taken.
type copying struct {
	id     string
	at     int64  // X
	meta   []byte // of the state at X
	began  time.Time
	resume time.Time // not before

	next   int                     // the first page that isn't copied yet
	stride int                     // how many are read at a time
	early  map[stitch.Key]struct{} // entities of later pages that are not to be copied any more

	part     []wire.SnapshotEntity
	size     int        // of part, bytes
	records  [][]byte   // to be written
	writing  chan error // hears of those that are being written; nil for none
	parts    int64
	entities int64
	digest   hash.Hash
}

// Copied is what an observer hears of a snapshot.
type Copied struct {
	At       int64 // it is the state of journal[0, At)
	Entities int64
	Took     time.Duration
}

// snapshot goes on with the snapshot by some pages, or begins one when its time
// has come. It is written beside the batches: what keeps it from being written is
// said, and they go on.
func (o *Owner) snapshot(ctx context.Context) error {
	now, c := o.opt.Now(), o.copying
	if c != nil && c.writing != nil {
		select {
		case err := <-c.writing:
			o.written(err, now)
		default: // still under way
		}
		return nil
	}
	switch {
	case c == nil && (o.snapshots == nil || now.Before(o.due) || o.pos.Applied < o.silent):
		return nil
	case c == nil:
		c = o.beginCopy(now)
	case now.Before(c.resume):
		return nil
	}
	if err := o.copyPages(ctx, c); err != nil {
		return err
	}
	if c.next == Pages {
		c.end()
	}
	if len(c.records) > 0 {
		o.write(ctx, c, now)
	}
	return nil
}

// write writes what was copied, beside the batches.
func (o *Owner) write(ctx context.Context, c *copying, now time.Time) {
	records, done := c.records, make(chan error, 1)
	c.records, c.writing = nil, done
	size := 0
	for _, r := range records {
		size += len(r)
	}
	c.resume = now.Add(time.Duration(size) * time.Second / time.Duration(o.opt.SnapshotRate))
	o.opt.Go(func() { done <- o.snapshots.Write(ctx, o.p, records) })
}

// written hears how the writing ended.
func (o *Owner) written(err error, now time.Time) {
	c := o.copying
	c.writing = nil
	switch {
	case err != nil:
		o.copying, o.due = nil, now.Add(o.opt.SnapshotEvery/10)
		o.opt.Observe.Trouble(o.p, fmt.Errorf("writing a snapshot, which is given up: %w", err))
	case c.next == Pages:
		o.copying, o.due = nil, c.began.Add(o.opt.SnapshotEvery)
		o.opt.Observe.Snapshot(o.p, Copied{At: c.at, Entities: c.entities, Took: now.Sub(c.began)})
	}
}

func (o *Owner) beginCopy(now time.Time) *copying {
	c := newCopying(fmt.Sprintf("%s-%d", o.opt.Nonce, now.UnixNano()), o.pos.Applied, wire.MarshalState(&o.part.Meta))
	c.began = now
	o.copying = c
	return c
}

func newCopying(id string, at int64, meta []byte) *copying {
	c := &copying{id: id, at: at, meta: meta, stride: 1, early: map[stitch.Key]struct{}{}, digest: sha256.New()}
	c.add(wire.SnapshotRecord{Kind: wire.SnapshotBegin, Meta: meta})
	return c
}

// Copy writes a whole snapshot of a partition's state that nobody moves. id is
// one that no other snapshot has.
func Copy(ctx context.Context, p int32, state State, snapshots Snapshots, id string) (done Copied, err error) {
	head, ok, err := state.Head(ctx, p)
	if err != nil || !ok {
		return done, errors.Join(err, errAgain)
	}
	c := newCopying(id, head.Applied, head.Meta)
	for c.next < Pages {
		entities, before, after, err := state.Page(ctx, p, head.Generation, c.next, 1)
		if err == nil && (before != head.Position || after != head.Position) {
			err = errAgain
		}
		if err != nil {
			return done, err
		}
		for _, kv := range entities {
			c.put(kv.Key, kv.Value)
		}
		if c.next++; c.next == Pages {
			c.end()
		}
		if len(c.records) == 0 {
			continue
		}
		if err := snapshots.Write(ctx, p, c.records); err != nil {
			return done, err
		}
		c.records = nil
	}
	return Copied{At: c.at, Entities: c.entities}, nil
}

// copyPages copies some pages as they are now, but for entities that were
// touched since the snapshot began: those were copied before, or are newer.
func (o *Owner) copyPages(ctx context.Context, c *copying) error {
	n := min(c.stride, Pages-c.next)
	entities, before, after, err := o.state.Page(ctx, o.p, o.pos.Generation, c.next, n)
	if err != nil {
		return err
	}
	if before != o.pos || after != o.pos {
		return errAgain
	}
	for _, kv := range entities {
		key, ok := stitch.ParseKey(kv.Key)
		if _, early := c.early[key]; early {
			delete(c.early, key)
		} else if ok {
			c.put(kv.Key, kv.Value)
		}
	}
	c.next += n
	switch {
	case len(entities) < manyCopied/4:
		c.stride *= 4
	case len(entities) > manyCopied:
		c.stride = max(c.stride/2, 1)
	}
	return nil
}

// keep copies the entity, which must be loaded, before a batch touches it.
func (o *Owner) keep(k stitch.Key) {
	c := o.copying
	if c == nil || PageOf(k.String()) < c.next {
		return
	}
	if _, ok := c.early[k]; ok {
		return
	}
	c.early[k] = struct{}{}
	if e := o.part.Entity(k); e.Touched != 0 { // else there was none at X
		c.put(k.String(), wire.MarshalState(e))
	}
}

func (c *copying) put(key string, state []byte) {
	c.part = append(c.part, wire.SnapshotEntity{Key: []byte(key), State: state})
	c.entities++
	if c.size += len(key) + len(state); c.size >= partSize {
		c.flush()
	}
}

// flush makes a record of the entities that were put.
func (c *copying) flush() {
	if len(c.part) == 0 {
		return
	}
	c.digest.Write(c.add(wire.SnapshotRecord{Kind: wire.SnapshotPart, Entities: c.part}))
	c.part, c.size = c.part[:0], 0
	c.parts++
}

func (c *copying) end() {
	c.flush()
	c.add(wire.SnapshotRecord{Kind: wire.SnapshotEnd, Meta: c.meta, Parts: c.parts, Digest: c.digest.Sum(nil)})
}

func (c *copying) add(r wire.SnapshotRecord) (record []byte) {
	r.ID = c.id
	record = wire.MarshalState(&r)
	c.records = append(c.records, record)
	return record
}
