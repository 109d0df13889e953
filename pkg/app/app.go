package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"lockstitch/pkg/config"
	"lockstitch/pkg/engine"
	"lockstitch/pkg/kafka"
	"lockstitch/pkg/metrics"
	"lockstitch/pkg/redis"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
	"lockstitch/stitch/plan"
)

// Options are what an App is made of.
type Options struct {
	Config *config.Config
	Log    *slog.Logger
	// Plan is the tracking plan; nil: the configured one.
	Plan *plan.Plan
	// NoIngest and NoProcess leave one side to other processes.
	NoIngest  bool
	NoProcess bool
	// Embedded says that Redis is the one inside this process.
	Embedded bool
	// Now is the clock of owners and of what this process writes; nil for the wall
	// clock. The log's time comes from it on an embedded Kafka alone.
	Now func() time.Time
	// Folded hears of each batch, beside the metrics; may be nil.
	Folded func(p int32, b engine.Batch)
}

// App is one running Lockstitch.
type App struct {
	opt     Options
	cfg     *config.Config
	log     *slog.Logger
	plan    *plan.Plan
	metrics *metrics.Metrics
	journal engine.Journal
	conn    kafka.Conn
	sources []kafka.Source
	topics  kafka.Topics
	writing atomic.Pointer[kafka.Producer] // once there is one
	closers []func()
}

// New checks the configuration and makes what needs no connection. Errors name
// the field, and what to do.
func New(opt Options) (*App, error) {
	a := &App{opt: opt, cfg: opt.Config, log: opt.Log, plan: opt.Plan}
	var err error
	if a.plan == nil {
		if a.plan, err = Plan(a.cfg); err != nil {
			return nil, err
		}
	}
	if err := a.cfg.Rules().Validate(); err != nil {
		return nil, err
	}
	in, err := Ingest(a.cfg, a.plan)
	if err != nil {
		return nil, err
	}
	if a.conn, err = Conn(a.cfg); err != nil {
		return nil, err
	}
	a.conn.Logger = a.log
	a.sources, a.topics = Sources(a.cfg, a.plan), Topics(a.cfg)
	a.metrics = metrics.New(metrics.Options{Log: a.log, Hold: longestHold(a.plan)})
	a.journal = engine.Journal{Ingest: in, Decoded: a.metrics.Decoded, Unplanned: a.metrics.Unplanned}
	return a, nil
}

func (a *App) now() time.Time {
	if a.opt.Now != nil {
		return a.opt.Now()
	}
	return time.Now()
}

func longestHold(p *plan.Plan) (hold time.Duration) {
	for _, e := range p.Events() {
		hold = max(hold, e.Hold)
	}
	return hold
}

// Run runs until ctx ends, then finishes what is under way (within 10 s) and
// returns nil. It waits for Kafka and Redis as long as they are away; an error is
// one that waiting does not mend, and says what to do.
func (a *App) Run(ctx context.Context) (err error) {
	defer a.close()
	g, ctx := errgroup.WithContext(ctx)
	monitor, err := kafka.NewMonitor(a.conn)
	if err != nil {
		return err
	}
	a.closers = append(a.closers, monitor.Close)
	checks := []metrics.Check{{Name: "kafka", Run: func(ctx context.Context) error { return a.takes(ctx, monitor) }}}
	state := store{make(chan *redis.State, 1)}
	if !a.opt.NoProcess {
		checks = append(checks, metrics.Check{Name: "redis", Run: state.check})
		g.Go(func() error { return a.open(ctx, state) })
	}
	if a.cfg.Metrics.Listen != "" {
		server, err := a.metrics.Server(a.cfg.Metrics.Listen, a.cfg.Metrics.Pprof, checks...)
		if err != nil {
			return err
		}
		a.log.Info("serving /metrics, /ping and /ready", "address", server.Addr())
		g.Go(func() error { return server.Run(ctx) })
	}
	g.Go(func() error { return a.work(ctx, monitor, state) })
	return g.Wait()
}

