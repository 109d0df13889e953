package hush

import (
	"testing"
	"time"
)

func TestLog(t *testing.T) {
	var l Log[string]
	start := time.Unix(1000, 0)
	for _, c := range []struct {
		kind    string
		after   time.Duration
		skipped int
		ok      bool
	}{
		{"a", 0, 0, true},
		{"a", 1, 0, false},
		{"b", 1, 0, true},
		{"a", Quiet - 1, 0, false},
		{"a", Quiet, 2, true},
		{"a", 2*Quiet - 1, 0, false},
		{"a", 2 * Quiet, 1, true},
		{"b", 9 * Quiet, 0, true},
	} {
		if skipped, ok := l.Say(c.kind, start.Add(c.after)); skipped != c.skipped || ok != c.ok {
			t.Errorf("%s after %v: %d, %t, want %d, %t", c.kind, c.after, skipped, ok, c.skipped, c.ok)
		}
	}
}
