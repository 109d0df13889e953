package try

import (
	"encoding/json"
	"iter"
	"time"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// Line is one source record.
type Line struct {
	Topic string
	Key   string
	Value []byte
	Time  time.Time // arrival; zero: with the line before it
}

// Options are what a run needs.
type Options struct {
	Ingest     *wire.Ingest
	Rules      stitch.Rules
	Partitions int // of the journal; 0 counts as 1
}

// run is the state of one run.
type run struct {
	opt     Options
	journal engine.Journal
	parts   []*stitch.Partition
	offsets []int64 // next offset of each journal partition
	queue   []engine.Published
	now     int64 // Unix ms
	sources map[string]int64
	emit    func(*stitch.Output) error
}

// Run processes the lines and calls emit for each output that leaves (sink,
// decisions, DLQ), in order. It returns the first error of lines or emit.
func Run(lines iter.Seq2[Line, error], opt Options, emit func(*stitch.Output) error) error {
	r := &run{opt: opt, journal: engine.Journal{Ingest: opt.Ingest}, emit: emit, sources: map[string]int64{}}
	for i := range max(opt.Partitions, 1) {
		r.parts = append(r.parts, stitch.NewPartition(stitch.Meta{TopicID: "journal", Number: int32(i), Rules: opt.Rules}, nil))
		r.offsets = append(r.offsets, 0)
	}
	for line, err := range lines {
		if err != nil {
			return err
		}
		if err := r.line(line); err != nil {
			return err
		}
	}
	return r.runOut()
}

// line takes in one source record, and handles all that follows from it.
func (r *run) line(l Line) error {
	if err := r.arrive(l); err != nil {
		return err
	}
	offset := r.sources[l.Topic]
	r.sources[l.Topic]++
	rec := wire.Record{
		Source: stitch.Source{Topic: l.Topic, Offset: offset}, Value: l.Value,
		Arrival: r.now, CheckAhead: !l.Time.IsZero(),
	}
	if l.Key != "" {
		rec.Key = []byte(l.Key)
	}
	var dead *stitch.DeadLetter
	r.journal.Decoded = func(_ *wire.Record, d *stitch.DeadLetter) { dead = d }
	out := r.journal.Records(l.Topic, []wire.Record{rec})
	if dead != nil {
		return r.emit(&stitch.Output{Place: stitch.Place{Sender: l.Topic, Offset: offset}, Dead: dead})
	}
	r.queue = append(r.queue, out...)
	return r.drain()
}

// arrive moves time to the line's arrival. Sources are read in line order, so
// all that arrived before is in the journal: that is the watermark.
func (r *run) arrive(l Line) error {
	at := l.Time.UnixMilli()
	if l.Time.IsZero() {
		if r.now != 0 {
			return nil
		}
		at = eventTime(l.Value)
	}
	if at <= r.now {
		return nil
	}
	r.now = at
	return r.tick()
}

// eventTime is the time of the first line where it has no arrival.
func eventTime(value []byte) int64 {
	var ev struct{ Timestamp, OriginalTimestamp time.Time }
	if json.Unmarshal(value, &ev) == nil {
		for _, t := range []time.Time{ev.Timestamp, ev.OriginalTimestamp} {
			if !t.IsZero() {
				return t.UnixMilli()
			}
		}
	}
	return 1 // garbage first: some time there must be
}

// tick says in each partition where something waits that all up to now was read.
func (r *run) tick() error {
	for p, part := range r.parts {
		if part.Timers() == 0 {
			continue
		}
		m := &stitch.Message{Kind: stitch.MsgTick, Watermark: r.now, WatermarkAll: r.now}
		if err := r.fold(int32(p), m); err != nil {
			return err
		}
	}
	return r.drain()
}

// drain handles queued messages, and what they send, in order.
func (r *run) drain() error {
	for len(r.queue) > 0 {
		next := r.queue[0]
		r.queue = r.queue[1:]
		m, err := wire.DecodeMessage(next.Value)
		if err != nil {
			return err
		}
		if err := r.fold(engine.PartitionOf(next.Entity, len(r.parts)), m); err != nil {
			return err
		}
	}
	r.queue = nil
	return nil
}

// fold handles one message in its partition: what leaves is emitted, what goes
// to other entities is queued.
func (r *run) fold(p int32, m *stitch.Message) error {
	part := r.parts[p]
	if k, ok := stitch.Needs(m); ok && !part.Has(k) {
		part.Put(k, nil)
	}
	outputs := part.Fold(stitch.Record{Offset: r.offsets[p], Time: r.now, Message: m}, nil)
	r.offsets[p]++
	part.Settle()
	for i := range outputs {
		if outputs[i].Message == nil {
			if err := r.emit(&outputs[i]); err != nil {
				return err
			}
			continue
		}
		r.queue = append(r.queue, engine.Encode(&outputs[i]))
	}
	return nil
}

// runOut lets time run on until nothing waits any more.
func (r *run) runOut() error {
	for {
		next, waits := int64(0), false
		for _, part := range r.parts {
			if at, ok := part.Waiting(); ok && (!waits || at < next) {
				next, waits = at, true
			}
		}
		if !waits {
			return nil
		}
		r.now = max(r.now, next+1)
		if err := r.tick(); err != nil {
			return err
		}
	}
}
