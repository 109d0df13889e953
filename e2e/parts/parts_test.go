//go:build e2e

package parts_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/e2e/parts"
)

// within is the test's context: far longer than anything takes, so that a part
// that never answers fails the test and says why.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func kafka(t *testing.T, dir string, properties ...string) *parts.Kafka {
	t.Helper()
	k, err := parts.StartKafka(within(t), dir, properties...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

func client(t *testing.T, k *parts.Kafka, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(k.Addr()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func create(t *testing.T, k *parts.Kafka, topic string, partitions int32) {
	t.Helper()
	if _, err := kadm.NewClient(client(t, k)).CreateTopic(within(t), partitions, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
}

func produce(t *testing.T, c *kgo.Client, records ...*kgo.Record) {
	t.Helper()
	if err := c.ProduceSync(within(t), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, k *parts.Kafka, topic string, arguments ...string) []parts.KcatRecord {
	t.Helper()
	records, err := parts.Kcat(within(t), k.Addr(), topic, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func payloads(records []parts.KcatRecord) (all []string) {
	for _, r := range records {
		all = append(all, *r.Payload)
	}
	return all
}

func TestKafkaLibs(t *testing.T) {
	parts.Need(t)
	libs, err := parts.KafkaLibs(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(libs, "kafka_2.13-4.3.1.jar")); err != nil {
		t.Fatal(err)
	}
}

func TestKafkaKeepsRecordsThroughKillAndRestart(t *testing.T) {
	parts.Need(t)
	dir := t.TempDir()
	k := kafka(t, dir)
	create(t, k, "orders", 1)
	produce(t, client(t, k),
		&kgo.Record{Topic: "orders", Key: []byte("k"), Value: []byte(`{"a":1}`), Timestamp: time.UnixMilli(1700000000000),
			Headers: []kgo.RecordHeader{{Key: "ls-place", Value: []byte("p")}, {Key: "ls-why", Value: []byte("user")}}},
		&kgo.Record{Topic: "orders", Timestamp: time.UnixMilli(1700000000001)})

	want := []parts.KcatRecord{
		{Topic: "orders", Offset: 0, Time: 1700000000000, Key: new("k"), Payload: new(`{"a":1}`),
			Headers: parts.KcatHeaders{"ls-place", "p", "ls-why", "user"}},
		{Topic: "orders", Offset: 1, Time: 1700000000001},
	}
	if diff := cmp.Diff(want, read(t, k, "orders")); diff != "" {
		t.Fatalf("before the kill (-want +got):\n%s", diff)
	}
	if got := want[0].Headers.Get("ls-why") + want[0].Headers.Get("user"); got != "user" {
		t.Errorf("header ls-why: %q", got)
	}

	addr := k.Addr()
	k.Kill()
	if err := ping(t, k); err == nil {
		t.Fatal("a killed broker answers")
	}
	if err := k.Restart(within(t)); err != nil {
		t.Fatal(err)
	}
	if k.Addr() != addr {
		t.Errorf("it came back at %s, not at %s", k.Addr(), addr)
	}
	if diff := cmp.Diff(want, read(t, k, "orders")); diff != "" {
		t.Errorf("after kill and restart (-want +got):\n%s", diff)
	}

	if err := k.Stop(within(t)); err != nil {
		t.Fatal(err)
	}
	again := kafka(t, dir) // the same data under another broker, on another port
	if diff := cmp.Diff(want, read(t, again, "orders")); diff != "" {
		t.Errorf("after stop and a new start (-want +got):\n%s", diff)
	}
}

// ping is one request that gives up soon.
func ping(t *testing.T, k *parts.Kafka) error {
	t.Helper()
	return client(t, k, kgo.RequestRetries(0), kgo.RequestTimeoutOverhead(300*time.Millisecond)).Ping(within(t))
}

func TestKafkaPauseAndResume(t *testing.T) {
	parts.Need(t)
	k := kafka(t, t.TempDir())
	if err := k.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := ping(t, k); err == nil {
		t.Error("a paused broker answers")
	}
	k.Resume()
	if err := client(t, k).Ping(within(t)); err != nil {
		t.Errorf("a resumed broker doesn't answer: %v", err)
	}
	if err := k.Pause(); err != nil {
		t.Fatal(err)
	}
	k.Kill() // a paused part can be killed too
	if err := k.Pause(); err == nil {
		t.Error("a killed broker was paused")
	}
}

func TestKafkaGroupsTransactionsAndProperties(t *testing.T) {
	parts.Need(t)
	k := kafka(t, t.TempDir(), "message.max.bytes=2000000")
	if _, err := parts.Kcat(within(t), k.Addr(), "nowhere"); err == nil {
		t.Error("reading a topic that doesn't exist made one")
	}
	create(t, k, "in", 3)

	tx := client(t, k, kgo.TransactionalID("tx"), kgo.DefaultProduceTopic("in"), kgo.ProducerBatchMaxBytes(1<<21))
	for _, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		if err := tx.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		produce(t, tx, kgo.StringRecord(fmt.Sprintf("commit=%v", bool(end))))
		if err := tx.EndTransaction(within(t), end); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"commit=true"}, payloads(read(t, k, "in"))); diff != "" {
		t.Errorf("committed (-want +got):\n%s", diff)
	}
	if all := read(t, k, "in", "-X", "isolation.level=read_uncommitted"); len(all) != 2 {
		t.Errorf("%d records with the aborted one, want 2", len(all))
	}

	group := client(t, k, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("in"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(200*time.Millisecond), kgo.HeartbeatInterval(50*time.Millisecond), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	fetches := group.PollRecords(within(t), 1)
	if err := fetches.Err(); err != nil || fetches.NumRecords() != 1 {
		t.Errorf("the group got %d records, want 1: %v", fetches.NumRecords(), err)
	}
	big := client(t, k, kgo.ProducerBatchMaxBytes(1<<21), kgo.ProducerBatchCompression(kgo.NoCompression()))
	produce(t, big, &kgo.Record{Topic: "in", Value: make([]byte, 1500000)}) // over the default of 1 MiB
}

func server(t *testing.T, dir string, o parts.RedisOptions) (*parts.Redis, *redis.Client) {
	t.Helper()
	r, err := parts.StartRedis(within(t), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	c := redis.NewClient(&redis.Options{Addr: r.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = c.Close() })
	return r, c
}

func TestRedisThroughKillAndRestart(t *testing.T) {
	for fsync, want := range map[string]string{"always": "kept", "off": ""} {
		t.Run(fsync, func(t *testing.T) {
			parts.Need(t)
			r, c := server(t, t.TempDir(), parts.RedisOptions{Fsync: fsync})
			if err := c.Set(within(t), "key", "kept", 0).Err(); err != nil {
				t.Fatal(err)
			}
			r.Kill()
			if err := c.Ping(within(t)).Err(); err == nil {
				t.Fatal("a killed server answers")
			}
			if err := r.Restart(within(t)); err != nil {
				t.Fatal(err)
			}
			got, err := c.Get(within(t), "key").Result()
			if errors.Is(err, redis.Nil) {
				err = nil
			}
			if got != want || err != nil {
				t.Errorf("after kill and restart: %q, %v; want %q", got, err, want)
			}
		})
	}
}

func TestRedisOptions(t *testing.T) {
	parts.Need(t)
	for _, test := range []struct {
		name    string
		options parts.RedisOptions
		want    map[string]string
	}{
		{"default", parts.RedisOptions{},
			map[string]string{"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "save": ""}},
		{"chosen", parts.RedisOptions{Fsync: "always", Policy: "allkeys-lru", Args: []string{"--maxmemory", "64mb"}},
			map[string]string{"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "allkeys-lru", "maxmemory": "67108864"}},
		{"off", parts.RedisOptions{Fsync: "off"}, map[string]string{"appendonly": "no"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, c := server(t, t.TempDir(), test.options)
			got := map[string]string{}
			for name := range test.want {
				value, err := c.ConfigGet(within(t), name).Result()
				if err != nil {
					t.Fatal(err)
				}
				got[name] = value[name]
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRedisPauseAndResume(t *testing.T) {
	parts.Need(t)
	r, c := server(t, t.TempDir(), parts.RedisOptions{})
	if err := r.Pause(); err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := c.Ping(soon).Err(); err == nil {
		t.Error("a paused server answers")
	}
	r.Resume()
	if err := c.Ping(within(t)).Err(); err != nil {
		t.Errorf("a resumed server doesn't answer: %v", err)
	}
}

func TestStartSaysWhyItFailed(t *testing.T) {
	parts.Need(t)
	_, err := parts.StartRedis(within(t), t.TempDir(), parts.RedisOptions{Policy: "no-such-policy"})
	if err == nil || !strings.Contains(err.Error(), "argument(s) must be one of the following") {
		t.Errorf("no reason from the server's log: %v", err)
	}
	running, _ := server(t, t.TempDir(), parts.RedisOptions{})
	_, err = parts.StartRedis(within(t), t.TempDir(), parts.RedisOptions{Args: []string{"--port", strings.TrimPrefix(running.Addr(), "127.0.0.1:")}})
	if err == nil || !strings.Contains(err.Error(), "Address already in use") {
		t.Errorf("a port in use: %v", err)
	}
}

func TestNeedNamesWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := parts.Missing()
	if err == nil {
		t.Fatal("nothing is missing on an empty PATH")
	}
	for _, want := range []string{"java", "mvn", "apt-get install redis-server", "apt-get install kcat"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q isn't named in:\n%v", want, err)
		}
	}
}

// TestPartsDieWithTheirProcess has a copy of this test start a server and be
// killed: the server must be gone too.
func TestPartsDieWithTheirProcess(t *testing.T) {
	parts.Need(t)
	if dir := os.Getenv("PARTS_TEST_ORPHAN"); dir != "" {
		r, _ := server(t, dir, parts.RedisOptions{})
		fmt.Println("addr", r.Addr())
		select {} // until killed
	}
	self := exec.CommandContext(within(t), os.Args[0], "-test.run=^TestPartsDieWithTheirProcess$")
	self.Env = append(os.Environ(), "PARTS_TEST_ORPHAN="+t.TempDir())
	out, err := self.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Start(); err != nil {
		t.Fatal(err)
	}
	var addr string
	if _, err := fmt.Fscanf(out, "addr %s\n", &addr); err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer c.Close()
	if err := c.Ping(within(t)).Err(); err != nil {
		t.Fatalf("the orphan-to-be doesn't answer: %v", err)
	}
	if err := self.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = self.Wait() // killed, as asked
	for ctx := within(t); c.Ping(ctx).Err() == nil; {
		if ctx.Err() != nil {
			t.Fatal("the server outlived the process that started it")
		}
	}
}
