package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/engine"
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
		in.generations(ctx, group, facts)
		_ = group.Close() // ends the generation, waits for it, and leaves
		brokers = append(slices.Clone(brokers[1:]), brokers[0])
	}
	return nil
}

// generations runs one after the other until ctx ends, or until there are other
// brokers to ask: kafka-go asks the first one that lets it connect who coordinates
// the group, and where that one hangs, it would ask for as long as it hangs.
func (in *Ingest) generations(ctx context.Context, group *kafkago.ConsumerGroup, facts map[string]topicFacts) {
	for {
		gen, err := group.Next(ctx)
		if ctx.Err() != nil || errors.Is(err, kafkago.ErrGroupClosed) {
			return
		}
		if err == nil {
			g := &generation{in: in, gen: gen, facts: facts, signal: make(chan struct{}, 1)}
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
	in    *Ingest
	gen   *kafkago.Generation
	facts map[string]topicFacts

	mu     sync.Mutex
	acked  map[string]map[int]int64 // not committed yet
	signal chan struct{}
}

// run reads until the generation ends. It must not return before
// that, or the member would join again and again.
func (g *generation) run(genCtx context.Context) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer context.AfterFunc(genCtx, cancel)()
	var reading sync.WaitGroup
	reading.Go(func() { g.read(ctx) })
	for ctx.Err() == nil {
		select {
		case <-g.signal:
			if !g.commit() {
				sleep(ctx, retryCommit)
			}
		case <-ctx.Done():
		}
	}
	reading.Wait()
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

// read fetches the generation's partitions until ctx ends, each handed on to its own
// lane. They are fetched with franz-go, at once: to kafka-go a record's time is its
// sender's, also where the topic has the broker's (LogAppendTime). A group that
// stands beyond the end stands in another topic of that name, or in a log that lost
// its end: what there is now is read from its start.
func (g *generation) read(ctx context.Context) {
	at, lanes := map[string]map[int32]kgo.Offset{}, map[string]map[int32]*lane{}
	for topic, assigned := range g.gen.Assignments {
		at[topic], lanes[topic] = map[int32]kgo.Offset{}, map[int32]*lane{}
		for _, a := range assigned {
			offset := kgo.NewOffset().AtStart()
			if a.Offset >= 0 {
				offset = offset.At(a.Offset)
			}
			at[topic][int32(a.ID)] = offset
			lanes[topic][int32(a.ID)] = &lane{committed: a.Offset, fetched: make(chan kgo.FetchTopicPartition)}
		}
	}
	cl, err := g.in.Conn.client(append(fetching(kgo.ReadUncommitted()), kgo.ConsumePartitions(at))...)
	if err != nil {
		g.in.Conn.logger().Error("kafka: source partitions can't be read", "group", g.in.ID, "err", err)
		return
	}
	defer cl.Close()
	var running sync.WaitGroup
	defer running.Wait()
	for _, partitions := range lanes {
		for _, l := range partitions {
			running.Go(func() { g.publish(ctx, l.fetched) })
			defer close(l.fetched)
		}
	}
	same := map[string]bool{}
	for ctx.Err() == nil {
		g.in.poll(ctx, cl).EachPartition(func(p kgo.FetchTopicPartition) {
			l := lanes[p.Topic][p.Partition] // nil where a fetch only brings an error of its topic
			if l == nil || len(p.Records) == 0 {
				return
			}
			if !same[p.Topic] {
				if !g.same(ctx, p.Topic) {
					return
				}
				same[p.Topic] = true
			}
			g.hand(ctx, l, p)
		})
	}
}

// lane is one partition's way to its publisher.
type lane struct {
	committed int64 // where it begins, -1 for the start
	begun     bool
	fetched   chan kgo.FetchTopicPartition
}

func (g *generation) hand(ctx context.Context, l *lane, p kgo.FetchTopicPartition) {
	if first := p.Records[0].Offset; !l.begun && first < l.committed {
		g.in.Conn.logger().Error("kafka: ingest stood beyond the end of a source partition; it was made anew or lost records, and is read from its start",
			"topic", p.Topic, "partition", p.Partition, "committed", l.committed, "from", first)
	}
	l.begun = true
	select {
	case l.fetched <- p:
	case <-ctx.Done():
	}
}

// same waits until it is known that what was fetched is of the topic that the facts
// name, and not of one that was made anew under its name since: its offsets begin
// anew, and under the old topic's places they would count as repeats. A client keeps
// to the topic that it first saw, and an ID never comes back. Of another topic
// nothing is handed on; watch sees it too, and all begin anew.
func (g *generation) same(ctx context.Context, topic string) bool {
	for ctx.Err() == nil {
		now, err := describe(ctx, g.in.Producer.control, topic)
		switch {
		case err != nil:
			g.in.Conn.logger().Warn("kafka: a source topic can't be looked up, trying again", "topic", topic, "err", err)
			sleep(ctx, time.Second)
		case now[topic].id == g.facts[topic].id:
			return true
		default:
			g.in.Conn.logger().Warn("kafka: a source topic was made anew, waiting to begin anew", "topic", topic)
			<-ctx.Done()
		}
	}
	return false
}

// publish publishes what was fetched of one partition. While one batch is being
// acknowledged, the next is decoded.
func (g *generation) publish(ctx context.Context, fetched <-chan kgo.FetchTopicPartition) {
	type decoded struct {
		batch Batch
		out   []engine.Published
		next  int64
	}
	ready := make(chan decoded)
	var writer sync.WaitGroup
	defer writer.Wait()
	defer close(ready)
	writer.Go(func() {
		ok := true
		for d := range ready { // after a failure, which is ctx's end, only drained
			if ok = ok && g.in.write(ctx, d.batch, d.out); ok {
				g.ack(d.batch.Topic, int(d.batch.Partition), d.next)
			}
		}
	})
	for p := range fetched { // after ctx's end, only drained
		for b, next := range batches(p, g.facts[p.Topic].id) {
			out, ok := g.in.decode(ctx, b)
			if !ok {
				break
			}
			ready <- decoded{b, out, next.Offset}
		}
	}
}
