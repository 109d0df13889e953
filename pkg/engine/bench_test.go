package engine

import (
	"context"
	"slices"
	"testing"
	"time"

	"lockstitch/pkg/traffic"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
	"lockstitch/stitch/plan"
)

// generated is n source records of a shop, by source partition 0 of each topic.
func generated(b *testing.B, n int) map[string][]wire.Record {
	b.Helper()
	g := traffic.New(traffic.Options{Garbage: traffic.DefaultGarbage, People: 2000})
	out := map[string][]wire.Record{}
	for range n {
		l := g.Next()
		out[l.Topic] = append(out[l.Topic], wire.Record{
			Source: stitch.Source{Topic: l.Topic, Offset: int64(len(out[l.Topic]))},
			Key:    []byte(l.Key), Value: l.Value, Arrival: l.Time.UnixMilli(),
		})
	}
	return out
}

func shopJournal(b *testing.B) *Journal {
	b.Helper()
	in, err := wire.NewIngest(wire.IngestOptions{Plan: plan.Default(), Sources: map[string]wire.SourceRule{
		"events.app": {Origin: "app"}, "events.web": {Origin: "web"}, "events.commerce": {Origin: "commerce"},
		"events.server": {Origin: "server", Trust: wire.Trust{Alias: true, Delete: true, Suppress: true, Split: true}},
	}})
	if err != nil {
		b.Fatal(err)
	}
	return &Journal{Ingest: in}
}

// BenchmarkIngest is what ingest computes: source records to journal records.
func BenchmarkIngest(b *testing.B) {
	j := shopJournal(b)
	all := generated(b, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	for topic, recs := range all {
		for len(recs) > 0 {
			n := min(1000, len(recs))
			j.Records(topic+"-topic-id", recs[:n])
			recs = recs[n:]
		}
	}
}

// BenchmarkOwner is what the owner of a journal's only partition computes, for
// each source record: all of its messages decoded, folded and encoded, and the
// state encoded once a batch, of 200.
func BenchmarkOwner(b *testing.B) {
	j := shopJournal(b)
	l := &benchLog{}
	for topic, recs := range generated(b, b.N) {
		_ = l.Publish(b.Context(), j.Records(topic+"-topic-id", recs))
	}
	ctx, stop := context.WithCancel(b.Context())
	l.done = stop
	o := NewOwner(0, l, &benchState{}, nil, nil, Options{
		Environment: "bench", Rules: stitch.DefaultRules(), Batch: 200, Cache: 1 << 30, Tick: time.Hour, Nonce: "n",
		Now: func() time.Time { return time.UnixMilli(1) }, Observe: benchObserver{b},
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	b.ReportAllocs()
	b.ResetTimer()
	if err := o.Run(ctx); err != nil {
		b.Fatal(err)
	}
}

// benchLog is a journal of one partition that ends when all of it was read.
type benchLog struct {
	entries []Entry
	done    func()
}

func (l *benchLog) Bounds(context.Context) (int64, int64, string, error) {
	return 0, int64(len(l.entries)), "journal-topic-id", nil
}
func (l *benchLog) Committed(context.Context) (int64, bool, error) { return -1, true, nil }
func (l *benchLog) Commit(context.Context, int64) error            { return nil }

func (l *benchLog) Read(_ context.Context, from int64, limit int) ([]Entry, error) {
	if from == int64(len(l.entries)) {
		l.done()
	}
	return l.entries[from:min(from+int64(limit), int64(len(l.entries)))], nil
}

func (l *benchLog) Publish(_ context.Context, out []Published) error {
	for i := range out {
		if out[i].Topic == TopicJournal {
			_ = l.Append(context.Background(), slices.Clone(out[i].Value))
		}
	}
	return nil
}

func (l *benchLog) Append(_ context.Context, value []byte) error {
	l.entries = append(l.entries, Entry{Offset: int64(len(l.entries)), Time: int64(len(l.entries)), Value: value, Size: len(value)})
	return nil
}

// benchState remembers where it stands and nothing else: all that is ever needed
// again is in the owner's cache.
type benchState struct {
	State
	at Position
}

func (*benchState) Head(context.Context, int32) (Head, bool, error) { return Head{}, false, nil }

func (s *benchState) Timers(context.Context, int32, string) (timers map[string]stitch.Timer, before, after Position, err error) {
	return nil, s.at, s.at, nil
}

func (s *benchState) Begin(_ context.Context, _ int32, _ Position, h Head) (bool, error) {
	s.at = h.Position
	return true, nil
}

func (s *benchState) Read(_ context.Context, _ int32, _ string, keys []string) ([][]byte, Position, Position, error) {
	return make([][]byte, len(keys)), s.at, s.at, nil
}

func (s *benchState) Swap(_ context.Context, _ int32, d Delta) (bool, error) {
	s.at = d.Next
	return true, nil
}

type benchObserver struct{ b *testing.B }

func (benchObserver) TookOver(int32, int64, int64)           {}
func (benchObserver) Rebuilding(int32, string, int64, int64) {}
func (benchObserver) Promoted(int32, int64, int, int)        {}
func (benchObserver) Snapshot(int32, Copied)                 {}
func (benchObserver) Folded(int32, Batch)                    {}
func (benchObserver) Refused(int32)                          {}
func (o benchObserver) Trouble(_ int32, err error)           { o.b.Error(err) }
func (o benchObserver) Unreadable(_ int32, offset int64)     { o.b.Error("unreadable", offset) }
