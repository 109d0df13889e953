package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// finish is how long a batch that is being published has, after its owner was
// told to stop, to be remembered and committed as well.
const finish = 2 * time.Second

// outlast is a context that ends a while after its parent.
func outlast(ctx context.Context) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(finish, cancel) })
	return late, func() { stop(); cancel() }
}

// batch carries out one batch: read, fold, publish, compare-and-set, commit. One
// that was published and not remembered is published again by the next owner:
// that is for crashes, not for owners that are told to stop.
func (o *Owner) batch(ctx context.Context, entries []Entry) error {
	b := Batch{Records: len(entries), Oldest: entries[0].Time}
	records, err := o.load(ctx, entries, &b)
	if err != nil {
		return err
	}
	began := o.opt.Now()
	out := o.fold(records, &b)
	b.Fold = o.since(&began)
	ctx, cancel := outlast(ctx)
	defer cancel()
	if len(out) > 0 {
		if err := o.log.Publish(ctx, out); err != nil {
			o.room = wire.Room{} // what was encoded may still be on its way
			return err
		}
	}
	b.Publish = o.since(&began)
	if err := o.remember(ctx); err != nil {
		return err
	}
	b.Remember = o.since(&began)
	if err := o.commit(ctx); err != nil {
		return err
	}
	b.Commit = o.since(&began)
	clear(out) // dead letters aren't kept for ever
	b.Next, b.Timers = o.pos.Applied, o.part.Timers()
	b.Earliest, _ = o.part.Waiting()
	b.Held, _ = o.part.Held()
	o.opt.Observe.Folded(o.p, b)
	return nil
}

func (o *Owner) since(t *time.Time) time.Duration {
	now := o.opt.Now()
	d := now.Sub(*t)
	*t = now
	return d
}

// load decodes the batch and loads what it needs and the cache lacks.
func (o *Owner) load(ctx context.Context, entries []Entry, b *Batch) ([]stitch.Record, error) {
	began := o.opt.Now()
	records := make([]stitch.Record, 0, len(entries))
	var missing []stitch.Key
	asked := map[stitch.Key]struct{}{}
	need := func(k stitch.Key) {
		if _, ok := asked[k]; !ok && !o.part.Has(k) {
			asked[k] = struct{}{}
			missing = append(missing, k)
		}
	}
	var clock, authorities, all int64
	o.messages.Reset() // the batch before is done with: the fold keeps copies
	for _, e := range entries {
		m, err := o.decode(e)
		if err != nil {
			return nil, err
		}
		if k, ok := stitch.Needs(m); ok {
			need(k)
		}
		clock, authorities, all = max(clock, e.Time), max(authorities, m.Watermark), max(all, m.WatermarkAll)
		records = append(records, stitch.Record{Offset: e.Offset, Time: e.Time, Message: m})
	}
	for _, k := range o.part.Due(clock, authorities, all) {
		need(k)
	}
	if err := o.fetch(ctx, missing); err != nil {
		return nil, err
	}
	if o.copying != nil {
		for _, r := range records {
			if k, ok := stitch.Needs(r.Message); ok {
				o.keep(k)
			}
		}
		for _, k := range o.part.Due(clock, authorities, all) {
			o.keep(k)
		}
	}
	b.Read = o.since(&began)
	return records, nil
}

// decode reads a journal record. One that is none of ours is passed over: it
// still says what time it is. One that a newer program wrote stops the partition.
func (o *Owner) decode(e Entry) (*stitch.Message, error) {
	m, err := o.messages.Message(e.Value)
	if newer, ok := errors.AsType[*wire.NewerError](err); ok {
		return nil, fmt.Errorf("%w: offset %d: %w", ErrOtherLogic, e.Offset, newer)
	}
	if err != nil {
		o.opt.Observe.Unreadable(o.p, e.Offset)
		return &stitch.Message{Kind: stitch.MsgTick}, nil
	}
	return m, nil
}

