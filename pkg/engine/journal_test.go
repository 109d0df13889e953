package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstitch/pkg/wire"
	"lockstitch/stitch"
	"lockstitch/stitch/plan"
)

// TestJournalTells counts what was decoded, and what the tracking plan doesn't name
// (contract section 5).
func TestJournalTells(t *testing.T) {
	in, err := wire.NewIngest(wire.IngestOptions{Plan: plan.Default(), Sources: map[string]wire.SourceRule{"events.web": {Origin: "web"}}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	j := Journal{
		Ingest:    in,
		Unplanned: func(topic string) { got["unplanned "+topic]++ },
		Decoded: func(_ *wire.Record, dead *stitch.DeadLetter) {
			if dead != nil {
				got["dead"]++
			}
			got["decoded"]++
		},
	}
	var records []wire.Record
	for i, value := range []string{
		`{"type":"track","event":"looked_around","anonymousId":"d1"}`,
		`{"type":"track","event":"user_logged_out","anonymousId":"d1"}`,
		`{"type":"page","name":"home","anonymousId":"d1"}`,
		`{"type":"track","event":"looked_around","userId":"undefined"}`,
		`{"type":"track","event":"checkout_started","anonymousId":"d1","properties":{"value":1}}`,
	} {
		records = append(records, wire.Record{Source: stitch.Source{Topic: "events.web", Offset: int64(i)}, Value: []byte(value), Arrival: 1})
	}
	if out := j.Records("id", records); len(out) != len(records) {
		t.Errorf("%d records of %d", len(out), len(records))
	}
	if diff := cmp.Diff(map[string]int{"decoded": 5, "dead": 1, "unplanned events.web": 1}, got); diff != "" {
		t.Error(diff)
	}
}
