package wire

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

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
