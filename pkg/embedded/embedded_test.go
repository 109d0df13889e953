package embedded

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func port(t *testing.T, addr string) int {
	t.Helper()
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(p)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Records, offsets and the topic's ID survive a restart on the same folder and
// port; the Redis comes back empty.
func TestRestart(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	opt := Options{Dir: t.TempDir()}
	parts, err := Start(ctx, opt)
	if err != nil {
		t.Fatal(err)
	}
	kafka, redisAddr := parts.Kafka(), parts.Redis()
	opt.KafkaPort, opt.RedisPort = port(t, kafka), port(t, redisAddr)

	cl, err := kgo.NewClient(kgo.SeedBrokers(kafka))
	if err != nil {
		t.Fatal(err)
	}
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(ctx, 2, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Second)
	for _, v := range []string{"a", "b"} {
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "t", Key: []byte("k"), Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	at := kadm.Offsets{}
	at.Add(kadm.Offset{Topic: "t", Partition: 0, At: 1, LeaderEpoch: -1, Metadata: "lockstitch"})
	if err := adm.CommitAllOffsets(ctx, "g", at); err != nil {
		t.Fatal(err)
	}
	id := topicID(t, ctx, adm)
	rdb := redis.NewClient(&redis.Options{Addr: redisAddr})
	if err := rdb.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	rdb.Close()
	cl.Close()
	parts.Close()

	if parts, err = Start(ctx, opt); err != nil {
		t.Fatal(err)
	}
	defer parts.Close()
	if parts.Kafka() != kafka || parts.Redis() != redisAddr {
		t.Fatalf("restarted on %s, %s; want %s, %s", parts.Kafka(), parts.Redis(), kafka, redisAddr)
	}
	if cl, err = kgo.NewClient(kgo.SeedBrokers(kafka), kgo.ConsumeTopics("t")); err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	adm = kadm.NewClient(cl)
	if now := topicID(t, ctx, adm); now != id {
		t.Errorf("topic ID %v, was %v", now, id)
	}
	committed, err := adm.FetchOffsets(ctx, "g")
	if o, _ := committed.Lookup("t", 0); err != nil || o.At != 1 || o.Metadata != "lockstitch" {
		t.Errorf("committed: %+v, %v", o, err)
	}
	var got []string
	for len(got) < 2 {
		f := cl.PollFetches(ctx)
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		for _, r := range f.Records() {
			got = append(got, string(r.Value))
			if r.Timestamp.Before(before) || r.Timestamp.After(time.Now()) {
				t.Errorf("time stamp %v is not the writer's", r.Timestamp)
			}
		}
	}
	if diff := cmp.Diff([]string{"a", "b"}, got); diff != "" {
		t.Error(diff)
	}
	rdb = redis.NewClient(&redis.Options{Addr: redisAddr})
	defer rdb.Close()
	if n, err := rdb.DBSize(ctx).Result(); n != 0 || err != nil {
		t.Errorf("Redis has %d keys, %v", n, err)
	}
}

// Any program can talk to the ports, not franz-go alone.
func TestOtherClients(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	parts, err := Start(ctx, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer parts.Close()
	conn, err := kafkago.DialContext(ctx, "tcp", parts.Kafka())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.CreateTopics(kafkago.TopicConfig{Topic: "t", NumPartitions: 3, ReplicationFactor: 1}); err != nil {
		t.Fatal(err)
	}
	if ps, err := conn.ReadPartitions("t"); err != nil || len(ps) != 3 || ps[0].Leader.Host != "127.0.0.1" {
		t.Errorf("%v, %v", ps, err)
	}
}

func TestPortsInUse(t *testing.T) {
	parts, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer parts.Close()
	for _, opt := range []Options{{KafkaPort: port(t, parts.Kafka())}, {RedisPort: port(t, parts.Redis())}} {
		if second, err := Start(t.Context(), opt); err == nil {
			second.Close()
			t.Errorf("%+v is taken and was taken again", opt)
		}
	}
}

func topicID(t *testing.T, ctx context.Context, adm *kadm.Client) kadm.TopicID {
	t.Helper()
	topics, err := adm.ListTopics(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	return topics["t"].ID
}
