package feed_test

import (
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstitch/pkg/feed"
	"lockstitch/pkg/traffic"
	"lockstitch/pkg/try"
)

// Lines of the neighbours convert, and so does what they make.
var (
	_ = feed.Line(traffic.Line{})
	_ = try.Line(feed.Line{})
)

func all(lines iter.Seq2[feed.Line, error]) (list []feed.Line, err error) {
	for line, err := range lines {
		if err != nil {
			return list, err
		}
		list = append(list, line)
	}
	return list, nil
}

func TestLines(t *testing.T) {
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, text string
		want       []feed.Line
	}{
		{"nothing", "", nil},
		{"object", `{"topic":"t","key":"k","value":{"a":1}}`, []feed.Line{{Topic: "t", Key: "k", Value: []byte(`{"a":1}`)}}},
		{"byte for byte", `{"topic":"t","value": {"b" : 1e2, "b":"\u00e9"} }`, []feed.Line{{Topic: "t", Value: []byte(`{"b" : 1e2, "b":"\u00e9"}`)}}},
		{"bad UTF-8 in a record", "{\"topic\":\"t\",\"value\":{\"a\":\"\xff\"}}", []feed.Line{{Topic: "t", Value: []byte("{\"a\":\"\xff\"}")}}},
		{"a lone surrogate in a record", `{"topic":"t","value":{"a":"\ud800"}}`, []feed.Line{{Topic: "t", Value: []byte(`{"a":"\ud800"}`)}}},
		{"text is the record's bytes", `{"topic":"t","value":"{\"a\": \n"}`, []feed.Line{{Topic: "t", Value: []byte("{\"a\": \n")}}},
		{"empty text", `{"topic":"t","value":""}`, []feed.Line{{Topic: "t", Value: []byte{}}}},
		{"null", `{"topic":"t","key":null,"time":null,"value":null}`, []feed.Line{{Topic: "t", Value: []byte(`null`)}}},
		{"number", `{"topic":"t","value":12}`, []feed.Line{{Topic: "t", Value: []byte(`12`)}}},
		{"time", `{"time":"2026-11-23T09:00:00+01:00","topic":"t","value":[]}`, []feed.Line{{Topic: "t", Value: []byte(`[]`), Time: at}}},
		{"more members", `{"offset":7,"topic":"t","value":[],"headers":{"a":"b"}}`, []feed.Line{{Topic: "t", Value: []byte(`[]`)}}},
		{"blank lines", "\n  \r\n{\"topic\":\"t\",\"value\":1}\r\n\n{\"topic\":\"u\",\"value\":2}", []feed.Line{{Topic: "t", Value: []byte("1")}, {Topic: "u", Value: []byte("2")}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := all(feed.Lines("in.jsonl", strings.NewReader(tt.text)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

const good = `{"topic":"t","key":"secret","value":1}` + "\n"

func TestLinesRefused(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"no JSON", `{"topic":"t","key":"secret","value":}`, "in.jsonl:3: the line is no valid JSON at byte 36"},
		{"cut off", `{"topic":"t","key":"secret","value":{`, "in.jsonl:3: the line is no valid JSON: it is cut off"},
		{"no object", `["secret"]`, "in.jsonl:3: the line must be a JSON object with topic, key and value"},
		{"two objects", `{"topic":"t","value":1} {"topic":"secret"}`, "in.jsonl:3: the line must be one JSON object, and nothing after it"},
		{"no topic", `{"key":"secret","value":1}`, "in.jsonl:3: the line has no topic"},
		{"empty topic", `{"topic":"","value":1}`, "in.jsonl:3: the line has no topic"},
		{"no value", `{"topic":"t","key":"secret"}`, "in.jsonl:3: the line has no value"},
		{"other case", `{"topic":"t","Value":"secret"}`, "in.jsonl:3: the line has no value"},
		{"twice", `{"topic":"t","value":1,"value":"secret"}`, "in.jsonl:3: the line has value twice"},
		{"topic", `{"topic":7,"value":1}`, "in.jsonl:3: the line has a topic that is no text"},
		{"key", `{"topic":"t","key":7,"value":1}`, "in.jsonl:3: the line has a key that is no text"},
		{"time", `{"topic":"t","time":"secret","value":1}`, "in.jsonl:3: the line has a time that is not RFC 3339, such as 2026-11-23T08:00:00Z"},
		{"time as a number", `{"topic":"t","time":7,"value":1}`, "in.jsonl:3: the line has a time that is no text"},
		{"bad text", `{"topic":"t","value":"secret \ud800"}`, "in.jsonl:3: the line has a value that is a text with invalid UTF-8: write the record as JSON instead"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := all(feed.Lines("in.jsonl", strings.NewReader(good+"\n"+tt.text+"\n"+good)))
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
			if len(got) != 1 {
				t.Errorf("%d lines before the bad one, want 1", len(got))
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Error("the error quotes the record")
			}
		})
	}
}

func TestLinesReadError(t *testing.T) {
	broken := errors.New("broken")
	got, err := all(feed.Lines("in.jsonl", io.MultiReader(strings.NewReader(good), iotest.ErrReader(broken))))
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "in.jsonl:2: ") {
		t.Errorf("error %v, want one of line 2", err)
	}
	if len(got) != 1 {
		t.Errorf("%d lines, want 1", len(got))
	}
}

func TestLinesStop(t *testing.T) {
	n := 0
	for _, err := range feed.Lines("in.jsonl", strings.NewReader(good+good+"no line")) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d lines, want 2", n)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, b := write("a", `{"topic":"a","value":1}`), write("b", `{"topic":"b","value":1}`+"\n{}")
	none := filepath.Join(dir, "none")
	for _, tt := range []struct {
		name   string
		paths  []string
		topics []string
		want   string // in the error
	}{
		{"no file is stdin", nil, []string{"in"}, ""},
		{"in order", []string{a, "-", a}, []string{"a", "in", "a"}, ""},
		{"bad line", []string{a, b, a}, []string{"a", "b"}, b + ":2: the line has no topic"},
		{"no file", []string{a, none}, []string{"a"}, none + ": no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines, err := all(feed.Files(strings.NewReader(`{"topic":"in","value":1}`), tt.paths...))
			if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			var topics []string
			for _, line := range lines {
				topics = append(topics, line.Topic)
			}
			if diff := cmp.Diff(tt.topics, topics); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSamples: what is read and written again is read as the same.
func TestSamples(t *testing.T) {
	for file, want := range map[string]int{"shop.jsonl": 739, "clients.jsonl": 947} {
		lines, err := all(feed.Files(nil, filepath.Join("..", "..", "testdata", "samples", file)))
		if err != nil || len(lines) != want {
			t.Fatalf("%s: %d lines, want %d, error %v", file, len(lines), want, err)
		}
		again(t, lines)
	}
}

// TestAppend writes what the generator makes, garbage too, and what is hard to write.
func TestAppend(t *testing.T) {
	var lines []feed.Line
	for line := range traffic.New(traffic.Options{Seed: 1, People: 50, Garbage: 0.2}).All() {
		if lines = append(lines, feed.Line(line)); len(lines) == 2000 {
			break
		}
	}
	for _, value := range []string{``, `null`, `"text"`, `"open`, "{\"a\":\r\n1", `{"a":1,"a":2}`, "\u2028<é>", "{\"a\":\"\xff\"}", "7 "} {
		lines = append(lines, feed.Line{Topic: "t", Key: "k<\"", Value: []byte(value)})
	}
	again(t, lines)
}

func again(t *testing.T, lines []feed.Line) {
	t.Helper()
	var text []byte
	var err error
	for _, line := range lines {
		if text, err = feed.Append(text, line); err != nil {
			t.Fatal(err)
		}
	}
	got, err := all(feed.Lines("again", strings.NewReader(string(text))))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lines, got); diff != "" {
		t.Error(diff)
	}
}

func TestAppendForms(t *testing.T) {
	for value, want := range map[string]string{
		`{"a": 1}`:    `{"topic":"t","value":{"a": 1}}`,
		"{\"a\":\n1}": `{"topic":"t","value":"{\"a\":\n1}"}`,
		`"a"`:         `{"topic":"t","value":"\"a\""}`,
		`{"a`:         `{"topic":"t","value":"{\"a"}`,
	} {
		if got, err := feed.Append(nil, feed.Line{Topic: "t", Value: []byte(value)}); err != nil || string(got) != want+"\n" {
			t.Errorf("%q: %s, error %v, want %s", value, got, err, want)
		}
	}
	if got, err := feed.Append([]byte("before"), feed.Line{Topic: "t", Value: []byte("\xff")}); err == nil || string(got) != "before" {
		t.Errorf("bytes that are no text: %q, error %v", got, err)
	}
}
