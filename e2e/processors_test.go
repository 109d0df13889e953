//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
)

// TestThreeProcessors has three processes share the work under traffic. One is
// killed, and the other two take its partitions; another joins, and gets a share.
func TestThreeProcessors(t *testing.T) {
	const partitions = 8
	w := newWorld(t, setup{})
	runs := []*process{w.start("run"), w.start("run"), w.start("run")}
	w.share(partitions, runs...)
	traffic := w.stream(200*perSecond, perSecond) // more than the test takes
	w.published(2 * perSecond)

	runs[1].kill()
	left := []*process{runs[0], runs[2]}
	w.share(partitions, left...)
	w.goOn(perSecond, left...)

	now := append(left, w.start("run"))
	w.share(partitions, now...)
	w.goOn(perSecond, now...)

	records := traffic.stops()
	w.settle()
	bounded("at the end", now...)
	known("kafka", "", now...)
	w.firsts(w.outputs())
	if counts := w.judge(true); counts.Sources != records {
		t.Errorf("%d records judged, of %d", counts.Sources, records)
	}
}

// share waits until processes own all partitions between them, each of them some.
func (w *world) share(partitions int, runs ...*process) {
	w.t.Helper()
	until(w.t, patience, fmt.Sprintf("%d processes share %d partitions", len(runs), partitions), func(context.Context) (bool, error) {
		all, idle := 0, 0
		for _, p := range runs {
			owned := int(p.metric("lockstitch_partitions_owned"))
			all += owned
			if owned == 0 {
				idle++
			}
		}
		return all == partitions && idle == 0, fmt.Errorf("they own %d, and %d own none", all, idle)
	})
}
