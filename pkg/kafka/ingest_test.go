package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

// echo journals each record under a key made of its source.
func echo(_ context.Context, b Batch) ([]engine.Published, error) {
	var out []engine.Published
	for _, r := range b.Records {
		src := stitch.Source{Topic: b.Topic, Partition: b.Partition, Offset: r.Offset}
		out = append(out, engine.Published{Topic: engine.TopicJournal, Entity: stitch.Key{Kind: stitch.KindDevice, ID: src.String()},
			Value: []byte(src.String() + "=" + string(r.Value))})
	}
	return out, nil
}

// ingest runs an Ingest until stop is called or the test ends.
func (c cluster) ingest(t testing.TB, p *Producer, sources []Source, handle func(context.Context, Batch) ([]engine.Published, error)) (stop func()) {
	t.Helper()
	in := &Ingest{Conn: c.conn, ID: "ingest", Sources: sources, Producer: p, Handle: handle, Watch: 50 * time.Millisecond}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- in.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("ingest does not stop")
		}
	})
	t.Cleanup(stop)
	return stop
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

func (c cluster) committed(t *testing.T, group, topic string, p int32) int64 {
	t.Helper()
	at, err := fetchOffsets(testContext(t), c.client(t), group)
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := at.Lookup(topic, p); ok {
		return o.At
	}
	return -1
}

