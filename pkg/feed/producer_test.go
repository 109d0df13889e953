package feed_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"lockstitch/pkg/feed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// want is where franz-go's default partitioner puts the lines, in their order.
func want(t *testing.T, lines []feed.Line) map[string][]string {
	t.Helper()
	partitioner := kgo.StickyKeyPartitioner(nil) // the default: murmur2 as in Java
	topics := map[string]kgo.TopicPartitioner{}
	list := map[string][]string{}
	for _, line := range lines {
		if topics[line.Topic] == nil {
			topics[line.Topic] = partitioner.ForTopic(line.Topic)
		}
		r := &kgo.Record{Topic: line.Topic, Key: []byte(line.Key), Value: line.Value}
		r.Partition = int32(topics[line.Topic].Partition(r, int(sources[line.Topic])))
		list[place(r)] = append(list[place(r)], text(r))
	}
	return list
}

func text(r *kgo.Record) string { return string(r.Key) + " " + string(r.Value) }

func texts(got map[string][]*kgo.Record) map[string][]string {
	list := map[string][]string{}
	for p, records := range got {
		for _, r := range records {
			list[p] = append(list[p], text(r))
		}
	}
	return list
}

// keyed leaves out lines without a key, which go anywhere.
func keyed(lines []feed.Line) (list []feed.Line) {
	for _, line := range lines {
		if line.Key != "" {
			list = append(list, line)
		}
	}
	return list
}

