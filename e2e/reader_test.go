//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"lockstitch/pkg/check"
)

// place is a parsed ls-place.
type place struct {
	sender        string // topic ID and partition
	offset, index int64
}

func placeOf(t *testing.T, o check.Output) place {
	t.Helper()
	header := o.Headers["ls-place"]
	fields := strings.Split(header, "/")
	if len(fields) != 4 {
		t.Fatalf("%s/%d/%d: ls-place is %q", o.Topic, o.Partition, o.Offset, header)
	}
	offset, err1 := strconv.ParseInt(fields[2], 10, 64)
	index, err2 := strconv.ParseInt(fields[3], 10, 64)
	if err1 != nil || err2 != nil {
		t.Fatalf("%s/%d/%d: ls-place is %q", o.Topic, o.Partition, o.Offset, header)
	}
	return place{fields[0] + "/" + fields[1], offset, index}
}

func (p place) after(q place) bool {
	return p.offset > q.offset || p.offset == q.offset && p.index > q.index
}

// firsts is what a reader sees that passes over places not higher than the highest
// of that sender partition (law 2.2), in each output partition; outputs hold each
// partition in order. What it passes over must stand before, as the same bytes.
func (w *world) firsts(outputs []check.Output) (seen []check.Output) {
	w.t.Helper()
	highest, first := map[string]place{}, map[string]check.Output{}
	for _, o := range outputs {
		p := placeOf(w.t, o)
		mark := fmt.Sprintf("%s/%d %s", o.Topic, o.Partition, p.sender)
		before, any := highest[mark]
		if !any || p.after(before) {
			highest[mark] = p
			first[mark+o.Headers["ls-place"]] = o
			seen = append(seen, o)
			continue
		}
		was, ok := first[mark+o.Headers["ls-place"]]
		if !ok || !bytes.Equal(was.Key, o.Key) || !bytes.Equal(was.Value, o.Value) || !maps.Equal(was.Headers, o.Headers) {
			w.t.Errorf("%s/%d/%d: a reader passes over it, and it isn't a repeat of the same bytes", o.Topic, o.Partition, o.Offset)
		}
	}
	w.t.Logf("%d outputs, %d of them repeats", len(outputs), len(outputs)-len(seen))
	return seen
}
