package audit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"lockstitch/stitch"
)

// Cluster is the port to the topics.
type Cluster interface {
	// Marks says how far everything is. It must read in this order: what the ingest
	// groups have committed, what the processors' group has committed, the ends of
	// the journal, the ends of sink, decisions and DLQ, the ends of the sources.
	// Ends are high watermarks: what is committed may not be readable yet.
	Marks(ctx context.Context) (*Marks, error)
	// At returns, by topic and partition, the first offset whose record has this
	// time or a later one; where there is none, the partition's end.
	At(ctx context.Context, topics []string, t time.Time) (map[string][]int64, error)
	// Read hands out the records of the spans, each partition in order, without
	// control records, until f fails or all spans are read.
	Read(ctx context.Context, spans []Span, f func(*Record) error) error
}

// Marks say how far topics reach. A source topic that doesn't exist is absent.
type Marks struct {
	JournalID string            // as places name it
	Topics    map[string][]Mark // by topic and partition
	// Kept is how long topics keep their records; absent where that isn't known.
	Kept map[string]time.Duration
}

// Mark is how far one partition reaches: offsets [Start, End). Committed is the
// group's that reads it, of sources and journal; -1 where there is none.
type Mark struct{ Start, End, Committed int64 }

// Span is part of a partition: offsets [From, To).
type Span struct {
	Topic     string
	Partition int32
	From, To  int64
	Committed bool // without records of aborted transactions
}

// Record is a record as it stands in a topic. It is the reader's again when f returns.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Time      int64 // Unix ms
	Key       []byte
	Value     []byte
	Headers   []stitch.Header
}

// Source is a source topic.
type Source struct {
	Topic     string
	Committed bool // read without aborted records, as ingest does
}

// Topics are the names of Lockstitch's own topics.
type Topics struct{ Journal, Sink, Decisions, DLQ string }

func (t Topics) outputs() []string { return []string{t.Sink, t.Decisions, t.DLQ} }

// Offsets are part of a source partition: [From, To).
type Offsets struct {
	Topic     string
	Partition int32
	From, To  int64
}

// Options say what is audited. The zero range is everything there is.
type Options struct {
	Sources []Source
	Topics  Topics

	From, To time.Time // of source records' times: [From, To); zero for no limit
	Offsets  []Offsets // audit these alone; not together with From and To

	// MergeDelay is how long a merge waits for its primary (rules.take_over_delay);
	// what the journal says of it counts as well.
	MergeDelay time.Duration
	// List is how many findings of each kind are listed; all are counted. 0: 1000.
	List int
	// Dir is where places are sorted, 32 bytes for each output record that doesn't
	// fit in memory; "" for the system's folder of temporary files.
	Dir string
	// Progress hears of offsets that were read and are to be read. May be nil.
	Progress func(done, total int64)
	// Now is the present, by which retention is reckoned; zero for the clock's.
	Now time.Time

	rows int // sorted in memory at once; 0: sortRows
}

// margin is how much earlier than the first source record outputs are read from,
// for brokers' clocks that differ.
const margin = time.Hour

// sortRows is how many places are sorted in memory at once: 64 MiB.
const sortRows = 2 << 20

// run is one audit under way.
type run struct {
	Options
	cluster Cluster
	marks   *Marks
	table   *table
	begin   map[string][]int64 // where outputs and journal are read from
	cut     int64              // outcomes of records of this time or before may be gone, Unix ms
	journal *journal
	places  *places
	orders  *sorter
	report  *Report

	topicNames  map[string]string // so that one text serves all records
	fromStart   bool              // read outputs and journal from their start
	whole       bool              // they are read from their start
	shrunk      string            // an output topic, or the journal, whose beginning retention took meanwhile
	done, total int64
}

