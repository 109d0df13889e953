package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"lockstitch/pkg/config"
	"lockstitch/pkg/engine"
	"lockstitch/pkg/feed"
	"lockstitch/pkg/kafka"
	"lockstitch/pkg/report"
	"lockstitch/stitch/plan"
)

// Rehearsal runs the whole pipeline on embedded parts over recorded lines, to
// the end, and returns what it wrote. Holds and take-overs wait seconds instead
// of minutes; nothing else differs from production.
type Rehearsal struct {
	Config *config.Config
	Log    *slog.Logger
	Say    func(format string, args ...any) // progress, for people
	Hold   time.Duration                    // of orders
}

// Result is what a rehearsal read and wrote, each partition in order.
type Result struct {
	Sources []kafka.Record
	Outputs []kafka.Record // of sink, decisions and DLQ
	Took    time.Duration  // from the first record in to the last outcome
}

// Run does it.
func (d *Rehearsal) Run(ctx context.Context, lines iter.Seq2[feed.Line, error]) (*Result, error) {
	cfg := *d.Config
	cfg.Fold.TakeOverDelay = config.Duration(time.Second)
	cfg.Process.Tick = config.Duration(200 * time.Millisecond)
	local, stop, err := Embed(ctx, &cfg, true)
	if err != nil {
		return nil, err
	}
	defer stop()
	d.Say("Kafka at %s and Redis at %s, both inside this process; topics made", local.Kafka.Brokers[0], local.Redis.Addresses[0])
	p, err := d.plan(local)
	if err != nil {
		return nil, err
	}
	timers := &waiting{}
	a, err := New(Options{Config: local, Log: d.Log, Plan: p, Embedded: true, Folded: timers.folded})
	if err != nil {
		return nil, err
	}
	return d.through(ctx, a, timers, lines)
}

// plan is the configured plan with short holds.
func (d *Rehearsal) plan(cfg *config.Config) (*plan.Plan, error) {
	p, err := Plan(cfg)
	if err != nil {
		return nil, err
	}
	for _, e := range p.Events() {
		e.Hold = min(e.Hold, d.Hold)
	}
	return p, nil
}

// through runs the lines through a, and reads back what came out.
func (d *Rehearsal) through(ctx context.Context, a *App, timers *waiting, lines iter.Seq2[feed.Line, error]) (*Result, error) {
	rctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(rctx) }()
	began := time.Now()
	// The authorities' records come a moment after the others, as they do in a shop:
	// so there are orders that are held and then suppressed, whichever topic is read first.
	var others, authorities []feed.Line
	for l, err := range lines {
		switch {
		case err != nil:
			return nil, err
		case a.authority(l.Topic):
			authorities = append(authorities, l)
		default:
			others = append(others, l)
		}
	}
	if err := a.produce(ctx, others); err != nil {
		return nil, err
	}
	if err := a.folded(rctx, ended); err != nil {
		return nil, err
	}
	if err := a.produce(ctx, authorities); err != nil {
		return nil, err
	}
	d.Say("%d records produced; ingesting, folding, publishing …", len(others)+len(authorities))
	if err := a.settled(rctx, timers, ended); err != nil {
		return nil, err
	}
	r := &Result{Took: time.Since(began)}
	var err error
	if r.Sources, err = a.Inputs(ctx); err != nil {
		return nil, err
	}
	if r.Outputs, err = a.Outputs(ctx); err != nil {
		return nil, err
	}
	cancel()
	return r, <-ended
}

func (a *App) produce(ctx context.Context, lines []feed.Line) error {
	all := func(yield func(feed.Line, error) bool) {
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
	}
	_, err := feed.Produce(ctx, all, feed.Options{Brokers: a.cfg.Kafka.Brokers, MaxBytes: 12 << 20})
	return err
}

func (a *App) authority(topic string) bool {
	return slices.ContainsFunc(a.sources, func(s kafka.Source) bool { return s.Topic == topic && s.Authority })
}

// waiting counts the timers of each partition.
type waiting struct {
	mu sync.Mutex
	by map[int32]int
}

func (w *waiting) folded(p int32, b engine.Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = map[int32]int{}
	}
	w.by[p] = b.Timers
}

func (w *waiting) sum() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.by {
		n += t
	}
	return n
}

// settled waits until every record is folded and nothing waits any more.
func (a *App) settled(ctx context.Context, timers *waiting, ended <-chan error) error {
	monitor, err := kafka.NewMonitor(a.conn)
	if err != nil {
		return err
	}
	defer monitor.Close()
	quiet := 0
	return poll(ctx, ended, func() bool {
		behind, err := a.Behind(ctx, monitor)
		if quiet++; err != nil || behind > 0 || timers.sum() > 0 {
			quiet = 0
		}
		return quiet == 3
	})
}

// folded waits until all that is in the sources is ingested, and what is in the
// journal then is folded; ticks that come meanwhile may still be.
func (a *App) folded(ctx context.Context, ended <-chan error) error {
	monitor, err := kafka.NewMonitor(a.conn)
	if err != nil {
		return err
	}
	defer monitor.Close()
	for _, r := range a.readings() { // ingest's are first
		var ends []kafka.PartitionLag
		err := poll(ctx, ended, func() bool {
			now, err := monitor.Lag(ctx, r)
			if err != nil {
				return false
			}
			if ends == nil {
				ends = now
			}
			for i, l := range ends {
				if l.Lag > 0 && now[i].Committed < l.End {
					return false
				}
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// poll asks whether it is done, again and again.
func poll(ctx context.Context, ended <-chan error, done func() bool) error {
	for !done() {
		select {
		case err := <-ended:
			return fmt.Errorf("ended before the end: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// Inputs reads the sources from their start.
func (a *App) Inputs(ctx context.Context) ([]kafka.Record, error) {
	var topics []string
	for _, s := range a.sources {
		topics = append(topics, s.Topic)
	}
	return a.dump(ctx, topics...)
}

// Outputs reads sink, decisions and DLQ from their start.
func (a *App) Outputs(ctx context.Context) ([]kafka.Record, error) {
	return a.dump(ctx, a.topics.Sink, a.topics.Decisions, a.topics.DLQ)
}

// dump reads topics, one after the other, each partition after partition.
func (a *App) dump(ctx context.Context, topics ...string) (all []kafka.Record, err error) {
	for _, topic := range topics {
		for r, err := range kafka.Dump(ctx, a.conn, topic) {
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(x, y kafka.Record) int {
		return cmp.Or(cmp.Compare(slices.Index(topics, x.Topic), slices.Index(topics, y.Topic)), cmp.Compare(x.Partition, y.Partition))
	})
	return all, nil
}

// Tell prints what a rehearsal did: the summary, three worked examples, and
// where to look next.
func (r *Result) Tell(w io.Writer) error {
	var s report.Summary
	outputs := make([]report.Record, len(r.Outputs))
	for i, o := range r.Outputs {
		outputs[i] = report.Record{Topic: o.Topic, Key: string(o.Key), Value: o.Value, Headers: map[string]string{}}
		for _, h := range o.Headers {
			outputs[i].Headers[h.Key] = string(h.Value)
		}
		s.Add(outputs[i])
	}
	inputs := make(map[string][]byte, len(r.Sources))
	for _, in := range r.Sources {
		inputs[fmt.Sprintf("%s/%d/%d", in.Topic, in.Partition, in.Offset)] = in.Value
	}
	fmt.Fprintln(w)
	if err := s.Finish().Write(w); err != nil {
		return err
	}
	return report.Examples(w, outputs, inputs)
}
