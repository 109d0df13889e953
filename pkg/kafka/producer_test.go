package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

// all reads a topic to its end.
func (c cluster) all(t *testing.T, topic string) (recs []*kgo.Record) {
	t.Helper()
	var want int64
	for _, p := range c.PartitionInfos(topic) {
		want += p.HighWatermark - p.LogStartOffset
	}
	cl := c.client(t, kgo.ConsumeTopics(topic))
	for int64(len(recs)) < want {
		f := cl.PollFetches(testContext(t))
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		recs = append(recs, f.Records()...)
	}
	return recs
}

func TestPublishGoesWhereItBelongs(t *testing.T) {
	c := newCluster(t, 8)
	p := c.producer(t)
	var out []engine.Published
	for i := range 50 {
		out = append(out,
			engine.Published{Topic: engine.TopicJournal, Entity: device(i), Value: fmt.Append(nil, "m", i)},
			engine.Published{Topic: engine.TopicSink, Key: fmt.Append(nil, "person", i), Value: []byte("s"),
				Headers: []stitch.Header{{Key: "ls-place", Value: []byte("x")}}},
			engine.Published{Topic: engine.TopicDLQ, Value: fmt.Append(nil, "dead", i)})
	}
	for range 2 {
		if err := p.Publish(testContext(t), out); err != nil {
			t.Fatal(err)
		}
	}
	journal := map[string]int32{}
	for i := range 50 {
		journal[fmt.Sprint("m", i)] = engine.PartitionOf(device(i), 8)
	}
	for _, r := range c.all(t, "journal") {
		if want := journal[string(r.Value)]; r.Partition != want {
			t.Errorf("%s is in partition %d, want %d", r.Value, r.Partition, want)
		}
	}
	reference := c.client(t, kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	want := map[string]int32{}
	for i := range 50 {
		r, err := reference.ProduceSync(testContext(t), &kgo.Record{Topic: "decisions", Key: fmt.Append(nil, "person", i)}).First()
		if err != nil {
			t.Fatal(err)
		}
		want[string(r.Key)] = r.Partition
	}
	sink := c.all(t, "sink")
	if len(sink) != 100 || len(sink[0].Headers) != 1 {
		t.Fatalf("%d sink records, headers %v", len(sink), sink[0].Headers)
	}
	for _, r := range sink {
		if r.Partition != want[string(r.Key)] {
			t.Errorf("key %s is in partition %d, want %d", r.Key, r.Partition, want[string(r.Key)])
		}
	}
	dead := map[string]int32{}
	for _, r := range c.all(t, "dlq") {
		if p, ok := dead[string(r.Value)]; ok && p != r.Partition {
			t.Errorf("a repeat without a key is in another partition")
		}
		dead[string(r.Value)] = r.Partition
	}
}

func TestPublishKeepsTheOrder(t *testing.T) {
	c := newCluster(t, 1)
	p := c.producer(t)
	for b := range 20 {
		var out []engine.Published
		for i := range 100 {
			out = append(out, engine.Published{Topic: engine.TopicJournal, Entity: device(i), Value: fmt.Append(nil, b*100+i)})
		}
		if err := p.Publish(testContext(t), out); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range c.all(t, "journal") {
		if string(r.Value) != fmt.Sprint(i) {
			t.Fatalf("record %d is %s", i, r.Value)
		}
	}
}

func TestPublishChecksSizesFirst(t *testing.T) {
	c := newCluster(t, 1)
	if err := c.CreateTopic("small", 1, map[string]string{"max.message.bytes": "5000"}); err != nil {
		t.Fatal(err)
	}
	topics := testTopics
	topics.Decisions = "small"
	p, err := NewProducer(testContext(t), c.conn, topics, ProducerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	if got := p.Limit(engine.TopicDecisions); got != 5000 {
		t.Errorf("limit %d", got)
	}
	fits := engine.Published{Topic: engine.TopicDecisions, Value: make([]byte, 5000-Size(&engine.Published{}))}
	over := fits
	over.Value = make([]byte, len(fits.Value)+1)
	err = p.Publish(testContext(t), []engine.Published{fits, over})
	if e, ok := errors.AsType[*TooLargeError](err); !ok || *e != (TooLargeError{Topic: "small", Size: 5001, Limit: 5000}) {
		t.Fatalf("%v", err)
	}
	if n := c.PartitionInfo("small", 0).HighWatermark; n != 0 {
		t.Errorf("%d records were written before the one that doesn't fit", n)
	}
	// Many that fit alone are cut into batches that the topic takes.
	if err := p.Publish(testContext(t), []engine.Published{fits, fits, fits, fits}); err != nil {
		t.Error(err)
	}
}

// refuse makes the broker fail produce requests, n times, with a code for every partition.
func (c cluster) refuse(t *testing.T, n int, code int16) {
	t.Helper()
	c.ControlKey(int16(kmsg.Produce), func(k kmsg.Request) (kmsg.Response, error, bool) {
		if n--; n < 0 {
			return nil, nil, false
		}
		c.KeepControl()
		return refusal(k.(*kmsg.ProduceRequest), code), nil, true
	})
}

// refusal answers a produce request with a code for every partition.
func refusal(req *kmsg.ProduceRequest, code int16) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// Whatever fails, nothing that was published after it is written before it.
func TestPublishAfterAFailureLeavesNoGap(t *testing.T) {
	c := newCluster(t, 1)
	p := c.producer(t)
	batch := func(from, n int) (out []engine.Published) {
		for i := range n {
			out = append(out, engine.Published{Topic: engine.TopicJournal, Value: fmt.Append(nil, from+i)})
		}
		return out
	}
	if err := p.Publish(testContext(t), batch(0, 3)); err != nil {
		t.Fatal(err)
	}
	c.refuse(t, 1, kerr.InvalidRecord.Code)
	if err := p.Publish(testContext(t), batch(3, 3)); !errors.Is(err, kerr.InvalidRecord) {
		t.Fatalf("%v", err)
	}
	if err := p.Publish(testContext(t), batch(3, 6)); err != nil { // the same again, and more
		t.Fatal(err)
	}
	var got []string
	for _, r := range c.all(t, "journal") {
		got = append(got, string(r.Value))
	}
	if diff := cmp.Diff([]string{"0", "1", "2", "3", "4", "5", "6", "7", "8"}, got); diff != "" {
		t.Error(diff)
	}
}

// Trouble that passes is waited out, without a limit of tries.
func TestPublishRetries(t *testing.T) {
	c := newCluster(t, 1)
	p := c.producer(t)
	c.refuse(t, 5, kerr.NotLeaderForPartition.Code)
	if err := p.Publish(testContext(t), []engine.Published{{Topic: engine.TopicSink, Key: []byte("k")}}); err != nil {
		t.Fatal(err)
	}
}

// A context that ends doesn't tear the order: what was handed over is written
// before what comes later.
func TestPublishCancelled(t *testing.T) {
	c := newCluster(t, 1)
	p := c.producer(t)
	held, release := make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() { close(held) })
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.SleepControl(func() {
			first()
			<-release
		})
		return nil, nil, false
	})
	ctx, cancel := context.WithCancelCause(testContext(t))
	why := errors.New("enough")
	go func() {
		<-held
		cancel(why)
	}()
	if err := p.Publish(ctx, []engine.Published{{Topic: engine.TopicJournal, Value: []byte("1")}}); !errors.Is(err, why) {
		t.Fatalf("%v", err)
	}
	close(release)
	if err := p.Publish(ctx, []engine.Published{{Topic: engine.TopicJournal, Value: []byte("never")}}); !errors.Is(err, why) {
		t.Fatalf("with a context that had ended: %v", err)
	}
	if err := p.Publish(testContext(t), []engine.Published{{Topic: engine.TopicJournal, Value: []byte("2")}}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range c.all(t, "journal") {
		got = append(got, string(r.Value))
	}
	if diff := cmp.Diff([]string{"1", "2"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestNewProducerNeedsTheJournal(t *testing.T) {
	c := newCluster(t, 1)
	topics := testTopics
	topics.Journal = "nowhere"
	if _, err := NewProducer(testContext(t), c.conn, topics, ProducerOptions{}); !errors.Is(err, ErrNoTopic) {
		t.Errorf("%v", err)
	}
}

func TestSecurity(t *testing.T) {
	for _, m := range []Mechanism{Plain, ScramSHA256, ScramSHA512} {
		t.Run(string(m), func(t *testing.T) {
			method := map[Mechanism]string{Plain: "PLAIN", ScramSHA256: "SCRAM-SHA-256", ScramSHA512: "SCRAM-SHA-512"}[m]
			c := newCluster(t, 1, kfake.EnableSASL(), kfake.Superuser(method, "user", "secret"))
			c.conn.Security = Security{Mechanism: m, User: "user", Password: "secret"}
			c.producer(t)
			d, err := c.conn.Dialer()
			if err != nil {
				t.Fatal(err)
			}
			kc, err := d.DialContext(testContext(t), "tcp", c.conn.Brokers[0])
			if err != nil {
				t.Fatal(err)
			}
			kc.Close()
			c.conn.Security.Password = "wrong"
			// kfake closes the connection without a word, so this is tried again until ctx ends.
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := NewProducer(ctx, c.conn, testTopics, ProducerOptions{}); err == nil {
				t.Error("the wrong password is taken")
			}
		})
	}
	for _, bad := range []Security{{Mechanism: "gssapi"}, {Mechanism: Plain, User: "u"}, {User: "u", Password: "p"}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
