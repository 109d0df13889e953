//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newer builds a lockstitch whose fold calls itself one version newer.
func newer(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "stitch", "partition.go")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const now = "const Logic = 1\n"
	if strings.Count(string(text), now) != 1 {
		t.Fatalf("%s doesn't say %q", file, now)
	}
	dir := t.TempDir()
	other, overlay, binary := filepath.Join(dir, "partition.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "lockstitch")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: other}})
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(os.WriteFile(other, []byte(strings.Replace(string(text), now, "const Logic = 2\n", 1)), 0o600),
		os.WriteFile(overlay, replace, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if text, err := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", binary, "lockstitch/cmd/lockstitch").CombinedOutput(); err != nil {
		t.Fatalf("building the newer version: %v\n%s", err, text)
	}
	return binary
}

// TestUpgradeUnderWay rolls two processes to a newer version of the fold under
// traffic. Each partition goes on at an offset that is told, no two versions fold
// the same, and going back is refused.
func TestUpgradeUnderWay(t *testing.T) {
	const records = 9000
	binary := newer(t)
	w := newWorld(t, setup{})
	start := func() *process {
		return launchBinary(t, binary, "the newer version", "run", "--config", w.file)
	}
	old := []*process{w.start("run"), w.start("run")}
	for _, p := range old {
		p.isReady()
	}
	traffic := w.generate(records, 1000)
	w.published(1000)

	first := start() // both versions run; partitions that the newer one has had the older one can't serve
	w.published(w.ends("customerio.sink") + 500)
	for _, p := range old {
		p.signal(syscall.SIGTERM)
		if code := p.exit(patience); code != 0 {
			t.Errorf("the older version ended with %d", code)
		}
	}
	second := start()
	first.isReady()
	second.isReady()
	if code := traffic.exit(patience); code != 0 {
		t.Fatalf("produce ended with %d", code)
	}
	w.settle()
	at := map[any]bool{}
	for _, p := range []*process{first, second} {
		for _, l := range p.logged("journal partition goes on with another version of the fold: going back is refused from here on") {
			if at[l["partition"]] {
				t.Errorf("partition %v was taken over from the older version twice", l["partition"])
			}
			at[l["partition"]] = true
		}
	}
	if len(at) != 8 {
		t.Errorf("partitions that the newer version went on with: %v, want all 8", at)
	}

	for _, p := range []*process{first, second} {
		p.signal(syscall.SIGTERM)
		if code := p.exit(patience); code != 0 {
			t.Errorf("the newer version ended with %d", code)
		}
	}
	back := w.start("run")
	until(t, patience, "/ready says that going back is refused", func(ctx context.Context) (bool, error) {
		reasons, err := back.ready(ctx)
		return strings.Contains(reasons, "newer version"), errors.Join(err, errors.New(reasons))
	})
	back.kill()
	again := start()
	again.isReady()
	w.settle()
	if counts := w.judge(true); counts.Sources != records {
		t.Errorf("%d records judged, of %d", counts.Sources, records)
	}
}
