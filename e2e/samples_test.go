//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/check"
	"lockstitch/pkg/feed"
)

// TestSamplesEqualTry feeds the recorded SDK traffic in the order of its lines
// while a processor, and then everything else, is killed and started again. What
// comes out is what `try` says of the same lines.
//
// In real time no hold of ten minutes ends here, and no take-over that waits as
// long comes due. So try's outputs count up to those of the last line: after it,
// try lets time run on.
func TestSamplesEqualTry(t *testing.T) {
	w := newWorld(t, setup{more: "rules: {take_over_delay: 1h}"})
	lines := append(sampleLines(t), feed.Line{
		Topic: "events.web", Key: "e2e-last-line",
		Value: []byte(`{"type":"page","name":"Last","messageId":"e2e-last","anonymousId":"e2e-last-line","timestamp":"2026-11-20T00:00:00Z"}`),
	})
	all, second := w.start("run"), w.start("run", "--only", "process")
	all.isReady()
	second.isReady()

	w.feed(lines, map[int]func(){
		len(lines) / 3: func() { // the journal's partitions move to the first, and half of them back
			second.kill()
			second = w.start("run", "--only", "process")
		},
		len(lines) * 2 / 3: func() { // ingest and a processor
			all.kill()
			all = w.start("run")
		},
	})

	got := w.firsts(w.outputs())
	want, later := w.tried(lines)
	for _, d := range check.Compare(got, want) {
		t.Errorf("%s: only here %v, only by try %v", d.Source, d.OnlyA, d.OnlyB)
	}
	if len(got) != len(want) {
		t.Errorf("%d outputs after dropping repeats, by try %d", len(got), len(want))
	}
	if counts := w.judge(true, waiting(want, later)...); counts.Sources != len(lines) {
		t.Errorf("%d records judged, of %d", counts.Sources, len(lines))
	}
}

// sampleLines are the samples, one file after the other, without arrival times.
func sampleLines(t *testing.T) (lines []feed.Line) {
	t.Helper()
	for l, err := range feed.Files(nil, "../testdata/samples/shop.jsonl", "../testdata/samples/clients.jsonl") {
		if err != nil {
			t.Fatal(err)
		}
		l.Value = bytes.Clone(l.Value)
		lines = append(lines, feed.Line{Topic: l.Topic, Key: l.Key, Value: l.Value})
	}
	return lines
}

// feed produces lines so that they arrive in their order, on partition 0 of each
// topic, as for try. What a source partition holds is in order anyway; lines of
// two topics, or about one person on two routes, could overtake each other. So no
// line is produced before all that has to do with it is folded. at says what
// happens right after the line of that number was produced.
func (w *world) feed(lines []feed.Line, at map[int]func()) {
	w.t.Helper()
	cl := w.connect(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	whose := circles(w.t, lines)
	for from := 0; from < len(lines); {
		var records []*kgo.Record
		to, busy := from, map[string]bool{}
		for ; to < len(lines) && !busy[whose[to]]; to++ {
			busy[whose[to]] = true
			l := lines[to]
			records = append(records, &kgo.Record{Topic: w.prefix + l.Topic, Key: []byte(l.Key), Value: l.Value})
		}
		w.produce(cl, records...)
		for n, happens := range at {
			if from <= n && n < to {
				happens()
			}
		}
		w.settle()
		from = to
	}
}

// circles says for each line which circle of people, devices and orders it is
// about: those that any line of the file ties, in any way.
func circles(t *testing.T, lines []feed.Line) []string {
	t.Helper()
	parent := map[string]string{}
	var find func(string) string
	find = func(name string) string {
		if up, ok := parent[name]; ok {
			parent[name] = find(up)
			return parent[name]
		}
		return name
	}
	first := make([]string, len(lines))
	for i, l := range lines {
		var value any
		if err := json.Unmarshal(l.Value, &value); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		first[i] = "line " + strconv.Itoa(i)
		for name := range names(value, "") {
			if a, b := find(first[i]), find(name); a != b {
				parent[a] = b
			}
		}
	}
	for i := range first {
		first[i] = find(first[i])
	}
	return first
}

// names are all identifiers in a value, whatever they are good for.
func names(value any, member string) map[string]bool {
	all := map[string]bool{}
	switch v := value.(type) {
	case map[string]any:
		for member, value := range v {
			maps.Copy(all, names(value, member))
		}
	case []any:
		for _, value := range v {
			maps.Copy(all, names(value, member))
		}
	case string:
		if slices.Contains([]string{"anonymousId", "userId", "previousId", "order_id", "email"}, member) {
			all[strings.ToLower(strings.TrimSpace(v))] = true
		}
	case float64:
		maps.Copy(all, names(strconv.FormatFloat(v, 'f', -1, 64), member))
	}
	return all
}

// tried is what `try --json` says of the lines: up to the outputs of the last one,
// and later, when time ran on.
func (w *world) tried(lines []feed.Line) (outputs, later []check.Output) {
	w.t.Helper()
	var text []byte
	for _, l := range lines {
		var err error
		if text, err = feed.Append(text, l); err != nil {
			w.t.Fatal(err)
		}
	}
	file := filepath.Join(w.t.TempDir(), "lines.jsonl")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	outputs, err := check.ReadOutputs(strings.NewReader(w.command("try", "--json", file)))
	if err != nil {
		w.t.Fatal(err)
	}
	last := slices.IndexFunc(outputs, func(o check.Output) bool { return o.Headers["ls-message"] == "e2e-last" })
	if last < 0 {
		w.t.Fatal("try doesn't publish the last line")
	}
	return outputs[:last+1], outputs[last+1:]
}

// waiting are the records that have no outcome before time runs on: merges that
// wait for their take-over without being held.
func waiting(outputs, later []check.Output) (sources []string) {
	decided := map[string]bool{}
	for _, o := range outputs {
		var decision struct{ Kind string }
		_ = json.Unmarshal(o.Value, &decision) // other outputs have none
		if decision.Kind == "" || decision.Kind == "outcome" {
			decided[o.Headers["ls-source"]] = true
		}
	}
	for _, o := range later {
		if source := o.Headers["ls-source"]; !decided[source] {
			sources = append(sources, source)
		}
	}
	return sources
}
