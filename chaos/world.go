//go:build e2e

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/e2e/parts"
	"lockstitch/pkg/app"
	"lockstitch/pkg/config"
	"lockstitch/pkg/kafka"
	"lockstitch/pkg/refold"
	"lockstitch/stitch/plan"
)

// partitions are the journal's.
const partitions = 12

// world is one installation, and what breaks it.
type world struct {
	opt    options
	dir    string
	binary string
	wrong  *wrongs

	kafka   *parts.Kafka
	redis   *parts.Redis
	proxies []*parts.Proxy // before Redis, one for each process
	slots   []*slot

	direct *redis.Client
	client *kgo.Client // of the harness, and what feeds
	admin  *kadm.Client

	cfg     *config.Config // of the harness: Redis without a proxy
	parts   refold.Parts   // what it reads of journal, snapshots and state; one at a time
	plan    *plan.Plan
	groups  []kafka.Reading
	feed    *feeder
	archive *archive
	watch   *watch

	waited     bool // timers were seen
	closeParts func()
	stopWatch  func()
}

// newWorld starts the parts and makes the topics.
func newWorld(ctx context.Context, dir string, o options) (w *world, err error) {
	w = &world{opt: o, dir: dir, binary: filepath.Join(dir, "lockstitch"), wrong: &wrongs{}}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	for _, step := range []func(context.Context) error{w.startParts, w.connect, w.configure} {
		if err := step(ctx); err != nil {
			return w, err
		}
	}
	w.feed, w.archive, w.watch = newFeeder(w), newArchive(w), newWatch(w)
	return w, nil
}

func (w *world) startParts(ctx context.Context) (err error) {
	say("building lockstitch, starting Kafka and Redis …")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", w.binary, "lockstitch/cmd/lockstitch")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building: %w\n%s", err, text)
	}
	if w.kafka, err = parts.StartKafka(ctx, filepath.Join(w.dir, "kafka")); err != nil {
		return err
	}
	if w.redis, err = parts.StartRedis(ctx, filepath.Join(w.dir, "redis"), parts.RedisOptions{}); err != nil {
		return err
	}
	for i := range w.opt.processes + 1 { // one more joins at times
		p, err := parts.StartProxy(w.redis.Addr(), w.opt.seed+uint64(i))
		if err != nil {
			return err
		}
		w.proxies = append(w.proxies, p)
		w.slots = append(w.slots, &slot{w: w, number: i})
	}
	return nil
}

func (w *world) connect(context.Context) (err error) {
	w.direct = redis.NewClient(&redis.Options{Addr: w.redis.Addr(), ContextTimeoutEnabled: true})
	w.client, err = kgo.NewClient(kgo.SeedBrokers(w.kafka.Addr()), kgo.MaxBufferedRecords(20_000))
	if err == nil {
		w.admin = kadm.NewClient(w.client)
	}
	return err
}

func (w *world) close() {
	for _, s := range w.slots {
		s.kill()
	}
	if w.closeParts != nil {
		w.closeParts()
	}
	if w.client != nil {
		w.client.Close()
	}
	if w.direct != nil {
		_ = w.direct.Close()
	}
	for _, p := range w.proxies {
		p.Close()
	}
	if w.redis != nil {
		w.redis.Close()
	}
	if w.kafka != nil {
		w.kafka.Close()
	}
}

// configure writes the harness's configuration and has the product make the topics.
func (w *world) configure(ctx context.Context) (err error) {
	text, err := os.ReadFile("stitch/plan/default.yaml")
	if err != nil {
		return fmt.Errorf("run it in the repository's root: %w", err)
	}
	before, after, found := strings.Cut(string(text), "hold: 10m")
	if !found {
		return errors.New("the default plan's hold isn't where it was")
	}
	if err := os.WriteFile(filepath.Join(w.dir, "plan.yaml"), []byte(before+"hold: 5s"+after), 0o644); err != nil {
		return err
	}
	path, err := w.write("harness", w.redis.Addr(), 5)
	if err != nil {
		return err
	}
	if w.cfg, err = config.Load(path, os.LookupEnv); err != nil {
		return err
	}
	if w.plan, err = app.Plan(w.cfg); err != nil {
		return err
	}
	ingest, process := app.Groups(w.cfg)
	w.groups = append(kafka.Readings(ingest, app.Sources(w.cfg, w.plan)), kafka.Reading{Group: process, Topics: []string{w.cfg.TopicNames().Journal}})
	if err := app.ApplyTopics(ctx, w.cfg); err != nil {
		return err
	}
	w.parts, w.closeParts, err = app.State(ctx, w.cfg, false)
	return err
}

// write writes a configuration. Holds, ticks and snapshots are quick, so that what
// takes minutes elsewhere happens while things break.
func (w *world) write(name, redis string, customers int) (path string, err error) {
	text := fmt.Sprintf(`environment: chaos
kafka: {brokers: [%q], group: chaos}
redis: {addresses: [%q]}
replication: 1
journal_partitions: %d
plan: plan.yaml
rules: {take_over_delay: 2s, max_customers_per_anonymous_id: %d}
process: {tick: 250ms, snapshot_every: 3s}
metrics: {listen: "127.0.0.1:0"}
log: {format: json}
sources:
- {topic: events.app, origin: app}
- {topic: events.web, origin: web}
- {topic: events.server, origin: server, isolation: read_committed, trust: {alias: true, delete: true, suppress: true, split: true}}
- {topic: events.commerce, origin: commerce}
`, w.kafka.Addr(), redis, partitions, customers)
	path = filepath.Join(w.dir, name+".yaml")
	return path, os.WriteFile(path, []byte(text), 0o644)
}

func (w *world) sources() (topics []string) {
	for _, s := range w.cfg.PrefixedSources() {
		topics = append(topics, s.Topic)
	}
	return topics
}

func (w *world) conn() kafka.Conn {
	conn, err := app.Conn(w.cfg)
	if err != nil {
		panic(err) // it was made of it before
	}
	conn.Logger = quiet
	return conn
}
