//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// TestKillsAtFullSpeed kills processors and ingest with batches in flight, and lets
// others join, under the generator's traffic. Nothing is lost, and what stands
// twice is the same bytes under the same place: the checker reads as a reader does.
func TestKillsAtFullSpeed(t *testing.T) {
	const records = 20_000
	w := newWorld(t, setup{})
	all, second := w.start("run"), w.start("run", "--only", "process")
	all.isReady()
	second.isReady()
	traffic := w.generate(records, 4000)

	w.published(1000)
	second.kill()
	w.published(w.ends("customerio.sink") + 500) // of the partitions that the first has
	second = w.start("run", "--only", "process") // a rebalance
	w.published(w.ends("customerio.sink") + 500)
	all.kill() // ingest as well
	w.start("run")
	w.published(w.ends("customerio.sink") + 500)
	third := w.start("run", "--only", "process") // another, without a death
	third.isReady()
	second.kill()
	if code := traffic.exit(patience); code != 0 {
		t.Fatalf("produce ended with %d", code)
	}
	w.settle()

	if counts := w.judge(true); counts.Sources != records {
		t.Errorf("%d records judged, of %d", counts.Sources, records)
	}
}

// generate writes n records of the generator's traffic to a file, and starts to
// produce them, rate a second.
func (w *world) generate(n, rate int) *process {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "traffic.jsonl")
	text := w.command("generate", "--print", "--count", strconv.Itoa(n), "--people", strconv.Itoa(n/20))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return w.start("produce", "--rate", strconv.Itoa(rate), file)
}
