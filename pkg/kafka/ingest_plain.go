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
// sender's, also where the topic has the broker's (LogAppendTime).
func (g *generation) read(ctx context.Context) {
	cl, err := g.in.Conn.client(append(fetching(kgo.ReadUncommitted()), kgo.ConsumePartitions(g.starts(ctx)))...)
	if err != nil {
		g.in.Conn.logger().Error("kafka: source partitions can't be read", "group", g.in.ID, "err", err)
		return
	}
	defer cl.Close()
	lanes := map[string]map[int32]chan kgo.FetchTopicPartition{}
	var running sync.WaitGroup
	defer running.Wait()
	for topic, assigned := range g.gen.Assignments {
		lanes[topic] = map[int32]chan kgo.FetchTopicPartition{}
		for _, a := range assigned {
			fetched := make(chan kgo.FetchTopicPartition)
			lanes[topic][int32(a.ID)] = fetched
			running.Go(func() { g.lane(ctx, fetched) })
			defer close(fetched)
		}
	}
	for ctx.Err() == nil {
		g.in.poll(ctx, cl).EachPartition(func(p kgo.FetchTopicPartition) {
			select {
			case lanes[p.Topic][p.Partition] <- p:
			case <-ctx.Done():
			}
		})
	}
}

// lane publishes what was fetched of one partition. While one batch is being
// acknowledged, the next is decoded.
func (g *generation) lane(ctx context.Context, fetched <-chan kgo.FetchTopicPartition) {
	type decoded struct {
		batch Batch
		out   []engine.Published
		next  int64
	}
	ready := make(chan decoded)
	var publisher sync.WaitGroup
	defer publisher.Wait()
	defer close(ready)
	publisher.Go(func() {
		ok := true
		for d := range ready { // after a failure, which is ctx's end, only drained
			if ok = ok && g.in.write(ctx, d.batch, d.out); ok {
				g.ack(d.batch.Topic, int(d.batch.Partition), d.next)
			}
		}
	})
	for p := range fetched { // after ctx's end, only drained
		for b, next := range batches(p, g.facts[p.Topic].id) {
			d := decoded{batch: b, next: next.Offset}
			if !g.in.persist(ctx, b, "decoding a batch", func(ctx context.Context) (err error) {
				d.out, err = g.in.Handle(ctx, b)
				return err
			}) {
				break
			}
			ready <- d
		}
	}
}

// starts is where to read from. A group that stands beyond the end stands in
// another topic of that name (or in a log that lost its end): what there is now is
// read from its start.
func (g *generation) starts(ctx context.Context) map[string]map[int32]kgo.Offset {
	partitions := map[string][]int32{}
	for topic, assigned := range g.gen.Assignments {
		for _, a := range assigned {
			partitions[topic] = append(partitions[topic], int32(a.ID))
		}
	}
	var ends engine.Ends
	for ctx.Err() == nil {
		var err error
		if ends, err = listOffsets(ctx, g.in.Producer.control, partitions, endOffset); err == nil {
			break
		}
		g.in.Conn.logger().Warn("kafka: trying again", "err", err)
		sleep(ctx, time.Second)
	}
	starts := map[string]map[int32]kgo.Offset{}
	for topic, assigned := range g.gen.Assignments {
		starts[topic] = map[int32]kgo.Offset{}
		for _, a := range assigned {
			at, end := kgo.NewOffset().AtStart(), ends[topic][int32(a.ID)]
			switch {
			case a.Offset > end:
				g.in.Conn.logger().Error("kafka: ingest stands beyond the end of a source partition; it was made anew or lost records, and is read from its start",
					"topic", topic, "partition", a.ID, "committed", a.Offset, "end", end)
			case a.Offset >= 0:
				at = at.At(a.Offset)
			}
			starts[topic][int32(a.ID)] = at
		}
	}
	return starts
}
