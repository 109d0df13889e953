package metrics

import (
	"slices"
	"strconv"
	"time"
)

// place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

// sample is an end offset as it was seen at a time.
type sample struct {
	at  time.Time
	end int64
}

// track is the end offsets of a partition that lie beyond what is committed. The
// first tells since when the oldest record that is not committed is there.
type track struct {
	samples []sample
	gap     time.Duration // between samples at least; grows with the backlog's age
}

// maxSamples bounds a track. So an age is too small by 2/maxSamples of the
// backlog's at most, beside the pace of the calls.
const maxSamples = 512

// Lag sets how many records of a partition are there and not committed, end being
// its end offset. Called again and again, it knows their age too: since when an
// end beyond the committed offset has been seen.
func (m *Metrics) Lag(topic string, p int32, records, end int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := place{topic, p}
	if m.tracks[at] == nil {
		m.tracks[at] = &track{}
	}
	age := m.tracks[at].age(m.now(), end-records, end)
	n := strconv.Itoa(int(p))
	m.lagRecords.WithLabelValues(topic, n).Set(float64(records))
	m.lagSeconds.WithLabelValues(topic, n).Set(age.Seconds())
}

// age is how long the record at offset committed is known to be there; 0 where
// there is none.
func (t *track) age(now time.Time, committed, end int64) time.Duration {
	if n := len(t.samples); n > 0 && end < t.samples[n-1].end {
		t.samples = nil // another topic of the same name
	}
	t.samples = slices.DeleteFunc(t.samples, func(s sample) bool { return s.end <= committed })
	if end <= committed {
		t.gap = 0
		return 0
	}
	if n := len(t.samples); n == 0 || t.samples[n-1].end < end && now.Sub(t.samples[n-1].at) >= t.gap {
		t.samples = append(t.samples, sample{now, end})
	}
	if len(t.samples) > maxSamples {
		t.thin()
	}
	return now.Sub(t.samples[0].at)
}

// thin drops every other sample, and has those to come keep the same distance.
// The first stays.
func (t *track) thin() {
	n := len(t.samples)
	t.gap = 2 * t.samples[n-1].at.Sub(t.samples[0].at) / time.Duration(n-1)
	kept := t.samples[:0]
	for i, s := range t.samples {
		if i%2 == 0 {
			kept = append(kept, s)
		}
	}
	t.samples = kept
}
