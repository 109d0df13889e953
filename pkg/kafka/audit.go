package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/audit"
)

// Audit is audit.Cluster: it only reads, as a member of no group.
type Audit struct {
	conn     Conn
	client   *kgo.Client
	sources  []Source
	topics   Topics
	readings []Reading
}

// NewAudit reads what the ingest group and the processors' group work on.
func NewAudit(conn Conn, topics Topics, ingest, process string, sources []Source) (*Audit, error) {
	if err := topics.Validate(); err != nil {
		return nil, err
	}
	cl, err := conn.client()
	if err != nil {
		return nil, err
	}
	readings := append(Readings(ingest, sources), Reading{Group: process, Topics: []string{topics.Journal}})
	return &Audit{conn, cl, sources, topics, readings}, nil
}

// Close closes the connection.
func (a *Audit) Close() { a.client.Close() }

// Marks implements audit.Cluster. The order of its questions is what makes an
// audit exact on a live system: see there.
func (a *Audit) Marks(ctx context.Context) (*audit.Marks, error) {
	committed := map[string]kadm.OffsetResponses{} // by group, ingest's before the processors'
	for _, r := range a.readings {
		at, err := fetchOffsets(ctx, a.client, r.Group)
		if err != nil {
			return nil, err
		}
		committed[r.Group] = at
	}
	m := &audit.Marks{Topics: map[string][]audit.Mark{}}
	outputs := []string{a.topics.Sink, a.topics.Decisions, a.topics.DLQ}
	for _, topics := range [][]string{{a.topics.Journal}, outputs, a.sourceTopics()} {
		if err := a.marksOf(ctx, m, topics); err != nil {
			return nil, err
		}
	}
	for _, r := range a.readings {
		if err := fillCommitted(m, committed[r.Group], r); err != nil {
			return nil, err
		}
	}
	var err error
	m.Kept, err = kept(ctx, a.client, append(outputs, a.topics.Journal)...)
	return m, err
}

func (a *Audit) sourceTopics() (topics []string) {
	for _, s := range a.sources {
		topics = append(topics, s.Topic)
	}
	return topics
}

// marksOf asks for the bounds of topics. The ends are the high watermarks: a
// transaction's offsets may count as committed before its records can be read, and
// a reader must wait for these.
func (a *Audit) marksOf(ctx context.Context, m *audit.Marks, topics []string) error {
	facts, err := describe(ctx, a.client, topics...)
	if err != nil {
		return err
	}
	ps := partitionsOf(facts)
	ends, err := listOffsets(ctx, a.client, ps, endOffset)
	if err != nil {
		return err
	}
	starts, err := listOffsets(ctx, a.client, ps, startOffset)
	if err != nil {
		return err
	}
	for topic, f := range facts {
		marks := make([]audit.Mark, f.partitions)
		for p := range marks {
			start := starts[topic][int32(p)]
			marks[p] = audit.Mark{Start: start, End: max(start, ends[topic][int32(p)]), Committed: -1}
		}
		m.Topics[topic] = marks
		if topic == a.topics.Journal {
			m.JournalID = f.id
		}
	}
	return nil
}

func fillCommitted(m *audit.Marks, at kadm.OffsetResponses, r Reading) error {
	for _, topic := range r.Topics {
		for p := range m.Topics[topic] {
			o, ok := at.Lookup(topic, int32(p))
			if ok && o.Err != nil {
				return fmt.Errorf("kafka: committed offset of %s partition %d in group %s: %w", topic, p, r.Group, o.Err)
			}
			if ok {
				m.Topics[topic][p].Committed = o.At
			}
		}
	}
	return nil
}

// kept is how long topics keep their records, for those whose configuration can
// be read.
func kept(ctx context.Context, cl *kgo.Client, topics ...string) (map[string]time.Duration, error) {
	numbers, err := topicNumbers(ctx, cl, []string{"retention.ms", "retention.bytes"}, topics...)
	if err != nil {
		return nil, err
	}
	found := map[string]time.Duration{}
	for topic, of := range numbers {
		if n, ok := of["retention.bytes"]; ok && n >= 0 {
			continue // what is cut by size may be young
		}
		if n, ok := of["retention.ms"]; ok && n >= 0 && n < math.MaxInt64/int64(time.Millisecond) {
			found[topic] = time.Duration(n) * time.Millisecond
		}
	}
	return found, nil
}