// Run audits, and returns what it found. An error says that it couldn't be done.
func Run(ctx context.Context, c Cluster, o Options) (Report, error) {
	if len(o.Offsets) > 0 && (!o.From.IsZero() || !o.To.IsZero()) {
		return Report{}, errors.New("audit: give a range of times or offsets, not both")
	}
	if o.List <= 0 {
		o.List = 1000
	}
	if o.rows == 0 {
		o.rows = sortRows
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	report, whole, err := once(ctx, c, o, false)
	if err == nil && !report.Clean() && !whole {
		// Where sources have their senders' clocks, something may stand earlier than
		// was looked. A finding is certain only after a look from the start.
		report, _, err = once(ctx, c, o, true)
	}
	if err != nil {
		return Report{}, fmt.Errorf("audit: %w", err)
	}
	return *report, nil
}

// once audits, with outputs and journal from their start, or from about when the
// first source record came. whole says whether it was the same.
func once(ctx context.Context, c Cluster, o Options, fromStart bool) (_ *Report, whole bool, err error) {
	dir, err := os.MkdirTemp(o.Dir, "lockstitch-audit-")
	if err != nil {
		return nil, false, fmt.Errorf("a folder to sort in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := &run{Options: o, cluster: c, report: newReport(o.List), fromStart: fromStart, whole: true}
	r.places, r.orders = newPlaces(newSorter(dir, "places", o.rows)), newSorter(dir, "orders", o.rows/4)
	defer r.places.close()
	defer r.orders.close()
	for _, step := range []func(context.Context) error{
		r.prepare, r.readSources, r.whereToBegin, r.readJournal, r.readOutputs, r.lookAgain, r.judge, r.locate,
	} {
		if err := step(ctx); err != nil {
			return nil, false, err
		}
	}
	return r.report, r.whole, nil
}

// prepare finds out how far everything is, and what is to be read of the sources.
func (r *run) prepare(ctx context.Context) (err error) {
	if r.marks, err = r.cluster.Marks(ctx); err != nil {
		return err
	}
	for _, topic := range append(r.Topics.outputs(), r.Topics.Journal) {
		if r.marks.Topics[topic] == nil {
			return fmt.Errorf("topic %s does not exist: create it with `lockstitch topics apply`", topic)
		}
	}
	r.places.id = r.marks.JournalID
	r.topicNames = map[string]string{}
	for _, s := range r.Sources {
		r.topicNames[s.Topic] = s.Topic
	}
	r.table = newTable()
	if len(r.Offsets) > 0 {
		return r.rangesOfOffsets()
	}
	return r.rangesOfTimes(ctx)
}

func (r *run) rangesOfTimes(ctx context.Context) (err error) {
	var from, to map[string][]int64
	if !r.From.IsZero() {
		if from, err = r.cluster.At(ctx, r.existing(), r.From); err != nil {
			return err
		}
	}
	if !r.To.IsZero() {
		if to, err = r.cluster.At(ctx, r.existing(), r.To); err != nil {
			return err
		}
	}
	for _, s := range r.Sources {
		for p := range r.marks.Topics[s.Topic] {
			want := Offsets{s.Topic, int32(p), 0, math.MaxInt64}
			if from != nil {
				want.From = from[s.Topic][p]
			}
			if to != nil {
				want.To = to[s.Topic][p]
			}
			r.addRange(s, want)
		}
	}
	return nil
}

// existing are the source topics that are there.
func (r *run) existing() (topics []string) {
	for _, s := range r.Sources {
		if r.marks.Topics[s.Topic] != nil {
			topics = append(topics, s.Topic)
		}
	}
	return topics
}

func (r *run) rangesOfOffsets() error {
	for i, o := range r.Offsets {
		k := slices.IndexFunc(r.Sources, func(s Source) bool { return s.Topic == o.Topic })
		if k < 0 || o.Partition < 0 || int(o.Partition) >= len(r.marks.Topics[o.Topic]) {
			return fmt.Errorf("%s/%d is no partition of a configured source that exists", o.Topic, o.Partition)
		}
		if slices.ContainsFunc(r.Offsets[:i], func(p Offsets) bool { return p.Topic == o.Topic && p.Partition == o.Partition }) {
			return fmt.Errorf("%s/%d is named twice", o.Topic, o.Partition)
		}
		r.addRange(r.Sources[k], o)
	}
	return nil
}

// addRange takes what there is of a range, up to what ingest has committed.
func (r *run) addRange(s Source, want Offsets) {
	m := r.marks.Topics[s.Topic][want.Partition]
	from, to := max(want.From, m.Start), min(want.To, m.End)
	ingested := max(from, min(to, m.Committed))
	r.report.NotIngested += max(0, to-ingested)
	r.table.add(s, want.Partition, from, ingested, m)
}

// readSources notes which offsets hold a record. Those from before what
// retention left of the outputs can't be judged; the times of that are known here.
func (r *run) readSources(ctx context.Context) error {
	if err := r.findCuts(ctx); err != nil {
		return err
	}
	return r.read(ctx, r.table.spans(), func(rec *Record) error {
		part := r.table.part(rec.Topic, rec.Partition)
		f := part.at(rec.Offset)
		if f == nil {
			return nil
		}
		*f |= exists
		if rec.Time <= r.cut {
			*f |= cutOutputs
		}
		if rec.Time <= r.journal.cut {
			*f |= cutJournal
		}
		part.records++
		r.table.earliest = min(r.table.earliest, rec.Time)
		return nil
	})
}

// findCuts finds up to which time records of outputs and journal may be gone.
func (r *run) findCuts(ctx context.Context) (err error) {
	if r.cut, err = r.cutOf(ctx, r.Topics.outputs()...); err != nil {
		return err
	}
	r.journal = newJournal(r)
	r.journal.cut, err = r.cutOf(ctx, r.Topics.Journal)
	return err
}

// cutOf is the latest time of a record that is gone from the topics, as far as
// can be known: the first one left is no older, and an empty partition has lost
// what is older than the topic keeps.
func (r *run) cutOf(ctx context.Context, topics ...string) (int64, error) {
	cut := int64(math.MinInt64)
	for _, topic := range topics {
		times, err := r.firstTimes(ctx, topic)
		if err != nil {
			return 0, err
		}
		for p, m := range r.marks.Topics[topic] {
			at, left := times[int32(p)]
			kept, known := r.marks.Kept[topic]
			switch {
			case m.Start == 0:
			case left:
				cut = max(cut, at)
			case known:
				cut = max(cut, r.Now.Add(-kept).UnixMilli())
			default:
				return math.MaxInt64, nil
			}
		}
	}
	return cut, nil
}

// firstTimes are the times of the first records of partitions that were cut.
func (r *run) firstTimes(ctx context.Context, topic string) (map[int32]int64, error) {
	var firsts, rests []Span
	for p, m := range r.marks.Topics[topic] {
		if m.Start > 0 && m.Start < m.End {
			s := Span{Topic: topic, Partition: int32(p), From: m.Start, To: m.Start + 1, Committed: true}
			firsts = append(firsts, s)
			s.To = m.End
			rests = append(rests, s)
		}
	}
	times := map[int32]int64{}
	note := func(rec *Record) error {
		if _, ok := times[rec.Partition]; !ok {
			times[rec.Partition] = rec.Time
		}
		return nil
	}
	if err := r.cluster.Read(ctx, firsts, note); err != nil {
		return nil, err
	}
	for _, s := range rests { // where a control record or a gap stands first
		if _, ok := times[s.Partition]; ok {
			continue
		}
		err := r.cluster.Read(ctx, []Span{s}, func(rec *Record) error { return errors.Join(note(rec), errEnough) })
		if err != nil && !errors.Is(err, errEnough) {
			return nil, err
		}
	}
	return times, nil
}

// errEnough ends a reading.
var errEnough = errors.New("enough")

// whereToBegin finds where outputs and journal are read from: outcomes come
// after their source's append, however much later.
func (r *run) whereToBegin(ctx context.Context) (err error) {
	topics := append(r.Topics.outputs(), r.Topics.Journal)
	r.begin = map[string][]int64{}
	if (!r.From.IsZero() || len(r.Offsets) > 0) && !r.fromStart && r.table.earliest != math.MaxInt64 {
		if r.begin, err = r.cluster.At(ctx, topics, time.UnixMilli(r.table.earliest).Add(-margin)); err != nil {
			return err
		}
	}
	for _, topic := range topics {
		marks := r.marks.Topics[topic]
		if r.begin[topic] == nil {
			r.begin[topic] = make([]int64, len(marks))
		}
		for p, m := range marks {
			r.whole = r.whole && r.begin[topic][p] <= m.Start
			r.begin[topic][p] = max(r.begin[topic][p], m.Start)
		}
	}
	for _, s := range append(r.journal.spans(), r.outputSpans()...) {
		r.total += max(0, s.To-s.From)
	}
	return nil
}

// lookAgain finds out what retention has taken meanwhile.
func (r *run) lookAgain(ctx context.Context) error {
	now, err := r.cluster.Marks(ctx)
	if err != nil {
		return err
	}
	if now.JournalID != r.marks.JournalID {
		return errors.New("the journal was made anew while it was read: run it again")
	}
	for _, p := range r.table.parts() {
		if marks := now.Topics[p.source.Topic]; int(p.partition) < len(marks) {
			p.mark.Start = marks[p.partition].Start
		}
	}
	for _, topic := range append(r.Topics.outputs(), r.Topics.Journal) {
		for p, m := range now.Topics[topic] {
			if p < len(r.begin[topic]) && m.Start > r.begin[topic][p] { // others came since
				r.shrunk = topic
			}
		}
	}
	return nil
}

// read reads spans and tells how far it is.
func (r *run) read(ctx context.Context, spans []Span, f func(*Record) error) error {
	spans = slices.DeleteFunc(spans, func(s Span) bool { return s.From >= s.To })
	if len(spans) == 0 {
		return nil
	}
	if r.total == 0 {
		for _, s := range spans {
			r.total += s.To - s.From
		}
	}
	err := r.cluster.Read(ctx, spans, func(rec *Record) error {
		if r.done++; r.Progress != nil && r.done%10_000 == 0 {
			r.Progress(r.done, r.total)
		}
		return f(rec)
	})
	return err
}
