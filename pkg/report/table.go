package report

import (
	"encoding/json"
	"fmt"
	"io"
)

func personHasID(r Record) bool {
	var op operation
	_ = json.Unmarshal(r.Value, &op)
	return op.Identifiers["id"] != "" || op.Primary["id"] != ""
}

// Table writes a line for each output record: the source record, its outcome,
// what came of it, whose it is, and the law.
type Table struct{ w io.Writer }

// NewTable begins a table on w.
func NewTable(w io.Writer) *Table {
	t := &Table{w: w}
	t.row("RECORD", "OUTCOME", "PERSON", "LAW", "WHAT")
	return t
}

func (t *Table) row(source, outcome, person, law, what string) {
	fmt.Fprintf(t.w, "%-24s %-12s %-38s %-13s %s\n", source, outcome, person, law, what)
}

// Add writes one record's line.
func (t *Table) Add(r Record) {
	l := read(r)
	switch l.kind {
	case "sink":
		t.row(l.source, l.outcome, l.person+" ("+l.why+")", Law(l.outcome, l.reason), l.what)
	case "outcome":
		t.row(l.source, l.outcome, l.person+l.orderOnly(), Law(l.outcome, l.reason), l.reasonOr())
	default:
		t.row(l.source, "  "+l.kind, l.person, Law("", l.reason), l.name+": "+l.what)
	}
}

func (l line) orderOnly() string {
	if l.person == "" && l.order != "" {
		return "order " + l.order
	}
	return ""
}

func (l line) reasonOr() string {
	if l.what != "" {
		return l.what
	}
	return l.reason
}
