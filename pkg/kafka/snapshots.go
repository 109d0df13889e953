package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/engine"
)

// Snapshots is engine.Snapshots: partition p of the topic holds those of journal
// partition p. It is safe for concurrent use.
type Snapshots struct {
	conn   Conn
	topic  string
	client *kgo.Client
}

var _ engine.Snapshots = (*Snapshots)(nil)

// patient is how long a write waits for brokers that don't take it: the snapshot
// is then given up, and another one begins later.
const patient = 30 * time.Second

// NewSnapshots connects. That the topic exists is seen by the first call. Writes
// are not idempotent, so that they can be given up in time: a part that stands
// twice makes a snapshot that counts for nothing, and no more.
func NewSnapshots(conn Conn, topic string) (*Snapshots, error) {
	cl, err := conn.client(
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchMaxBytes(maxBatch), kgo.ProducerBatchCompression(kgo.SnappyCompression()), kgo.ProducerLinger(0),
		kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1), kgo.RecordDeliveryTimeout(patient))
	if err != nil {
		return nil, err
	}
	return &Snapshots{conn: conn, topic: topic, client: cl}, nil
}

// Close closes the connection.
func (s *Snapshots) Close() { s.client.Close() }

// Write implements engine.Snapshots. After an error some of the records may have
// been written: the snapshot is to be given up.
func (s *Snapshots) Write(ctx context.Context, p int32, records [][]byte) error {
	recs := make([]*kgo.Record, len(records))
	for i, r := range records {
		recs[i] = &kgo.Record{Partition: p, Value: r}
	}
	if err := s.client.ProduceSync(ctx, recs...).FirstErr(); err != nil {
		return fmt.Errorf("kafka: writing to partition %d of topic %s: %w", p, s.topic, err)
	}
	return nil
}

// Bounds implements engine.Snapshots.
func (s *Snapshots) Bounds(ctx context.Context, p int32) (start, end int64, err error) {
	return bounds(ctx, s.client, s.topic, p)
}

// Scan implements engine.Snapshots.
func (s *Snapshots) Scan(ctx context.Context, p int32, from int64, f func(offset int64, record []byte) error) error {
	start, end, err := s.Bounds(ctx, p)
	at := max(from, start)
	if err != nil || at >= end {
		return err
	}
	cl, err := s.conn.client(kgo.FetchMaxPartitionBytes(scanBytes), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: {p: kgo.NewOffset().At(at)}}))
	if err != nil {
		return err
	}
	defer cl.Close()
	for at < end {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("kafka: reading partition %d of topic %s: %w", p, s.topic, err)
		}
		for it := fetches.RecordIter(); !it.Done() && at < end; {
			r := it.Next()
			if at = r.Offset + 1; at <= end {
				if err := f(r.Offset, r.Value); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// scanBytes is what one read of snapshots brings at most.
const scanBytes = 4 << 20
