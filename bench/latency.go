//go:build e2e

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"lockstitch/pkg/kafka"
	"lockstitch/pkg/traffic"
)

// latency is how long published records took, ms: from the append of the source
// record to the append of its first sink record. What was held is left out.
type latency struct {
	Published int   `json:"published"`
	P50       int64 `json:"p50_ms"`
	P99       int64 `json:"p99_ms"`
	Max       int64 `json:"max_ms"`
}

// latency writes n records at a low rate and looks at what comes out.
func (j *job) latency(ctx context.Context, n int, rate float64) (l latency, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	before, err := j.w.ends(ctx, sources...)
	if err != nil {
		return l, err
	}
	g := traffic.New(traffic.Options{Seed: 2, People: 2000, Start: time.Now().Add(-time.Hour)})
	if err := j.w.feed(ctx, g, n, rate); err != nil {
		return l, err
	}
	if err := j.settled(ctx); err != nil {
		return l, fmt.Errorf("%w; the end of its log:\n%s", err, j.tail())
	}
	in := map[string]int64{} // append time by source position
	for _, topic := range sources {
		for r, err := range kafka.Dump(ctx, j.w.conn(), topic) {
			if err != nil {
				return l, err
			}
			if o, ok := before.Lookup(topic, r.Partition); ok && r.Offset >= o.Offset {
				in[fmt.Sprintf("%s/%d/%d", topic, r.Partition, r.Offset)] = r.Time
			}
		}
	}
	for r, err := range kafka.Dump(ctx, j.w.conn(), j.round+".decisions") {
		if err != nil {
			return l, err
		}
		var d struct{ Outcome, Source string }
		if err := json.Unmarshal(r.Value, &d); err != nil {
			return l, err
		}
		if d.Outcome == "held" { // its publication is due when the hold ends, not at once
			delete(in, d.Source)
		}
	}
	return j.compare(ctx, in)
}

func (w *world) conn() kafka.Conn {
	return kafka.Conn{Brokers: []string{w.kafka.Addr()}, Logger: slog.New(slog.DiscardHandler)}
}

// compare looks up the records' sink records.
func (j *job) compare(ctx context.Context, in map[string]int64) (l latency, err error) {
	first := map[string]int64{}
	for r, err := range kafka.Dump(ctx, j.w.conn(), j.sink()) {
		if err != nil {
			return l, err
		}
		for _, h := range r.Headers {
			source := string(h.Value)
			if _, ours := in[source]; h.Key != "ls-source" || !ours {
				continue
			}
			if at, ok := first[source]; !ok || r.Time < at {
				first[source] = r.Time
			}
		}
	}
	var took []int64
	for source, at := range first {
		took = append(took, at-in[source])
	}
	if len(took) == 0 {
		return l, errors.New("nothing was published")
	}
	slices.Sort(took)
	at := func(q float64) int64 { return took[int(q*float64(len(took)-1))] }
	return latency{Published: len(took), P50: at(0.5), P99: at(0.99), Max: at(1)}, nil
}
