package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testTopics = Topics{Journal: "journal", Sink: "sink", Decisions: "decisions", DLQ: "dlq"}

const patience = 30 * time.Second

// cluster is a broker in this process with the topics of testTopics.
type cluster struct {
	*kfake.Cluster
	conn Conn
}

func newCluster(t testing.TB, journalPartitions int32, opts ...kfake.Opt) cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{
		kfake.NumBrokers(1),
		kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}),
		kfake.SeedTopics(journalPartitions, testTopics.Journal),
		kfake.SeedTopics(2, testTopics.Sink, testTopics.Decisions, testTopics.DLQ),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return cluster{c, Conn{Brokers: c.ListenAddrs(), Logger: slog.New(slog.DiscardHandler)}}
}

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func (c cluster) producer(t testing.TB) *Producer {
	t.Helper()
	p, err := NewProducer(testContext(t), c.conn, testTopics, ProducerOptions{Linger: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (c cluster) client(t testing.TB, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := c.conn.client(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// write writes values to one partition, past everything under test.
func (c cluster) write(t *testing.T, topic string, p int32, values ...string) {
	t.Helper()
	cl := c.client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for _, v := range values {
		if err := cl.ProduceSync(testContext(t), &kgo.Record{Topic: topic, Partition: p, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// handle is a Log as its owner has it, for tests that play the owner.
type handle struct {
	engine.Log
	p   int32
	ctx context.Context
}

// join runs a member until stop is called or the test ends; its logs come over the channel.
func (c cluster) join(t testing.TB, p *Producer, id string, change func(*Group)) (logs <-chan handle, stop func()) {
	t.Helper()
	ch := make(chan handle, 64)
	g := &Group{
		Conn: c.conn, Topics: testTopics, ID: id, Environment: "test", Producer: p,
		Owner: func(ctx context.Context, p int32, log engine.Log) error {
			ch <- handle{log, p, ctx}
			<-ctx.Done()
			return nil
		},
	}
	if change != nil {
		change(g)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("the group does not stop")
		}
	}
	t.Cleanup(stop)
	return ch, stop
}

func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// readAll reads until n records are there.
func readAll(t *testing.T, log engine.Log, from int64, n int) []engine.Entry {
	t.Helper()
	ctx := testContext(t)
	var got []engine.Entry
	for len(got) < n {
		entries, err := log.Read(ctx, from, n-len(got))
		if err != nil {
			t.Fatal(err)
		}
		if ctx.Err() != nil {
			t.Fatalf("%d of %d records", len(got), n)
		}
		for _, e := range entries {
			from = e.Offset + 1
		}
		got = append(got, entries...)
	}
	return got
}

func values(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("v%03d", i)
	}
	return out
}

func strs(entries []engine.Entry) []string {
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = string(e.Value)
	}
	return out
}

func device(i int) stitch.Key { return stitch.Key{Kind: stitch.KindDevice, ID: fmt.Sprint(i)} }
