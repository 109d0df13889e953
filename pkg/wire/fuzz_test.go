package wire

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstitch/stitch"
)

// FuzzDecode: whatever was posted becomes exactly one of an event and a dead
// letter, the same one every time; the event survives the journal, and what it
// becomes is valid by the vendor's schema.
func FuzzDecode(f *testing.F) {
	for _, rec := range sampleRecords(f, "clients.jsonl")[:60] {
		f.Add([]byte(rec.Value))
	}
	for _, value := range []string{
		`{}`, `[]`, `{"type":"page","properties":{"keywords":[1],"url":"u"},"userId":"u"}`, nested(65),
		`{"type":"identify","userId":"u","traits":{"_update":1,"anonymous_id":2,"email":"A@B.c","cio_subscription_preferences":[]}}`,
		`{"type":"track","event":"Device Created or Updated","userId":"u","properties":{"token":"t","type":"ios","push_enabled":0}}`,
	} {
		f.Add([]byte(value))
	}
	sources := map[string]SourceRule{"t": {Origin: "server", Trust: Trust{Alias: true, Delete: true, Suppress: true, Split: true, Reserved: true}}}
	in := newIngest(f, IngestOptions{Sources: sources})
	customer := strings.Repeat("\x01", maxPersonID)
	f.Fuzz(func(t *testing.T, value []byte) {
		rec := Record{Source: stitch.Source{Topic: "t", Offset: 1}, Value: value, Arrival: arrival, CheckAhead: true}
		ev, dead := in.Decode(rec)
		if (ev == nil) == (dead == nil) {
			t.Fatalf("event %v, dead letter %v", ev, dead)
		}
		ev2, dead2 := in.Decode(rec)
		if diff := cmp.Diff(ev, ev2, cmpEmpty) + cmp.Diff(dead, dead2, cmpEmpty); diff != "" {
			t.Fatal(diff)
		}
		if dead != nil {
			Encode(&stitch.Output{Place: testPlace, Dead: dead})
			return
		}
		if !json.Valid(value) {
			t.Fatal("no JSON, and an event")
		}
		checkFuzzed(t, ev, customer)
	})
}

func checkFuzzed(t *testing.T, ev *stitch.Event, customer string) {
	to, ok := ev.Route()
	if !ok {
		t.Fatalf("goes to nobody: %+v", ev)
	}
	m := &stitch.Message{Kind: stitch.MsgEvent, To: to, Event: ev}
	got, err := DecodeMessage(EncodeMessage(m))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got, cmpEmpty); diff != "" {
		t.Fatal(diff)
	}
	for _, s := range sinksOf(ev, customer) {
		_, rec := Encode(&stitch.Output{Place: testPlace, Sink: s})
		checkSchema(t, rec.Value)
	}
}

// FuzzDecodeMessage: damaged journal records are errors, never panics.
func FuzzDecodeMessage(f *testing.F) {
	f.Add(EncodeMessage(&stitch.Message{Kind: stitch.MsgEvent, Event: &stitch.Event{Raw: &stitch.Raw{}}}))
	f.Fuzz(func(t *testing.T, value []byte) {
		if m, err := DecodeMessage(value); (m == nil) == (err == nil) {
			t.Fatalf("message %v, error %v", m, err)
		}
	})
}
