package app

import (
	"context"
	"fmt"
	"time"

	"lockstitch/pkg/config"
	"lockstitch/pkg/engine"
	"lockstitch/pkg/kafka"
	"lockstitch/pkg/topicadmin"
	"lockstitch/stitch"
)

// SnapshotFindings says where the journal was cut beyond the newest snapshot, and
// where half of its retention has passed since there was one: a state that Redis
// loses then can't be rebuilt, or soon can't. It looks at the snapshots' ends only.
func SnapshotFindings(ctx context.Context, cfg *config.Config, now time.Time) (found []topicadmin.Finding, err error) {
	journal, snapshots, end, err := past(cfg)
	if err != nil {
		return nil, err
	}
	defer end()
	n, err := journal.Partitions(ctx)
	if err != nil {
		return nil, err
	}
	retention, err := journal.Retention(ctx)
	if err != nil {
		return nil, err
	}
	for p := range n {
		m, err := marginOf(ctx, cfg.Environment, journal, snapshots, p)
		if err != nil {
			return nil, err
		}
		if f, bad := m.judge(cfg.TopicNames().Journal, retention, now); bad {
			found = append(found, f)
		}
	}
	return found, nil
}

// margin is what a rebuild of a partition would find.
type margin struct {
	p                     int32
	start, committed, end int64 // of the journal
	at                    int64 // of the newest snapshot that a rebuild could begin with, 0 for none
	oldest                time.Time
}

func marginOf(ctx context.Context, environment string, journal *kafka.JournalReader, snapshots *kafka.Snapshots, p int32) (m margin, err error) {
	m.p = p
	var topicID string
	if m.start, m.end, topicID, err = journal.Bounds(ctx, p); err != nil {
		return m, err
	}
	if m.committed, err = journal.Committed(ctx, p); err != nil || m.committed <= 0 {
		return m, err
	}
	if m.at, err = engine.Ended(ctx, snapshots, p, engine.Fits(stitch.Logic, environment, topicID, m.start, m.end)); err != nil {
		return m, err
	}
	if from := max(m.at, m.start); from < m.end { // the first record that a rebuild would need
		entries, err := journal.Read(ctx, p, from, 1)
		if err != nil || len(entries) == 0 {
			return m, err
		}
		m.oldest = time.UnixMilli(entries[0].Time)
	}
	return m, nil
}

func (m margin) judge(topic string, retention time.Duration, now time.Time) (f topicadmin.Finding, bad bool) {
	f = topicadmin.Finding{Topic: topic, Code: topicadmin.Snapshots}
	switch {
	case m.committed <= 0, m.at >= m.committed: // all that was folded is in it
		return f, false
	case m.start > m.at:
		f.Severity = topicadmin.Error
		f.Text = fmt.Sprintf("partition %d begins at %d and no snapshot of this journal reaches into it: Redis's state is all there is; "+
			"back it up, and let a processor take a snapshot (process.snapshot_every)", m.p, m.start)
		return f, true
	case retention > 0 && !m.oldest.IsZero() && now.Sub(m.oldest) > retention/2:
		f.Severity = topicadmin.Warning
		f.Text = fmt.Sprintf("partition %d would be rebuilt from %d, a record %s old, and the journal keeps %s: "+
			"see why no snapshot was taken since (lockstitch_snapshots_total, the log)", m.p, m.at, now.Sub(m.oldest).Round(time.Minute), retention)
		return f, true
	}
	return f, false
}
