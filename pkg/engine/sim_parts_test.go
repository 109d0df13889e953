package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// The simulator's Kafka and Redis: plain data that a single thread changes. What
// the real parts may do to us is done here by the schedule: an effect without
// its reply, a paused owner whose writes arrive late, a Redis that lost a suffix.

const simTopicID = "journal-id"

// simRecord is one written record, in order of writing.
type simRecord struct {
	place   string // ls-place, or the message's place
	key     string
	value   string
	headers string
	below   bool // its cause lies below what was committed when its writer took over
}

// simKafka holds sources, journal and outputs.
type simKafka struct {
	now      int64
	slow     *rand.Rand      // much happens in one millisecond; nil where little does
	sources  [][]wire.Record // by source partition
	ingested []int64         // committed by ingest
	journal  [][]Entry       // by partition
	commits  []int64         // the processors' committed offsets, -1 for none
	start    []int64         // of what retention has left of the journal, by partition
	copies   [][][]byte      // the log of snapshots, by partition
	outputs  map[Topic][]simRecord
}

// passes lets d ms pass, or none.
func (k *simKafka) passes(d int64) {
	if k.slow == nil || k.slow.IntN(6) == 0 {
		k.now += d
	}
}

func (k *simKafka) append(p int32, value []byte) {
	k.passes(1)
	k.journal[p] = append(k.journal[p], Entry{Offset: int64(len(k.journal[p])), Time: k.now, Value: slices.Clone(value), Size: len(value)})
}

// write carries one record out, whoever asks: Kafka fences no producer here.
func (k *simKafka) write(r Published, below bool) {
	if r.Topic == TopicJournal {
		k.append(PartitionOf(r.Entity, len(k.journal)), r.Value)
		return
	}
	rec := simRecord{key: string(r.Key), value: string(r.Value), below: below}
	for _, h := range r.Headers {
		if h.Key == "ls-place" {
			rec.place = string(h.Value)
		}
		rec.headers += h.Key + "=" + string(h.Value) + "\n"
	}
	k.outputs[r.Topic] = append(k.outputs[r.Topic], rec)
}

// simLog is one assignment's view; it is lost once generation moved on.
type simLog struct {
	w     *world
	a     *actor
	p     int32
	taken int64 // committed offset at the take-over
}

func (l *simLog) lost() bool { return l.w.owner[l.p] != l.a }

func (l *simLog) Bounds(context.Context) (int64, int64, string, error) {
	l.a.at("bounds")
	if l.lost() {
		return 0, 0, "", ErrLost
	}
	return l.w.kafka.start[l.p], int64(len(l.w.kafka.journal[l.p])), simTopicID, nil
}

func (l *simLog) Committed(context.Context) (int64, bool, error) {
	l.a.at("committed")
	if l.lost() {
		return 0, false, ErrLost
	}
	l.taken = l.w.kafka.commits[l.p]
	if l.w.mutant == noSilence {
		return -1, true, nil
	}
	return l.taken, true, nil
}

func (l *simLog) Read(_ context.Context, from int64, limit int) ([]Entry, error) {
	l.a.at("read")
	if l.lost() {
		return nil, ErrLost
	}
	j := l.w.kafka.journal[l.p]
	if from > int64(len(j)) || from < l.w.kafka.start[l.p] {
		return nil, ErrTruncated
	}
	n := min(int64(len(j)), from+int64(1+l.w.rnd.IntN(limit)))
	return slices.Clone(j[from:n]), nil
}

// errReply: something took effect, and its reply was lost.
var errReply = errors.New("the reply was lost")

// reply is what the caller hears of what took effect.
func (w *world) reply() error {
	if !w.peace && w.rnd.IntN(60) == 0 {
		return errReply
	}
	return nil
}

// Publish writes one record after the other; the owner may die between any two,
// and a paused one writes on when it wakes.
func (l *simLog) Publish(_ context.Context, out []Published) error {
	for _, r := range out {
		l.a.at("publish")
		l.w.kafka.write(r, l.below(r))
	}
	l.a.at("published")
	return l.w.reply()
}

// below: the record's cause was committed before this owner took over, so it is
// out already, and writing it again is a needless repeat.
func (l *simLog) below(r Published) bool {
	for _, h := range r.Headers {
		if h.Key == "ls-place" {
			var sender string
			var offset int64
			_, _ = fmt.Sscanf(slashed(string(h.Value)), "%s %d %d", &sender, new(int), &offset)
			return offset < l.taken
		}
	}
	return false
}

func (l *simLog) Append(_ context.Context, value []byte) error {
	l.a.at("append")
	l.w.kafka.append(l.p, value)
	return l.w.reply()
}

func (l *simLog) Commit(_ context.Context, next int64) error {
	l.a.at("commit")
	if l.lost() {
		return ErrLost // the assignment's fence
	}
	l.w.kafka.commits[l.p] = next
	l.a.at("committing")
	return l.w.reply()
}

// simState is Redis: every state a partition ever had, so that it can lose some.
type simState struct {
	w    *world
	past [][]simHead // by partition; the last one is now
}

type simHead struct {
	head   Head
	ok     bool
	data   map[string]string
	timers map[string]stitch.Timer
}

func (s *simState) now(p int32) *simHead { return &s.past[p][len(s.past[p])-1] }

