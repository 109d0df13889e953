package wire

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// judged are what scan and jsontext make of a record.
func judged(text []byte) (scanned bool, by, want []node, reason string) {
	fast, slow := tape{text: text}, tape{}
	scanned = fast.scan()
	reason, _ = slow.judge(text)
	return scanned, fast.nodes, slow.nodes, reason
}

// checkScan expects of a record that jsontext takes what scan takes, to the same nodes.
func checkScan(t *testing.T, text []byte) {
	t.Helper()
	scanned, got, want, reason := judged(text)
	if scanned && (reason != "" || !slices.Equal(got, want)) {
		t.Fatalf("%q: jsontext says %q, %v, scan %v", text, reason, want, got)
	}
}

func FuzzScan(f *testing.F) {
	for _, rec := range sampleRecords(f, "clients.jsonl")[:60] {
		f.Add([]byte(rec.Value))
	}
	f.Add([]byte(`{"a":[-0.1e+5,{"":{}},null,[]],"b":"\u00e9\n é 💥 \ud83d\udca5","c\u0061":true,"d":1e400}`))
	f.Fuzz(checkScan)
}

// TestScan: what scan takes, what it leaves to jsontext, and that the two agree, also
// on samples with a byte changed, added or gone.
func TestScan(t *testing.T) {
	members := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"m%d":%d`, i, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	for text, want := range map[string]bool{
		`{}`: true, ` { "a" : [ ] , "b" : { } } ` + "\r\n\t": true,
		`{"a":[1,-1,0,-0,1.5,1e5,1E-5,1.25e+3]}`:       true,
		`{"a":"\"\\\/\b\f\n\r\t\u00e9\u0000","é":"💥"}`: true,
		`{"a":{"a":1},"b":{"a":1},"ab":1,"ba":1}`:      true,
		members(scanned): true, nested(maxDepth): true,
		// Left to jsontext, which takes some of these.
		`{"\u0061":1}`: false, `{"a":"\ud83d\udca5"}`: false, members(scanned + 1): false, nested(maxDepth + 1): false,
		`{"a":1,"b":2,"a":3}`: false, `{"a":1e400}`: false, "{\"a\":\"\xff\"}": false, "{\"a\":\"x\x00\"}": false,
		`{"a":01}`: false, `{"a":-}`: false, `{"a":1.}`: false, `{"a":.5}`: false, `{"a":1e}`: false, `{"a":+1}`: false,
		`{"a":tru}`: false, `{"a":nulls}`: false, `{"a":1,}`: false, `{"a":[1,]}`: false, `{,}`: false, `{"a"}`: false,
		`{"a":1}}`: false, `{"a":1} x`: false, `[]`: false, `"a"`: false, ``: false, ` `: false, `{`: false, `{"a`: false,
		`{"a":"\u12"}`: false, `{"a":"\x"}`: false, `{"a":"\`: false, `{"a":`: false, `{"a":[`: false, `{"a":1`: false, "\ufeff{}": false,
	} {
		if scanned, _, _, _ := judged([]byte(text)); scanned != want {
			t.Errorf("%q: scanned %t", text, scanned)
		}
		checkScan(t, []byte(text))
	}
	r := rand.New(rand.NewPCG(1, 2))
	odd := []byte("\"\\{}[]:, \t\x00\x1f\x7f\x80\xc3\xe9\xffu019-+.eEtn")
	taken, all := 0, 0
	for _, file := range []string{"shop.jsonl", "clients.jsonl"} {
		for _, rec := range sampleRecords(t, file) {
			text := []byte(rec.Value)
			all++
			if scanned, _, _, _ := judged(text); scanned {
				taken++
			}
			checkScan(t, text)
			for range 50 {
				at, c := r.IntN(len(text)), odd[r.IntN(len(odd))]
				switch changed := slices.Clone(text); r.IntN(3) {
				case 0:
					changed[at] = c
					checkScan(t, changed)
				case 1:
					checkScan(t, slices.Insert(changed, at, c))
				default:
					checkScan(t, slices.Delete(changed, at, at+1))
				}
			}
		}
	}
	if taken < all*9/10 {
		t.Errorf("only %d of %d samples were scanned", taken, all)
	}
	t.Logf("%d of %d samples scanned", taken, all)
}
