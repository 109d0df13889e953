package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"

	"github.com/spf13/cobra"

	"lockstitch/pkg/app"
	"lockstitch/pkg/config"
	"lockstitch/pkg/engine"
	"lockstitch/pkg/feed"
	"lockstitch/pkg/report"
	"lockstitch/pkg/try"
	"lockstitch/stitch"
)

func (c *cli) try() *cobra.Command {
	var asJSON, strict bool
	cmd := &cobra.Command{
		Use: "try FILE…", Short: "Show what would come of events, without Kafka or Redis", Args: atLeastOne,
		Long: `Try runs the very ingest and fold of the product over lines of JSON:

  {"topic":"events.web","key":"a1","value":{…},"time":"2026-11-24T10:00:00Z"}

Line order is arrival order; key and time are optional; the configured prefix is put
before the topics. A value that is a JSON text is the record's bytes. A line without
time arrives with the line before it, so a file without times is a backlog in which
no hold runs out before the end. After the last line, time runs on until every hold
is settled. "-" reads standard input.

It prints each record with its outcome and the law that speaks there, then a
summary; with --json each output record as one line, in order.`,
		Example: `  lockstitch try events.jsonl
  lockstitch try --config lockstitch.yaml --strict events.jsonl   # test a tracking plan
  lockstitch try --json events.jsonl | jq 'select(.topic=="customerio.sink").value'`,
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			w := bufio.NewWriter(c.out)
			s, err := c.tryFiles(cfg, args, w, asJSON)
			if err != nil {
				return err
			}
			if err := w.Flush(); err != nil {
				return err
			}
			if n := s.Outcomes["quarantined"]; strict && n > 0 {
				return fmt.Errorf("%d of %d records were quarantined (--strict)", n, s.Records)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each output record as one line of JSON")
	cmd.Flags().BoolVar(&strict, "strict", false, "exit with 1 when a record was quarantined")
	return cmd
}

func (c *cli) tryFiles(cfg *config.Config, paths []string, w io.Writer, asJSON bool) (*report.Summary, error) {
	p, err := app.Plan(cfg)
	if err != nil {
		return nil, usageError{err}
	}
	in, err := app.Ingest(cfg, p)
	if err != nil {
		return nil, usageError{err}
	}
	var s report.Summary
	var show func(report.Record) error
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		show = func(r report.Record) error { return enc.Encode(r) }
	} else {
		table := report.NewTable(w)
		show = func(r report.Record) error { table.Add(r); return nil }
	}
	topics := app.Topics(cfg)
	err = try.Run(tryLines(prefixed(cfg, feed.Files(c.in, paths...))), try.Options{Ingest: in, Rules: cfg.Rules()}, func(o *stitch.Output) error {
		p := engine.Encode(o)
		r := report.Record{Topic: topics.Name(p.Topic), Key: string(p.Key), Value: p.Value, Headers: map[string]string{}}
		for _, h := range p.Headers {
			r.Headers[h.Key] = string(h.Value)
		}
		s.Add(r)
		return show(r)
	})
	if err != nil {
		return nil, err
	}
	s.Finish()
	if !asJSON {
		fmt.Fprintln(w)
		err = s.Write(w)
	}
	return &s, err
}

func tryLines(lines iter.Seq2[feed.Line, error]) iter.Seq2[try.Line, error] {
	return func(yield func(try.Line, error) bool) {
		for l, err := range lines {
			if !yield(try.Line(l), err) {
				return
			}
		}
	}
}
