package audit

import (
	"context"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"lockstitch/stitch"
)

// message is what an audit needs of a journal record; wire.DecodeMessage reads
// all of it, at several times the cost.
type message struct {
	Kind     stitch.MessageKind `cbor:"1,keyasint"`
	To       stitch.Key         `cbor:"2,keyasint"`
	Event    *cause             `cbor:"4,keyasint,omitempty"`
	Hop      bool               `cbor:"6,keyasint,omitempty"`
	Customer string             `cbor:"12,keyasint,omitempty"`
	Rules    *stitch.Rules      `cbor:"23,keyasint,omitempty"`
	Pending  *owed              `cbor:"25,keyasint,omitempty"`
}

type cause struct {
	Source stitch.Source `cbor:"1,keyasint"`
}

type owed struct {
	Owes bool `cbor:"6,keyasint,omitempty"`
}

// messageVersion is the first byte of the messages that are known (package wire).
const messageVersion = 1

// decode reads a journal record's value. known is false for what is none of ours.
func decode(value []byte) (m message, known bool, err error) {
	switch {
	case len(value) == 0 || value[0] == 0 || value[0] > 15:
		return m, false, nil
	case value[0] != messageVersion:
		return m, false, fmt.Errorf("a journal record of format version %d, this program reads %d: run the version that wrote it, or a newer one", value[0], messageVersion)
	}
	return m, cbor.Unmarshal(value[1:], &m) == nil, nil
}

// journal is what the journal says of source records: that they came there, and
// that something of them isn't folded yet or waits.
//
// Two things wait in an entity with no outcome so far. A customer's identify that
// names an address, and what queues behind it, waits for the address's answer; so
// while a claim or its answer is not folded, what went to that customer is under
// way. And a merge waits for its time: the merge delay of log time, at most, after
// the message that brought it.
type journal struct {
	*run
	cut      int64           // messages of records of this time or before may be gone, Unix ms
	asking   map[string]bool // customers who wait for an address
	delay    int64           // the longest merge delay seen, ms
	clocks   map[int32]int64 // by partition: append time, running maximum
	merges   map[int32][]merging
	unknown  int64
	messages int64
}

// merging is a merge that may still wait, and is its record's only outcome.
type merging struct {
	at   int64 // log time of the message that brought it
	flag *flags
}

func newJournal(r *run) *journal {
	return &journal{
		run: r, asking: map[string]bool{}, delay: r.MergeDelay.Milliseconds(),
		clocks: map[int32]int64{}, merges: map[int32][]merging{},
	}
}

// split is each partition's span before and after what is folded.
func (j *journal) split() (folded, tail []Span) {
	for p, m := range j.marks.Topics[j.Topics.Journal] {
		begin := j.begin[j.Topics.Journal][p]
		at := min(max(m.Committed, begin), m.End)
		s := Span{Topic: j.Topics.Journal, Partition: int32(p), Committed: true}
		s.From, s.To = begin, at
		folded = append(folded, s)
		s.From, s.To = at, m.End
		tail = append(tail, s)
	}
	return folded, tail
}

func (j *journal) spans() []Span {
	folded, tail := j.split()
	return append(folded, tail...)
}

// readJournal reads what isn't folded first: who waits is known from there.
func (r *run) readJournal(ctx context.Context) error {
	j := r.journal
	folded, tail := j.split()
	if err := r.read(ctx, tail, func(rec *Record) error { return j.take(rec, j.unfolded) }); err != nil {
		return err
	}
	if err := r.read(ctx, folded, func(rec *Record) error {
		p := rec.Partition
		j.clocks[p] = max(j.clocks[p], rec.Time)
		return j.take(rec, func(m *message, f *flags) { j.foldedMessage(p, m, f) })
	}); err != nil {
		return err
	}
	for p, waiting := range j.merges {
		for _, w := range waiting {
			if w.at+j.delay >= j.clocks[p] {
				*w.flag |= underWay
			}
		}
	}
	r.report.JournalRecords, r.report.JournalUnknown = j.messages, j.unknown
	return nil
}

// take decodes a record and gives it to f, with what is known of its source; nil
// where that isn't audited.
func (j *journal) take(rec *Record, f func(*message, *flags)) error {
	m, known, err := decode(rec.Value)
	if err != nil {
		return fmt.Errorf("%s: %w", position(rec.Topic, rec.Partition, rec.Offset), err)
	}
	j.messages++
	if !known {
		j.unknown++
		return nil
	}
	var at *flags
	if m.Event != nil {
		s := &m.Event.Source
		if at = j.table.part(s.Topic, s.Partition).at(s.Offset); at != nil {
			*at |= journaled
		}
	}
	if m.Rules != nil {
		j.delay = max(j.delay, m.Rules.MergeDelay)
	}
	f(&m, at)
	return nil
}

func (j *journal) unfolded(m *message, at *flags) {
	if at != nil {
		*at |= underWay
	}
	switch m.Kind {
	case stitch.MsgClaim:
		j.asking[m.Customer] = true
	case stitch.MsgClaimed:
		j.asking[m.To.ID] = true
	}
}

func (j *journal) foldedMessage(p int32, m *message, at *flags) {
	if at == nil {
		return
	}
	if m.Kind == stitch.MsgEvent && m.Hop {
		*at |= sentOn
	}
	if m.To.Kind == stitch.KindCustomer && j.asking[m.To.ID] {
		*at |= underWay
	}
	if m.Pending != nil && m.Pending.Owes && m.Kind != stitch.MsgOffer {
		j.waits(p, at)
	}
}

// waits notes a merge, and forgets those whose time is past.
func (j *journal) waits(p int32, at *flags) {
	now, waiting := j.clocks[p], j.merges[p]
	n := 0
	for n < len(waiting) && waiting[n].at+j.delay < now {
		n++
	}
	j.merges[p] = append(waiting[n:], merging{now, at})
}

// locate finds the last journal message of the records that are missing and
// listed: there it was lost.
func (r *run) locate(ctx context.Context) error {
	lost := map[stitch.Source]*Finding{}
	for i := range r.report.Listed.Missing {
		f := &r.report.Listed.Missing[i]
		if f.wasJournaled {
			lost[f.source] = f
		}
	}
	if len(lost) == 0 {
		return nil
	}
	folded, _ := r.journal.split()
	return r.read(ctx, folded, func(rec *Record) error {
		m, known, err := decode(rec.Value)
		if err != nil || !known || m.Event == nil {
			return err
		}
		if f := lost[m.Event.Source]; f != nil {
			f.Where = position(rec.Topic, rec.Partition, rec.Offset)
			f.Messages++
		}
		return nil
	})
}
