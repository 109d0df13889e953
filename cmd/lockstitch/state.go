package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"lockstitch/pkg/app"
	"lockstitch/pkg/refold"
)

func (c *cli) state() *cobra.Command {
	cmd := &cobra.Command{
		Use: "state", Short: "Check, copy and rebuild what Redis remembers",
		Long: `What Redis holds of a journal partition is the fold of that partition, and can be
folded again. Processors do so by themselves where they find the state gone or
damaged; these commands are for a person who wants to know, or to be sure. All of
them may be used while processors run. Without partitions they take all.`,
	}
	group(cmd, c.stateCheck(), c.stateSnapshot(), c.stateRebuild())
	return cmd
}

// forState runs f for each of the partitions that were named, or all.
func (c *cli) forState(cmd *cobra.Command, args []string, doing string, f func(ctx context.Context, parts refold.Parts, p int32) error) error {
	cfg, err := c.loadRemote()
	if err != nil {
		return err
	}
	var wanted []int32
	for _, arg := range args {
		p, err := strconv.ParseUint(arg, 10, 31)
		if err != nil {
			return usageError{fmt.Errorf("%q is no journal partition: write its number", arg)}
		}
		wanted = append(wanted, int32(p))
	}
	ctx := cmd.Context()
	parts, done, err := app.State(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer done()
	n, err := parts.Journal.Partitions(ctx)
	if err != nil {
		return err
	}
	for p := int32(0); len(args) == 0 && p < n; p++ {
		wanted = append(wanted, p)
	}
	progress, finish := c.progress(doing, "records")
	defer finish()
	parts.Progress = func(_ int32, at, to int64) { progress(at, to) }
	for _, p := range wanted {
		if p >= n {
			return usageError{fmt.Errorf("there is no journal partition %d: the journal has %d", p, n)}
		}
		if err := f(ctx, parts, p); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) stateCheck() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "check [PARTITION…]", Short: "Is Redis the fold of the journal? (exit code 1 where it isn't)", Args: cobra.ArbitraryArgs,
		Long: `Check folds each partition afresh in memory, from the newest whole snapshot or from
the journal's start, and compares Redis with it byte for byte, each page of the
state at the offset at which it was read. It needs as much memory as the partition
takes in Redis. IDs are not shown: a difference is a kind of entity and its page.`,
		Example: `  lockstitch state check --config lockstitch.yaml
  lockstitch state check --config lockstitch.yaml --json 0 7`,
		RunE: func(cmd *cobra.Command, args []string) error {
			wrong := 0
			err := c.forState(cmd, args, "checking", func(ctx context.Context, parts refold.Parts, p int32) error {
				r, err := parts.Check(ctx, p)
				switch {
				case errors.Is(err, refold.ErrNoState):
					r.Count, r.Differ = 1, append(r.Differ, refold.Diff{What: "state", Page: -1, How: "missing"})
				case err != nil:
					return err
				}
				if r.Count > 0 {
					wrong++
				}
				return c.checked(r, asJSON)
			})
			if err == nil && wrong > 0 {
				err = fmt.Errorf("%d partitions differ from their journal: `lockstitch state rebuild` folds them again; docs/runbook.md says how to find out why", wrong)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a line of JSON for each partition")
	return cmd
}

func (c *cli) checked(r refold.Result, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(c.out).Encode(r)
	}
	verdict := "as the journal says"
	if r.Count > 0 {
		verdict = fmt.Sprintf("%d DIFFER", r.Count)
	}
	fmt.Fprintf(c.out, "partition %3d at %10d: %8d entities, %s\n", r.Partition, r.At, r.Entities, verdict)
	for _, d := range r.Differ {
		fmt.Fprintf(c.out, "  %s: %s, page %d\n", d.How, d.What, d.Page)
	}
	return nil
}

func (c *cli) stateSnapshot() *cobra.Command {
	return &cobra.Command{
		Use: "snapshot [PARTITION…]", Short: "Write a snapshot now, folded afresh from the journal", Args: cobra.ArbitraryArgs,
		Long: `Snapshot folds each partition in memory up to the committed offset and writes that
state as a whole snapshot, from which a rebuild can begin. It doesn't look at Redis's
state. Processors take snapshots by themselves (process.snapshot_every).`,
		Example: "  lockstitch state snapshot --config lockstitch.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.forState(cmd, args, "folding", func(ctx context.Context, parts refold.Parts, p int32) error {
				done, err := parts.Snapshot(ctx, p)
				if errors.Is(err, refold.ErrNothing) {
					fmt.Fprintf(c.out, "partition %3d: nothing is folded yet\n", p)
					return nil
				}
				if err == nil {
					fmt.Fprintf(c.out, "partition %3d: snapshot at %d, %d entities, in %s\n", p, done.At, done.Entities, done.Took.Round(time.Millisecond))
				}
				return err
			})
		},
	}
}

func (c *cli) stateRebuild() *cobra.Command {
	return &cobra.Command{
		Use: "rebuild PARTITION…", Short: "Give the state up and have a processor fold it again", Args: atLeastOne,
		Long: `Rebuild marks the state of the partitions as given up. The processor that owns one
notices, begins a new state with the newest whole snapshot or at the journal's
start, and folds it silently up to the committed offset: nothing is published
twice. It is refused where neither reaches into the journal. Where no processor
runs, the next one does it. The command waits and shows how far it is; stopping it
stops only the waiting.`,
		Example: "  lockstitch state rebuild --config lockstitch.yaml 7",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.forState(cmd, args, "rebuilding", func(ctx context.Context, parts refold.Parts, p int32) error {
				from, to, err := parts.Rebuild(ctx, p)
				if err != nil {
					return err
				}
				fmt.Fprintf(c.out, "partition %3d: given up; a processor folds [%d, %d) again\n", p, from, to)
				if err := awaitRebuilt(ctx, parts, p, to); err != nil {
					return err
				}
				fmt.Fprintf(c.out, "partition %3d: rebuilt\n", p)
				return nil
			})
		},
	}
}

// awaitRebuilt waits until a processor has folded partition p up to offset to.
func awaitRebuilt(ctx context.Context, parts refold.Parts, p int32, to int64) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		at, err := parts.Rebuilt(ctx, p)
		if err != nil {
			return err
		}
		parts.Progress(p, max(at, 0), to)
		if at >= max(to, 0) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("partition %d is given up and not rebuilt yet: the next processor does it", p)
		}
	}
}
