//go:build e2e

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"lockstitch/chaos/faults"
	"lockstitch/e2e/parts"
)

var began = time.Now()

// options are the flags.
type options struct {
	lasts     time.Duration
	seed      uint64
	processes int
	rate      int
	records   int
	json      bool
}

func flags() (o options) {
	flag.DurationVar(&o.lasts, "for", 5*time.Minute, "how long things break")
	flag.Uint64Var(&o.seed, "seed", 0, "of the faults and the traffic (0: a new one, which is printed)")
	flag.IntVar(&o.processes, "processes", 3, "how many `lockstitch run` share the work")
	flag.IntVar(&o.rate, "rate", 0, "records a second (0: half of the top speed, as measured first, within --records)")
	flag.IntVar(&o.records, "records", 3_000_000, "without --rate: records in all, at most, so that judging them doesn't take for ever")
	flag.BoolVar(&o.json, "json", false, "print the result as JSON")
	flag.Parse()
	if o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000) + 1
	}
	return o
}

func (o options) check() error {
	if o.lasts <= 0 || o.processes < 2 || o.rate < 0 || o.records < 1 {
		return errors.New("--for and --records must be positive, --processes at least 2, --rate not below 0")
	}
	for _, k := range append(slices.Clone(faults.Kinds), faults.Outages...) {
		if actions[k.Name] == nil {
			return fmt.Errorf("nobody knows how to do this: %s", k.Name)
		}
	}
	if err := parts.Missing(); err != nil {
		return fmt.Errorf("chaos needs real parts:\n%w", err)
	}
	return nil
}

func main() {
	slog.SetDefault(quiet) // parts that are away are meant to be
	o := flags()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "chaos: seed %d: %v\n", o.seed, err)
		os.Exit(1)
	}
}

// run makes a world, breaks it, and judges it. Its folder stays where anything
// was wrong.
func run(ctx context.Context, o options) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "lockstitch-chaos-")
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = os.RemoveAll(dir)
		} else {
			fmt.Fprintln(os.Stderr, "kept:", dir)
		}
	}()
	say("seed %d, in %s", o.seed, dir)
	w, err := newWorld(ctx, dir, o)
	if err != nil {
		return err
	}
	defer w.close()
	r, err := w.play(ctx)
	if err != nil {
		w.wrong.add("it couldn't be played to its end: %v", err)
	}
	w.watch.tell(r)
	if err := w.logged(r); err != nil {
		return err
	}
	r.Violations = w.wrong.all()
	if err := r.print(os.Stdout, o.json); err != nil {
		return err
	}
	if n := len(r.Violations); n > 0 {
		return fmt.Errorf("%d violations", n)
	}
	return nil
}

// play is the whole run. The result has what is known also where it fails.
func (w *world) play(ctx context.Context) (*result, error) {
	r := &result{Seed: w.opt.seed, Processes: w.opt.processes}
	if err := w.warmUp(ctx, r); err != nil {
		return r, fmt.Errorf("warming up: %w", err)
	}
	if err := w.chaos(ctx, r); err != nil {
		return r, err
	}
	if err := w.comeToRest(ctx, r); err != nil {
		return r, err
	}
	w.stopAll()
	return r, w.judge(ctx, r)
}

// wrongs are the violations.
type wrongs struct {
	mu    sync.Mutex
	texts []string
	told  func(error) // ends the run
}

func (w *wrongs) add(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	say("VIOLATION: %s", text)
	w.mu.Lock()
	w.texts = append(w.texts, text)
	told := w.told
	w.mu.Unlock()
	if told != nil {
		told(errors.New(strings.SplitN(text, "\n", 2)[0]))
	}
}

func (w *wrongs) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{}, w.texts...)
}

// stops has told called at the next violation.
func (w *wrongs) stops(told func(error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = told
}

// say tells on stderr what goes on, so that stdout is the result alone.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1f s  "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...)
}

// wait waits; an error is that of a context that ended before.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// until waits for a condition; an error of is tells why it isn't so yet.
func until(ctx context.Context, d time.Duration, what string, is func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for {
		ok, err := is(ctx)
		if ok {
			return nil
		}
		if stop := wait(ctx, 50*time.Millisecond); stop != nil {
			return fmt.Errorf("waited %v until %s: %w (%v)", d, what, stop, err)
		}
	}
}
