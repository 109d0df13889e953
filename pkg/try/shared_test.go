package try_test

import (
	"bytes"
	"encoding/json"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstitch/pkg/check"
	"lockstitch/pkg/config"
	"lockstitch/pkg/engine"
	"lockstitch/pkg/feed"
	"lockstitch/pkg/try"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
	"lockstitch/stitch/plan"
)

// sampleFacts are what testdata/samples/README.md says of a file.
type sampleFacts struct {
	Lines, Messages int // source records, and distinct messages among them
	Orders          int // distinct orders: both copies, client only and server only
	NoOrderID       int // distinct orders without an ID
}

func TestShopSamplesKeepTheLaws(t *testing.T) {
	keepTheLaws(t, "shop.jsonl", sampleFacts{Lines: 739, Messages: 661, Orders: 36 + 3, NoOrderID: 3})
}

func TestClientSamplesKeepTheLaws(t *testing.T) {
	keepTheLaws(t, "clients.jsonl", sampleFacts{Lines: 947, Messages: 870, Orders: 27 + 6 + 1})
}

func keepTheLaws(t *testing.T, name string, want sampleFacts) {
	path := filepath.Join("../../testdata/samples", name)
	sources := readSources(t, path)
	outputs := tryFile(t, path, 3)
	report := check.Check(check.Input{Sources: sources, Outputs: outputs, Schema: schemaFile})
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, factsOf(t, sources, outputs)); diff != "" {
		t.Errorf("what the samples are known to hold: -want +got:\n%s", diff)
	}
	oneOutcomeEach(t, sources, outputs)
	publishedOnce(t, sources, outputs)
	countsOnce(t, outputs)
	if diffs := check.Compare(outputs, tryFile(t, path, 1)); len(diffs) > 0 {
		t.Errorf("1 journal partition gives something else than 3: %v", diffs[:min(5, len(diffs))])
	}
}

const schemaFile = "../../testdata/customerio/track-v2-entity.schema.json"

