//go:build e2e

package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/e2e/parts"
	"lockstitch/pkg/feed"
	"lockstitch/pkg/traffic"
)

// sources are the contract's four source topics.
var sources = []string{"events.app", "events.web", "events.server", "events.commerce"}

// world is the real parts, and the binary that is measured.
type world struct {
	dir    string
	binary string
	kafka  *parts.Kafka
	redis  *parts.Redis
	client *redis.Client
	kgo    *kgo.Client
	admin  *kadm.Client
}

// start builds the binary, starts the parts and makes the topics.
func start(ctx context.Context, dir string) (w *world, err error) {
	w = &world{dir: dir, binary: filepath.Join(dir, "lockstitch")}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	say("building lockstitch, starting Kafka and Redis …")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", w.binary, "lockstitch/cmd/lockstitch")
	if text, err := build.CombinedOutput(); err != nil {
		return w, fmt.Errorf("building: %w\n%s", err, text)
	}
	if w.kafka, err = parts.StartKafka(ctx, filepath.Join(dir, "kafka")); err != nil {
		return w, err
	}
	if w.redis, err = parts.StartRedis(ctx, filepath.Join(dir, "redis"), parts.RedisOptions{}); err != nil {
		return w, err
	}
	w.client = redis.NewClient(&redis.Options{Addr: w.redis.Addr(), ContextTimeoutEnabled: true})
	if w.kgo, err = kgo.NewClient(kgo.SeedBrokers(w.kafka.Addr())); err != nil {
		return w, err
	}
	w.admin = kadm.NewClient(w.kgo)
	_, err = w.configure(ctx, "r0")
	return w, err
}

func (w *world) close() {
	if w.kgo != nil {
		w.kgo.Close()
	}
	if w.client != nil {
		_ = w.client.Close()
	}
	if w.redis != nil {
		w.redis.Close()
	}
	if w.kafka != nil {
		w.kafka.Close()
	}
}

// configure writes a round's configuration and has the product make its topics.
// Each round has topics and groups of its own; the sources are always the same.
func (w *world) configure(ctx context.Context, round string) (path string, err error) {
	text := fmt.Sprintf(`environment: bench
kafka: {brokers: ["%[1]s"], group: bench-%[3]s}
redis: {addresses: ["%[2]s"]}
replication: 1
topics: {journal: %[3]s.journal, sink: %[3]s.sink, decisions: %[3]s.decisions, dlq: %[3]s.dlq, snapshots: %[3]s.snapshots}
metrics: {listen: "127.0.0.1:0", pprof: true}
log: {format: json}
`, w.kafka.Addr(), w.redis.Addr(), round)
	path = filepath.Join(w.dir, round+".yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return path, err
	}
	apply := exec.CommandContext(ctx, w.binary, "topics", "apply", "--config", path)
	if text, err := apply.CombinedOutput(); err != nil {
		return path, fmt.Errorf("topics apply: %w\n%s", err, text)
	}
	return path, w.led(ctx, append([]string{round + ".journal", round + ".sink", round + ".decisions", round + ".dlq"}, sources...)...)
}

// led waits until every partition of the topics has a leader: a client that meets
// one without would wait seconds for the next look at the cluster.
func (w *world) led(ctx context.Context, topics ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		_, err := w.ends(ctx, topics...)
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// forget removes a round's topics, so that the disk and the broker are as they
// were before.
func (w *world) forget(ctx context.Context, topics ...string) error {
	resp, err := w.admin.DeleteTopics(ctx, topics...)
	return errors.Join(err, resp.Error())
}

// fill writes generated traffic to the sources. The generator's time runs ahead
// of a clock's; it ends about now, as ingest refuses what lies in the future.
func (w *world) fill(ctx context.Context, n int) error {
	back := time.Duration(float64(n) / (9 * traffic.DefaultPeople) * float64(time.Hour))
	g := traffic.New(traffic.Options{Seed: 1, Start: time.Now().Add(-back), Garbage: traffic.DefaultGarbage})
	return w.feed(ctx, g, n, 0)
}

// feed writes the generator's next n lines to the sources.
func (w *world) feed(ctx context.Context, g *traffic.Generator, n int, rate float64) error {
	lines := func(yield func(feed.Line, error) bool) {
		for range n {
			if !yield(feed.Line(g.Next()), nil) {
				return
			}
		}
	}
	_, err := feed.Produce(ctx, iter.Seq2[feed.Line, error](lines), feed.Options{
		Brokers: []string{w.kafka.Addr()}, MaxBytes: 12 << 20, Rate: rate,
	})
	return err
}

// span is from began to the last append to any of the topics, by the broker's
// clock, which is this machine's.
//
// It doesn't begin with the first append: what is read before that is work too. Of a
// backlog of 400,000 records the bare copy's first fetch brought 164,131.
func (w *world) span(ctx context.Context, began time.Time, topics []string) (time.Duration, error) {
	last, err := w.admin.ListMaxTimestampOffsets(ctx, topics...)
	if err = errors.Join(err, last.Error()); err != nil {
		return 0, err
	}
	end := time.Time{}
	last.Each(func(o kadm.ListedOffset) {
		if at := time.UnixMilli(o.Timestamp); at.After(end) {
			end = at
		}
	})
	if !end.After(began) {
		return 0, fmt.Errorf("nothing was appended to %v since %v", topics, began)
	}
	return end.Sub(began), nil
}

// ends are the topics' end offsets.
func (w *world) ends(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
	ends, err := w.admin.ListEndOffsets(ctx, topics...)
	return ends, errors.Join(err, ends.Error())
}

// processes are whose CPU time is told.
func (w *world) processes(lockstitch int) map[string]int {
	return map[string]int{"lockstitch": lockstitch, "kafka": w.kafka.PID(), "redis": w.redis.PID()}
}
