//go:build e2e

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"lockstitch/chaos/faults"
	"lockstitch/chaos/ledger"
)

// result is what a run did and found.
type result struct {
	Seed      uint64        `json:"seed"`
	Processes int           `json:"processes"`
	Top       int           `json:"top_records_per_second"`
	Rate      int           `json:"fed_records_per_second"`
	Lasted    time.Duration `json:"lasted_ns"`
	Rest      time.Duration `json:"rest_ns"`   // from the end of feeding until nothing was left to do
	Judged    time.Duration `json:"judged_ns"` // how long judging took

	Faults int            `json:"faults"`
	Kinds  map[string]int `json:"kinds"`

	Records        int64            `json:"source_records"`
	Outcomes       map[string]int64 `json:"outcomes"`
	JournalRecords int64            `json:"journal_records"` // ticks, rules and repeats too
	OutputRecords  int64            `json:"output_records"`  // of sink, decisions and DLQ, repeats too
	Outputs        int64            `json:"outputs"`         // repeats dropped
	Doubled        int64            `json:"doubled"`         // repeats among them, as audit counts
	Entities       int64            `json:"entities"`        // of the state

	Different       ledger.Difference `json:"different"` // from ingest and a sequential fold: journal and outputs
	JournalMessages int64             `json:"journal_messages"`

	TakeOvers      int64   `json:"take_overs"`
	SilentCatchUps int64   `json:"silent_catch_ups"`
	SilentRecords  int64   `json:"silent_records"`
	Rebuilds       int64   `json:"rebuilds"`
	FromSnapshots  int64   `json:"rebuilds_from_snapshots"`
	Figures        figures `json:"metrics"` // as each process was last asked

	Longest    map[string]pause         `json:"longest_pause"` // by topic
	ByKind     map[string]time.Duration `json:"longest_pause_by_kind_ns"`
	Violations []string                 `json:"violations"`
}

func (r *result) count(kind string) {
	if r.Kinds == nil {
		r.Kinds = map[string]int{}
	}
	r.Kinds[kind]++
}

// tell copies what was seen into the result.
func (w *watch) tell(r *result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.Longest, r.ByKind = maps.Clone(w.longest), maps.Clone(w.byKind)
	for _, s := range w.w.slots {
		s.mu.Lock()
		r.Figures.add(s.past)
		s.mu.Unlock()
	}
}

// print writes the result for people, or as JSON.
func (r *result) print(out io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "fault\ttimes\tlongest pause of a partition that began in it\n")
	for _, k := range faults.Kinds {
		if n := r.Kinds[k.Name]; n > 0 {
			fmt.Fprintf(t, "%s\t%d\t%.1f s\n", k.Name, n, r.ByKind[k.Name].Seconds())
		}
	}
	fmt.Fprintf(t, "all, of %d kinds\t%d\t\n\n", len(r.Kinds), r.Faults)
	for _, row := range []struct {
		name  string
		value any
	}{
		{"seed", r.Seed}, {"processes", r.Processes},
		{"top speed before, records/s", r.Top}, {"fed, records/s", r.Rate},
		{"broken for", r.Lasted.Round(time.Second)}, {"at rest after", r.Rest.Round(time.Second)}, {"judged in", r.Judged.Round(time.Second)},
		{"source records", r.Records}, {"journal records", r.JournalRecords},
		{"sink, decisions, DLQ: records", r.OutputRecords}, {"  repeats, the same bytes", r.Doubled}, {"  repeats dropped", r.Outputs},
		{"entities in the state", r.Entities},
		{"take-overs", r.TakeOvers}, {"  silent catch-ups", r.SilentCatchUps}, {"  of journal records, as they began", r.SilentRecords},
		{"rebuilds", r.Rebuilds}, {"  from a snapshot", r.FromSnapshots},
		{"snapshots (as last asked)", r.Figures.Snapshots}, {"refused (as last asked)", r.Figures.Refused},
		{"compared with a sequential fold", r.Different.Same}, {"  lost", r.Different.Lost}, {"  too many", r.Different.Extra}, {"  with other bytes", r.Different.Conflicts},
		{"violations", len(r.Violations)},
	} {
		fmt.Fprintf(t, "%s\t%v\t\n", row.name, row.value)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, topic := range slices.Sorted(maps.Keys(r.Longest)) {
		p := r.Longest[topic]
		fmt.Fprintf(out, "longest pause of %s: %.1f s, %s, %v\n", topic, p.Took.Seconds(), p.Partition, p.During)
	}
	for _, v := range r.Violations {
		fmt.Fprintf(out, "\nVIOLATION: %s\n", v)
	}
	return nil
}
