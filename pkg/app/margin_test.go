package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"lockstitch/pkg/refold"
	"lockstitch/pkg/topicadmin"
)

// What `topics check` says of the snapshots: nothing while all is well, a warning
// when they fall behind, an error where the journal was cut beyond them.
func TestSnapshotFindings(t *testing.T) {
	ctx := deadline(t, time.Minute)
	cfg, r := drained(t, ctx)
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
	r.cut(t, ctx, r.topics.Journal, at)
	if found := find(time.Now()); len(found) > 0 {
		t.Errorf("cut at the snapshots: %v", found)
	}
	cfg.Environment = "other"
	if found := find(time.Now()); len(found) != len(at) || found[0].Severity != topicadmin.Error {
		t.Errorf("the snapshots are another environment's: %v", found)
	}
	cfg.Environment = "dev"
	gone := map[int32]int64{}
	for p := range at {
		gone[p] = -1
	}
	r.cut(t, ctx, cfg.TopicNames().Snapshots, gone)
	found := find(time.Now())
	if len(found) != len(at) || found[0].Severity != topicadmin.Error || !strings.Contains(found[0].String(), "no snapshot of this journal") {
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
