package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"lockstitch/pkg/app"
	"lockstitch/pkg/config"
	"lockstitch/pkg/feed"
	"lockstitch/pkg/traffic"
)

func (c *cli) produce() *cobra.Command {
	var rate float64
	cmd := &cobra.Command{
		Use: "produce FILE…", Short: "Write lines of JSON to the source topics", Args: atLeastOne,
		Long: `Produce writes lines {"topic","key","value"} to Kafka, keys to partitions as all
other producers do (murmur2). The configured prefix is put before the topics. "-"
reads standard input.`,
		Example: `  lockstitch produce --config lockstitch.yaml testdata/samples/shop.jsonl
  lockstitch produce --config lockstitch.yaml --rate 100 events.jsonl`,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := c.loadRemote()
			if err != nil {
				return err
			}
			return c.write(cmd.Context(), cfg, feed.Files(c.in, args...), rate, -1)
		},
	}
	cmd.Flags().Float64Var(&rate, "rate", 0, "records a second at most (0: as fast as it goes)")
	return cmd
}

func (c *cli) generate() *cobra.Command {
	var (
		rate          float64
		count, people int
		seed          uint64
		garbage       float64
		print         bool
	)
	cmd := &cobra.Command{
		Use: "generate", Short: "Make endless shop traffic: people, logins, orders, re-sends", Args: noArgs,
		Long: `Generate makes the traffic of a shop as real SDKs send it, the same for the same
seed: anonymous visits, logins, shared devices, orders in both copies, re-sends,
late events, push tokens and garbage. It writes to the source topics until stopped,
or prints lines with --print.`,
		Example: `  lockstitch generate --config lockstitch.yaml --rate 50
  lockstitch generate --print --count 1000 | lockstitch try -`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if count < 0 || rate < 0 || people < 1 || garbage < 0 || garbage > 1 {
				return usageError{errors.New("--count and --rate are 0 or more, --people 1 or more, --garbage a share from 0 to 1")}
			}
			g := traffic.New(traffic.Options{Seed: seed, People: people, Garbage: garbage})
			lines := take(g, count)
			if print {
				return c.print(lines)
			}
			cfg, err := c.loadRemote()
			if err != nil {
				return err
			}
			return c.write(cmd.Context(), cfg, lines, rate, int64(count))
		},
	}
	f := cmd.Flags()
	f.Float64Var(&rate, "rate", 10, "records a second at most (0: as fast as it goes)")
	f.IntVar(&count, "count", 0, "how many records (0: until stopped)")
	f.IntVar(&people, "people", traffic.DefaultPeople, "how many people shop at the same time")
	f.Uint64Var(&seed, "seed", 1, "other seeds make other people, IDs and orders")
	f.Float64Var(&garbage, "garbage", 0.002, "share of unusable records, 0 to 1")
	f.BoolVar(&print, "print", false, "print lines of JSON instead of writing to Kafka")
	return cmd
}

// take is the generator's first n lines, all for 0.
func take(g *traffic.Generator, n int) iter.Seq2[feed.Line, error] {
	return func(yield func(feed.Line, error) bool) {
		for i := 0; n == 0 || i < n; i++ {
			if !yield(feed.Line(g.Next()), nil) {
				return
			}
		}
	}
}

func (c *cli) print(lines iter.Seq2[feed.Line, error]) error {
	w := bufio.NewWriter(c.out)
	var b []byte
	for l, err := range lines {
		if err != nil {
			return err
		}
		if b, err = feed.Append(b[:0], l); err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return w.Flush()
}

// write produces the lines with a progress bar and tells the rate at the end.
func (c *cli) write(ctx context.Context, cfg *config.Config, lines iter.Seq2[feed.Line, error], rate float64, expect int64) error {
	conn, err := app.Conn(cfg)
	if err != nil {
		return usageError{err}
	}
	transport, err := conn.Transport()
	if err != nil {
		return usageError{err}
	}
	if expect <= 0 {
		expect = -1
	}
	opt := feed.Options{Brokers: cfg.Kafka.Brokers, Transport: transport, Rate: rate, MaxBytes: 12 << 20}
	if isTerminal(c.errs) {
		bar := progressbar.NewOptions64(expect, progressbar.OptionSetWriter(c.errs), progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("records"), progressbar.OptionSetDescription("producing"), progressbar.OptionClearOnFinish())
		opt.Progress = func(records, _ int64) { _ = bar.Set64(records) }
		defer func() { _ = bar.Finish() }()
	}
	began := time.Now()
	total, err := feed.Produce(ctx, prefixed(cfg, lines), opt)
	took := time.Since(began)
	fmt.Fprintf(c.out, "%d records (%.1f MB) acknowledged in %s, %.0f records/s\n",
		total.Records, float64(total.Bytes)/1e6, took.Round(time.Millisecond), float64(total.Records)/took.Seconds())
	if errors.Is(err, context.Canceled) {
		return nil // stopped by the person who started it
	}
	return err
}

func prefixed(cfg *config.Config, lines iter.Seq2[feed.Line, error]) iter.Seq2[feed.Line, error] {
	return func(yield func(feed.Line, error) bool) {
		for l, err := range lines {
			l.Topic = cfg.Prefixed(l.Topic)
			if !yield(l, err) {
				return
			}
		}
	}
}