// lose takes the partition's state back by up to n writes, or to nothing.
func (s *simState) lose(p int32, n int) {
	keep := max(len(s.past[p])-n, 1)
	s.past[p] = s.past[p][:keep]
}

// simRedis is one owner's connection.
type simRedis struct {
	*simState
	a *actor
}

func (s simRedis) Head(_ context.Context, p int32) (Head, bool, error) {
	s.a.at("head")
	h := s.now(p)
	s.a.head = h.head.Position
	return h.head, h.ok, nil
}

func (s simRedis) Timers(_ context.Context, p int32, gen string) (timers map[string]stitch.Timer, before, after Position, err error) {
	s.a.at("timers")
	h := s.now(p)
	if h.head.Generation == gen {
		timers = maps.Clone(h.timers)
	}
	at := h.head.Position
	if at != s.a.head && at.Generation == s.a.head.Generation && s.w.late {
		s.lose(p, 1) // the worst moment
	}
	return timers, at, at, nil
}

func (s simRedis) Read(_ context.Context, p int32, gen string, keys []string) ([][]byte, Position, Position, error) {
	s.a.at("load")
	h := s.now(p)
	values := make([][]byte, len(keys))
	for i, k := range keys {
		if v, ok := h.data[k]; ok && h.head.Generation == gen {
			values[i] = []byte(v)
		}
	}
	return values, h.head.Position, h.head.Position, nil
}

func (s simRedis) Page(_ context.Context, p int32, gen string, first, n int) ([]KV, Position, Position, error) {
	s.a.at("page")
	h := s.now(p)
	if h.head.Generation != gen {
		return nil, h.head.Position, h.head.Position, nil
	}
	return PagesOf(maps.All(h.data), first, n), h.head.Position, h.head.Position, nil
}

func (s simRedis) Swap(_ context.Context, p int32, d Delta) (bool, error) {
	s.a.at("swap")
	h := s.now(p)
	switch {
	case h.head.Position == d.Next:
		return true, nil
	case h.head.Position != d.Base && s.w.mutant != noCompare:
		return false, nil
	}
	next := simHead{head: Head{Position: d.Next, Logic: d.Logic, Meta: d.Meta}, ok: true, data: map[string]string{}, timers: map[string]stitch.Timer{}}
	maps.Copy(next.data, h.data)
	maps.Copy(next.timers, h.timers)
	for _, kv := range d.Set {
		next.data[kv.Key] = string(kv.Value)
	}
	for _, k := range d.Delete {
		delete(next.data, k)
	}
	for _, t := range d.Timers {
		next.timers[t.Key] = t.Timer
		if t.Timer.At == 0 {
			delete(next.timers, t.Key)
		}
	}
	s.past[p] = append(s.past[p], next)
	s.a.at("swapped")
	return true, s.w.reply()
}

func (s simRedis) Begin(_ context.Context, p int32, old Position, h Head) (bool, error) {
	s.a.at("begin")
	if s.now(p).head.Position != old {
		return false, nil
	}
	s.past[p] = append(s.past[p], simHead{head: h, ok: true, data: map[string]string{}, timers: map[string]stitch.Timer{}})
	return true, s.w.reply()
}

func (s simRedis) Promote(context.Context, int32, Position, int, int, []byte) (bool, error) {
	panic("one logic only")
}

func (s simRedis) Check(context.Context) error           { return nil }
func (s simRedis) Memory(context.Context) (int64, error) { return 0, nil }

// simCopies is one owner's way to the log of snapshots. Nothing fences it.
type simCopies struct {
	w *world
	a *actor
}

func (s simCopies) Write(_ context.Context, p int32, records [][]byte) error {
	for _, r := range records {
		s.a.at("copy")
		s.w.kafka.copies[p] = append(s.w.kafka.copies[p], r)
	}
	s.a.at("copied")
	return s.w.reply()
}

func (s simCopies) Bounds(_ context.Context, p int32) (int64, int64, error) {
	s.a.at("ends of copies")
	return 0, int64(len(s.w.kafka.copies[p])), nil
}

func (s simCopies) Scan(_ context.Context, p int32, from int64, f func(int64, []byte) error) error {
	s.a.at("scan")
	for i := int(from); i < len(s.w.kafka.copies[p]); i++ {
		s.a.at("scanning")
		if err := f(int64(i), s.w.kafka.copies[p][i]); err != nil {
			return err
		}
	}
	return nil
}

// simSources tells how far ingest is.
type simSources struct {
	w *world
	a *actor
}

func (s simSources) Ends(context.Context) (Ends, error) {
	s.a.at("ends")
	e := Ends{"s": {}}
	for i, recs := range s.w.kafka.sources {
		e["s"][int32(i)] = int64(min(len(recs), s.w.arrived[i]))
	}
	if s.w.late && s.w.arrived[simServer] < len(s.w.kafka.sources[simServer]) {
		s.w.arrive(simServer) // the worst moment
	}
	s.a.at("ends read")
	return e, nil
}

func (s simSources) Passed(_ context.Context, e Ends) (bool, bool, error) {
	s.a.at("passed")
	authorities, all := true, true
	for i, end := range e["s"] {
		if s.w.kafka.ingested[i] < end {
			all = false
			authorities = authorities && i != simServer
		}
	}
	return authorities, all, nil
}
