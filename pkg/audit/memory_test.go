package audit

import (
	"context"
	"runtime"
	"strconv"
	"testing"
	"time"

	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// endless is a clean run of n source records that are made while they are read:
// each journaled and published, every tenth an order, in 4 partitions a topic.
type endless struct {
	n     int64 // in each partition
	value []byte
	peak  uint64 // of the live heap
	every int64  // records between two looks at it; 0: none
	read  int64
}

const lanes = 4

func newEndless(n int64) *endless {
	return &endless{n: n / lanes, value: make([]byte, 300)}
}

func (e *endless) options() Options {
	return Options{Sources: []Source{{Topic: "events.app"}}, Topics: topicNames, rows: 4096}
}

func (e *endless) Marks(context.Context) (*Marks, error) {
	m := &Marks{JournalID: journalID, Topics: map[string][]Mark{}}
	for _, topic := range []string{"events.app", topicNames.Journal, topicNames.Sink, topicNames.Decisions, topicNames.DLQ} {
		for range lanes {
			mark := Mark{End: e.n, Committed: e.n}
			if topic == topicNames.DLQ || topic == topicNames.Decisions {
				mark = Mark{}
			}
			m.Topics[topic] = append(m.Topics[topic], mark)
		}
	}
	return m, nil
}

func (e *endless) At(context.Context, []string, time.Time) (map[string][]int64, error) {
	panic("the whole is read")
}

func (e *endless) Read(_ context.Context, spans []Span, f func(*Record) error) error {
	for offset := range e.n {
		for _, s := range spans {
			if offset < s.From || offset >= s.To {
				continue
			}
			if err := f(e.record(s, offset)); err != nil {
				return err
			}
			if e.read++; e.every > 0 && e.read%e.every == 0 {
				e.look()
			}
		}
	}
	return nil
}

func (e *endless) look() {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	e.peak = max(e.peak, m.HeapAlloc)
}

func (e *endless) record(s Span, offset int64) *Record {
	r := &Record{Topic: s.Topic, Partition: s.Partition, Offset: offset, Time: day + offset, Value: e.value}
	of := stitch.Source{Topic: "events.app", Partition: s.Partition, Offset: offset}
	switch s.Topic {
	case topicNames.Journal:
		r.Value = wire.EncodeMessage(&stitch.Message{Kind: stitch.MsgEvent, To: device, Event: &stitch.Event{Source: of, Attributes: e.value}})
	case topicNames.Sink:
		at := stitch.Place{Sender: journalID, Partition: s.Partition, Offset: offset}
		r.Headers = headers("ls-source", of.String(), "ls-place", at.String())
		if offset%10 == 0 {
			id := "01KB000000" + strconv.FormatInt(1e15+offset*lanes+int64(s.Partition), 10)
			r.Headers = append(r.Headers, headers("ls-event", id, "ls-order", "o")...)
		}
	}
	return r
}

// TestMemory: two bytes a source record, and what doesn't grow. Everything else
// is on disk.
func TestMemory(t *testing.T) {
	live := func(n int64) uint64 {
		e := newEndless(n)
		e.every = n / 4
		e.look()
		before := e.peak
		report, err := Run(t.Context(), e, e.options())
		if err != nil {
			t.Fatal(err)
		}
		if !report.Clean() || report.Records != n || report.Outcomes["published"] != n {
			t.Fatalf("that should be clean: %+v", report)
		}
		return e.peak - before
	}
	small, large := live(50_000), live(250_000)
	a := float64(large-small) / 200_000
	t.Logf("%d KiB live for 50,000 records, %d KiB for 250,000: %.2f bytes a record", small>>10, large>>10, a)
	if a > 2.5 {
		t.Errorf("%.2f bytes of memory a record: promised are 2", a)
	}
}

// TestSort: sorted on disk and in memory, all rows come back, in order.
func TestSort(t *testing.T) {
	for _, n := range []int{0, 1, 99, 100, 101, 1000, 2357} {
		s := newSorter(t.TempDir(), "x", 100)
		for i := range n {
			var r row
			v := uint32(i*7919) % uint32(n)
			r[0], r[1], r[2], r[3] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
			if err := s.add(r); err != nil {
				t.Fatal(err)
			}
		}
		var last row
		got := 0
		if err := s.each(func(r *row) {
			if got > 0 && last.compare(r) > 0 {
				t.Fatalf("%v after %v", *r, last)
			}
			last = *r
			got++
		}); err != nil {
			t.Fatal(err)
		}
		if got != n || cap(s.rows) > 100 && n > 0 {
			t.Errorf("%d rows of %d, %d in memory", got, n, cap(s.rows))
		}
		s.close()
	}
}

// Faults are found whether they fit in memory or not.
func TestFaultsOnDisk(t *testing.T) {
	w := newWorld()
	of, at := w.seen()
	for range 20 {
		w.seen()
	}
	w.publish(of, at)
	w.publish(of, at).Value = []byte("{}")
	w.options.rows = 4
	if got := w.audit(t); got.Doubled != 1 || got.Conflicts != 1 || got.Missing != 0 {
		t.Errorf("%+v", got)
	}
}

// BenchmarkRun is the cost of one source record with its journal message and its
// sink record, making them included.
func BenchmarkRun(b *testing.B) {
	e := newEndless(int64(max(b.N, lanes)))
	opt := e.options()
	opt.rows = 0
	b.ReportAllocs()
	if _, err := Run(b.Context(), e, opt); err != nil {
		b.Fatal(err)
	}
}