// takes tells /ready whether brokers answer, and take what this process writes.
func (a *App) takes(ctx context.Context, monitor *kafka.Monitor) error {
	if err := monitor.Ping(ctx); err != nil {
		return err
	}
	if p := a.writing.Load(); p != nil {
		return p.Check()
	}
	return nil
}

func (a *App) close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
}

// work connects, and runs ingest and processors.
func (a *App) work(ctx context.Context, monitor *kafka.Monitor, state store) error {
	producer, err := a.producer(ctx)
	if producer == nil {
		return err
	}
	a.writing.Store(producer)
	defer func() { // what was handed over is written, for two seconds at most
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		producer.Close(ctx)
	}()
	_, group := Groups(a.cfg)
	err = a.insist(ctx, "waiting for Kafka", func() error {
		return monitor.Ours(ctx, a.cfg.Environment, group, a.topics.Journal)
	}, func(err error) bool { return errors.Is(err, kafka.ErrOtherEnvironment) })
	if err != nil {
		return err
	}
	sources, err := kafka.NewSources(a.conn, a.ingestGroup(), a.sources, time.Duration(a.cfg.Process.Tick))
	if err != nil {
		return err
	}
	defer sources.Close()
	snapshots, err := kafka.NewSnapshots(a.conn, a.cfg.TopicNames().Snapshots)
	if err != nil {
		return err
	}
	defer snapshots.Close()
	g, ctx := errgroup.WithContext(ctx)
	if !a.opt.NoProcess {
		g.Go(func() error { return a.process(ctx, producer, state, snapshots, sources) })
	}
	if !a.opt.NoIngest {
		g.Go(func() error { return a.ingest(ctx, producer) })
	}
	g.Go(func() error { a.poll(ctx, monitor, state); return nil })
	return g.Wait()
}

func (a *App) ingestGroup() string { id, _ := Groups(a.cfg); return id }

// producer waits until the topics are there; nil without an error when ctx ended.
func (a *App) producer(ctx context.Context) (p *kafka.Producer, err error) {
	err = a.insist(ctx, "waiting for Kafka and the topics; `lockstitch topics apply` makes them", func() error {
		p, err = kafka.NewProducer(ctx, a.conn, a.topics, kafka.ProducerOptions{Now: a.opt.Now})
		return err
	}, func(error) bool { return false })
	return p, err
}