// TestProduce: every line lands where everybody else's would, in order.
func TestProduce(t *testing.T) {
	c := cluster(t)
	lines := keyed(made(30_000)) // a few chunks
	var calls int
	var last, size int64
	total, err := feed.Produce(deadline(t), from(lines, nil), feed.Options{
		Brokers: c.ListenAddrs(),
		Progress: func(records, bytes int64) {
			if calls++; records <= last {
				t.Errorf("progress from %d to %d records", last, records)
			}
			last, size = records, bytes
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	wanted := feed.Totals{Records: int64(len(lines))}
	for _, line := range lines {
		wanted.Bytes += int64(len(line.Key) + len(line.Value))
	}
	if total != wanted || last != wanted.Records || size != wanted.Bytes || calls < 2 {
		t.Errorf("wrote %+v, want %+v; progress %d and %d in %d calls", total, wanted, last, size, calls)
	}
	if diff := cmp.Diff(want(t, lines), texts(read(t, c, len(lines)))); diff != "" {
		t.Error(diff)
	}
}

// TestNoKey: a record without a key has none, rather than an empty one.
func TestNoKey(t *testing.T) {
	c := cluster(t)
	lines := []feed.Line{{Topic: "events.web", Value: []byte("a")}, {Topic: "events.web", Value: []byte{}}}
	if _, err := feed.Produce(deadline(t), from(lines, nil), feed.Options{Brokers: c.ListenAddrs()}); err != nil {
		t.Fatal(err)
	}
	values := map[string]bool{}
	for _, records := range read(t, c, 2) {
		for _, r := range records {
			values[string(r.Value)] = true
			if r.Key != nil || r.Value == nil {
				t.Errorf("the record has key %q and value %q, want no key and a value", r.Key, r.Value)
			}
		}
	}
	if len(values) != 2 {
		t.Errorf("values %v", values)
	}
}

func TestTimes(t *testing.T) {
	at := time.Date(2026, 11, 23, 8, 0, 0, 123e6, time.UTC)
	begin := time.Now().Truncate(time.Millisecond)
	for _, tt := range []struct {
		name string
		keep bool
		time time.Time
		kept bool
	}{
		{"of the line", true, at, true}, {"none to keep", true, time.Time{}, false}, {"of writing", false, at, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := cluster(t)
			lines := []feed.Line{{Topic: "events.commerce", Key: "k", Value: []byte("v"), Time: tt.time}}
			if _, err := feed.Produce(deadline(t), from(lines, nil), feed.Options{Brokers: c.ListenAddrs(), KeepTime: tt.keep}); err != nil {
				t.Fatal(err)
			}
			got := read(t, c, 1)["events.commerce/0"][0].Timestamp
			if kept := got.Equal(at); kept != tt.kept || !kept && (got.Before(begin) || got.After(time.Now())) {
				t.Errorf("the record has the time %s", got)
			}
		})
	}
}

// TestRefusedThenTaken: what a broker refuses for a while is written, once and in order.
func TestRefusedThenTaken(t *testing.T) {
	for _, refusal := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.NotEnoughReplicas} {
		t.Run(refusal.Message, func(t *testing.T) {
			c := cluster(t)
			fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: refusal, Count: 5})
			lines := keyed(made(5000))
			if _, err := feed.Produce(deadline(t), from(lines, nil), feed.Options{Brokers: c.ListenAddrs()}); err != nil {
				t.Fatal(err)
			}
			if fault.Hits() != 5 {
				t.Errorf("%d requests were refused, want 5", fault.Hits())
			}
			if diff := cmp.Diff(want(t, lines), texts(read(t, c, len(lines)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestCutOff: a connection that breaks loses nothing.
func TestCutOff(t *testing.T) {
	c := cluster(t)
	var asked atomic.Int64
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if asked.Add(1) <= 4 {
			return nil, errors.New("cut"), true
		}
		return nil, nil, false
	})
	lines := keyed(made(5000))
	if _, err := feed.Produce(deadline(t), from(lines, nil), feed.Options{Brokers: c.ListenAddrs()}); err != nil {
		t.Fatal(err)
	}
	if asked.Load() <= 4 {
		t.Errorf("%d requests, want more than the 4 that were cut off", asked.Load())
	}
	if diff := cmp.Diff(want(t, lines), texts(read(t, c, len(lines)))); diff != "" {
		t.Error(diff)
	}
}

// TestTakenThenRefused: what was written but not acknowledged may stand twice. It
// is a whole batch then, so that the first copies keep the order.
func TestTakenThenRefused(t *testing.T) {
	c := cluster(t)
	fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicasAfterAppend, Count: 3})
	lines := keyed(made(5000))
	total, err := feed.Produce(deadline(t), from(lines, nil), feed.Options{Brokers: c.ListenAddrs()})
	if err != nil || total.Records != int64(len(lines)) {
		t.Fatalf("%d records, error %v, want %d", total.Records, err, len(lines))
	}
	n := int(standing(c))
	if fault.Hits() != 3 || n <= len(lines) {
		t.Fatalf("%d records stand in the topics after %d refusals, want more than %d", n, fault.Hits(), len(lines))
	}
	if diff := cmp.Diff(firsts(want(t, lines)), firsts(texts(read(t, c, n)))); diff != "" {
		t.Error(diff)
	}
}

// firsts leaves out what stands in a partition already.
func firsts(lists map[string][]string) map[string][]string {
	out := map[string][]string{}
	for p, list := range lists {
		seen := map[string]bool{}
		for _, text := range list {
			if !seen[text] {
				seen[text] = true
				out[p] = append(out[p], text)
			}
		}
	}
	return out
}

// TestNotAcknowledged: a refusal for good ends the feed, and nothing after it is written.
func TestNotAcknowledged(t *testing.T) {
	c := cluster(t)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "events.app", Err: kerr.TopicAuthorizationFailed, Count: -1})
	lines := keyed(made(30_000))
	total, err := feed.Produce(deadline(t), from(lines, nil), feed.Options{Brokers: c.ListenAddrs()})
	if !errors.Is(err, kafka.TopicAuthorizationFailed) || !strings.Contains(err.Error(), "events.app") {
		t.Errorf("error %v, want one that names events.app and what was refused", err)
	}
	if total != (feed.Totals{}) {
		t.Errorf("wrote %+v, want nothing acknowledged", total)
	}
	if n := standing(c); n >= int64(len(lines))/2 {
		t.Errorf("%d records were written after the first were refused", n)
	}
}

func TestRefusals(t *testing.T) {
	c := cluster(t)
	first := []feed.Line{{Topic: "events.web", Key: "secret", Value: []byte("1")}, {Topic: "events.web", Key: "secret", Value: []byte("2")}}
	broken := errors.New("in.jsonl:3: broken")
	for _, tt := range []struct {
		name  string
		opt   feed.Options
		lines []feed.Line
		err   error // of lines, after them
		want  []string
		total int64
	}{
		{"no brokers", feed.Options{}, nil, nil, []string{"no brokers"}, 0},
		{"bad line", feed.Options{Brokers: c.ListenAddrs()}, nil, broken, []string{"in.jsonl:3: broken"}, 2},
		{"too large", feed.Options{Brokers: c.ListenAddrs()}, []feed.Line{{Topic: "events.web", Key: "secret", Value: make([]byte, 1<<20)}}, nil,
			[]string{"record 3", "events.web", "raise the limit"}, 2},
		{"over the limit set", feed.Options{Brokers: c.ListenAddrs(), MaxBytes: 1000}, []feed.Line{{Topic: "events.web", Key: "secret", Value: make([]byte, 1000)}}, nil,
			[]string{"record 3", "events.web", "1000"}, 2},
		{"no such topic", feed.Options{Brokers: c.ListenAddrs()}, []feed.Line{{Topic: "events.wbe", Key: "secret", Value: []byte("3")}}, nil,
			[]string{"events.wbe", "create it first"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines := append(first[:2:2], tt.lines...)
			total, err := feed.Produce(deadline(t), from(lines, tt.err), tt.opt)
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q doesn't say %q", err, part)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("error %q names a key", err)
			}
			if total.Records != tt.total {
				t.Errorf("wrote %d records, want %d", total.Records, tt.total)
			}
		})
	}
}