// At implements audit.Cluster.
func (a *Audit) At(ctx context.Context, topics []string, t time.Time) (map[string][]int64, error) {
	facts, err := describe(ctx, a.client, topics...)
	if err != nil {
		return nil, err
	}
	ps := partitionsOf(facts)
	ends, err := listOffsets(ctx, a.client, ps, endOffset)
	if err != nil {
		return nil, err
	}
	at, err := listOffsets(ctx, a.client, ps, which{timestamp: max(0, t.UnixMilli())})
	if err != nil {
		return nil, err
	}
	all := map[string][]int64{}
	for topic, f := range facts {
		all[topic] = make([]int64, f.partitions)
		for p := range all[topic] {
			if all[topic][p] = at[topic][int32(p)]; all[topic][p] < 0 {
				all[topic][p] = ends[topic][int32(p)]
			}
		}
	}
	return all, nil
}

// Read implements audit.Cluster.
func (a *Audit) Read(ctx context.Context, spans []audit.Span, f func(*audit.Record) error) error {
	var plain, committed []audit.Span
	for _, s := range spans {
		if s.Committed {
			committed = append(committed, s)
		} else {
			plain = append(plain, s)
		}
	}
	if err := a.readSpans(ctx, plain, kgo.ReadUncommitted(), f); err != nil {
		return err
	}
	return a.readSpans(ctx, committed, kgo.ReadCommitted(), f)
}

// stalled is how long nothing may come. Then the broker is away, a transaction hangs,
// or a partition's last records were compacted away, which a client isn't told.
const stalled = time.Minute

// readSpans reads to each span's end. Control records are asked for, as the end
// may be one.
func (a *Audit) readSpans(ctx context.Context, spans []audit.Span, level kgo.IsolationLevel, f func(*audit.Record) error) error {
	left, from := map[string]map[int32]int64{}, map[string]map[int32]kgo.Offset{}
	n := 0
	for _, s := range spans {
		if s.From >= s.To {
			continue
		}
		if left[s.Topic] == nil {
			left[s.Topic], from[s.Topic] = map[int32]int64{}, map[int32]kgo.Offset{}
		}
		left[s.Topic][s.Partition], from[s.Topic][s.Partition] = s.To, kgo.NewOffset().At(s.From)
		n++
	}
	if n == 0 {
		return nil
	}
	cl, err := a.conn.client(
		kgo.FetchIsolationLevel(level), kgo.KeepControlRecords(), kgo.ConsumePartitions(from),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // what retention took meanwhile isn't there
		kgo.FetchMaxBytes(fetchAll), kgo.FetchMaxPartitionBytes(fetchPartition))
	if err != nil {
		return err
	}
	defer cl.Close()
	for n > 0 {
		fetches, err := poll(ctx, cl)
		if err != nil {
			return err
		}
		if err := deliver(fetches, func(r *kgo.Record) error {
			end, reading := left[r.Topic][r.Partition]
			if !reading {
				return nil
			}
			if r.Offset >= end-1 {
				delete(left[r.Topic], r.Partition)
				cl.PauseFetchPartitions(map[string][]int32{r.Topic: {r.Partition}})
				n--
			}
			if r.Offset >= end || r.Attrs.IsControl() {
				return nil
			}
			return f(auditRecord(r))
		}); err != nil {
			return err
		}
	}
	return nil
}

func poll(ctx context.Context, cl *kgo.Client) (kgo.Fetches, error) {
	wait, cancel := context.WithTimeout(ctx, stalled)
	defer cancel()
	fetches := cl.PollFetches(wait)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if wait.Err() != nil && fetches.NumRecords() == 0 {
		return nil, fmt.Errorf("kafka: nothing came for %s: is a broker away, a transaction left open, or a topic compacted?", stalled)
	}
	var failed error
	fetches.EachError(func(topic string, p int32, err error) {
		if failed == nil && !errors.Is(err, context.DeadlineExceeded) && !kerr.IsRetriable(err) {
			failed = fmt.Errorf("kafka: reading %s partition %d: %w", topic, p, err)
		}
	})
	return fetches, failed
}

func deliver(fetches kgo.Fetches, f func(*kgo.Record) error) error {
	for it := fetches.RecordIter(); !it.Done(); {
		if err := f(it.Next()); err != nil {
			return err
		}
	}
	return nil
}

func auditRecord(r *kgo.Record) *audit.Record {
	rec := audit.Record(record(r))
	return &rec
}
