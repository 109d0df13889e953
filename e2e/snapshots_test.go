//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"lockstitch/e2e/parts"
)

// TestRedisForgetsAndTheJournalIsCut takes Redis's memory away under traffic, when
// retention has cut the journal up to the snapshots: the states are rebuilt from
// them, are byte for byte what an owner that never stopped would have, and nothing
// committed before is published again.
func TestRedisForgetsAndTheJournalIsCut(t *testing.T) {
	const records = 12_000
	server := ownRedis(t, parts.RedisOptions{})
	w := newWorld(t, setup{redis: server, more: "process: {snapshot_every: 1s}"})
	runs := []*process{w.start("run"), w.start("run", "--only", "process")}
	for _, p := range runs {
		p.isReady()
	}
	traffic := w.generate(records, 1000)
	w.published(4000)

	cut := kadm.Offsets{}
	at := map[any]int64{}
	for line := range strings.Lines(w.command("state", "snapshot")) {
		var p int32
		var x int64
		if n, err := fmt.Sscanf(line, "partition %d: snapshot at %d,", &p, &x); err != nil || n != 2 {
			t.Fatalf("%q: %v", line, err)
		}
		cut.AddOffset(w.prefixed("stitch.journal")[0], p, x, -1)
		at[float64(p)] = x
	}
	if _, err := w.admin.DeleteRecords(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	forgot := w.mark()
	forget(t, server)
	w.published(w.ends("customerio.sink") + 1000)
	if code := traffic.exit(patience); code != 0 {
		t.Fatalf("produce ended with %d", code)
	}
	w.settle()

	outputs := w.outputs()
	if n := forgot.again(w, outputs); n > 0 {
		t.Errorf("%d records were published again, though committed before", n)
	}
	rebuilt := map[any]bool{}
	for _, p := range runs {
		for _, l := range p.logged("state of a journal partition is rebuilt: folding the journal again, silently up to the commit") {
			if from := int64(l["from"].(float64)); from < at[l["partition"]] {
				t.Errorf("partition %v was rebuilt from %d, before the journal's start at %d", l["partition"], from, at[l["partition"]])
			}
			rebuilt[l["partition"]] = true
		}
	}
	if len(rebuilt) != 8 {
		t.Errorf("partitions that were rebuilt: %v, want all 8", rebuilt)
	}
	if counts := w.judge(true); counts.Sources != records {
		t.Errorf("%d records judged, of %d", counts.Sources, records)
	}
	t.Log(w.command("state", "check"))
}
