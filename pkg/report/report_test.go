package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sinkRecord(source, why, value string) Record {
	return Record{Topic: "customerio.sink", Key: "c1", Value: []byte(value), Headers: map[string]string{"ls-source": source, "ls-why": why}}
}

func decided(value string) Record { return Record{Topic: "stitch.decisions", Value: []byte(value)} }

func deadLetter(source, reason string) Record {
	return Record{Topic: "stitch.dlq", Value: []byte("x"), Headers: map[string]string{"ls-source": source, "ls-reason": reason}}
}

var run = []Record{
	sinkRecord("events.web/0/0", "user", `{"action":"identify","identifiers":{"id":"c1"}}`),
	decided(`{"kind":"outcome","outcome":"held","reason":"waits_for_authority","source":"events.app/0/0","order":"o1"}`),
	decided(`{"kind":"outcome","outcome":"suppressed","reason":"authority_copy","source":"events.app/0/0","order":"o1"}`),
	sinkRecord("events.server/0/0", "user", `{"action":"merge","primary":{"id":"c1"},"secondary":{"id":"c2"}}`),
	deadLetter("events.web/0/1", "unusable_user_id_null"),
	decided(`{"kind":"note","outcome":"potential_duplicate","source":"events.web/0/0"}`),
}

// Each source record counts once, under what became of it.
func TestSummary(t *testing.T) {
	var s Summary
	for _, r := range run {
		s.Add(r)
	}
	s.Finish()
	want := map[string]int{"published": 2, "suppressed": 1, "quarantined": 1}
	if diff := cmp.Diff(want, s.Outcomes); diff != "" {
		t.Error(diff)
	}
	if s.Records != 4 || s.Held != 1 || s.Merges != 1 || s.Customers != 1 {
		t.Errorf("%+v", s)
	}
	var b bytes.Buffer
	if err := s.Write(&b); err != nil || !strings.Contains(b.String(), "law: duplicates 3") {
		t.Errorf("%v: %s", err, b.String())
	}
}

// The table has a line for each record, with the law that speaks there.
func TestTable(t *testing.T) {
	var b bytes.Buffer
	table := NewTable(&b)
	for _, r := range run {
		table.Add(r)
	}
	for _, want := range []string{
		"identity 8", "quarantined", "order o1", "duplicates 3", "merge of c2", "potential_duplicate",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if n := strings.Count(b.String(), "\n"); n != 1+len(run) {
		t.Errorf("%d lines for %d records", n, len(run))
	}
}

// A record is shown as it stands in its topic; bytes that are no JSON as a text.
func TestRecordAsJSON(t *testing.T) {
	for value, want := range map[string]string{
		`{"a":"<&>"}`: `{"topic":"t","key":"k","headers":null,"value":{"a":"<&>"}}`,
		`not json`:    `{"topic":"t","key":"k","headers":null,"value":"not json"}`,
	} {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(Record{Topic: "t", Key: "k", Value: []byte(value)}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want+"\n", b.String()); diff != "" {
			t.Error(diff)
		}
	}
}

// Examples are found in the outputs, and told with what the source said.
func TestExamples(t *testing.T) {
	outputs := []Record{
		sinkRecord("events.web/0/0", "user", `{"action":"identify","identifiers":{"id":"c1"}}`),
		sinkRecord("events.app/0/0", "linked", `{"action":"event","name":"looked","identifiers":{"id":"c1"}}`),
		decided(`{"kind":"outcome","outcome":"held","reason":"waits_for_authority","source":"events.app/0/1","order":"o1"}`),
		decided(`{"kind":"outcome","outcome":"suppressed","reason":"authority_copy","source":"events.app/0/1","order":"o1"}`),
		{Key: "c2", Value: []byte(`{"action":"identify"}`), Headers: map[string]string{"ls-source": "events.web/0/1", "ls-why": "user"}},
	}
	inputs := map[string][]byte{
		"events.web/0/0": []byte(`{"type":"identify","anonymousId":"d1","userId":"c1"}`),
		"events.web/0/1": []byte(`{"type":"identify","anonymousId":"d1","userId":"c2"}`),
	}
	var b bytes.Buffer
	if err := Examples(&b, outputs, inputs); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1. One person", "2. One order", "3. A device that two customers use: d1", "identify by c1"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
