//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"lockstitch/e2e/parts"
)

// TestPausedOwnerWakes pauses a processor in the middle of its batches until another
// has its partitions, and wakes it. Until it hears that it lost them there are two
// owners of one state: the compare-and-set, or the read before it, of whichever
// comes late is refused. What both publish is the same bytes, and the one that was
// paused goes on as a member.
func TestPausedOwnerWakes(t *testing.T) {
	const records, rate = 24_000, 700
	w := newWorld(t, setup{})
	first, second := w.start("run"), w.distant()
	runs := []*process{first, second}
	for _, p := range runs {
		p.isReady()
	}
	traffic := w.stream(records, rate)
	w.published(rate)
	for range 2 {
		w.owns(second, 4)
		w.goOn(rate)
		before := second.metric("lockstitch_takeovers_total")
		second.pause()
		w.owns(first, 8)
		w.goOn(rate)
		second.resume()
		until(t, patience, "it has taken partitions over again", func(context.Context) (bool, error) {
			now := second.metric("lockstitch_takeovers_total")
			return now >= before+4, fmt.Errorf("%v take-overs, %v before", now, before)
		})
		w.goOn(rate, runs...)
	}
	if refusals(runs) == 0 {
		t.Error("nobody counts a refusal")
	}
	came := traffic.stops()
	w.settle()
	bounded("at the end", runs...)
	known("redis", "", runs...)
	w.firsts(w.outputs())
	if counts := w.judge(true); counts.Sources != came {
		t.Errorf("%d records judged, of %d", counts.Sources, came)
	}
}

// refusals are the compare-and-sets, and reads before them, that found the state
// elsewhere.
func refusals(runs []*process) (n float64) {
	for _, p := range runs {
		n += p.metric("lockstitch_cas_refused_total")
	}
	return n
}

// distant is a processor that is in the middle of a call to Redis nearly always,
// as its replies take a while.
func (w *world) distant() *process {
	w.t.Helper()
	far, err := parts.StartProxy(shared.redis.Addr(), 1)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(far.Close)
	far.Set(parts.Fault{Delay: 100 * time.Millisecond})
	file := filepath.Join(w.t.TempDir(), "lockstitch.yaml")
	w.configure(file, setup{redis: far}, "e2e")
	return launch(w.t, "the distant `lockstitch run`", "run", "--only", "process", "--config", file)
}

// owns waits until a run serves so many partitions.
func (w *world) owns(p *process, n int) {
	w.t.Helper()
	until(w.t, patience, fmt.Sprintf("%s owns %d partitions", p.name, n), func(context.Context) (bool, error) {
		now := p.metric("lockstitch_partitions_owned")
		return now == float64(n), fmt.Errorf("it owns %v", now)
	})
}
