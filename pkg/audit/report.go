package audit

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"lockstitch/stitch"
)

// Finding is something that is wrong, or a repeat. It names positions and places,
// never a person.
type Finding struct {
	Source string `json:"source,omitempty"` // topic/partition/offset of the source record
	Place  string `json:"place,omitempty"`  // ls-place of the output
	// Where is a position in a topic: of the output; of a missing record, of its
	// last journal message.
	Where    string `json:"where,omitempty"`
	What     string `json:"what"`
	Messages int    `json:"messages,omitempty"` // of a missing record: how many the journal holds of it

	source       stitch.Source
	wasJournaled bool
}

func (f Finding) String() string {
	s := f.Source
	for _, part := range []struct{ before, text string }{{"", f.Place}, {"at ", f.Where}} {
		switch {
		case part.text == "":
		case s == "":
			s = part.text
		default:
			s += " " + part.before + part.text
		}
	}
	return s + ": " + f.What
}

// Range is what was audited of one source partition: offsets [From, To).
type Range struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"`
	To        int64  `json:"to"`
	Records   int64  `json:"records"`
	Pending   int64  `json:"pending"`
	Missing   int64  `json:"missing"`
}

// Listed are the findings, the first of each kind.
type Listed struct {
	Missing   []Finding `json:"missing"`
	Conflicts []Finding `json:"conflicts"`
	Doubled   []Finding `json:"doubled"`
}

// Report is what an audit found. Each audited record counts once: under one of
// Outcomes, or as Pending, Missing or Unjudged.
type Report struct {
	Records  int64            `json:"records"`  // source records in the range
	Outcomes map[string]int64 `json:"outcomes"` // by the last outcome; "held" are those still held
	Pending  int64            `json:"pending"`  // under way: a journal message isn't folded yet, or waits
	Missing  int64            `json:"missing"`  // lost
	Unjudged int64            `json:"unjudged"` // without an outcome, and so old that retention may have taken it

	Doubled   int64 `json:"doubled"`   // outputs that repeat an earlier one: the same place, the same bytes
	Conflicts int64 `json:"conflicts"` // what contradicts itself or the contract

	Held        int64 `json:"held"`         // ever held
	Journaled   int64 `json:"journaled"`    // with a message in the journal
	NotIngested int64 `json:"not_ingested"` // offsets in the range that ingest has not committed

	OutputRecords  int64 `json:"output_records"`
	OutOfRange     int64 `json:"out_of_range"`    // outcomes of records outside the range
	SourceGone     int64 `json:"source_gone"`     // outcomes of records that retention took from their source
	Foreign        int64 `json:"foreign"`         // outcomes of topics that are no configured source
	JournalRecords int64 `json:"journal_records"` // read
	JournalUnknown int64 `json:"journal_unknown"` // that are none of ours

	Ranges []Range `json:"ranges"`
	Listed Listed  `json:"listed"`

	list int
}

func newReport(list int) *Report {
	return &Report{
		list: list, Outcomes: map[string]int64{}, Ranges: []Range{},
		Listed: Listed{Missing: []Finding{}, Conflicts: []Finding{}, Doubled: []Finding{}},
	}
}

// Clean reports whether nothing is lost and nothing in conflict.
func (r *Report) Clean() bool { return r.Missing == 0 && r.Conflicts == 0 }

// Err is nil for a clean report, else says what is wrong.
func (r *Report) Err() error {
	if r.Clean() {
		return nil
	}
	lines := []string{fmt.Sprintf("audit: %d records lost, %d conflicts", r.Missing, r.Conflicts)}
	for _, all := range [][]Finding{r.Listed.Missing, r.Listed.Conflicts} {
		for _, f := range all[:min(5, len(all))] {
			lines = append(lines, f.String())
		}
	}
	return errors.New(strings.Join(lines, "\n\t"))
}

func (r *Report) addRange(p *part) *Range {
	r.Ranges = append(r.Ranges, Range{Topic: p.source.Topic, Partition: p.partition, From: p.from, To: p.to, Records: p.records})
	return &r.Ranges[len(r.Ranges)-1]
}

func (r *Report) missing(f func() Finding)  { r.add(&r.Missing, &r.Listed.Missing, f) }
func (r *Report) conflict(f func() Finding) { r.add(&r.Conflicts, &r.Listed.Conflicts, f) }
func (r *Report) doubled(f func() Finding)  { r.add(&r.Doubled, &r.Listed.Doubled, f) }

func (r *Report) add(n *int64, list *[]Finding, f func() Finding) {
	if *n++; len(*list) < r.list {
		*list = append(*list, f())
	}
}

// Write prints the report for people: a table, and the findings listed.
func (r *Report) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, line := range r.lines() {
		if line.n != 0 || line.always {
			fmt.Fprintf(t, "%s\t%d\t%s\n", line.name, line.n, line.means)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, kind := range []struct {
		title string
		total int64
		all   []Finding
	}{
		{"Lost. Keep the topics as they are; look up each one's messages (runbook, \"lockstitch audit\"):", r.Missing, r.Listed.Missing},
		{"In conflict. Find out who else writes to these topics, or report it:", r.Conflicts, r.Listed.Conflicts},
		{"Repeats, as the same bytes. Nothing to do; a reader passes over them:", r.Doubled, r.Listed.Doubled},
	} {
		if len(kind.all) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s\n", kind.title)
		for _, f := range kind.all {
			fmt.Fprintf(w, "  %s\n", f)
		}
		if more := kind.total - int64(len(kind.all)); more > 0 {
			fmt.Fprintf(w, "  and %d more\n", more)
		}
	}
	return nil
}

type line struct {
	name   string
	n      int64
	means  string
	always bool
}

func (r *Report) lines() []line {
	all := []line{{"source records", r.Records, "in the range", true}}
	for _, o := range outcomeNames {
		means := ""
		if o.flag == held {
			means = "still; released or suppressed later"
		}
		all = append(all, line{"  " + o.name, r.Outcomes[o.name], means, false})
	}
	return append(all,
		line{"  pending", r.Pending, "under way: not folded yet, or waiting for an address or a merge's time", false},
		line{"  unjudged", r.Unjudged, "so old that retention may have taken their outcomes", false},
		line{"  missing", r.Missing, "lost", true},
		line{"conflicting", r.Conflicts, "", true},
		line{"doubled", r.Doubled, "repeats as the same bytes: harmless", true},
		line{"not ingested", r.NotIngested, "offsets that ingest has not committed yet", false},
		line{"source gone", r.SourceGone, "outcomes whose source record retention has taken: not judged", false},
		line{"other topics", r.Foreign, "outcomes of topics that are no configured source: not judged", false},
		line{"not ours", r.JournalUnknown, "records in the journal that nothing here wrote", false},
	)
}
