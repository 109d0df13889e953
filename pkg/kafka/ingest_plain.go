package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

// consumePlain reads topics that nobody writes in transactions, as a member of
// kafka-go's consumer group, until ctx ends.
func (in *Ingest) consumePlain(ctx context.Context, topics []string, facts map[string]topicFacts) error {
	dialer, err := in.Conn.Dialer()
	if err != nil {
		return err
	}
	brokers := slices.Clone(in.Conn.Brokers)
	for ctx.Err() == nil {
		group, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
			ID: in.ID, Brokers: brokers, Dialer: dialer, Topics: topics,
			GroupBalancers:    []kafkago.GroupBalancer{kafkago.RangeGroupBalancer{}},
			HeartbeatInterval: heartbeatInterval, SessionTimeout: sessionTimeout, RebalanceTimeout: rebalanceTimeout,
			JoinGroupBackoff: 250 * time.Millisecond, StartOffset: kafkago.FirstOffset,
		})
		if err != nil {
			return fmt.Errorf("kafka: consumer group %s: %w", in.ID, err)
		}
		in.generations(ctx, group, facts, dialer, brokers)
		_ = group.Close() // ends the generation, waits for it, and leaves
		brokers = append(slices.Clone(brokers[1:]), brokers[0])
	}
	return nil
}

// generations runs one after the other until ctx ends, or until there are other
// brokers to ask: kafka-go asks the first one that lets it connect who coordinates
// the group, and where that one hangs, it would ask for as long as it hangs.
func (in *Ingest) generations(ctx context.Context, group *kafkago.ConsumerGroup, facts map[string]topicFacts, dialer *kafkago.Dialer, brokers []string) {
	for {
		gen, err := group.Next(ctx)
		if ctx.Err() != nil || errors.Is(err, kafkago.ErrGroupClosed) {
			return
		}
		if err == nil {
			g := &generation{in: in, gen: gen, facts: facts, dialer: dialer, brokers: brokers, signal: make(chan struct{}, 1)}
			gen.Start(g.run)
			continue
		}
		in.Conn.logger().Warn("kafka: not in the consumer group, trying again", "group", in.ID, "err", err)
		if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() && len(in.Conn.Brokers) > 1 {
			return
		}
	}
}

// generation is one assignment of plain source partitions. Its commits go out
// under its own generation ID, for its own partitions, and only while run has not
// returned: kafka-go joins the next generation after that. So no commit comes
// after a revoke.
type generation struct {
	in      *Ingest
	gen     *kafkago.Generation
	facts   map[string]topicFacts
	dialer  *kafkago.Dialer
	brokers []string // the first one answers

	mu     sync.Mutex
	acked  map[string]map[int]int64 // not committed yet
	signal chan struct{}
}

// run reads all partitions until the generation ends. It must not return before
// that, or the member would join again and again.
func (g *generation) run(genCtx context.Context) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer context.AfterFunc(genCtx, cancel)()
	var readers sync.WaitGroup
	for topic, assigned := range g.gen.Assignments {
		for _, a := range assigned {
			readers.Go(func() { g.read(ctx, topic, a) })
		}
	}
	for ctx.Err() == nil {
		select {
		case <-g.signal:
			if !g.commit() {
				sleep(ctx, retryCommit)
			}
		case <-ctx.Done():
		}
	}
	readers.Wait()
	g.commit() // the broker takes it until the group has a new generation
}

// ack notes that everything below next is published.
func (g *generation) ack(topic string, partition int, next int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.acked == nil {
		g.acked = map[string]map[int]int64{}
	}
	if g.acked[topic] == nil {
		g.acked[topic] = map[int]int64{}
	}
	g.acked[topic][partition] = max(next, g.acked[topic][partition])
	g.wake()
}

func (g *generation) wake() {
	select {
	case g.signal <- struct{}{}:
	default:
	}
}

// commit commits what was acknowledged; what fails stays for the next time.
func (g *generation) commit() bool {
	g.mu.Lock()
	acked := g.acked
	g.acked = nil
	g.mu.Unlock()
	if len(acked) == 0 {
		return true
	}
	err := g.gen.CommitOffsets(acked)
	if err == nil {
		return true
	}
	g.in.Conn.logger().Warn("kafka: ingest could not commit; what was read may be read again", "group", g.in.ID, "err", err)
	for topic, ps := range acked {
		for p, next := range ps {
			g.ack(topic, p, next)
		}
	}
	return false
}

