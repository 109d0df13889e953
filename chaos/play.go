//go:build e2e

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"lockstitch/chaos/faults"
	"lockstitch/pkg/kafka"
)

// backlog is what the top speed is measured with, records.
const backlog = 150_000

// warmUp measures how fast a backlog is worked off by all processes, and so says
// what half of the top speed is.
func (w *world) warmUp(ctx context.Context, r *result) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := w.feed.fill(ctx, backlog); err != nil {
		return err
	}
	from := time.Now()
	if err := w.startAll(); err != nil {
		return err
	}
	if err := w.worked(ctx, &from); err != nil {
		return err
	}
	r.Top = int(backlog / time.Since(from).Seconds())
	r.Rate = w.opt.rate
	if r.Rate == 0 {
		most := max(1, int(float64(w.opt.records)/w.opt.lasts.Seconds()))
		r.Rate = min(r.Top/2, most)
	}
	say("%d records/s at most by %d processes, fed are %d/s", r.Top, w.opt.processes, r.Rate)
	return nil
}

// chain is how many entities a record may go through, one after the other: order,
// device, customer, address, customer.
const chain = 5

// worked waits until all that is there is ingested, and what came of it is folded;
// from is set to when the first of it was.
func (w *world) worked(ctx context.Context, from *time.Time) error {
	monitor, err := kafka.NewMonitor(w.conn())
	if err != nil {
		return err
	}
	defer monitor.Close()
	begun := false
	for lap := range chain {
		var goal map[string]int64
		err := until(ctx, 5*time.Minute, "the backlog is worked off", func(ctx context.Context) (bool, error) {
			lags, err := monitor.Lag(ctx, w.groups...)
			if err != nil {
				return false, err
			}
			if goal == nil {
				goal = map[string]int64{}
				for _, l := range lags {
					goal[fmt.Sprint(l.Topic, l.Partition)] = l.End
				}
			}
			behind := false
			for _, l := range lags {
				behind = behind || l.Committed < goal[fmt.Sprint(l.Topic, l.Partition)]
				if !begun && l.Committed > 0 {
					begun, *from = true, time.Now()
				}
			}
			return !behind, nil
		})
		if err != nil {
			return fmt.Errorf("hop %d: %w", lap+1, err)
		}
	}
	return nil
}

// chaos carries the plan out until its time is over. An outage takes a step's place.
func (w *world) chaos(ctx context.Context, r *result) error {
	ctx, stop := context.WithCancelCause(ctx)
	w.wrong.stops(stop)
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() { w.watch.run(watching) })
	w.stopWatch = func() { unwatch(); watch.Wait() }
	w.feed.start(ctx, r.Rate)
	from := time.Now()
	outages := 0
	for step := range faults.Plan(w.opt.seed) {
		passed := time.Since(from)
		if passed > w.opt.lasts || ctx.Err() != nil {
			break
		}
		if n := len(faults.Outages); outages < n && passed > w.opt.lasts*time.Duration(outages+1)/time.Duration(n+1) {
			step = faults.Step{Faults: []faults.Fault{{Kind: faults.Outages[outages]}}}
			outages++
		}
		if err := w.step(ctx, step, r); err != nil {
			w.stopWatch()
			return err
		}
		_ = wait(ctx, step.Pause)
		if !w.waited { // at rest, after a backlog, nothing may wait any more
			_, _ = w.nothingWaits(ctx)
		}
	}
	r.Lasted = time.Since(from)
	if err := context.Cause(ctx); err != nil {
		w.stopWatch()
		return fmt.Errorf("ended early: %w", err)
	}
	return nil
}

// step carries one step's faults out at the same time.
func (w *world) step(ctx context.Context, step faults.Step, r *result) error {
	var names []string
	for _, f := range step.Faults {
		names = append(names, f.Kind.Name)
		r.count(f.Kind.Name)
	}
	r.Faults += len(names)
	text := fmt.Sprintf("%d. %s", r.Faults, strings.Join(names, " + "))
	say("%s", text)
	w.watch.begin(text, names...)
	errs := make([]error, len(names))
	var all sync.WaitGroup
	for i, f := range step.Faults {
		all.Go(func() {
			w.watch.takes(f, 1)
			defer w.watch.takes(f, -1)
			errs[i] = actions[f.Kind.Name](w, ctx, f)
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return nil
}

// comeToRest stops feeding and waits until everything is ingested, folded and
// committed, and nothing waits any more.
func (w *world) comeToRest(ctx context.Context, r *result) error {
	defer w.stopWatch()
	from := time.Now()
	w.watch.begin("coming to rest")
	say("feeding ends after %d faults; coming to rest …", r.Faults)
	if err := errors.Join(w.feed.end(ctx), w.startAll()); err != nil {
		return err
	}
	monitor, err := kafka.NewMonitor(w.conn())
	if err != nil {
		return err
	}
	defer monitor.Close()
	ctx, stop := context.WithCancelCause(ctx)
	w.wrong.stops(stop)
	err = until(ctx, 15*time.Minute, "all has come to rest", func(ctx context.Context) (bool, error) {
		if ok, err := w.caughtUp(ctx, monitor); !ok || err != nil {
			return false, err
		}
		return w.nothingWaits(ctx)
	})
	w.wrong.stops(nil)
	if !w.waited {
		w.wrong.add("nothing ever waited: are the keys of timers others, or the traffic without orders?")
	}
	r.Rest = time.Since(from)
	return err
}

func (w *world) caughtUp(ctx context.Context, monitor *kafka.Monitor) (bool, error) {
	lags, err := monitor.Lag(ctx, w.groups...)
	if err != nil {
		return false, err
	}
	for _, l := range lags {
		if l.Lag > 0 {
			return false, fmt.Errorf("%s/%d is %d behind", l.Topic, l.Partition, l.Lag)
		}
	}
	return true, nil
}

// nothingWaits: no timers, and each state stands at its journal's end.
func (w *world) nothingWaits(ctx context.Context) (bool, error) {
	for p := range int32(partitions) {
		_, end, _, err := w.parts.Journal.Bounds(ctx, p)
		if err != nil {
			return false, err
		}
		head, ok, err := w.parts.State.Head(ctx, p)
		if err != nil {
			return false, err
		}
		timers, err := w.direct.HLen(ctx, fmt.Sprintf("%slockstitch:{%d}:%s:t", w.cfg.Prefix, p, head.Generation)).Result()
		if err != nil {
			return false, err
		}
		w.waited = w.waited || timers > 0
		if end > 0 && !ok || head.Applied != end && end > 0 || timers > 0 {
			return false, fmt.Errorf("journal partition %d: %d timers, the state at %d of %d", p, timers, head.Applied, end)
		}
	}
	return true, nil
}
