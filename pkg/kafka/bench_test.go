package kafka

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

// journalAll journals each record whole, without decoding anything.
func journalAll(_ context.Context, b Batch) ([]engine.Published, error) {
	out := make([]engine.Published, len(b.Records))
	for i, r := range b.Records {
		out[i] = engine.Published{Topic: engine.TopicJournal, Entity: stitch.Key{Kind: stitch.KindDevice, ID: string(r.Key)}, Value: r.Value}
	}
	return out, nil
}

// fill writes n records of 400 bytes to topic app, by key.
func (c cluster) fill(t testing.TB, n int) {
	t.Helper()
	cl, err := c.conn.client()
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	value := bytes.Repeat([]byte("0123456789abcdef"), 25)
	for i := range n {
		cl.Produce(t.Context(), &kgo.Record{Topic: "app", Key: []byte(device(i % 5000).ID), Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkIngest is the way from a source topic to the journal, nothing decoded.
func BenchmarkIngest(b *testing.B) {
	for _, committed := range []bool{false, true} {
		b.Run(map[bool]string{false: "plain", true: "read_committed"}[committed], func(b *testing.B) {
			c := newCluster(b, 8)
			if err := c.CreateTopic("app", 4, nil); err != nil {
				b.Fatal(err)
			}
			c.fill(b, b.N)
			p := c.producer(b)
			b.ResetTimer()
			stop := c.ingest(b, p, []Source{{Topic: "app", ReadCommitted: committed}}, journalAll)
			for n := int64(0); n < int64(b.N); time.Sleep(time.Millisecond) {
				n = 0
				for _, i := range c.PartitionInfos("journal") {
					n += i.HighWatermark
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			b.StopTimer()
			stop()
		})
	}
}

// BenchmarkLatency is the time from a record's produce call to its journal record
// being read by the partition's owner, at low load.
func BenchmarkLatency(b *testing.B) {
	c := newCluster(b, 8)
	if err := c.CreateTopic("app", 4, nil); err != nil {
		b.Fatal(err)
	}
	p := c.producer(b)
	c.ingest(b, p, []Source{{Topic: "app"}}, journalAll)
	read := make(chan struct{}, 1)
	c.join(b, p, "g", func(g *Group) {
		g.Owner = func(ctx context.Context, _ int32, log engine.Log) error {
			for from := int64(0); ctx.Err() == nil; {
				entries, err := log.Read(ctx, from, 1000)
				if err != nil {
					return err
				}
				for _, e := range entries {
					from = e.Offset + 1
					read <- struct{}{}
				}
			}
			return nil
		}
	})
	cl := c.client(b, kgo.ProducerLinger(0))
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		if err := cl.ProduceSync(b.Context(), &kgo.Record{Topic: "app", Key: []byte(device(i).ID), Value: []byte("v")}).FirstErr(); err != nil {
			b.Fatal(err)
		}
		<-read
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkRead is a backlog of the journal, read by its owners in batches, each
// published again and committed: everything an owner does but fold and remember.
func BenchmarkRead(b *testing.B) {
	c := newCluster(b, 8)
	if err := c.CreateTopic("app", 8, nil); err != nil {
		b.Fatal(err)
	}
	c.fill(b, b.N)
	topics := testTopics
	topics.Journal = "app"
	p, err := NewProducer(b.Context(), c.conn, topics, ProducerOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close(b.Context())
	var wg sync.WaitGroup
	wg.Add(b.N)
	b.ResetTimer()
	_, stop := c.join(b, p, "g", func(g *Group) {
		g.Topics = topics
		g.Owner = func(ctx context.Context, _ int32, log engine.Log) error {
			for from := int64(0); ctx.Err() == nil; {
				entries, err := log.Read(ctx, from, 1000)
				if err != nil {
					return err
				}
				out := make([]engine.Published, len(entries))
				for i, e := range entries {
					out[i] = engine.Published{Topic: engine.TopicSink, Key: e.Value[:8], Value: e.Value}
					from = e.Offset + 1
				}
				if err := log.Publish(ctx, out); err != nil {
					return err
				}
				if err := log.Commit(ctx, from); err != nil {
					return err
				}
				wg.Add(-len(entries))
			}
			return nil
		}
	})
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.StopTimer()
	stop()
}
