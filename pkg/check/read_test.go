package check

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadSources(t *testing.T) {
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	in := `{"topic":"a","key":"k","time":"2026-11-16T09:53:59.613Z","value":{"x":"}\"{","y":[1,{"z":null}]}}
 { "topic" : "b" , "value" : 12 , "key":null}

{"topic":"a","value":"not json\n"}
{"value":` + deep + `,"topic":"a","partition":3,"offset":41}`
	want := []Source{
		{Topic: "a", Key: []byte("k"), Value: []byte(`{"x":"}\"{","y":[1,{"z":null}]}`), Time: time.Date(2026, 11, 16, 9, 53, 59, 613e6, time.UTC)},
		{Topic: "b", Key: []byte{}, Value: []byte("12")},
		{Topic: "a", Offset: 1, Key: []byte{}, Value: []byte("not json\n")},
		{Topic: "a", Partition: 3, Offset: 41, Key: []byte{}, Value: []byte(deep)},
	}
	got, err := ReadSources(strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadOutputs(t *testing.T) {
	in := `{"topic":"s","key":"k","headers":{"ls-place":"J/0/1/0"},"value":{"a":1}}
{"topic":"s","key":"k","headers":{},"value":"x"}
{"topic":"s","partition":1,"offset":9,"key":"","headers":null,"value":null}`
	want := []Output{
		{Topic: "s", Key: []byte("k"), Headers: map[string]string{"ls-place": "J/0/1/0"}, Value: []byte(`{"a":1}`)},
		{Topic: "s", Offset: 1, Key: []byte("k"), Headers: map[string]string{}, Value: []byte(`"x"`)},
		{Topic: "s", Partition: 1, Offset: 9, Key: []byte{}, Value: []byte("null")},
	}
	got, err := ReadOutputs(strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"no object": "[1]", "cut off": `{"topic":"a"`, "cut off in a string": `{"topic":"a`, "no colon": `{"topic" "a"}`,
		"no name": `{1:2}`, "no offset": `{"topic":"a","offset":"x"}`, "no partition": `{"topic":"a","offset":1,"partition":"x"}`,
		"no time": `{"topic":"a","time":"today"}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadSources(strings.NewReader("{\"topic\":\"a\",\"value\":1}\n" + in))
			if err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
				t.Errorf("got %v, want an error of line 2", err)
			}
		})
	}
}