func (o *Owner) fetch(ctx context.Context, missing []stitch.Key) error {
	if len(missing) == 0 {
		return nil
	}
	keys := make([]string, len(missing))
	for i, k := range missing {
		keys[i] = k.String()
	}
	values, before, after, err := o.state.Read(ctx, o.p, o.pos.Generation, keys)
	if err != nil {
		return err
	}
	if before != o.pos || after != o.pos {
		return errAgain
	}
	for i, v := range values {
		if v == nil {
			o.part.Put(missing[i], nil)
			continue
		}
		e := new(stitch.Entity)
		if err := wire.UnmarshalState(v, e); err != nil {
			return fmt.Errorf("state of an entity: %w", err)
		}
		o.part.Put(missing[i], e)
	}
	return nil
}

// fold folds the records and encodes what is to be published: nothing of what
// lies below the offset up to which all is out.
func (o *Owner) fold(records []stitch.Record, b *Batch) []Published {
	o.outputs = o.outputs[:0]
	for i := range records {
		n := len(o.outputs)
		o.outputs = o.part.Fold(records[i], o.outputs)
		if records[i].Offset < o.silent {
			o.outputs = o.outputs[:n]
			b.Silent = true
		}
		o.hear(records[i])
	}
	o.published = o.published[:0]
	o.room.Reset()
	for i := range o.outputs {
		o.published = append(o.published, encode(&o.room, &o.outputs[i]))
	}
	b.Outputs = o.outputs
	return o.published
}

// Encode makes the record that an output is written as.
func Encode(o *stitch.Output) Published { return encode(new(wire.Room), o) }

// encode is Encode into room.
func encode(room *wire.Room, o *stitch.Output) Published {
	if o.Message != nil {
		return Published{Topic: TopicJournal, Entity: o.Message.To, Value: room.MarshalState(o.Message)}
	}
	topic, rec := room.Encode(o)
	p := Published{Topic: TopicDLQ, Key: rec.Key, Value: rec.Value, Headers: rec.Headers}
	switch topic {
	case wire.TopicSink:
		p.Topic = TopicSink
	case wire.TopicDecisions:
		p.Topic = TopicDecisions
	}
	return p
}

// remember writes the batch's delta, only where the state is still our base.
func (o *Owner) remember(ctx context.Context) error {
	d := Delta{
		Base: o.pos, Next: Position{Generation: o.pos.Generation, Applied: o.part.Applied},
		Logic: o.opt.Logic, Meta: wire.MarshalState(&o.part.Meta),
	}
	entities, timers := o.part.Changes()
	d.Set = make([]KV, 0, len(entities))
	defer o.states.Reset()
	for _, k := range entities {
		d.Set = append(d.Set, KV{Key: k.String(), Value: o.states.MarshalState(o.part.Entity(k))})
	}
	for _, k := range timers {
		d.Timers = append(d.Timers, TimerChange{Key: k.String(), Timer: o.part.Timer(k)})
	}
	moved, err := o.swap(ctx, d)
	if err != nil {
		return err
	}
	if !moved {
		return errAgain
	}
	o.pos = d.Next
	o.part.Settle()
	o.part.Drop(o.opt.Cache)
	return nil
}

// swap asks until there is an answer. The batch is published: starting over would
// publish it once more for each time that Redis is full, read-only or silent.
func (o *Owner) swap(ctx context.Context, d Delta) (moved bool, err error) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		if moved, err = o.state.Swap(ctx, o.p, d); err == nil || ctx.Err() != nil {
			return moved, err
		}
		o.opt.Observe.Trouble(o.p, err)
		if o.opt.Wait(ctx, wait) != nil {
			return false, err
		}
	}
}

// commit commits what is remembered, where that is more than was committed.
func (o *Owner) commit(ctx context.Context) error {
	if o.pos.Applied <= o.committed {
		return nil
	}
	if err := o.log.Commit(ctx, o.pos.Applied); err != nil {
		return err
	}
	o.committed = o.pos.Applied
	return nil
}
