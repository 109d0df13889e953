package kafka

import (
	"context"
	"fmt"
	"iter"

	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/stitch"
)

// Record is a record as it stands in a topic.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Time      int64 // Unix ms
	Key       []byte
	Value     []byte
	Headers   []stitch.Header
}

// Dump reads a topic from its start to where it ends now, each partition in order,
// without records of aborted or open transactions. It ends after the first error,
// which is the last pair.
func Dump(ctx context.Context, conn Conn, topic string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if err := dump(ctx, conn, topic, func(r Record) bool { return yield(r, nil) }); err != nil {
			yield(Record{}, err)
		}
	}
}

func dump(ctx context.Context, conn Conn, topic string, yield func(Record) bool) error {
	cl, err := conn.client(
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), // so that the end is seen
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxBytes(fetchAll))
	if err != nil {
		return err
	}
	defer cl.Close()
	left, err := toRead(ctx, cl, topic)
	if err != nil || len(left) == 0 {
		return err
	}
	from := map[int32]kgo.Offset{}
	for p := range left {
		from[p] = kgo.NewOffset().AtStart()
	}
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: from})
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("kafka: reading topic %s: %w", topic, err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			end, reading := left[r.Partition]
			if !reading || r.Offset >= end {
				continue
			}
			if r.Offset == end-1 {
				delete(left, r.Partition)
			}
			if !r.Attrs.IsControl() && !yield(record(r)) {
				return nil
			}
		}
	}
	return nil
}

// toRead are the ends of the partitions that hold anything.
func toRead(ctx context.Context, cl *kgo.Client, topic string) (map[int32]int64, error) {
	facts, err := describeOne(ctx, cl, topic)
	if err != nil {
		return nil, err
	}
	ps := partitionsOf(map[string]topicFacts{topic: facts})
	ends, err := listOffsets(ctx, cl, ps, stableOffset)
	if err != nil {
		return nil, err
	}
	starts, err := listOffsets(ctx, cl, ps, startOffset)
	if err != nil {
		return nil, err
	}
	left := map[int32]int64{}
	for p, end := range ends[topic] {
		if end > starts[topic][p] {
			left[p] = end
		}
	}
	return left, nil
}

func record(r *kgo.Record) Record {
	return Record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp.UnixMilli(),
		Key: r.Key, Value: r.Value, Headers: headersOf(r),
	}
}

// headersOf are the record's; nil for none.
func headersOf(r *kgo.Record) []stitch.Header {
	if len(r.Headers) == 0 {
		return nil
	}
	out := make([]stitch.Header, len(r.Headers))
	for i, h := range r.Headers {
		out[i] = stitch.Header{Key: h.Key, Value: h.Value}
	}
	return out
}
