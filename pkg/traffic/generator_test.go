package traffic_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstitch/pkg/traffic"
)

const many = 50_000

// few people come again and again, so that a day goes by in these lines.
func week(garbage float64) traffic.Options {
	return traffic.Options{Seed: 7, People: 200, Garbage: garbage}
}

// good and spoilt are the lines of a day, made once for all tests that look at them.
var (
	good   = sync.OnceValue(func() []record { return records(take(week(0), many)) })
	spoilt = sync.OnceValue(func() []record { return records(take(week(0.01), many)) })
)

func take(opt traffic.Options, n int) []traffic.Line {
	lines := make([]traffic.Line, 0, n)
	for line := range traffic.New(opt).All() {
		if lines = append(lines, line); len(lines) == n {
			break
		}
	}
	return lines
}

func sum(lines []traffic.Line) string {
	h := sha256.New()
	for _, l := range lines {
		fmt.Fprintf(h, "%d\n%s\n%s\n%s\n", l.Time.UnixMilli(), l.Topic, l.Key, l.Value)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func TestSameOptionsSameLines(t *testing.T) {
	base := traffic.Options{Seed: 1, People: 50, Garbage: 0.01, Shop: "eu"}
	want := sum(take(base, 5000))
	if got := sum(take(base, 5000)); got != want {
		t.Errorf("the same options made other lines: %s and %s", got, want)
	}
	for name, opt := range map[string]traffic.Options{
		"seed":    {Seed: 2, People: 50, Garbage: 0.01, Shop: "eu"},
		"people":  {Seed: 1, People: 51, Garbage: 0.01, Shop: "eu"},
		"garbage": {Seed: 1, People: 50, Garbage: 0.02, Shop: "eu"},
		"shop":    {Seed: 1, People: 50, Garbage: 0.01, Shop: "us"},
		"start":   {Seed: 1, People: 50, Garbage: 0.01, Shop: "eu", Start: time.Unix(1_800_000_000, 0)},
	} {
		if got := sum(take(opt, 5000)); got == want {
			t.Errorf("another %s made the same lines", name)
		}
	}
}

// TestFirstLines pins the bytes, over machines and versions of Go. A change of
// the traffic on purpose changes it.
func TestFirstLines(t *testing.T) {
	const want = "4fa8a1d1ae35b4ff2d152f979bdbc7cba6b4b1dc702cc0a366f9916d63986a43"
	if got := sum(take(traffic.Options{Seed: 1, People: 100, Garbage: 0.01}, 10_000)); got != want {
		t.Errorf("the traffic of seed 1 has the hash %s, want %s", got, want)
	}
}

func TestNextAndAllAreOne(t *testing.T) {
	want := take(week(0.01), 1000)
	g := traffic.New(week(0.01))
	got := make([]traffic.Line, 0, len(want))
	for range want {
		got = append(got, g.Next())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestLinesAreTheCallers: a line that was handed out never changes.
func TestLinesAreTheCallers(t *testing.T) {
	g := traffic.New(week(0.05))
	lines := make([]traffic.Line, 0, 2000)
	copies := make([][]byte, 0, cap(lines))
	for range cap(lines) {
		line := g.Next()
		lines, copies = append(lines, line), append(copies, bytes.Clone(line.Value))
	}
	for i, line := range lines {
		if !bytes.Equal(line.Value, copies[i]) {
			t.Fatalf("line %d changed after it was handed out", i)
		}
	}
}

func TestArrivalsNeverGoBack(t *testing.T) {
	start := time.Date(2027, 3, 1, 6, 0, 0, 0, time.UTC)
	before := start
	opt := week(0.01)
	opt.Start = start
	for i, line := range take(opt, many) {
		if line.Time.Before(before) {
			t.Fatalf("line %d arrives at %s, the one before at %s", i, line.Time, before)
		}
		before = line.Time
	}
	if before.Sub(start) < 12*time.Hour {
		t.Errorf("%d lines of 200 people last only %s", many, before.Sub(start))
	}
}

func TestSize(t *testing.T) {
	bytes := 0
	for _, line := range good() {
		bytes += len(line.Value)
	}
	if mean := bytes / many; mean < 450 || mean > 650 {
		t.Errorf("a value has %d bytes on average, want 450 to 650", mean)
	}
}
