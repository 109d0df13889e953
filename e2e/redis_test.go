//go:build e2e

package e2e

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"

	"lockstitch/e2e/parts"
	"lockstitch/pkg/check"
)

// TestRedisDiesAndForgets kills Redis under traffic, starts it again, and then has
// it forget everything. The processors wait, say so on /ready, fold their state
// again by themselves, and publish nothing again of what was committed.
func TestRedisDiesAndForgets(t *testing.T) {
	const records = 12_000
	server := ownRedis(t, parts.RedisOptions{})
	w := newWorld(t, setup{redis: server})
	first, second := w.start("run"), w.start("run", "--only", "process")
	first.isReady()
	second.isReady()
	traffic := w.generate(records, 1000)

	w.published(1000)
	died := w.mark()
	server.Kill()
	until(t, patience, "/ready names Redis", func(ctx context.Context) (bool, error) {
		reasons, err := first.ready(ctx)
		return strings.Contains(reasons, `"redis"`), errors.Join(err, errors.New(reasons))
	})
	restart(t, server)
	first.isReady()
	w.published(w.ends("customerio.sink") + 1000)

	forgot := w.mark()
	forget(t, server)
	w.published(w.ends("customerio.sink") + 1000)
	if code := traffic.exit(patience); code != 0 {
		t.Fatalf("produce ended with %d", code)
	}
	w.settle()

	outputs := w.outputs()
	for what, m := range map[string]mark{"died": died, "forgot everything": forgot} {
		if n := m.again(w, outputs); n > 0 {
			t.Errorf("%d records were published again after Redis %s, though committed before", n, what)
		}
	}
	rebuilt := map[any]bool{}
	for _, p := range []*process{first, second} {
		for _, l := range p.logged("state of a journal partition is rebuilt: folding the journal again, silently up to the commit") {
			rebuilt[l["partition"]] = true
		}
	}
	if len(rebuilt) != 8 {
		t.Errorf("partitions whose rebuild was logged: %v, want all 8", rebuilt)
	}
	if counts := w.judge(true); counts.Sources != records {
		t.Errorf("%d records judged, of %d", counts.Sources, records)
	}
}

func ownRedis(t *testing.T, o parts.RedisOptions) *parts.Redis {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := parts.StartRedis(ctx, t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func restart(t *testing.T, r *parts.Redis) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.Restart(ctx); err != nil {
		t.Fatal(err)
	}
}

func forget(t *testing.T, r *parts.Redis) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: r.Addr()})
	defer client.Close()
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

// mark is how far the journal was committed at a moment, and where the outputs
// ended after that.
type mark struct {
	committed map[string]int64 // by sender, as ls-place names it
	ends      map[string]int64 // by topic/partition
}

// mark reads commits before ends: what is below a commit stands below the ends.
func (w *world) mark() (m mark) {
	w.t.Helper()
	topics := w.prefixed("stitch.journal", "customerio.sink", "stitch.decisions", "stitch.dlq")
	until(w.t, patience, "commits and ends are known", func(ctx context.Context) (bool, error) {
		commits, err1 := w.commits(ctx, w.prefix+"lockstitch-process")
		ends, err2 := w.admin.ListEndOffsets(ctx, topics...)
		journal, err3 := w.admin.ListTopics(ctx, topics[0])
		if err := errors.Join(err1, err2, ends.Error(), err3); err != nil {
			return false, err
		}
		id := journal[topics[0]].ID
		m = mark{map[string]int64{}, map[string]int64{}}
		commits.Each(func(o kadm.OffsetResponse) {
			m.committed[fmt.Sprintf("%s/%d", base64.RawURLEncoding.EncodeToString(id[:]), o.Partition)] = o.At
		})
		ends.Each(func(o kadm.ListedOffset) { m.ends[fmt.Sprintf("%s/%d", o.Topic, o.Partition)] = o.Offset })
		return len(m.committed) == 8, fmt.Errorf("commits of %d partitions", len(m.committed))
	})
	return m
}

// again counts the outputs that came after the mark from below its commits.
func (m mark) again(w *world, outputs []check.Output) (n int) {
	w.t.Helper()
	judged := 0
	for _, o := range outputs {
		p := placeOf(w.t, o)
		committed, fromJournal := m.committed[p.sender]
		if !fromJournal || o.Offset < m.ends[fmt.Sprintf("%s/%d", o.Topic, o.Partition)] {
			continue
		}
		judged++
		if p.offset < committed {
			n++
		}
	}
	if judged == 0 {
		w.t.Error("no output came from the journal after the mark: its name in places isn't what this test takes it for")
	}
	return n
}