func readSources(t testing.TB, path string) []check.Source {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sources, err := check.ReadSources(f)
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

// defaultIngest is ingest as an empty configuration file has it.
func defaultIngest(t *testing.T) (*wire.Ingest, stitch.Rules) {
	t.Helper()
	cfg := config.Default()
	sources := map[string]wire.SourceRule{}
	for _, s := range cfg.Sources {
		sources[s.Topic] = wire.SourceRule{Origin: s.Origin, Shop: s.Shop, Trust: wire.Trust(s.Trust)}
	}
	in, err := wire.NewIngest(wire.IngestOptions{
		Plan: plan.Default(), Sources: sources,
		LogoutEvents: cfg.Identity.LogoutEvents, SplitEvents: cfg.Identity.SplitEvents,
	})
	if err != nil {
		t.Fatal(err)
	}
	return in, cfg.Rules()
}

// tryFile is what comes out of a file.
func tryFile(t *testing.T, path string, partitions int) []check.Output {
	t.Helper()
	in, rules := defaultIngest(t)
	lines := func(yield func(try.Line, error) bool) {
		for l, err := range feed.Files(nil, path) {
			if !yield(try.Line(l), err) {
				return
			}
		}
	}
	return outputsOf(t, in, rules, partitions, lines)
}

// outputsOf is what comes out, as the checker reads it.
func outputsOf(t *testing.T, in *wire.Ingest, rules stitch.Rules, partitions int, lines iter.Seq2[try.Line, error]) (all []check.Output) {
	t.Helper()
	topics := map[engine.Topic]string{
		engine.TopicSink: "customerio.sink", engine.TopicDecisions: "stitch.decisions", engine.TopicDLQ: "stitch.dlq",
	}
	err := try.Run(lines, try.Options{Ingest: in, Rules: rules, Partitions: partitions}, func(o *stitch.Output) error {
		p := engine.Encode(o)
		out := check.Output{
			Topic: topics[p.Topic], Offset: int64(len(all)), Key: p.Key, Value: p.Value, Headers: map[string]string{},
		}
		for _, h := range p.Headers {
			out.Headers[h.Key] = string(h.Value)
		}
		all = append(all, out)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// posted is what the tests below know of a source record: less than the checker
// does, and read by other code.
type posted struct {
	MessageID  string         `json:"messageId"`
	Event      string         `json:"event"`
	Properties map[string]any `json:"properties"`
}

func read(t *testing.T, s check.Source) (p posted) {
	t.Helper()
	if err := json.Unmarshal(s.Value, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func factsOf(t *testing.T, sources []check.Source, outputs []check.Output) sampleFacts {
	messages, orders, noID := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, s := range sources {
		p := read(t, s)
		messages[p.MessageID] = true
		if p.Event == "order_completed" && p.Properties["order_id"] == nil {
			noID[p.MessageID] = true
		}
	}
	for _, o := range outputs {
		if order := o.Headers["ls-order"]; order != "" {
			orders[order] = true
		}
	}
	return sampleFacts{Lines: len(sources), Messages: len(messages), Orders: len(orders), NoOrderID: len(noID)}
}

// oneOutcomeEach: each source record has exactly one outcome, held aside.
func oneOutcomeEach(t *testing.T, sources []check.Source, outputs []check.Output) {
	got := map[string][]string{}
	add := func(source, outcome string) {
		if !slices.Contains(got[source], outcome) || outcome != "published" {
			got[source] = append(got[source], outcome)
		}
	}
	for _, o := range outputs {
		var d struct{ Kind, Outcome, Source string }
		switch {
		case o.Topic == "customerio.sink":
			add(o.Headers["ls-source"], "published")
		case o.Topic == "stitch.dlq":
			add(o.Headers["ls-source"], "quarantined")
		case json.Unmarshal(o.Value, &d) != nil:
			t.Fatal("a decision that is no JSON")
		case d.Kind == "outcome" && d.Outcome != "held":
			add(d.Source, d.Outcome)
		case d.Kind == "outcome" && got[d.Source] == nil:
			got[d.Source] = []string{} // held: an end may follow
		}
	}
	for _, s := range sources {
		ends, known := got[position(s)]
		if !known || len(ends) > 1 {
			t.Errorf("%s has the outcomes %v", position(s), ends)
		}
	}
	if len(got) != len(sources) {
		t.Errorf("outcomes of %d records, of %d that went in", len(got), len(sources))
	}
}

func position(s check.Source) string {
	return stitch.Source{Topic: s.Topic, Partition: s.Partition, Offset: s.Offset}.String()
}

// publishedOnce: of a message and what its SDK sent again, one at most went out.
func publishedOnce(t *testing.T, sources []check.Source, outputs []check.Output) {
	published := map[string]bool{}
	for _, o := range outputs {
		if o.Topic == "customerio.sink" {
			published[o.Headers["ls-source"]] = true
		}
	}
	first := map[string]string{}
	for _, s := range sources {
		id, at := s.Topic+" "+read(t, s).MessageID, position(s)
		if !published[at] {
			continue
		}
		if other, twice := first[id]; twice {
			t.Errorf("a message was published as %s and as %s", other, at)
		}
		first[id] = at
	}
}

// countsOnce: an order has one event ID, and one event has one order.
func countsOnce(t *testing.T, outputs []check.Output) {
	ids, orders := map[string]string{}, map[string]string{}
	for _, o := range outputs {
		order, id := o.Headers["ls-order"], o.Headers["ls-event"]
		if order == "" || o.Topic != "customerio.sink" {
			continue
		}
		if other := ids[order]; other != "" && other != id {
			t.Errorf("%s: its order counts twice", o.Headers["ls-source"])
		}
		if other := orders[id]; other != "" && other != order {
			t.Errorf("%s: two orders under one ls-event", o.Headers["ls-source"])
		}
		ids[order], orders[id] = id, order
	}
}

// TestSharedSamplesAreOurs: the files that the tests run on are, byte for byte,
// those that everybody shares. CI sets the variable.
func TestSharedSamplesAreOurs(t *testing.T) {
	shared := os.Getenv("LOCKSTITCH_SHARED")
	if shared == "" {
		t.Skip("LOCKSTITCH_SHARED is not set: it names the folder that has samples/ and customerio/")
	}
	for _, folder := range []string{"samples", "customerio"} {
		theirs, ours := readAll(t, filepath.Join(shared, folder)), readAll(t, filepath.Join("../../testdata", folder))
		for name := range theirs {
			if !bytes.Equal(ours[name], theirs[name]) {
				t.Errorf("%s/%s differs from the shared one", folder, name)
			}
		}
		if len(theirs) == 0 {
			t.Errorf("%s: the shared folder holds no file", folder)
		}
	}
}

func readAll(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(folder, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}