// insist calls try until it succeeds, ctx ends (nil), or an error is final.
func (a *App) insist(ctx context.Context, what string, try func() error, final func(error) bool) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := try()
		switch {
		case err == nil, ctx.Err() != nil:
			return nil
		case final(err):
			return err
		}
		a.log.Warn(what, "error", err, "again_in", wait)
		if pause(ctx, wait) != nil {
			return nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// store is the Redis state, which may not be there yet.
type store struct{ opened chan *redis.State }

// get returns the state; nil while it isn't there.
func (s store) get() *redis.State {
	select {
	case r := <-s.opened:
		s.opened <- r
		return r
	default:
		return nil
	}
}

// wait waits for the state; nil where ctx ended before.
func (s store) wait(ctx context.Context) *redis.State {
	select {
	case r := <-s.opened:
		s.opened <- r
		return r
	case <-ctx.Done():
		return nil
	}
}

// check tells /ready whether Redis answers and is fit.
func (s store) check(ctx context.Context) error {
	if r := s.get(); r != nil {
		return r.Check(ctx)
	}
	return errors.New("not reached since the start")
}

// open opens the state, waiting for Redis as long as it is away.
func (a *App) open(ctx context.Context, state store) error {
	opt, err := Redis(a.cfg)
	if err != nil {
		return err
	}
	opt.Embedded = a.opt.Embedded
	opt.Trouble = func(err error) { a.log.Warn("redis: in the background", "error", err) }
	final := func(err error) bool { return errors.Is(err, redis.ErrEviction) || errors.Is(err, redis.ErrEnvironment) }
	return a.insist(ctx, "waiting for Redis", func() error {
		s, err := redis.Open(ctx, opt)
		if err == nil {
			a.closers = append(a.closers, func() { _ = s.Close() })
			state.opened <- s
		}
		return err
	}, final)
}

// ingest reads the sources into the journal.
func (a *App) ingest(ctx context.Context, producer *kafka.Producer) error {
	in := kafka.Ingest{
		Conn: a.conn, ID: a.ingestGroup(), Sources: a.sources, Producer: producer, Trouble: a.metrics.IngestTrouble,
		Handle: func(_ context.Context, b kafka.Batch) ([]engine.Published, error) {
			began := time.Now()
			defer func() { a.metrics.Stage("decode", time.Since(began)) }()
			return a.journal.Records(b.TopicID, records(b)), nil
		},
	}
	return in.Run(ctx)
}

func records(b kafka.Batch) []wire.Record {
	recs := make([]wire.Record, len(b.Records))
	for i, r := range b.Records {
		recs[i] = wire.Record{
			Source: stitch.Source{Topic: b.Topic, Partition: b.Partition, Offset: r.Offset},
			Key:    r.Key, Value: r.Value, Headers: r.Headers, Arrival: r.Time, CheckAhead: true,
		}
	}
	return recs
}

// snapshotRate is the bytes that a partition's snapshot writes in a second at most.
const snapshotRate = 8 << 20

// process owns journal partitions, as the group assigns them.
func (a *App) process(ctx context.Context, producer *kafka.Producer, opened store, snapshots engine.Snapshots, sources engine.Sources) error {
	state := opened.wait(ctx)
	if state == nil {
		return nil
	}
	_, group := Groups(a.cfg)
	opt := engine.Options{
		Environment: a.cfg.Environment, Rules: a.cfg.Rules(),
		Batch: a.cfg.Process.Batch, Cache: a.cfg.Process.CacheEntities, Tick: time.Duration(a.cfg.Process.Tick),
		SnapshotEvery: time.Duration(a.cfg.Process.SnapshotEvery), SnapshotRate: snapshotRate,
		Nonce: rand.Text()[:12], Now: a.now, Wait: pause, Observe: observer{a.metrics, a.opt.Folded},
	}
	g := kafka.Group{
		Conn: a.conn, Topics: a.topics, ID: group, Environment: a.cfg.Environment, Producer: producer,
		Owner: func(ctx context.Context, p int32, log engine.Log) error {
			return a.metrics.Serve(ctx, p, func() error {
				return engine.NewOwner(p, log, state, snapshots, sources, opt).Run(ctx)
			})
		},
	}
	return g.Run(ctx)
}

// observer is the metrics, and who else wants to hear of batches.
type observer struct {
	*metrics.Metrics
	folded func(p int32, b engine.Batch)
}

func (o observer) Folded(p int32, b engine.Batch) {
	o.Metrics.Folded(p, b)
	if o.folded != nil {
		o.folded(p, b)
	}
}

// poll measures what must be asked for: lag and memory.
func (a *App) poll(ctx context.Context, monitor *kafka.Monitor, opened store) {
	readings := a.readings()
	for pause(ctx, 5*time.Second) == nil {
		if lags, err := monitor.Lag(ctx, readings...); err == nil {
			for _, l := range lags {
				a.metrics.Lag(l.Topic, l.Partition, l.Lag, l.End)
			}
		}
		state := opened.get()
		if state == nil {
			continue
		}
		if bytes, err := state.Memory(ctx); err == nil {
			a.metrics.RedisMemory(bytes)
		}
	}
}

func (a *App) readings() []kafka.Reading {
	ingest, process := Groups(a.cfg)
	return append(kafka.Readings(ingest, a.sources), kafka.Reading{Group: process, Topics: []string{a.topics.Journal}})
}

// Behind returns how many records are not yet ingested or not yet folded.
func (a *App) Behind(ctx context.Context, monitor *kafka.Monitor) (int64, error) {
	lags, err := monitor.Lag(ctx, a.readings()...)
	var n int64
	for _, l := range lags {
		n += l.Lag
	}
	if err != nil {
		return 0, fmt.Errorf("lag: %w", err)
	}
	return n, nil
}
