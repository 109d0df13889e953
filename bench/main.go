//go:build e2e

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"lockstitch/e2e/parts"
)

// Children get a parent-death signal, which the kernel sends when the thread that
// started them ends. The main thread never ends before the process does, so main
// keeps it, and starts them all.
func init() { runtime.LockOSThread() }

var began = time.Now()

// options are the flags.
type options struct {
	records int
	rounds  int
	rate    float64
	low     int
	json    bool
	profile string
}

func flags() (o options) {
	flag.IntVar(&o.records, "records", 300_000, "generated records in the sources")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds, each a bare copy, a copy in two hops, and the full job")
	flag.Float64Var(&o.rate, "rate", 200, "records a second of the round that measures latency")
	flag.IntVar(&o.low, "low", 3000, "records of the round that measures latency")
	flag.BoolVar(&o.json, "json", false, "print the result as JSON")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of lockstitch in the last round's full job to this file")
	flag.Parse()
	return o
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, flags())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	if o.records < 1 || o.rounds < 1 || o.rate <= 0 || o.low < 1 {
		return errors.New("--records, --rounds, --rate and --low must be positive")
	}
	if err := parts.Missing(); err != nil {
		return fmt.Errorf("the benchmark needs real parts:\n%w", err)
	}
	dir, err := os.MkdirTemp("", "lockstitch-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w, err := start(ctx, dir)
	if err != nil {
		return err
	}
	defer w.close()
	r, err := w.measure(ctx, o)
	if err != nil {
		return err
	}
	return r.print(os.Stdout, o.json)
}

// measure takes all measurements in turns.
func (w *world) measure(ctx context.Context, o options) (*result, error) {
	r := &result{Records: o.records, Rate: o.rate, Cores: runtime.NumCPU()}
	say("%d records into the sources …", o.records)
	if err := w.fill(ctx, o.records); err != nil {
		return nil, err
	}
	n, err := w.warm(ctx)
	if err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	for i := range o.rounds {
		last := i == o.rounds-1
		if err := w.round(ctx, o, fmt.Sprint("r", n+i), fmt.Sprint("round ", i+1), last, r); err != nil {
			return nil, fmt.Errorf("round %d: %w", i+1, err)
		}
	}
	return r, nil
}

// maxWarm is how many rounds may warm the broker up.
const maxWarm = 10

// warm takes rounds that don't count, and returns how many. The broker compiles
// itself while it runs, and there is far more of it in the job's way than in a
// copy's: it is warm when its CPU time for a record of the job was, two rounds in
// a row, no more than a tenth below the least before.
func (w *world) warm(ctx context.Context) (n int, err error) {
	least, steady := math.Inf(1), 0
	for ; n < maxWarm && steady < 2; n++ {
		var r result
		if err := w.round(ctx, options{}, fmt.Sprint("r", n), "warming up", false, &r); err != nil {
			return n, err
		}
		now := median(r.CPU["full job, kafka"])
		if steady++; now < 0.9*least {
			steady = 0
		}
		least = min(least, now)
	}
	return n, nil
}

// round is one turn of each. After the last one's full job, latency is measured.
func (w *world) round(ctx context.Context, o options, name, label string, last bool, r *result) error {
	one, err := w.copy(ctx, name, 1)
	if err != nil {
		return fmt.Errorf("bare copy: %w", err)
	}
	two, err := w.copy(ctx, name, 2)
	if err != nil {
		return fmt.Errorf("bare copy in two hops: %w", err)
	}
	j, err := w.startJob(ctx, name)
	if err != nil {
		return err
	}
	defer j.stop()
	profile := ""
	if last {
		profile = o.profile
	}
	full, err := j.backlog(ctx, profile)
	if err != nil {
		return fmt.Errorf("full job: %w", err)
	}
	say("%s: copy %.0f/s, two hops %.0f/s, full job %.0f/s", label, one.rate(), two.rate(), full.rate())
	r.add(one, two, full)
	if last {
		say("latency at %.0f records/s …", o.rate)
		r.Latency, err = j.latency(ctx, o.low, o.rate)
	}
	return err
}

// say tells on stderr what goes on, so that stdout is the result alone.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%5.1f s  "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...)
}
