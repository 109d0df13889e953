package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lockstitch/pkg/app"
	"lockstitch/pkg/audit"
)

// auditFlags are what a person asks for.
type auditFlags struct {
	from, to string
	offsets  []string
	list     int
	json     bool
}

func (c *cli) audit() *cobra.Command {
	var flags auditFlags
	cmd := &cobra.Command{
		Use: "audit", Short: "Look whether each source record has exactly one outcome (exit code 1 on a loss or a conflict)", Args: noArgs,
		Long: `Audit reads sources, journal, sink, decisions and DLQ, and lists each source record
without an outcome (lost), with several (in conflict), and each output that stands
there twice as the same bytes (harmless). It may run beside live processes: what is
still under way counts as pending. It changes nothing. It takes 2 bytes of memory a
source record and 300 MiB, and 32 bytes an output record on disk (in $TMPDIR).

Without a range it looks at all that the sources hold. A time is RFC 3339 or how
long ago ("2h"), by the source records' time. Offsets are inclusive.`,
		Example: `  lockstitch audit --config lockstitch.yaml
  lockstitch audit --config lockstitch.yaml --from 2h
  lockstitch audit --config lockstitch.yaml --from 2026-11-25T00:00:00Z --to 2026-11-25T06:00:00Z --json
  lockstitch audit --config lockstitch.yaml --offsets events.app/0/100-200 --offsets events.web/3/5000-`,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runAudit(cmd, flags) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.from, "from", "", "source records from this time on")
	f.StringVar(&flags.to, "to", "", "source records before this time")
	f.StringArrayVar(&flags.offsets, "offsets", nil, "topic/partition/from-to: these alone (repeatable)")
	f.IntVar(&flags.list, "list", 20, "how many findings of each kind are listed; all are counted")
	f.BoolVar(&flags.json, "json", false, "print the report as JSON")
	return cmd
}

func (c *cli) runAudit(cmd *cobra.Command, flags auditFlags) error {
	opt, err := flags.options(time.Now())
	if err != nil {
		return usageError{err}
	}
	cfg, err := c.loadRemote()
	if err != nil {
		return err
	}
	progress, finish := c.progress("auditing", "records")
	opt.Progress = progress
	report, err := app.Audit(cmd.Context(), cfg, opt)
	finish()
	if err != nil {
		return err
	}
	if flags.json {
		enc := json.NewEncoder(c.out)
		enc.SetIndent("", "  ")
		err = enc.Encode(report)
	} else {
		err = report.Write(c.out)
	}
	if err == nil && !report.Clean() {
		err = fmt.Errorf("%d records lost, %d conflicts", report.Missing, report.Conflicts)
	}
	return err
}

// options are the flags as an audit takes them.
func (f auditFlags) options(now time.Time) (o audit.Options, err error) {
	o.List, o.Now = f.list, now
	if f.list < 1 {
		return o, errors.New("--list must be 1 or more")
	}
	if len(f.offsets) > 0 && f.from+f.to != "" {
		return o, errors.New("--offsets doesn't go with --from and --to")
	}
	if o.From, err = timeOf(f.from, now); err != nil {
		return o, fmt.Errorf("--from: %w", err)
	}
	if o.To, err = timeOf(f.to, now); err != nil {
		return o, fmt.Errorf("--to: %w", err)
	}
	if !o.From.IsZero() && !o.To.IsZero() && !o.From.Before(o.To) {
		return o, errors.New("--from must be before --to")
	}
	for _, text := range f.offsets {
		r, err := offsetsOf(text)
		if err != nil {
			return o, fmt.Errorf("--offsets %q: %w", text, err)
		}
		o.Offsets = append(o.Offsets, r)
	}
	return o, nil
}

// timeOf reads a time, or how long ago; "" is no time.
func timeOf(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%q is neither a time (2026-11-25T06:00:00Z) nor how long ago (2h)", text)
	}
	return t, nil
}

// offsetsOf reads topic/partition/from-to; without an end it is all that follows.
func offsetsOf(text string) (o audit.Offsets, err error) {
	bad := errors.New("want topic/partition/from-to, as in events.app/0/100-200")
	parts := strings.Split(text, "/")
	if len(parts) != 3 || parts[0] == "" {
		return o, bad
	}
	partition, err := strconv.ParseUint(parts[1], 10, 31)
	if err != nil {
		return o, bad
	}
	from, to, ok := strings.Cut(parts[2], "-")
	if !ok {
		return o, bad
	}
	o.Topic, o.Partition, o.To = parts[0], int32(partition), math.MaxInt64
	if o.From, err = strconv.ParseInt(from, 10, 64); err != nil || o.From < 0 {
		return o, bad
	}
	if to == "" {
		return o, nil
	}
	last, err := strconv.ParseInt(to, 10, 63)
	if err != nil || last < o.From {
		return o, bad
	}
	o.To = last + 1
	return o, nil
}
