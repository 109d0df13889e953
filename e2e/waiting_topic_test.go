//go:build e2e

package e2e

import "testing"

// TestSinkIsMissing has the broker answer, and take nothing for the sink, as its
// topic isn't there. /ready says so, and all goes on once it is made.
func TestSinkIsMissing(t *testing.T) {
	const records, rate = 20_000, 300
	w := newWorld(t, setup{})
	if _, err := w.admin.DeleteTopic(t.Context(), w.prefix+"customerio.sink"); err != nil {
		t.Fatal(err)
	}
	runs := []*process{w.start("run"), w.start("run", "--only", "process")}
	for _, p := range runs {
		p.isReady()
	}
	traffic := w.stream(records, rate)
	for _, p := range runs {
		p.says(`"kafka"`, "publishing has waited", "leaders and replicas in sync")
	}
	bounded("while it lasted", runs...)
	w.command("topics", "apply")
	w.goOn(rate, runs...)
	came := traffic.stops()
	w.settle()
	bounded("at the end", runs...)
	known("kafka", "", runs...)
	w.firsts(w.outputs())
	if counts := w.judge(true); counts.Sources != came {
		t.Errorf("%d records judged, of %d", counts.Sources, came)
	}
}
