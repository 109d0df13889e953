//go:build e2e

package main

import (
	"context"
	"fmt"
	"iter"
	"math"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/feed"
	"lockstitch/pkg/traffic"
)

// feeder writes generated traffic to the sources. `generate` itself gives up when a
// broker is away for half a minute; this one goes on.
type feeder struct {
	w     *world
	lines *traffic.Generator

	pace   atomic.Uint64 // float64: how many times the rate
	acked  atomic.Int64
	failed atomic.Pointer[error]
	stop   context.CancelFunc
	done   chan struct{}
}

// newFeeder makes one whose traffic ends about now: ingest refuses what lies in
// the future.
func newFeeder(w *world) *feeder {
	n := w.opt.records
	if w.opt.rate > 0 {
		n = int(float64(w.opt.rate) * w.opt.lasts.Seconds())
	}
	n += backlog
	people := min(max(n/40, 1000), 50_000)
	back := time.Duration(1.5 * float64(n) / (9 * float64(people)) * float64(time.Hour))
	f := &feeder{w: w, done: make(chan struct{}), lines: traffic.New(traffic.Options{
		Seed: w.opt.seed, People: people, Start: time.Now().Add(-time.Hour - back), Garbage: traffic.DefaultGarbage,
	})}
	f.times(1)
	return f
}

// times sets how many times the rate is fed: 0 is quiet.
func (f *feeder) times(x float64) { f.pace.Store(math.Float64bits(x)) }

// fill writes the next n lines as fast as it goes.
func (f *feeder) fill(ctx context.Context, n int) error {
	lines := func(yield func(feed.Line, error) bool) {
		for range n {
			if !yield(feed.Line(f.lines.Next()), nil) {
				return
			}
		}
	}
	total, err := feed.Produce(ctx, iter.Seq2[feed.Line, error](lines), feed.Options{Brokers: []string{f.w.kafka.Addr()}, MaxBytes: 12 << 20})
	f.acked.Add(total.Records)
	return err
}

// start feeds at a rate, records a second, until end. What a broker that is away
// doesn't take isn't made up for.
func (f *feeder) start(ctx context.Context, rate int) {
	ctx, f.stop = context.WithCancel(ctx)
	go func() {
		defer close(f.done)
		const perSecond = 50
		tick := time.NewTicker(time.Second / perSecond)
		defer tick.Stop()
		due := 0.0
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			for due += math.Float64frombits(f.pace.Load()) * float64(rate) / perSecond; due >= 1; due-- {
				f.produce(ctx, f.lines.Next())
			}
		}
	}()
}

// produce hands a line over. The record outlives ctx: it is in the client's buffer.
func (f *feeder) produce(ctx context.Context, l traffic.Line) {
	r := &kgo.Record{Topic: l.Topic, Value: l.Value}
	if l.Key != "" {
		r.Key = []byte(l.Key)
	}
	f.w.client.Produce(context.WithoutCancel(ctx), r, func(_ *kgo.Record, err error) {
		if err != nil {
			f.failed.Store(&err)
			return
		}
		f.acked.Add(1)
	})
}

// end stops feeding, and returns when all is acknowledged.
func (f *feeder) end(ctx context.Context) error {
	f.stop()
	<-f.done
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := f.w.client.Flush(ctx); err != nil {
		return fmt.Errorf("the sources' last records aren't acknowledged: %w", err)
	}
	if err := f.failed.Load(); err != nil {
		return fmt.Errorf("a source record wasn't acknowledged: %w", *err)
	}
	return nil
}
