package app

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"

	"lockstitch/pkg/config"
	"lockstitch/pkg/engine"
	"lockstitch/pkg/refold"
)

// drained is a run that has folded the shop's samples.
func drained(t *testing.T, ctx context.Context) (*config.Config, *running) {
	t.Helper()
	cfg, stop := embed(t, ctx, local(), true)
	t.Cleanup(stop)
	r := start(t, cfg)
	if err := produce(ctx, cfg, sample(t, "shop.jsonl")); err != nil {
		t.Fatal(err)
	}
	r.drain(t, ctx)
	return cfg, r
}

// cut deletes what lies below offsets of a topic's partitions; -1 is the end.
func (r *running) cut(t *testing.T, ctx context.Context, topic string, below map[int32]int64) {
	t.Helper()
	cl, err := r.conn.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	offsets := kadm.Offsets{}
	for p, at := range below {
		offsets.AddOffset(topic, p, at, -1)
	}
	if _, err := kadm.NewClient(cl).DeleteRecords(ctx, offsets); err != nil {
		t.Fatal(err)
	}
}

// stateOf is a test's connection to the state.
func stateOf(t *testing.T, ctx context.Context, cfg *config.Config) refold.Parts {
	t.Helper()
	parts, done, err := State(ctx, cfg, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(done)
	return parts
}

// checkAll expects every partition to be the fold of its journal, and counts the
// entities.
func checkAll(t *testing.T, ctx context.Context, parts refold.Parts) (entities int) {
	t.Helper()
	n, err := parts.Journal.Partitions(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for p := range n {
		r, err := parts.Check(ctx, p)
		if err != nil {
			t.Fatalf("partition %d: %v", p, err)
		}
		if r.Count > 0 {
			t.Errorf("partition %d: %+v", p, r)
		}
		entities += r.Entities
	}
	return entities
}

// TestState: a state is checked, damaged, found out, snapshotted, and rebuilt when
// Redis is lost and the journal is cut up to the snapshots, while processors run.
func TestState(t *testing.T) {
	ctx := deadline(t, time.Minute)
	cfg, r := drained(t, ctx)
	parts := stateOf(t, ctx, cfg)
	entities := checkAll(t, ctx, parts)
	if entities < 50 {
		t.Fatalf("only %d entities", entities)
	}

	client := goredis.NewClient(&goredis.Options{Addr: cfg.Redis.Addresses[0]})
	defer client.Close()
	damage(t, ctx, client)
	if found := countDiffs(t, ctx, parts); found != 2 {
		t.Errorf("%d differences found, want the 2 made", found)
	}

	at := snapshotAll(t, ctx, parts)
	n, _ := parts.Journal.Partitions(ctx)
	r.cut(t, ctx, r.topics.Journal, at)
	for p := range n {
		if _, _, err := parts.Rebuild(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	until(t, ctx, "all is rebuilt", func() bool {
		for p := range n {
			c, _ := parts.Journal.Committed(ctx, p)
			if at, err := parts.Rebuilt(ctx, p); err != nil || at < max(c, 0) {
				return false
			}
		}
		return true
	})
	if again := checkAll(t, ctx, parts); again < entities {
		t.Errorf("%d entities after the rebuild, %d before", again, entities)
	}
	r.stop(t)
}

// damage changes one entity and takes another away, in some partition.
func damage(t *testing.T, ctx context.Context, client *goredis.Client) {
	t.Helper()
	pages, err := client.Keys(ctx, "*:e:*").Result()
	if err != nil || len(pages) < 2 {
		t.Fatal(pages, err)
	}
	slices.Sort(pages)
	entity := func(page string) string {
		all, err := client.HGetAll(ctx, page).Result()
		if err != nil {
			t.Fatal(err)
		}
		return slices.Sorted(maps.Keys(all))[0]
	}
	if err := client.HSet(ctx, pages[0], entity(pages[0]), "other").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.HDel(ctx, pages[1], entity(pages[1])).Err(); err != nil {
		t.Fatal(err)
	}
}

func countDiffs(t *testing.T, ctx context.Context, parts refold.Parts) (n int) {
	t.Helper()
	all, err := parts.Journal.Partitions(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for p := range all {
		r, err := parts.Check(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		n += r.Count
	}
	return n
}

// TestRebuildRefused: where neither a snapshot nor the journal reaches, the state
// in Redis is all there is.
func TestRebuildRefused(t *testing.T) {
	ctx := deadline(t, time.Minute)
	cfg, r := drained(t, ctx)
	r.stop(t)
	parts := stateOf(t, ctx, cfg)
	r.cut(t, ctx, r.topics.Journal, map[int32]int64{0: 1})
	before, _, err := parts.State.Head(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := parts.Rebuild(ctx, 0); err == nil {
		t.Error("a state that nothing can bring back was given up")
	}
	if _, err := parts.Check(ctx, 0); !errors.Is(err, engine.ErrNoHistory) {
		t.Errorf("check without history: %v", err)
	}
	if after, _, err := parts.State.Head(ctx, 0); err != nil || after.Position != before.Position {
		t.Errorf("the head moved from %v to %v, %v", before, after, err)
	}
}
