package metrics

import (
	"strings"
	"time"

	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

var _ engine.Observer = (*Metrics)(nil)

// partition is what is known of a journal partition that this process owns.
type partition struct {
	waiting int       // orders and take-overs
	held    int64     // log time at which the first hold of an order ends, Unix ms; 0 for none
	trouble trouble   // zero for none
	at      time.Time // of the latest trouble
	retried bool      // taken over since
	copied  time.Time // when it had a whole snapshot last, or was taken over
}

// part is the partition's entry; mu is held.
func (m *Metrics) part(p int32) *partition {
	if m.parts[p] == nil {
		m.parts[p] = &partition{}
	}
	return m.parts[p]
}

// TookOver counts and logs a take-over, and how much of it is a silent catch-up.
func (m *Metrics) TookOver(p int32, from, silent int64) {
	m.mu.Lock()
	part := m.part(p)
	part.retried = true
	if part.copied.IsZero() {
		part.copied = m.now()
	}
	delete(m.unserved, p)
	m.mu.Unlock()
	m.takeovers.Inc()
	if silent <= from {
		m.log.Info("journal partition taken over", "partition", p, "from", from)
		return
	}
	m.catchups.Inc()
	m.silent.Add(float64(silent - from))
	m.log.Warn("journal partition taken over behind its commit: folding again, silently",
		"partition", p, "from", from, "to", silent, "records", silent-from)
}

// Rebuilding counts and logs a rebuild.
func (m *Metrics) Rebuilding(p int32, reason string, from, silent int64) {
	m.rebuilds.WithLabelValues(strings.ReplaceAll(reason, " ", "_")).Inc()
	m.log.Warn("state of a journal partition is rebuilt: folding the journal again, silently up to the commit",
		"partition", p, "reason", reason, "from", from, "to", silent)
}

// Promoted logs the offset from which on another logic holds.
func (m *Metrics) Promoted(p int32, at int64, from, to int) {
	m.log.Warn("journal partition goes on with another version of the fold: going back is refused from here on",
		"partition", p, "from", at, "before", from, "now", to)
}

// Snapshot counts a whole snapshot, and notes when the partition had one last.
func (m *Metrics) Snapshot(p int32, c engine.Copied) {
	m.mu.Lock()
	m.part(p).copied = m.now()
	m.mu.Unlock()
	m.snapshots.Inc()
	m.log.Debug("snapshot taken", "partition", p, "at", c.At, "entities", c.Entities, "took", c.Took)
}

// Folded measures a batch and counts its outcomes.
func (m *Metrics) Folded(p int32, b engine.Batch) {
	m.mu.Lock()
	part := m.part(p)
	part.waiting, part.held, part.trouble = b.Timers, b.Held, trouble{}
	m.mu.Unlock()
	kind := "live"
	if b.Silent {
		kind = "silent"
	}
	m.batches.WithLabelValues(kind).Inc()
	m.journal.Add(float64(b.Records))
	m.timed(b)
	m.outcomes(b.Outputs)
}

func (m *Metrics) timed(b engine.Batch) {
	m.Stage("read", b.Read)
	m.Stage("fold", b.Fold)
	m.Stage("publish", b.Publish)
	m.Stage("remember", b.Remember)
	m.Stage("commit", b.Commit)
	if !b.Silent {
		m.delay.Observe(max(0, m.now().Sub(time.UnixMilli(b.Oldest)).Seconds()))
	}
}

// outcomes counts what a batch decided. A source record is published once, in
// however many sink records; those of one journal record stand side by side.
func (m *Metrics) outcomes(outputs []stitch.Output) {
	type cause struct {
		offset int64
		source stitch.Source
	}
	var last cause
	actions, published := map[stitch.Action]int{}, map[string]int{} // summed up first: this is a hot path
	for i := range outputs {
		o := &outputs[i]
		switch {
		case o.Sink != nil:
			actions[o.Sink.Action]++
			at := cause{o.Place.Offset, o.Sink.Source}
			if at != last && !takesOver(o.Sink) {
				published[at.source.Topic]++
			}
			last = at
		case o.Decision != nil:
			m.decided(o.Decision)
		case o.Dead != nil:
			m.quarantined(o.Dead)
		}
	}
	for action, n := range actions {
		m.sink.WithLabelValues(string(action)).Add(float64(n))
	}
	for topic, n := range published {
		m.records.WithLabelValues(topic, "published").Add(float64(n))
	}
}

// takesOver reports a lead's take-over: its cause, the customer's identify, was
// counted when it was published itself.
func takesOver(s *stitch.Sink) bool { return s.Action == stitch.ActMerge && s.Secondary.Email != "" }

func (m *Metrics) decided(d *stitch.Decision) {
	switch d.Kind {
	case "outcome":
		m.records.WithLabelValues(d.Source.Topic, d.Outcome).Inc()
	case "identity":
		m.identity.WithLabelValues(d.Outcome).Inc()
	case "note":
		m.notes.WithLabelValues(d.Outcome).Inc()
		m.refusedID(d.Outcome)
	}
}

// Refused counts a state that was found elsewhere.
func (m *Metrics) Refused(p int32) {
	m.cas.Inc()
	m.log.Warn("state of a journal partition was moved by another owner: taking over again", "partition", p)
}

// Unreadable counts and logs a journal record that was passed over.
func (m *Metrics) Unreadable(p int32, offset int64) {
	m.unreadable.Inc()
	m.log.Error("a journal record is no message of ours: who else writes to the journal?", "partition", p, "offset", offset)
}

// heldOrders and the other gauges of partitions are called with mu held.
func (m *Metrics) heldOrders() float64 {
	n := 0
	for _, p := range m.parts {
		n += p.waiting
	}
	return float64(n)
}

// snapshotOldest is the age of the oldest of the partitions' last snapshots.
func (m *Metrics) snapshotOldest() float64 {
	oldest := 0.0
	for _, p := range m.parts {
		if !p.copied.IsZero() {
			oldest = max(oldest, m.now().Sub(p.copied).Seconds())
		}
	}
	return oldest
}

// heldOldest reckons from the first hold's end: it was set a hold ahead.
func (m *Metrics) heldOldest() float64 {
	oldest := 0.0
	for _, p := range m.parts {
		if p.held > 0 {
			oldest = max(oldest, (m.now().Sub(time.UnixMilli(p.held)) + m.hold).Seconds())
		}
	}
	return oldest
}

func (m *Metrics) owned() float64         { return float64(len(m.parts)) }
func (m *Metrics) unservedCount() float64 { return float64(len(m.unserved)) }
