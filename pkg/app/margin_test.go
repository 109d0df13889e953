package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"lockstitch/pkg/refold"
	"lockstitch/pkg/topicadmin"
)

// What `topics check` says of the snapshots: nothing while all is well, a warning
// when they fall behind, an error where the journal was cut beyond them.
func TestSnapshotFindings(t *testing.T) {
	ctx := deadline(t, time.Minute)
	cfg, stop := embed(t, ctx, local(), true)
	defer stop()
	r := start(t, cfg)
	if err := produce(ctx, cfg, sample(t, "shop.jsonl")); err != nil {
		t.Fatal(err)
	}
	r.drain(t, ctx)
	r.stop(t)
	find := func(now time.Time) (found []topicadmin.Finding) {
		t.Helper()
		found, err := SnapshotFindings(ctx, cfg, now)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := find(time.Now()); len(found) > 0 {
		t.Errorf("a journal that is whole: %v", found)
	}
	if found := find(time.Now().Add(5 * 24 * time.Hour)); len(found) == 0 || found[0].Severity != topicadmin.Warning {
		t.Errorf("without a snapshot for five days of seven: %v", found)
	}
	at := snapshotAll(t, ctx, stateOf(t, ctx, cfg))
	if found := find(time.Now().Add(5 * 24 * time.Hour)); len(found) > 0 {
		t.Errorf("snapshots at the journal's end: %v", found)
	}
	cl, err := r.conn.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	cut := kadm.Offsets{}
	for p, x := range at {
		cut.AddOffset(r.topics.Journal, p, x, -1)
	}
	admin := kadm.NewClient(cl)
	if _, err := admin.DeleteRecords(ctx, cut); err != nil {
		t.Fatal(err)
	}
	if found := find(time.Now()); len(found) > 0 {
		t.Errorf("cut at the snapshots: %v", found)
	}
	gone := kadm.Offsets{}
	for p := range at {
		gone.AddOffset(cfg.TopicNames().Snapshots, p, -1, -1) // to its end
	}
	if _, err := admin.DeleteRecords(ctx, gone); err != nil {
		t.Fatal(err)
	}
	found := find(time.Now())
	if len(found) != len(at) || found[0].Severity != topicadmin.Error || !strings.Contains(found[0].String(), "newest snapshot") {
		t.Errorf("the snapshots are gone: %v", found)
	}
}

// snapshotAll writes a snapshot of each partition that has anything.
func snapshotAll(t *testing.T, ctx context.Context, parts refold.Parts) map[int32]int64 {
	t.Helper()
	n, err := parts.Journal.Partitions(ctx)
	if err != nil {
		t.Fatal(err)
	}
	at := map[int32]int64{}
	for p := range n {
		done, err := parts.Snapshot(ctx, p)
		if errors.Is(err, refold.ErrNothing) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		at[p] = done.At
	}
	return at
}