func TestLargeRecord(t *testing.T) {
	c := cluster(t, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "12582912"}))
	lines := []feed.Line{{Topic: "events.commerce", Key: "k", Value: bytes.Repeat([]byte("0123456789abcdef"), 1<<17)}}
	if _, err := feed.Produce(deadline(t), from(lines, nil), feed.Options{Brokers: c.ListenAddrs(), MaxBytes: 12 << 20}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, c, 1)["events.commerce/0"][0].Value; !bytes.Equal(got, lines[0].Value) {
		t.Errorf("%d bytes, want %d", len(got), len(lines[0].Value))
	}
}

// TestCancel: what was written is the beginning of the lines, in each partition.
func TestCancel(t *testing.T) {
	c := cluster(t)
	lines := keyed(made(100_000))
	ctx, cancel := context.WithCancelCause(deadline(t))
	enough := errors.New("enough")
	total, err := feed.Produce(ctx, from(lines, nil), feed.Options{
		Brokers:  c.ListenAddrs(),
		Progress: func(int64, int64) { cancel(enough) },
	})
	if !errors.Is(err, enough) {
		t.Errorf("error %v, want the cause of the cancellation", err)
	}
	n := standing(c)
	if total.Records == 0 || n < total.Records || n >= int64(len(lines)) {
		t.Errorf("%d records acknowledged, %d written, of %d", total.Records, n, len(lines))
	}
	all := want(t, lines)
	for p, got := range texts(read(t, c, int(n))) {
		if diff := cmp.Diff(all[p][:min(len(got), len(all[p]))], got); diff != "" {
			t.Errorf("%s: %s", p, diff)
		}
	}
}

// TestCancelIdle: a feed that waits for a line, as from a terminal, can be ended.
func TestCancelIdle(t *testing.T) {
	c := cluster(t)
	ctx, cancel := context.WithCancel(deadline(t))
	silence := make(chan struct{})
	defer close(silence)
	lines := func(yield func(feed.Line, error) bool) {
		if yield(made(1)[0], nil) {
			<-silence
		}
	}
	total, err := feed.Produce(ctx, lines, feed.Options{
		Brokers:  c.ListenAddrs(),
		Progress: func(int64, int64) { cancel() }, // so a line isn't kept back for want of more
	})
	if !errors.Is(err, context.Canceled) || total.Records != 1 {
		t.Errorf("%d records, error %v, want 1 and the cancellation", total.Records, err)
	}
}

func TestNobodyThere(t *testing.T) {
	c, err := kfake.NewCluster()
	if err != nil {
		t.Fatal(err)
	}
	addrs := c.ListenAddrs()
	c.Close()
	if total, err := feed.Produce(deadline(t), from(made(10), nil), feed.Options{Brokers: addrs}); err == nil || total.Records != 0 {
		t.Errorf("%d records, error %v", total.Records, err)
	}
}

// TestSecured: TLS and SASL come with the transport.
func TestSecured(t *testing.T) {
	server := httptest.NewTLSServer(nil) // for its certificate
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c := cluster(t, kfake.TLS(&tls.Config{Certificates: server.TLS.Certificates}), kfake.EnableSASL(), kfake.Superuser("PLAIN", "feeder", "pass"))
	lines := keyed(made(500))
	transport := func(pass string) *kafka.Transport {
		return &kafka.Transport{TLS: &tls.Config{RootCAs: roots}, SASL: plain.Mechanism{Username: "feeder", Password: pass}}
	}
	if _, err := feed.Produce(deadline(t), from(lines, nil), feed.Options{Brokers: c.ListenAddrs(), Transport: transport("wrong")}); err == nil {
		t.Error("a wrong password was taken")
	}
	if _, err := feed.Produce(deadline(t), from(lines, nil), feed.Options{Brokers: c.ListenAddrs(), Transport: transport("pass")}); err != nil {
		t.Fatal(err)
	}
	if n := standing(c); n != int64(len(lines)) {
		t.Errorf("%d records, want %d", n, len(lines))
	}
}
