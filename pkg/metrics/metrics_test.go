package metrics

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/hush"
	"lockstitch/pkg/try"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// clock is a time that tests move.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// fresh are metrics on a clock, with their log.
func fresh() (*Metrics, *clock, *strings.Builder) {
	c, log := &clock{time.UnixMilli(1_800_000_000_000)}, &strings.Builder{}
	handler := slog.NewTextHandler(log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	return New(Options{Log: slog.New(handler), Now: c.now, Hold: 10 * time.Minute}), c, log
}

// compare compares the named metrics with their text.
func compare(t *testing.T, m *Metrics, want string, names ...string) {
	t.Helper()
	for i := range names {
		names[i] = namespace + names[i]
	}
	want = strings.ReplaceAll(strings.TrimSpace(want), "\t", "") + "\n"
	if err := testutil.GatherAndCompare(m.registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func src(topic string, offset int64) stitch.Source {
	return stitch.Source{Topic: topic, Offset: offset}
}

func TestOutcomes(t *testing.T) {
	m, _, _ := fresh()
	at := func(offset int64) stitch.Place { return stitch.Place{Sender: "j", Offset: offset} }
	sink := func(offset int64, a stitch.Action, s stitch.Source) stitch.Output {
		return stitch.Output{Place: at(offset), Sink: &stitch.Sink{Action: a, Source: s}}
	}
	decision := func(kind, outcome string, s stitch.Source) stitch.Output {
		return stitch.Output{Place: at(9), Decision: &stitch.Decision{Kind: kind, Outcome: outcome, Source: s, Person: "secret-person"}}
	}
	takeOver := sink(5, stitch.ActMerge, src("web", 0))
	takeOver.Sink.Secondary = stitch.Person{Email: "secret@x.example"}
	m.Folded(3, engine.Batch{Records: 12, Outputs: []stitch.Output{
		sink(1, stitch.ActIdentify, src("web", 0)),
		{Place: at(1), Message: &stitch.Message{}},
		sink(2, stitch.ActDeleteDevice, src("app", 0)), sink(2, stitch.ActAddDevice, src("app", 0)), // one record, two operations
		sink(3, stitch.ActEvent, src("app", 1)), sink(4, stitch.ActEvent, src("app", 2)),
		takeOver, sink(5, stitch.ActIdentify, src("web", 0)), // counted already
		decision("outcome", "duplicate", src("app", 3)), decision("outcome", "held", src("app", 4)),
		decision("outcome", "suppressed", src("app", 4)), decision("outcome", "ignored", src("web", 1)),
		decision("identity", "linked", src("web", 0)), decision("note", "potential_duplicate", src("web", 2)),
		decision("note", "unusable_user_id", src("web", 2)),
		{Place: at(9), Dead: &stitch.DeadLetter{Source: src("server", 0), Rejects: []stitch.Reject{{Reason: "names_nobody"}}}},
	}})
	m.Decoded(&wire.Record{Source: src("app", 5)}, nil)
	m.Decoded(&wire.Record{Source: src("app", 6)}, &stitch.DeadLetter{Source: src("app", 6), Rejects: []stitch.Reject{
		{Reason: "unusable_user_id_undefined", Sentence: "userId"}, {Reason: "bad_time"},
	}})
	compare(t, m, `
		# HELP lockstitch_records_total Source records by outcome, once for each outcome: a held one is counted again when it is settled.
		# TYPE lockstitch_records_total counter
		lockstitch_records_total{outcome="duplicate",source="app"} 1
		lockstitch_records_total{outcome="held",source="app"} 1
		lockstitch_records_total{outcome="ignored",source="web"} 1
		lockstitch_records_total{outcome="published",source="app"} 3
		lockstitch_records_total{outcome="published",source="web"} 1
		lockstitch_records_total{outcome="quarantined",source="app"} 1
		lockstitch_records_total{outcome="quarantined",source="server"} 1
		lockstitch_records_total{outcome="suppressed",source="app"} 1
		# HELP lockstitch_ingested_total Source records that ingest has read.
		# TYPE lockstitch_ingested_total counter
		lockstitch_ingested_total{source="app"} 2
		# HELP lockstitch_dlq_total Records of the DLQ.
		# TYPE lockstitch_dlq_total counter
		lockstitch_dlq_total{reason="names_nobody",source="server"} 1
		lockstitch_dlq_total{reason="unusable_user_id_undefined",source="app"} 1
		# HELP lockstitch_refused_ids_total Identifiers that can't be stable, quarantined or taken as absent.
		# TYPE lockstitch_refused_ids_total counter
		lockstitch_refused_ids_total{reason="unusable_user_id"} 1
		lockstitch_refused_ids_total{reason="unusable_user_id_undefined"} 1
		# HELP lockstitch_identity_changes_total Identity decisions: changes of who is who, and refusals of one.
		# TYPE lockstitch_identity_changes_total counter
		lockstitch_identity_changes_total{change="linked"} 1
		# HELP lockstitch_journal_records_total Journal records folded, silently too.
		# TYPE lockstitch_journal_records_total counter
		lockstitch_journal_records_total 12
		`, "records_total", "ingested_total", "dlq_total", "refused_ids_total", "identity_changes_total", "journal_records_total")
	if got := testutil.ToFloat64(m.sink.WithLabelValues("identify")); got != 2 {
		t.Errorf("%v identifies in the sink, want 2", got)
	}
	noPerson(t, m)
}

// noPerson checks that nothing exposed holds an identifier of the tests'.
func noPerson(t *testing.T, m *Metrics) {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(families); strings.Contains(text, "secret") {
		t.Errorf("an identifier is in the metrics:\n%s", text)
	}
}

// TestSamplesAreAccountedFor: of real SDK traffic each record is counted once for
// each outcome that it has, and none is missing.
func TestSamplesAreAccountedFor(t *testing.T) {
	for _, file := range []string{"shop.jsonl", "clients.jsonl"} {
		t.Run(file, func(t *testing.T) {
			m, _, _ := fresh()
			outputs, lines := sampleOutputs(t, file)
			m.Folded(0, engine.Batch{Outputs: outputs})
			want, records := map[[2]string]int{}, map[stitch.Source]bool{}
			had := map[stitch.Source]map[string]bool{}
			for i := range outputs {
				s, outcome := outcomeOf(&outputs[i])
				if outcome == "" || had[s][outcome] {
					continue
				}
				if had[s] == nil {
					had[s] = map[string]bool{}
				}
				records[s], had[s][outcome] = true, true
				want[[2]string{s.Topic, outcome}]++
			}
			if len(records) != lines || lines == 0 {
				t.Fatalf("%d of %d records have an outcome", len(records), lines)
			}
			for k, n := range want {
				if got := testutil.ToFloat64(m.records.WithLabelValues(k[:]...)); got != float64(n) {
					t.Errorf("%v: %v were counted, want %d", k, got, n)
				}
			}
			if got := testutil.CollectAndCount(m.records); got != len(want) {
				t.Errorf("%d pairs of source and outcome were counted, want %d", got, len(want))
			}
		})
	}
}

// outcomeOf is the source record that an output is about, and its outcome; "" for
// an output that tells none.
func outcomeOf(o *stitch.Output) (stitch.Source, string) {
	switch {
	case o.Sink != nil:
		return o.Sink.Source, "published"
	case o.Dead != nil:
		return o.Dead.Source, "quarantined"
	case o.Decision != nil && o.Decision.Kind == "outcome":
		return o.Decision.Source, o.Decision.Outcome
	}
	return stitch.Source{}, ""
}

// sampleOutputs is what leaves when the sample runs through ingest and fold.
func sampleOutputs(t testing.TB, file string) (outputs []stitch.Output, lines int) {
	t.Helper()
	all := wire.Trust{Alias: true, Delete: true, Suppress: true, Split: true}
	ingest, err := wire.NewIngest(wire.IngestOptions{Sources: map[string]wire.SourceRule{
		"events.app": {Origin: "app"}, "events.web": {Origin: "web"},
		"events.server": {Origin: "server", Trust: all}, "events.commerce": {Origin: "commerce"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	opt := try.Options{Ingest: ingest, Rules: stitch.DefaultRules()}
	err = try.Run(sampleLines(t, file, &lines), opt, func(o *stitch.Output) error {
		outputs = append(outputs, *o)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return outputs, lines
}

func sampleLines(t testing.TB, file string, n *int) iter.Seq2[try.Line, error] {
	f, err := os.Open("../../testdata/samples/" + file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return func(yield func(try.Line, error) bool) {
		sc := bufio.NewScanner(f)
		sc.Buffer(nil, 4<<20)
		for sc.Scan() {
			var l struct {
				Topic, Key string
				Value      json.RawMessage
				Time       time.Time
			}
			err := json.Unmarshal(sc.Bytes(), &l)
			value := []byte(l.Value)
			var text string
			if json.Unmarshal(l.Value, &text) == nil { // a record that isn't JSON stands as text
				value = []byte(text)
			}
			*n++
			if !yield(try.Line{Topic: l.Topic, Key: l.Key, Value: value, Time: l.Time}, err) {
				return
			}
		}
		if err := sc.Err(); err != nil {
			yield(try.Line{}, err)
		}
	}
}

func TestHistogramsAreNativeAndClassic(t *testing.T) {
	m, c, _ := fresh()
	m.Folded(0, engine.Batch{Records: 1, Oldest: c.t.Add(-40 * time.Millisecond).UnixMilli(), Publish: 3 * time.Millisecond})
	m.Folded(0, engine.Batch{Records: 1, Silent: true, Oldest: c.t.Add(-time.Hour).UnixMilli()})
	m.Stage("decode", time.Millisecond)
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	for _, f := range families {
		for _, x := range f.GetMetric() {
			h := x.GetHistogram()
			if h == nil || !strings.HasPrefix(f.GetName(), namespace) {
				continue
			}
			if h.Schema == nil || len(h.GetBucket()) == 0 {
				t.Errorf("%s has no native or no classic buckets", f.GetName())
			}
			var name strings.Builder
			name.WriteString(f.GetName())
			for _, l := range x.GetLabel() {
				name.WriteString(" " + l.GetValue())
			}
			counts[name.String()] = h.GetSampleCount()
			if name.String() == namespace+"delay_seconds" && h.GetSampleSum() != 0.04 {
				t.Errorf("the delay is %v s, want 0.04: a silent batch has none", h.GetSampleSum())
			}
		}
	}
	want := map[string]uint64{
		"lockstitch_delay_seconds": 1, "lockstitch_stage_seconds read": 2, "lockstitch_stage_seconds fold": 2,
		"lockstitch_stage_seconds publish": 2, "lockstitch_stage_seconds remember": 2, "lockstitch_stage_seconds commit": 2,
		"lockstitch_stage_seconds decode": 1,
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestTakeOversAndRebuilds(t *testing.T) {
	m, _, log := fresh()
	m.TookOver(1, 500, 500)
	m.TookOver(2, 500, 750)
	m.Rebuilding(3, "another journal", 0, 900)
	m.Snapshot(3, engine.Copied{At: 950, Entities: 7})
	m.Snapshot(1, engine.Copied{At: 60, Entities: 8})
	m.Refused(1)
	m.Unreadable(1, 77)
	compare(t, m, `
		# HELP lockstitch_catchup_silent_records_total Journal records that such take-overs had to fold again, silently.
		# TYPE lockstitch_catchup_silent_records_total counter
		lockstitch_catchup_silent_records_total 250
		# HELP lockstitch_catchup_silent_total Take-overs with records whose outputs were out already.
		# TYPE lockstitch_catchup_silent_total counter
		lockstitch_catchup_silent_total 1
		# HELP lockstitch_cas_refused_total Compare-and-sets, and reads, that found the state elsewhere.
		# TYPE lockstitch_cas_refused_total counter
		lockstitch_cas_refused_total 1
		# HELP lockstitch_journal_unreadable_total Journal records that are no message of ours, passed over.
		# TYPE lockstitch_journal_unreadable_total counter
		lockstitch_journal_unreadable_total 1
		# HELP lockstitch_partitions_owned Journal partitions that this process serves.
		# TYPE lockstitch_partitions_owned gauge
		lockstitch_partitions_owned 3
		# HELP lockstitch_rebuilds_total States rebuilt from a snapshot or the journal's start.
		# TYPE lockstitch_rebuilds_total counter
		lockstitch_rebuilds_total{reason="another_journal"} 1
		# HELP lockstitch_snapshots_total Snapshots of partitions' states that are whole.
		# TYPE lockstitch_snapshots_total counter
		lockstitch_snapshots_total 2
		# HELP lockstitch_takeovers_total Journal partitions taken over.
		# TYPE lockstitch_takeovers_total counter
		lockstitch_takeovers_total 2
		`, "catchup_silent_records_total", "catchup_silent_total", "cas_refused_total", "journal_unreadable_total",
		"partitions_owned", "rebuilds_total", "snapshots_total", "takeovers_total")
	for _, want := range []string{
		`level=INFO msg="journal partition taken over" partition=1 from=500`,
		`level=WARN msg="journal partition taken over behind its commit: folding again, silently" partition=2 from=500 to=750 records=250`,
		`partition=3 reason="another journal" from=0 to=900`,
		`partition=1 offset=77`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log)
		}
	}
}

// redisError is an error that Redis answered, as its client marks it.
type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

func TestKindsOfTrouble(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	tests := []struct {
		err  error
		want string
	}{
		{fmt.Errorf("redis: swap: %w", redisError("OOM command not allowed when used memory > 'maxmemory'.")), "redis: oom"},
		{redisError("READONLY You can't write against a read only replica."), "redis: readonly"},
		{redisError("ERR what somebody@x.example sent"), "redis: failed"},
		{fmt.Errorf("redis: %w", dial), "redis: network"},
		{fmt.Errorf("kafka: no broker answers: %w", context.DeadlineExceeded), "kafka: timeout"},
		{fmt.Errorf("kafka: %w", os.ErrDeadlineExceeded), "kafka: timeout"},
		{fmt.Errorf("kafka: read: %w", io.EOF), "kafka: network"},
		{errors.New("kafka: NOT_LEADER_FOR_PARTITION"), "kafka: failed"},
		{errors.New("somebody@x.example"), "other: failed"},
	}
	for _, tt := range tests {
		if got := classify(tt.err).String(); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.err, got, tt.want)
		}
	}
}

func TestTroubleIsCountedAndLoggedAtABoundedRate(t *testing.T) {
	m, c, log := fresh()
	for range 50 {
		m.Trouble(4, redisError("OOM"))
		m.Trouble(5, redisError("LOADING"))
	}
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("%d lines were logged, want one for each kind:\n%s", n, log)
	}
	log.Reset()
	c.t = c.t.Add(hush.Quiet)
	m.Trouble(4, redisError("OOM"))
	if got := log.String(); !strings.Contains(got, "partition=4 part=redis kind=oom err=OOM not_logged=49") {
		t.Errorf("logged after a while:\n%s", got)
	}
	compare(t, m, `
		# HELP lockstitch_trouble_total Failures that were waited out and tried again.
		# TYPE lockstitch_trouble_total counter
		lockstitch_trouble_total{kind="loading",part="redis"} 50
		lockstitch_trouble_total{kind="oom",part="redis"} 51
		`, "trouble_total")
}

func TestHeld(t *testing.T) {
	m, c, _ := fresh()
	held := func(orders, seconds float64) {
		t.Helper()
		compare(t, m, fmt.Sprintf(`
		# HELP lockstitch_held_oldest_seconds Age of the oldest held order, by the longest hold: at most that, unless a source is behind.
		# TYPE lockstitch_held_oldest_seconds gauge
		lockstitch_held_oldest_seconds %v
		# HELP lockstitch_held_orders Orders and take-overs that wait in this process's partitions.
		# TYPE lockstitch_held_orders gauge
		lockstitch_held_orders %v
		`, seconds, orders), "held_orders", "held_oldest_seconds")
	}
	held(0, 0)
	due := func(d time.Duration) int64 { return c.t.Add(d).UnixMilli() }
	m.Folded(0, engine.Batch{Timers: 3, Earliest: due(time.Second), Held: due(4 * time.Minute)}) // held for 6 minutes
	m.Folded(1, engine.Batch{Timers: 1, Held: due(9 * time.Minute)})
	held(4, 360)
	c.t = c.t.Add(time.Hour) // nobody folds: the age goes on
	held(4, 3960)
	m.Folded(0, engine.Batch{})
	held(1, 3660)
	if err := m.Serve(t.Context(), 1, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	held(0, 0)
}

func TestLag(t *testing.T) {
	m, c, _ := fresh()
	steps := []struct {
		name         string
		wait         time.Duration
		records, end int64
		seconds      float64
	}{
		{"a backlog from before", 0, 100, 100, 0},
		{"is known since then", time.Minute, 100, 100, 60},
		{"all of it read, and more came", time.Minute, 50, 150, 0},
		{"and stays", time.Minute, 70, 170, 60},
		{"what came first is read", time.Minute, 20, 170, 60},
		{"nothing is left", time.Minute, 0, 170, 0},
		{"idle", time.Hour, 0, 170, 0},
		{"new records", time.Minute, 5, 175, 0},
		{"get old", time.Minute, 5, 175, 60},
		{"another topic of that name", time.Minute, 3, 3, 0},
	}
	for _, s := range steps {
		c.t = c.t.Add(s.wait)
		m.Lag("stitch.journal", 2, s.records, s.end)
		records := testutil.ToFloat64(m.lagRecords.WithLabelValues("stitch.journal", "2"))
		seconds := testutil.ToFloat64(m.lagSeconds.WithLabelValues("stitch.journal", "2"))
		if records != float64(s.records) || seconds != s.seconds {
			t.Errorf("%s: %v records, %v s; want %d, %v", s.name, records, seconds, s.records, s.seconds)
		}
	}
}

// TestLagOfALongBacklog: what is remembered is bounded, and no age grows too small.
func TestLagOfALongBacklog(t *testing.T) {
	var tr track
	began := time.UnixMilli(0)
	for i := range 10 * maxSamples {
		now := began.Add(time.Duration(i) * time.Second)
		if got := tr.age(now, 0, int64(i+1)); got != now.Sub(began) {
			t.Fatalf("after %v the age is %v", now.Sub(began), got)
		}
		if len(tr.samples) > maxSamples {
			t.Fatalf("%d samples are kept", len(tr.samples))
		}
	}
	now := began.Add(10 * maxSamples * time.Second)
	exact := now.Sub(began.Add(100 * time.Second)) // the record at offset 100 was seen then
	if got := tr.age(now, 100, 10*maxSamples); got > exact || exact-got > exact*2/maxSamples+time.Second {
		t.Errorf("once 100 are read the age is %v, want %v or little less", got, exact)
	}
}

func TestRedisMemory(t *testing.T) {
	m, _, _ := fresh()
	m.RedisMemory(1 << 20)
	if got := testutil.ToFloat64(m.memory); got != 1<<20 {
		t.Errorf("got %v", got)
	}
}

// TestLint: names and helps are as Prometheus wants them.
func TestLint(t *testing.T) {
	m, _, _ := fresh()
	m.Folded(0, engine.Batch{})
	m.Lag("t", 0, 1, 1)
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, namespace) {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}
