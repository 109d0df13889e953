package wire

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstitch/stitch"
)

// sample is one line of testdata/samples.
type sample struct {
	Topic string          `json:"topic"`
	Key   string          `json:"key"`
	Time  time.Time       `json:"time"`
	Value json.RawMessage `json:"value"`
}

// sampleRecords reads a file of samples as source records.
func sampleRecords(t testing.TB, name string) []Record {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "testdata", "samples", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var records []Record
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s sample
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		rec := Record{
			Source: stitch.Source{Topic: s.Topic, Offset: int64(len(records))},
			Key:    []byte(s.Key), Value: s.Value, Arrival: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC).UnixMilli(),
		}
		if !s.Time.IsZero() {
			rec.Arrival, rec.CheckAhead = s.Time.UnixMilli(), true
		}
		records = append(records, rec)
	}
	if err := lines.Err(); err != nil || len(records) == 0 {
		t.Fatalf("%s: %d records, error %v", name, len(records), err)
	}
	return records
}

// sampleSources are the sources of the samples, as the default configuration has them.
func sampleSources() map[string]SourceRule {
	return map[string]SourceRule{
		"events.app": {Origin: "app"}, "events.web": {Origin: "web"},
		"events.server":   {Origin: "server", Trust: Trust{Alias: true, Delete: true, Suppress: true, Split: true}},
		"events.commerce": {Origin: "commerce"},
	}
}

func newIngest(t testing.TB, o IngestOptions) *Ingest {
	t.Helper()
	if o.Sources == nil {
		o.Sources = sampleSources()
	}
	in, err := NewIngest(o)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// TestSamples decodes every line that real SDKs posted. What is refused is what
// the samples' README calls careless callers, orders without an ID, and what
// these leave without anybody.
func TestSamples(t *testing.T) {
	tests := []struct {
		file    string
		reasons map[string]int
		notes   map[string]int
	}{
		{"shop.jsonl", map[string]int{
			"": 727, ReasonPlanMissing: 3, "unusable_user_id_email": 4, "unusable_user_id_undefined": 5,
		}, map[string]int{}},
		{"clients.jsonl", map[string]int{
			"": 914, ReasonNamesNobody: 17, "unusable_user_id_email": 6, "unusable_user_id_null": 9, "unusable_user_id_undefined": 1,
		}, map[string]int{NoteUnusableAnonymousID: 18}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			in := newIngest(t, IngestOptions{})
			reasons, notes := map[string]int{}, map[string]int{}
			for _, rec := range sampleRecords(t, tt.file) {
				ev, dead := in.Decode(rec)
				if dead != nil {
					reasons[dead.Rejects[0].Reason]++
					continue
				}
				reasons[""]++
				for _, n := range ev.Notes {
					notes[n.Name]++
				}
				checkSampleEvent(t, rec, ev)
			}
			if diff := cmp.Diff(tt.reasons, reasons); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.notes, notes); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
		})
	}
}

// checkSampleEvent compares an event with what the standard library reads in
// the record, and has the vendor's schema judge what it becomes.
func checkSampleEvent(t *testing.T, rec Record, ev *stitch.Event) {
	t.Helper()
	var posted struct {
		Event, MessageID, AnonymousID string
		Timestamp, OriginalTimestamp  *time.Time
		Properties                    map[string]any
	}
	if err := json.Unmarshal(rec.Value, &posted); err != nil {
		t.Fatal(err)
	}
	at := posted.Timestamp
	if at == nil {
		at = posted.OriginalTimestamp
	}
	anonymous := ev.Anonymous
	if len(ev.Notes) > 0 {
		anonymous = "anonymous"
	}
	if posted.MessageID != ev.MessageID || posted.AnonymousID != anonymous || at.UnixMilli() != ev.Time {
		t.Errorf("%s\nis taken for %+v", rec.Value, ev)
	}
	if ev.Type == stitch.Track && ev.Name != posted.Event {
		t.Errorf("event %q, posted %q", ev.Name, posted.Event)
	}
	if order, _ := posted.Properties["order_id"].(string); ev.Fact != nil && ev.Fact.Order != order {
		t.Errorf("order %q, posted %q", ev.Fact.Order, order)
	}
	for _, s := range sinksOf(ev, "customer") {
		_, rec := Encode(&stitch.Output{Sink: s})
		checkSchema(t, rec.Value)
	}
}

// TestResentSamples: a message that an SDK sent again has the same content,
// whatever it changed (law duplicates.1).
func TestResentSamples(t *testing.T) {
	in, again := newIngest(t, IngestOptions{}), 0
	for _, file := range []string{"shop.jsonl", "clients.jsonl"} {
		type known struct {
			content stitch.Hash
			id      stitch.ULID
		}
		seen := map[string]known{}
		for _, rec := range sampleRecords(t, file) {
			ev, _ := in.Decode(rec)
			if ev == nil {
				continue
			}
			first, repeated := seen[ev.MessageID]
			if !repeated {
				seen[ev.MessageID] = known{ev.Content, ev.EventID}
				continue
			}
			again++
			if ev.Content != first.content || ev.EventID != first.id {
				t.Errorf("%s has other content when it is sent again", ev.MessageID)
			}
		}
	}
	if again < 150 {
		t.Errorf("%d messages were sent again, the samples have 155 less those refused", again)
	}
}

func BenchmarkDecode(b *testing.B) {
	in := newIngest(b, IngestOptions{})
	records := sampleRecords(b, "shop.jsonl")
	bytes := 0
	for _, r := range records {
		bytes += len(r.Value)
	}
	b.SetBytes(int64(bytes / len(records)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		in.Decode(records[i%len(records)])
	}
}

func BenchmarkEncodeMessage(b *testing.B) {
	in := newIngest(b, IngestOptions{})
	var messages []*stitch.Message
	for _, rec := range sampleRecords(b, "shop.jsonl") {
		if ev, _ := in.Decode(rec); ev != nil {
			to, _ := ev.Route()
			messages = append(messages, &stitch.Message{Kind: stitch.MsgEvent, To: to, Event: ev})
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		EncodeMessage(messages[i%len(messages)])
	}
}
