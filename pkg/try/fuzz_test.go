package try_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstitch/pkg/check"
	"lockstitch/pkg/try"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
	"lockstitch/stitch/plan"
	"lockstitch/stitch/scenarios"
)

// FuzzStream: whatever is posted between a login and what follows it, on the device,
// the web and the server, goes through decoding, fold and encoding to one outcome
// each, as the same bytes each time, and what is published satisfies the vendor's
// schema and is in the contract's shape.
func FuzzStream(f *testing.F) {
	for _, name := range []string{"shop.jsonl", "clients.jsonl"} {
		for _, s := range readSources(f, "../../testdata/samples/"+name)[:40] {
			f.Add([]byte(s.Value))
		}
	}
	for _, value := range []string{
		`{"type":"identify","anonymousId":"d1","userId":"c2","traits":{"email":"a@x.example","_update":true,"cio_subscription_preferences":{}}}`,
		`{"type":"track","event":"Device Created or Updated","anonymousId":"d1","context":{"device":{"id":"p1","token":"t1","type":"ios"}}}`,
		`{"type":"alias","userId":"c2","previousId":"c1"}`,
		`{"type":"track","event":"order_completed","properties":{"order_id":"o1","revenue":1,"items":1}}`,
		`{"type":"track","event":"User Deleted","userId":"c1"}`,
	} {
		f.Add([]byte(value))
	}
	in, err := wire.NewIngest(wire.IngestOptions{Plan: plan.Default(), Sources: scenarios.Topics()})
	if err != nil {
		f.Fatal(err)
	}
	if _, err := os.Stat(schemaFile); err != nil {
		f.Fatal(err)
	}
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value []byte) {
		line := func(topic string, minutes int, value []byte) try.Line {
			return try.Line{Topic: topic, Time: at.Add(time.Duration(minutes) * time.Minute), Value: value}
		}
		lines := []try.Line{
			line("events.app", 0, []byte(`{"type":"identify","messageId":"m1","anonymousId":"d1","userId":"c1","traits":{"email":"a@x.example"}}`)),
			line("events.app", 1, value), line("events.server", 2, value), line("events.web", 3, value),
			line("events.app", 4, []byte(`{"type":"page","name":"home","messageId":"m2","anonymousId":"d1"}`)),
		}
		outputs := tryLines(t, in, stitch.DefaultRules(), lines)
		oneOutcomeEach(t, sourcesOf(lines), outputs)
		if diff := cmp.Diff(outputs, tryLines(t, in, stitch.DefaultRules(), lines)); diff != "" {
			t.Errorf("the second time:\n%s", diff)
		}
		for _, v := range check.Check(check.Input{Sources: sourcesOf(lines), Outputs: outputs, Schema: schemaFile}).Violations {
			if v.Law == "1" || strings.HasPrefix(v.Law, "2.1") {
				t.Error(v)
			}
		}
	})
}
