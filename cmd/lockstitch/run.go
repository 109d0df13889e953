package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"lockstitch/pkg/app"
	"lockstitch/pkg/config"
	"lockstitch/pkg/feed"
	"lockstitch/testdata/samples"
)

var errNoBrokers = errors.New("no Kafka is configured: set kafka.brokers and redis.addresses in the file given with --config; " +
	"`lockstitch dev` prints such a file for its own")

func (c *cli) run() *cobra.Command {
	var only string
	cmd := &cobra.Command{
		Use: "run", Short: "Run ingest and processors until stopped", Args: noArgs,
		Long: `Run reads the source topics into the journal (ingest), and folds the journal's
partitions that it is assigned into the sink, the decisions and the DLQ (process).
Start as many as you like; they share the work. It waits for Kafka and Redis as
long as they are away, and stops within 10 s of SIGTERM.`,
		Example: `  lockstitch run --config lockstitch.yaml
  lockstitch run --config lockstitch.yaml --only process`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if only != "" && only != "ingest" && only != "process" {
				return usageError{fmt.Errorf("--only %q: want ingest or process", only)}
			}
			cfg, err := c.load()
			if err != nil {
				return err
			}
			o := app.Options{Config: cfg, Log: c.logger(cfg), NoIngest: only == "process", NoProcess: only == "ingest"}
			return c.serve(cmd.Context(), o, func(*config.Config) {})
		},
	}
	cmd.Flags().StringVar(&only, "only", "", "run one side: ingest or process")
	return cmd
}

// serve runs the app, on embedded parts where no other are configured; started
// hears how these are reached.
func (c *cli) serve(ctx context.Context, o app.Options, started func(local *config.Config)) error {
	if o.Config.IsEmbedded() {
		fmt.Fprintf(c.errs, "Embedded Kafka and Redis, data under %s: for development, not for production.\n", o.Config.Embedded.Dir)
		local, stop, err := app.Embed(ctx, o.Config, false)
		if err != nil {
			return err
		}
		defer stop()
		fmt.Fprintf(c.errs, "Kafka at %s, Redis at %s.\n", local.Kafka.Brokers[0], local.Redis.Addresses[0])
		started(local)
		o.Config, o.Embedded = local, true
	}
	a, err := app.New(o)
	if err != nil {
		return usageError{err}
	}
	return a.Run(ctx)
}

func (c *cli) dev() *cobra.Command {
	return &cobra.Command{
		Use: "dev", Short: "Run everything on an embedded Kafka and Redis", Args: noArgs,
		Long: `Dev starts a Kafka and a Redis inside this process, on ports that other programs
can use, makes the topics, and runs Lockstitch on them until stopped. Kafka's data
stays under embedded.dir; the state is folded again from the journal at each start.
It is for development, not for production.`,
		Example: `  lockstitch dev
  # in another terminal, with what dev printed in local.yaml:
  lockstitch generate --config local.yaml --rate 20`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			if !cfg.IsEmbedded() {
				return usageError{errors.New("dev is for the embedded parts, and the configuration names others: use `lockstitch run`")}
			}
			return c.serve(cmd.Context(), app.Options{Config: cfg, Log: c.logger(cfg)}, c.tellLocal)
		},
	}
}

// tellLocal prints the configuration by which others reach the embedded parts;
// alone on standard output, so that it can be kept in a file.
func (c *cli) tellLocal(local *config.Config) {
	fmt.Fprintf(c.errs, "Other commands reach them with this configuration (--config):\n\n")
	fmt.Fprintf(c.out, "kafka: {brokers: %q}\nredis: {addresses: %q}\nreplication: %d\njournal_partitions: %d\n",
		local.Kafka.Brokers[0], local.Redis.Addresses[0], local.Replication, local.JournalPartitions)
}

func (c *cli) demo() *cobra.Command {
	return &cobra.Command{
		Use: "demo", Short: "See real SDK traffic become one clean stream, in seconds", Args: noArgs,
		Long: `Demo runs the whole pipeline on an embedded Kafka and Redis, over what eleven real
SDKs posted (testdata/samples), to the end, and tells what happened. Nothing is
left behind. Orders are held for 2 s here instead of 10 min.`,
		Example: "  lockstitch demo",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := app.Rehearsal{
				Config: config.Default(), Log: slog.New(slog.DiscardHandler), Hold: 2 * time.Second,
				Say: func(format string, args ...any) { fmt.Fprintf(c.out, format+"\n", args...) },
			}
			r, err := d.Run(cmd.Context(), samplesLines())
			if err != nil {
				return err
			}
			fmt.Fprintf(c.out, "%d records in, %d out, in %.1f s\n", len(r.Sources), len(r.Outputs), r.Took.Seconds())
			if err := r.Tell(c.out); err != nil {
				return err
			}
			_, err = fmt.Fprint(c.out, `
Where to look next
  lockstitch try testdata/samples/shop.jsonl | less   each record, its outcome and the law
  lockstitch try --json testdata/samples/clients.jsonl | head   the records themselves
  lockstitch dev                                      the same on ports of your machine
  docs/promises.md                                    the laws
`)
			return err
		},
	}
}

// samplesLines are the recorded SDK traffic, file after file.
func samplesLines() iter.Seq2[feed.Line, error] {
	return func(yield func(feed.Line, error) bool) {
		for _, name := range []string{"shop.jsonl", "clients.jsonl"} {
			f, err := samples.Files.Open(name)
			if err != nil {
				yield(feed.Line{}, err)
				return
			}
			for l, err := range feed.Lines(name, f) {
				if !yield(l, err) {
					return
				}
			}
			_ = f.Close()
		}
	}
}

// isTerminal reports whether w is a terminal, where progress may be drawn.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
