package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Record is one output record of the sink, decisions or DLQ topic.
type Record struct {
	Topic   string
	Key     string
	Headers map[string]string
	Value   []byte
}

// MarshalJSON is the form of `try --json`: value as it is where it is JSON, else
// as a JSON text of the bytes.
func (r Record) MarshalJSON() ([]byte, error) {
	value := json.RawMessage(r.Value)
	if !json.Valid(r.Value) || !utf8.Valid(r.Value) {
		value, _ = json.Marshal(string(r.Value))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // the value as it stands in the topic
	err := enc.Encode(struct {
		Topic   string            `json:"topic"`
		Key     string            `json:"key"`
		Headers map[string]string `json:"headers"`
		Value   json.RawMessage   `json:"value"`
	}{r.Topic, r.Key, r.Headers, value})
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// decision is what the report reads of a decision record.
type decision struct {
	Kind, Outcome, Reason, Source, Other, Person, Order string
}

// operation is what the report reads of a sink record.
type operation struct {
	Action      string
	Name        string
	Identifiers map[string]string
	Primary     map[string]string
	Secondary   map[string]string
}

// line is one output record, understood.
type line struct {
	source  string
	outcome string // published, duplicate, suppressed, held, ignored, erased, quarantined; "" for remarks
	reason  string
	what    string // for people
	person  string
	order   string
	why     string
	action  string
	name    string
	kind    string
	merged  bool // a merge of two customers
}

// read understands a record. It is a decision where it has a kind, a dead
// letter where it has a reason header, else a sink record.
func read(r Record) line {
	if reason, ok := r.Headers["ls-reason"]; ok {
		return line{source: r.Headers["ls-source"], outcome: "quarantined", reason: reason, kind: "outcome"}
	}
	var d decision
	if json.Unmarshal(r.Value, &d) == nil && d.Kind != "" {
		l := line{source: d.Source, reason: d.Reason, person: d.Person, order: d.Order, kind: d.Kind, name: d.Outcome}
		if d.Kind == "outcome" {
			l.outcome = d.Outcome
		}
		l.what = strings.TrimSpace(d.Reason + " " + d.Other)
		return l
	}
	var op operation
	_ = json.Unmarshal(r.Value, &op)
	l := line{
		source: r.Headers["ls-source"], outcome: "published", why: r.Headers["ls-why"], reason: r.Headers["ls-why"],
		person: r.Key, order: r.Headers["ls-order"], action: op.Action, name: op.Name, kind: "sink",
	}
	l.what = strings.TrimSpace(op.Action + " " + op.Name)
	l.merged = op.Secondary["id"] != ""
	if op.Action == "merge" {
		l.what += " of " + op.Secondary["id"] + op.Secondary["email"]
	}
	if r.Headers["ls-corrects"] != "" {
		l.what += " (corrects " + r.Headers["ls-corrects"] + ")"
	}
	return l
}
