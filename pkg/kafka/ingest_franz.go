package kafka

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// franzReader reads with franz-go: topics that are written in transactions, and
// all others where kafka-go can't.
type franzReader struct {
	in        *Ingest
	group     string
	isolation kgo.IsolationLevel
}

// fetching is how source topics are fetched. As read_committed, an aborted record
// is never handed out. Control records are asked for, as the position has to pass
// them: else an idle topic that ends in one would never count as read, and a hold
// that waits for it would hang.
func fetching(isolation kgo.IsolationLevel) []kgo.Opt {
	return []kgo.Opt{
		kgo.FetchIsolationLevel(isolation),
		kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(time.Second),
		kgo.FetchMaxBytes(fetchAll),
		kgo.FetchMaxPartitionBytes(fetchPartition),
	}
}

// poll waits for records; trouble is logged, and goes on being tried.
func (in *Ingest) poll(ctx context.Context, cl *kgo.Client) kgo.Fetches {
	fetches := cl.PollRecords(ctx, 2*batchRecords)
	fetches.EachError(func(topic string, p int32, err error) {
		if ctx.Err() == nil {
			in.Conn.logger().Warn("kafka: reading a source partition, trying again", "topic", topic, "partition", p, "err", err)
			sleep(ctx, retryCommit)
		}
	})
	return fetches
}

// consume reads topics until ctx ends.
//
// Rebalances are blocked from a poll to its commit, so the commit is of partitions
// that this member owns; one that took too long and was put out of the group has
// no valid generation any more, and the broker refuses it.
func (f franzReader) consume(ctx context.Context, topics []string, facts map[string]topicFacts) error {
	in := f.in
	cl, err := in.Conn.client(append(fetching(f.isolation),
		kgo.ConsumerGroup(f.group),
		kgo.ConsumeTopics(topics...),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(sessionTimeout),
		kgo.HeartbeatInterval(heartbeatInterval),
		kgo.RebalanceTimeout(rebalanceTimeout),
		kgo.WithHooks(groupTrouble{in.Conn.logger(), f.group}),
	)...)
	if err != nil {
		return err
	}
	defer cl.CloseAllowingRebalance()
	for ctx.Err() == nil {
		f.commit(ctx, cl, in.fetched(ctx, in.poll(ctx, cl), facts))
		cl.AllowRebalance()
	}
	return nil
}

type positions = map[string]map[int32]kgo.EpochOffset

// fetched publishes what was read, partitions side by side, and returns how far
// each is done.
func (in *Ingest) fetched(ctx context.Context, fetches kgo.Fetches, facts map[string]topicFacts) positions {
	done := positions{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if len(p.Records) == 0 {
			return
		}
		wg.Go(func() {
			at, any := in.partition(ctx, p, facts[p.Topic].id)
			if !any {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if done[p.Topic] == nil {
				done[p.Topic] = map[int32]kgo.EpochOffset{}
			}
			done[p.Topic][p.Partition] = at
		})
	})
	wg.Wait()
	return done
}

// partition publishes one partition's records in batches. at is the position after
// the last that is done.
func (in *Ingest) partition(ctx context.Context, p kgo.FetchTopicPartition, topicID string) (at kgo.EpochOffset, any bool) {
	for b, next := range batches(p, topicID) {
		if len(b.Records) > 0 && !in.publish(ctx, b) {
			break
		}
		at, any = next, true
	}
	return at, any
}

// batches cuts what was fetched of one partition, each with the position after it,
// control records included: the last one may have no records.
func batches(p kgo.FetchTopicPartition, topicID string) iter.Seq2[Batch, kgo.EpochOffset] {
	return func(yield func(Batch, kgo.EpochOffset) bool) {
		b := Batch{Topic: p.Topic, TopicID: topicID, Partition: p.Partition}
		size := 0
		for i, r := range p.Records {
			if !r.Attrs.IsControl() {
				if b.Records == nil {
					b.Records = make([]SourceRecord, 0, min(len(p.Records)-i, batchRecords))
				}
				b.Records = append(b.Records, sourceRecord(r))
				size += sizeOf(r)
			}
			if i < len(p.Records)-1 && len(b.Records) < batchRecords && size < batchBytes {
				continue
			}
			if !yield(b, kgo.EpochOffset{Epoch: r.LeaderEpoch, Offset: r.Offset + 1}) {
				return
			}
			b.Records, size = nil, 0
		}
	}
}

func sourceRecord(r *kgo.Record) SourceRecord {
	return SourceRecord{Offset: r.Offset, Time: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value, Headers: headersOf(r)}
}

func (f franzReader) commit(ctx context.Context, cl *kgo.Client, done positions) {
	if len(done) == 0 {
		return
	}
	ctx, cancel := linger(ctx, publishGrace)
	defer cancel()
	err := commitSync(ctx, cl, done)
	if err != nil {
		f.in.Conn.logger().Warn("kafka: ingest could not commit; what was read may be read again", "group", f.group, "err", err)
	}
}

// commitSync commits positions and waits.
func commitSync(ctx context.Context, cl *kgo.Client, at positions) (err error) {
	cl.CommitOffsetsSync(ctx, at, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, e error) {
		if err = e; err != nil {
			return
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				err = errors.Join(err, kerr.ErrorForCode(p.ErrorCode))
			}
		}
	})
	return err
}
