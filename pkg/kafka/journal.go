package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/engine"
)

// JournalReader reads journal partitions from outside of the processors' group.
// It is not safe for concurrent use.
type JournalReader struct {
	conn    Conn
	topic   string
	group   string
	client  *kgo.Client
	reading *kgo.Client // of partition p, at offset next; nil for none
	p       int32
	next    int64
}

// NewJournalReader connects. group is the processors' consumer group.
func NewJournalReader(conn Conn, topic, group string) (*JournalReader, error) {
	cl, err := conn.client()
	if err != nil {
		return nil, err
	}
	return &JournalReader{conn: conn, topic: topic, group: group, client: cl}, nil
}

// Close closes the connections.
func (r *JournalReader) Close() {
	r.leave()
	r.client.Close()
}

func (r *JournalReader) leave() {
	if r.reading != nil {
		r.reading.Close()
		r.reading = nil
	}
}

// Partitions is how many the journal has.
func (r *JournalReader) Partitions(ctx context.Context) (int32, error) {
	facts, err := describeOne(ctx, r.client, r.topic)
	return int32(facts.partitions), err
}

// Bounds returns what engine.Log's does.
func (r *JournalReader) Bounds(ctx context.Context, p int32) (start, end int64, topicID string, err error) {
	facts, err := describeOne(ctx, r.client, r.topic)
	if err != nil {
		return 0, 0, "", err
	}
	start, end, err = bounds(ctx, r.client, r.topic, p)
	return start, end, facts.id, err
}

// Retention is how long the journal keeps records, 0 for ever or where the
// configuration can't be read.
func (r *JournalReader) Retention(ctx context.Context) (time.Duration, error) {
	found, err := topicNumbers(ctx, r.client, []string{"retention.ms"}, r.topic)
	return time.Duration(max(found[r.topic]["retention.ms"], 0)) * time.Millisecond, err
}

// Committed is the offset that the processors have committed, -1 for none.
func (r *JournalReader) Committed(ctx context.Context, p int32) (int64, error) {
	all, err := fetchOffsets(ctx, r.client, r.group)
	if err != nil {
		return -1, err
	}
	if o, ok := all.Lookup(r.topic, p); ok {
		return o.At, nil
	}
	return -1, nil
}

// Read returns what engine.Log's does. It is made for reading on from where the
// last call ended.
func (r *JournalReader) Read(ctx context.Context, p int32, from int64, limit int) ([]engine.Entry, error) {
	if r.reading == nil || r.p != p || r.next != from {
		r.leave()
		cl, err := r.conn.client(kgo.FetchMaxPartitionBytes(scanBytes), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
			kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{r.topic: {p: kgo.NewOffset().At(from)}}))
		if err != nil {
			return nil, err
		}
		r.reading, r.p, r.next = cl, p, from
	}
	fetches := r.reading.PollRecords(ctx, limit)
	if ctx.Err() != nil && fetches.NumRecords() == 0 {
		return nil, nil
	}
	for _, f := range fetches.Errors() {
		if ctx.Err() == nil {
			r.leave() // beside the error there may be records, which would be passed over
			return nil, readError(f.Topic, f.Partition, f.Err)
		}
	}
	entries := make([]engine.Entry, 0, fetches.NumRecords())
	for it := fetches.RecordIter(); !it.Done(); {
		rec := it.Next()
		if rec.Offset < from {
			continue
		}
		entries = append(entries, engine.Entry{Offset: rec.Offset, Time: rec.Timestamp.UnixMilli(), Value: rec.Value, Size: len(rec.Value)})
		r.next = rec.Offset + 1
	}
	return entries, nil
}
