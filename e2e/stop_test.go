//go:build e2e

package e2e

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lockstitch/e2e/parts"
)

// TestGracefulStop: SIGTERM under traffic ends a run with code 0 within 10 s, with
// its batches finished: whoever goes on repeats nothing.
func TestGracefulStop(t *testing.T) {
	const records = 6000
	w := newWorld(t, setup{})
	first := w.start("run")
	first.isReady()
	traffic := w.generate(records, 1500)

	w.published(1000)
	first.signal(syscall.SIGTERM)
	if code := first.exit(10 * time.Second); code != 0 {
		t.Errorf("a run that was asked to stop ended with %d, want 0", code)
	}
	w.start("run").isReady()
	if code := traffic.exit(patience); code != 0 {
		t.Fatalf("produce ended with %d", code)
	}
	w.settle()
	if counts := w.judge(true); counts.Sources != records || counts.Repeats != 0 {
		t.Errorf("got %+v, want %d sources and no repeats", counts, records)
	}
}

// TestWrongRedisIsRefused: what can't be right ends a run at its start, with a
// message that says what is wrong.
func TestWrongRedisIsRefused(t *testing.T) {
	t.Run("another environment's state", func(t *testing.T) {
		w := newWorld(t, setup{})
		first := w.start("run")
		first.isReady()
		first.signal(syscall.SIGTERM)
		if code := first.exit(10 * time.Second); code != 0 {
			t.Fatalf("the first environment's run ended with %d", code)
		}
		w.file = filepath.Join(t.TempDir(), "other.yaml")
		w.configure(w.file, setup{}, "other")
		w.refused(`environment "e2e"`, `"other"`, "configure another prefix or server")
	})
	t.Run("another environment's topics beside an empty Redis", func(t *testing.T) {
		w := newWorld(t, setup{})
		w.runOnce()
		w.file = filepath.Join(t.TempDir(), "other.yaml")
		w.configure(w.file, setup{redis: ownRedis(t, parts.RedisOptions{})}, "other")
		w.refused("the journal is another environment's", `for environment "e2e"`, `"other"`, "configure another prefix or server")
	})
	t.Run("a server that evicts", func(t *testing.T) {
		w := newWorld(t, setup{redis: ownRedis(t, parts.RedisOptions{Policy: "allkeys-lru"})})
		w.refused("allkeys-lru", "set it to noeviction")
	})
}

// refused wants a run to end by itself, and to say these things.
func (w *world) refused(says ...string) {
	w.t.Helper()
	p := w.start("run")
	if code := p.exit(patience); code == 0 {
		w.t.Error("the run ended with 0, want a failure")
	}
	for _, text := range says {
		if !strings.Contains(strings.ReplaceAll(p.said(), `\"`, `"`), text) {
			w.t.Errorf("the run doesn't say %q:\n%s", text, p.tail())
		}
	}
}