func (c cluster) create(t *testing.T, partitions int32, topics ...string) {
	t.Helper()
	for _, topic := range topics {
		if err := c.CreateTopic(topic, partitions, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// journaled is what is in the journal, by value, with how often.
func (c cluster) journaled(t *testing.T) map[string]int {
	t.Helper()
	got := map[string]int{}
	for _, r := range c.all(t, "journal") {
		got[string(r.Value)]++
	}
	return got
}

func TestIngest(t *testing.T) {
	for _, committed := range []bool{false, true} {
		t.Run(fmt.Sprintf("read_committed=%t", committed), func(t *testing.T) {
			c := newCluster(t, 4)
			c.create(t, 3, "app", "web")
			sources := []Source{{Topic: "app", ReadCommitted: committed}, {Topic: "web", ReadCommitted: committed}}
			group := map[bool]string{false: "ingest", true: "ingest-committed"}[committed]
			want := map[string]int{}
			write := func(from, n int) {
				for _, topic := range []string{"app", "web"} {
					for p := range int32(3) {
						c.write(t, topic, p, values(n)...)
						for i, v := range values(n) {
							want[fmt.Sprintf("%s/%d/%d=%s", topic, p, from+i, v)]++
						}
					}
				}
			}
			caughtUp := func(end int64) {
				t.Helper()
				eventually(t, "everything is committed", func() bool {
					for _, topic := range []string{"app", "web"} {
						for p := range int32(3) {
							if c.committed(t, group, topic, p) != end {
								return false
							}
						}
					}
					return true
				})
			}
			write(0, 30)
			p := c.producer(t)
			stop := c.ingest(t, p, sources, echo)
			caughtUp(30)
			stop()
			write(30, 10) // while nobody is there
			c.ingest(t, p, sources, echo)
			caughtUp(40)
			if diff := cmp.Diff(want, c.journaled(t)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// Nothing is committed before the journal has acknowledged it.
func TestIngestCommitsAfterTheAck(t *testing.T) {
	for _, committed := range []bool{false, true} {
		t.Run(fmt.Sprintf("read_committed=%t", committed), func(t *testing.T) {
			c := newCluster(t, 1)
			c.create(t, 1, "app")
			p := c.producer(t)
			var mu sync.Mutex
			broken, refused, early := true, 0, false
			c.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				mu.Lock()
				defer mu.Unlock()
				early = early || broken
				return nil, nil, false
			})
			c.write(t, "app", 0, values(5)...)
			c.ControlKey(int16(kmsg.Produce), func(k kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				mu.Lock()
				defer mu.Unlock()
				if !broken {
					return nil, nil, false
				}
				refused++
				return refusal(k.(*kmsg.ProduceRequest), kerr.InvalidRecord.Code), nil, true
			})
			c.ingest(t, p, []Source{{Topic: "app", ReadCommitted: committed}}, echo)
			eventually(t, "publishing is tried again", func() bool { mu.Lock(); defer mu.Unlock(); return refused >= 3 })
			mu.Lock()
			broken = false
			mu.Unlock()
			group := map[bool]string{false: "ingest", true: "ingest-committed"}[committed]
			eventually(t, "the batch is committed", func() bool { return c.committed(t, group, "app", 0) == 5 })
			if early {
				t.Error("an offset was committed before anything was acknowledged")
			}
			if got := c.journaled(t); len(got) != 5 {
				t.Errorf("journal: %v", got)
			}
		})
	}
}

// A handler that fails is asked again with the same batch; nothing is passed over.
func TestIngestHandlerFails(t *testing.T) {
	c := newCluster(t, 1)
	c.create(t, 1, "app")
	c.write(t, "app", 0, values(5)...)
	var mu sync.Mutex
	var first []SourceRecord
	c.ingest(t, c.producer(t), []Source{{Topic: "app"}}, func(ctx context.Context, b Batch) ([]engine.Published, error) {
		mu.Lock()
		defer mu.Unlock()
		if first == nil {
			first = b.Records
			return nil, errors.New("not now")
		}
		if b.Records[0].Offset == 0 && !cmp.Equal(first, b.Records, cmp.AllowUnexported(stitch.Header{})) {
			t.Errorf("another batch: %v", b.Records)
		}
		return echo(ctx, b)
	})
	eventually(t, "all is committed", func() bool { return c.committed(t, "ingest", "app", 0) == 5 })
}

// Two members share the partitions, and one leaving or joining repeats at most,
// and moves no offset back.
func TestIngestRebalance(t *testing.T) {
	for _, committed := range []bool{false, true} {
		t.Run(fmt.Sprintf("read_committed=%t", committed), func(t *testing.T) {
			c := newCluster(t, 4)
			c.create(t, 4, "app")
			sources := []Source{{Topic: "app", ReadCommitted: committed}}
			group := map[bool]string{false: "ingest", true: "ingest-committed"}[committed]
			back := c.watchCommits(t, group, "app")
			const each = 60
			written := make(chan struct{})
			go func() {
				defer close(written)
				cl, err := c.conn.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
				if err != nil {
					t.Error(err)
					return
				}
				defer cl.Close()
				for _, v := range values(each) {
					for p := range int32(4) {
						if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "app", Partition: p, Value: []byte(v)}).FirstErr(); err != nil {
							t.Error(err)
						}
					}
				}
			}()
			seen := make(chan string, 10_000)
			tell := func(who string) func(context.Context, Batch) ([]engine.Published, error) {
				return func(ctx context.Context, b Batch) ([]engine.Published, error) {
					seen <- who
					return echo(ctx, b)
				}
			}
			first := c.ingest(t, c.producer(t), sources, tell("first"))
			receive(t, seen)
			c.ingest(t, c.producer(t), sources, tell("second"))
			more := 0
			eventually(t, "the second has a share", func() bool {
				c.write(t, "app", int32(more%4), "more")
				more++
				for {
					select {
					case who := <-seen:
						if who == "second" {
							return true
						}
					default:
						return false
					}
				}
			})
			first()
			<-written
			eventually(t, "everything is committed", func() bool {
				for _, p := range c.PartitionInfos("app") {
					if c.committed(t, group, "app", p.Partition) != p.HighWatermark {
						return false
					}
				}
				return true
			})
			if got := c.journaled(t); len(got) != 4*each+more {
				t.Errorf("%d different records in the journal, want %d", len(got), 4*each+more)
			}
			if n := back(); n > 0 {
				t.Errorf("%d times a committed offset went back", n)
			}
		})
	}
}

// watchCommits samples a group's committed offsets; back stops it and returns how
// often one was lower than before.
func (c cluster) watchCommits(t *testing.T, group, topic string) (back func() int) {
	t.Helper()
	stop, result := make(chan struct{}), make(chan int, 1)
	go func() {
		n, highest := 0, map[int32]int64{}
		defer func() { result <- n }()
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			info := c.GroupInfo(group)
			if info == nil {
				continue
			}
			for p, at := range info.Commits[topic] {
				if at.Offset < highest[p] {
					n++
				}
				highest[p] = max(highest[p], at.Offset)
			}
		}
	}()
	once := sync.OnceValue(func() int { close(stop); return <-result })
	t.Cleanup(func() { once() })
	return once
}

// The first broker lets everybody connect and never answers.
func TestIngestPassesOverABrokerThatHangs(t *testing.T) {
	c := newCluster(t, 1)
	c.create(t, 1, "plain")
	c.write(t, "plain", 0, "a")
	hangs, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hangs.Close()
	behind := c
	behind.conn.Brokers = append([]string{hangs.Addr().String()}, c.conn.Brokers...)
	behind.ingest(t, c.producer(t), []Source{{Topic: "plain"}}, echo)
	eventually(t, "the record is committed", func() bool { return c.committed(t, "ingest", "plain", 0) == 1 })
}

func TestIngestWaitsForTopics(t *testing.T) {
	c := newCluster(t, 1)
	c.create(t, 1, "app")
	c.write(t, "app", 0, "a")
	c.ingest(t, c.producer(t), []Source{{Topic: "app"}, {Topic: "web"}, {Topic: "shop", ReadCommitted: true}}, echo)
	eventually(t, "the topic that is there is read", func() bool { return c.committed(t, "ingest", "app", 0) == 1 })
	c.create(t, 1, "web", "shop")
	c.write(t, "web", 0, "w")
	c.write(t, "shop", 0, "s")
	eventually(t, "a topic that came later is read", func() bool { return c.committed(t, "ingest", "web", 0) == 1 })
	eventually(t, "a topic that came later is read", func() bool { return c.committed(t, "ingest-committed", "shop", 0) == 1 })
	adm := c.client(t)
	req := kmsg.NewPtrCreatePartitionsRequest()
	rt := kmsg.NewCreatePartitionsRequestTopic()
	rt.Topic, rt.Count = "app", 3
	req.Topics, req.TimeoutMillis = append(req.Topics, rt), 5000
	if resp, err := req.RequestWith(testContext(t), adm); err != nil || resp.Topics[0].ErrorCode != 0 {
		t.Fatalf("%v, %v", resp, err)
	}
	c.write(t, "app", 2, "new")
	eventually(t, "a new partition is read", func() bool { return c.committed(t, "ingest", "app", 2) == 1 })
	want := map[string]int{"app/0/0=a": 1, "web/0/0=w": 1, "shop/0/0=s": 1, "app/2/0=new": 1}
	if diff := cmp.Diff(want, c.journaled(t)); diff != "" {
		t.Error(diff)
	}
}

// A topic that was made anew is read from its start, though the group stood further.
func TestIngestTopicMadeAnew(t *testing.T) {
	c := newCluster(t, 1)
	c.create(t, 1, "app")
	c.write(t, "app", 0, values(5)...)
	p := c.producer(t)
	var mu sync.Mutex
	ids := map[string]bool{}
	handle := func(ctx context.Context, b Batch) ([]engine.Published, error) {
		mu.Lock()
		defer mu.Unlock()
		ids[b.TopicID] = true
		return echo(ctx, b)
	}
	c.ingest(t, p, []Source{{Topic: "app"}}, handle)
	eventually(t, "all is committed", func() bool { return c.committed(t, "ingest", "app", 0) == 5 })
	if err := c.DeleteTopic("app"); err != nil {
		t.Fatal(err)
	}
	c.create(t, 1, "app")
	c.write(t, "app", 0, "anew")
	eventually(t, "the new record is read", func() bool { return c.journaled(t)["app/0/0=anew"] > 0 })
	mu.Lock()
	defer mu.Unlock()
	if len(ids) != 2 {
		t.Errorf("topic IDs %v, want two", ids)
	}
}

// A topic that can't be looked up for a moment is read on when it can.
func TestIngestOutlastsRefusedMetadata(t *testing.T) {
	c := newCluster(t, 1)
	c.create(t, 1, "app", "web")
	var mu sync.Mutex
	broken, refused := false, 0
	c.ControlKey(int16(kmsg.Metadata), func(k kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		req := k.(*kmsg.MetadataRequest)
		if !broken || len(req.Topics) == 0 {
			return nil, nil, false
		}
		refused++
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		for _, b := range c.ListenAddrs()[:1] {
			host, port, _ := net.SplitHostPort(b)
			rb := kmsg.NewMetadataResponseBroker()
			rb.Host = host
			_, _ = fmt.Sscan(port, &rb.Port)
			resp.Brokers = append(resp.Brokers, rb)
		}
		for _, rt := range req.Topics {
			st := kmsg.NewMetadataResponseTopic()
			st.Topic, st.TopicID, st.ErrorCode = rt.Topic, rt.TopicID, kerr.TopicAuthorizationFailed.Code
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil, true
	})
	c.write(t, "app", 0, "a")
	c.ingest(t, c.producer(t), []Source{{Topic: "app"}, {Topic: "web"}}, echo)
	eventually(t, "the first record is read", func() bool { return c.committed(t, "ingest", "app", 0) == 1 })
	mu.Lock()
	broken = true
	mu.Unlock()
	eventually(t, "the reader was refused", func() bool { mu.Lock(); defer mu.Unlock(); return refused > 100 })
	mu.Lock()
	broken = false
	mu.Unlock()
	c.write(t, "app", 0, "b")
	c.write(t, "web", 0, "w")
	eventually(t, "both topics are read on", func() bool {
		return c.committed(t, "ingest", "app", 0) == 2 && c.committed(t, "ingest", "web", 0) == 1
	})
}

// What a member reads after its topic was made anew isn't taken for the old topic's:
// under its places it would count as repeats.
func TestIngestTellsTopicsOfOneName(t *testing.T) {
	c := newCluster(t, 1)
	c.create(t, 1, "app")
	c.write(t, "app", 0, values(3)...)
	told := make(chan string, 100)
	c.conn.Logger = slog.New(slog.NewTextHandler(writerTo(told), nil))
	in := &Ingest{Conn: c.conn, ID: "ingest", Producer: c.producer(t), Handle: func(context.Context, Batch) ([]engine.Published, error) {
		t.Error("records of another topic were handed on")
		return nil, nil
	}}
	g := &generation{
		in: in, gen: &kafkago.Generation{Assignments: map[string][]kafkago.PartitionAssignment{"app": {{ID: 0, Offset: -1}}}},
		facts: map[string]topicFacts{"app": {id: "of the one before", partitions: 1}}, signal: make(chan struct{}, 1),
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); g.read(ctx) }()
	for !strings.Contains(receive(t, told), "made anew") {
	}
	cancel()
	<-done
}

// writerTo sends each write to a channel.
type writerTo chan string

func (w writerTo) Write(b []byte) (int, error) { w <- string(b); return len(b), nil }

// transact writes values in one transaction, and ends it; a nil commit leaves it open.
func transact(t *testing.T, cl *kgo.Client, topic string, commit kgo.TransactionEndTry, values ...string) {
	t.Helper()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if err := cl.ProduceSync(testContext(t), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cl.EndTransaction(testContext(t), commit); err != nil {
		t.Fatal(err)
	}
}

func TestIngestReadCommitted(t *testing.T) {
	c := newCluster(t, 1)
	c.create(t, 1, "shop")
	tx := c.client(t, kgo.TransactionalID("tx"))
	transact(t, tx, "shop", kgo.TryCommit, "a", "b")
	transact(t, tx, "shop", kgo.TryAbort, "x", "y")
	transact(t, tx, "shop", kgo.TryCommit, "c")
	transact(t, tx, "shop", kgo.TryAbort, "z") // and then the topic is idle
	sources := []Source{{Topic: "shop", ReadCommitted: true, Authority: true}}
	s, err := NewSources(c.conn, "ingest", sources, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ends, err := s.Ends(testContext(t))
	if diff := cmp.Diff(engine.Ends{"shop": {0: 10}}, ends); diff != "" || err != nil {
		t.Fatalf("%v\n%s", err, diff)
	}
	if authorities, all, err := s.Passed(testContext(t), ends); authorities || all || err != nil {
		t.Fatalf("before ingest: %t, %t, %v", authorities, all, err)
	}
	c.ingest(t, c.producer(t), sources, echo)
	eventually(t, "the position is past the last control record", func() bool {
		authorities, all, err := s.Passed(testContext(t), ends)
		return authorities && all && err == nil
	})
	want := map[string]int{"shop/0/0=a": 1, "shop/0/1=b": 1, "shop/0/6=c": 1}
	if diff := cmp.Diff(want, c.journaled(t)); diff != "" {
		t.Error(diff)
	}
}