// read reads one partition. While one batch is being acknowledged, the next is
// collected and decoded.
func (g *generation) read(ctx context.Context, topic string, a kafkago.PartitionAssignment) {
	r, err := g.reader(ctx, topic, a)
	if err != nil {
		g.in.Conn.logger().Error("kafka: a source partition can't be read", "topic", topic, "partition", a.ID, "err", err)
		return
	}
	defer r.Close()
	type decoded struct {
		batch Batch
		out   []engine.Published
	}
	ready := make(chan decoded)
	var publisher sync.WaitGroup
	defer publisher.Wait()
	defer close(ready)
	publisher.Go(func() {
		ok := true
		for d := range ready { // after a failure, which is ctx's end, only drained
			if ok = ok && g.in.write(ctx, d.batch, d.out); ok {
				g.ack(topic, a.ID, d.batch.Records[len(d.batch.Records)-1].Offset+1)
			}
		}
	})
	for ctx.Err() == nil {
		b := Batch{Topic: topic, TopicID: g.facts[topic].id, Partition: int32(a.ID)}
		if b.Records = g.collect(ctx, r, topic, a.ID); len(b.Records) == 0 {
			continue
		}
		d := decoded{batch: b}
		if !g.in.persist(ctx, b, "decoding a batch", func(ctx context.Context) (err error) {
			d.out, err = g.in.Handle(ctx, b)
			return err
		}) {
			return
		}
		select {
		case ready <- d:
		case <-ctx.Done():
		}
	}
}

// reader opens a partition where the group stands. MaxWait bounds how long closing
// takes; new records are handed out at once. The queue is short, as it is bounded
// by count and not by bytes.
func (g *generation) reader(ctx context.Context, topic string, a kafkago.PartitionAssignment) (*kafkago.Reader, error) {
	cfg := kafkago.ReaderConfig{
		Brokers: g.brokers, Dialer: g.dialer, Topic: topic, Partition: a.ID,
		MinBytes: 1, MaxBytes: 16 << 20, MaxWait: 250 * time.Millisecond, QueueCapacity: 256,
		ReadLagInterval: -1, ReadBackoffMin: 10 * time.Millisecond, ReadBackoffMax: time.Second,
	}
	if err := cfg.Validate(); err != nil { // NewReader would panic
		return nil, err
	}
	r := kafkago.NewReader(cfg)
	return r, r.SetOffset(g.start(ctx, topic, a))
}

// start is where to read from. A group that stands beyond the end stands in
// another topic of that name (or in a log that lost its end): what there is now is
// read from its start; kafka-go would wait for the end to come.
func (g *generation) start(ctx context.Context, topic string, a kafkago.PartitionAssignment) int64 {
	if a.Offset < 0 {
		return kafkago.FirstOffset
	}
	for ctx.Err() == nil {
		ends, err := listOffsets(ctx, g.in.Producer.control, map[string][]int32{topic: {int32(a.ID)}}, endOffset)
		if err == nil {
			if end := ends[topic][int32(a.ID)]; a.Offset > end {
				g.in.Conn.logger().Error("kafka: ingest stands beyond the end of a source partition; it was made anew or lost records, and is read from its start",
					"topic", topic, "partition", a.ID, "committed", a.Offset, "end", end)
				return kafkago.FirstOffset
			}
			break
		}
		g.in.Conn.logger().Warn("kafka: trying again", "err", err)
		sleep(ctx, time.Second)
	}
	return a.Offset
}

// collect waits for records and returns a batch; none when ctx ends or on trouble.
func (g *generation) collect(ctx context.Context, r *kafkago.Reader, topic string, p int) []SourceRecord {
	m, err := r.FetchMessage(ctx)
	if err != nil {
		g.trouble(ctx, topic, p, err)
		return nil
	}
	recs := []SourceRecord{sourceRecord(&m)}
	size := len(m.Key) + len(m.Value)
	more, cancel := context.WithTimeout(ctx, batchWait)
	defer cancel()
	for len(recs) < batchRecords && size < batchBytes {
		if m, err = r.FetchMessage(more); err != nil {
			g.trouble(more, topic, p, err)
			break
		}
		recs = append(recs, sourceRecord(&m))
		size += len(m.Key) + len(m.Value)
	}
	return recs
}

// trouble logs what the reader reports; it goes on trying by itself.
func (g *generation) trouble(ctx context.Context, topic string, p int, err error) {
	if ctx.Err() != nil || errors.Is(err, io.EOF) {
		return
	}
	g.in.Conn.logger().Warn("kafka: reading a source partition, trying again", "topic", topic, "partition", p, "err", err)
	sleep(ctx, retryCommit)
}

func sourceRecord(m *kafkago.Message) SourceRecord {
	r := SourceRecord{Offset: m.Offset, Time: m.Time.UnixMilli(), Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, stitch.Header{Key: h.Key, Value: h.Value})
	}
	return r
}
