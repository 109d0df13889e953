package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/config"
	"lockstitch/pkg/engine"
	"lockstitch/pkg/kafka"
	"lockstitch/pkg/try"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
	"lockstitch/stitch/scenarios"
)

// The laws end to end: each scenario file runs through the whole App on a Kafka
// and a Redis of its own, and writes the very records that the core gives.
//
// Time is the scenario's. The embedded Kafka keeps the writer's stamps, so the
// log's time is the clock that the App is given, and that clock moves from line
// to line, as the core's does. A line's record has its line's time, and stands
// where the core has it: in partition 0 of its topic.

// atOnce is how many scenarios run side by side: most of their time is waiting.
const atOnce = 8

func TestScenarios(t *testing.T) {
	names, err := scenarios.Names()
	if err != nil || len(names) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context()) // the scenarios under way end with the test
	played := make([]chan outcome, len(names))
	var wg sync.WaitGroup
	defer func() { cancel(); wg.Wait() }()
	slots := make(chan struct{}, atOnce)
	for i, name := range names {
		played[i] = make(chan outcome, 1)
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			played[i] <- playFile(ctx, name)
		})
	}
	for i, name := range names {
		t.Run(name, func(t *testing.T) { (<-played[i]).judge(t) })
	}
}

// outcome is what a scenario gave on the core and end to end.
type outcome struct {
	text      string // as the file shows it, from the core
	shown     string // the file's
	core, e2e []kept
	err       error
}

// kept is an output record, without its place, which depends on topic IDs.
type kept struct {
	key    string // of a sink record; "" for others
	line   string // as the file shows it, "" where the core gave no such record
	record string // all of it
	place  string
}

func (k kept) String() string { return k.line + "\n" + k.record }

func playFile(ctx context.Context, name string) (o outcome) {
	text, err := scenarios.Read(name)
	if err != nil {
		return outcome{err: err}
	}
	s, err := scenarios.Parse(text)
	if err != nil {
		return outcome{err: err}
	}
	o.shown = s.Want
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if o.err = o.onCore(s); o.err == nil {
		o.err = o.endToEnd(ctx, s)
	}
	return o
}

func (o *outcome) onCore(s *scenarios.Scenario) error {
	in, err := wire.NewIngest(s.Ingest)
	if err != nil {
		return err
	}
	lines := func(yield func(try.Line, error) bool) {
		for _, l := range s.Lines {
			if !yield(l, nil) {
				return
			}
		}
	}
	topics := Topics(config.Default())
	return try.Run(lines, try.Options{Ingest: in, Rules: s.Rules, Partitions: s.Partitions}, func(out *stitch.Output) error {
		p, line := engine.Encode(out), scenarios.Show(out)
		o.text += line + "\n"
		k := keep(topics.Name(p.Topic), p.Key, p.Value, p.Headers)
		k.line = line
		if p.Topic == engine.TopicSink {
			k.key = string(p.Key)
		}
		o.core = append(o.core, k)
		return nil
	})
}

func keep(topic string, key, value []byte, headers []stitch.Header) (k kept) {
	k.record = fmt.Sprintf("    %s %q %s", topic, key, value)
	for _, h := range headers {
		if h.Key == "ls-place" {
			k.place = string(h.Value)
			continue
		}
		k.record += fmt.Sprintf("\n    %s: %s", h.Key, h.Value)
	}
	return k
}

// judge compares the records as a set, and the order of each person's: what
// concerns others may overtake.
func (o outcome) judge(t *testing.T) {
	if o.err != nil {
		t.Fatal(o.err)
	}
	if diff := cmp.Diff(o.shown, o.text); diff != "" {
		t.Fatalf("the core gives other records than the file shows: -file +core:\n%s", diff)
	}
	places := map[string]bool{}
	lines := map[string]string{}
	for _, k := range o.core {
		lines[k.record] = k.line
	}
	for i, k := range o.e2e {
		o.e2e[i].line = lines[k.record]
		if k.place == "" || places[k.place] {
			t.Errorf("published twice, or without a place: %s", k)
		}
		places[k.place] = true
	}
	if diff := cmp.Diff(sorted(o.core), sorted(o.e2e)); diff != "" {
		t.Errorf("-core +end to end:\n%s", diff)
	}
	if diff := cmp.Diff(byPerson(o.core), byPerson(o.e2e)); diff != "" {
		t.Errorf("a person's records in another order: -core +end to end:\n%s", diff)
	}
}

func sorted(all []kept) (texts []string) {
	for _, k := range all {
		texts = append(texts, k.String())
	}
	slices.Sort(texts)
	return texts
}

func byPerson(all []kept) map[string][]string {
	people := map[string][]string{}
	for _, k := range all {
		if k.key != "" {
			people[k.key] = append(people[k.key], k.String())
		}
	}
	return people
}

// tick is the App's pace of ticks. Kafka's stamps are whole milliseconds: the
// clock can move a few ticks on, and the log's time stays the scenario's.
const tick = 100 * time.Microsecond

// settings is the configuration of a scenario.
func settings(s *scenarios.Scenario) (*config.Config, error) {
	c := config.Default()
	c.JournalPartitions, c.Metrics.Listen = s.Partitions, ""
	c.Process.Tick = config.Duration(tick)
	ms := func(n int64) config.Duration { return config.Duration(time.Duration(n) * time.Millisecond) }
	c.Fold = config.Rules{
		DuplicateWindow:            ms(s.Rules.DuplicateWindow),
		MaxCustomersPerAnonymousID: s.Rules.MaxCustomers, MaxAnonymousIDsPerCustomer: s.Rules.MaxDevices,
		SharedDevice: config.Ambiguous, SharedDeviceEnds: ms(s.Rules.SharedAfter), TakeOverDelay: ms(s.Rules.MergeDelay),
		KeepPersons: ms(s.Rules.KeepPerson), KeepOrders: ms(s.Rules.KeepFact),
	}
	if s.Rules.LastLogin {
		c.Fold.SharedDevice = config.LastLogin
	}
	c.Identity.UnusableUserIDs, c.Identity.TemporaryUserIDs = s.Ingest.UnusableUserIDs, s.Ingest.TemporaryUserIDs
	if s.Ingest.UnusableUserIDAbsent {
		c.Identity.UnusableUserID = config.Absent
	}
	if s.Ingest.LogoutEvents != nil {
		c.Identity.LogoutEvents = s.Ingest.LogoutEvents
	}
	c.TimesToUnix = !s.Ingest.KeepTimes
	for i := range c.Sources {
		src := &c.Sources[i]
		rule, ok := s.Ingest.Sources[src.Topic]
		if !ok {
			return nil, fmt.Errorf("the scenario has no source %s", src.Topic)
		}
		src.Origin, src.Shop, src.Trust = rule.Origin, rule.Shop, config.Trust(rule.Trust)
	}
	if c.Rules() != s.Rules || len(c.Sources) != len(s.Ingest.Sources) {
		return nil, errors.New("the scenario has rules or sources that the configuration doesn't: map them here")
	}
	return c, nil
}

// stage is a scenario under way.
type stage struct {
	app     *App
	monitor *kafka.Monitor
	sources *kgo.Client
	at      time.Time // of the scenario

	mu      sync.Mutex
	now     time.Time
	parts   map[int32]engine.Batch // the last one of each partition
	batches map[int32]int
}

func (o *outcome) endToEnd(ctx context.Context, s *scenarios.Scenario) error {
	cfg, err := settings(s)
	if err != nil {
		return err
	}
	local, stop, err := Embed(ctx, cfg, true)
	if err != nil {
		return err
	}
	defer stop()
	st := &stage{parts: map[int32]engine.Batch{}, batches: map[int32]int{}, at: s.Lines[0].Time, now: s.Lines[0].Time}
	if st.app, err = New(Options{
		Config: local, Log: slog.New(slog.DiscardHandler), Plan: s.Ingest.Plan, Embedded: true, Now: st.clock, Folded: st.folded,
	}); err != nil {
		return err
	}
	if st.monitor, err = kafka.NewMonitor(st.app.conn); err != nil {
		return err
	}
	defer st.monitor.Close()
	if st.sources, err = kgo.NewClient(kgo.SeedBrokers(local.Kafka.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		return err
	}
	defer st.sources.Close()
	return st.run(ctx, s, o)
}

func (st *stage) run(ctx context.Context, s *scenarios.Scenario, o *outcome) error {
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cancel(st.app.Run(ctx)) // an App that ends by itself ends the scenario
	}()
	err := st.play(ctx, s)
	if err == nil {
		o.e2e, err = st.outputs(ctx)
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	cancel(nil)
	<-ended
	return err
}

func (st *stage) clock() time.Time {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.now
}

func (st *stage) folded(p int32, b engine.Batch) {
	st.mu.Lock()
	defer st.mu.Unlock()
	b.Outputs = nil // reused by the owner
	st.parts[p] = b
	st.batches[p]++
}

// play runs the lines, and then time, until nothing waits any more.
func (st *stage) play(ctx context.Context, s *scenarios.Scenario) error {
	if s.Rules != stitch.DefaultRules() { // they are in each partition's log before anything else is
		if err := st.until(ctx, func() bool { return len(st.batches) == s.Partitions }); err != nil {
			return fmt.Errorf("waiting for the rules: %w", err)
		}
	}
	for i, l := range s.Lines {
		if err := st.line(ctx, l); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	for {
		next := st.waiting()
		if next.IsZero() {
			return nil
		}
		if err := st.arrive(ctx, next.Add(time.Millisecond)); err != nil {
			return fmt.Errorf("after the last line: %w", err)
		}
	}
}

func (st *stage) line(ctx context.Context, l try.Line) error {
	if err := st.arrive(ctx, l.Time); err != nil {
		return err
	}
	r := &kgo.Record{Topic: l.Topic, Value: l.Value, Timestamp: st.at}
	if l.Key != "" {
		r.Key = []byte(l.Key)
	}
	if err := st.sources.ProduceSync(ctx, r).FirstErr(); err != nil {
		return err
	}
	return st.drained(ctx)
}

// arrive moves time on, if at is later, and has what was due before it fire.
func (st *stage) arrive(ctx context.Context, at time.Time) error {
	if !at.After(st.at) {
		return nil
	}
	st.at = at
	for n := range time.Millisecond / tick {
		seen := st.move(at.Add(n * tick))
		if len(seen) == 0 {
			return st.drained(ctx)
		}
		if err := st.until(ctx, func() bool { return st.all(seen) }); err != nil {
			return fmt.Errorf("waiting for a tick: %w", err)
		}
	}
	return errors.New("something is due, and doesn't fire")
}

// move sets the clock, and returns how many batches the partitions had before in
// which something is due: each will have one more, for a tick.
func (st *stage) move(now time.Time) map[int32]int {
	st.mu.Lock()
	defer st.mu.Unlock()
	seen := map[int32]int{}
	for p, b := range st.parts {
		if b.Timers > 0 && b.Earliest < st.at.UnixMilli() {
			seen[p] = st.batches[p]
		}
	}
	st.now = now
	return seen
}

// all reports that each partition has had one more batch; under the lock.
func (st *stage) all(seen map[int32]int) bool {
	for p, n := range seen {
		if st.batches[p] <= n {
			return false
		}
	}
	return true
}

// waiting is when the next timer is due; zero for none.
func (st *stage) waiting() (next time.Time) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, b := range st.parts {
		if at := time.UnixMilli(b.Earliest); b.Timers > 0 && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// drained waits until all that was written is ingested and folded, and the
// owners have said so, which they do after their commit.
func (st *stage) drained(ctx context.Context) error {
	for {
		lags, err := st.monitor.Lag(ctx, st.app.readings()...)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(lags, st.behind) {
			return nil
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return fmt.Errorf("still behind: %w", err)
		}
	}
}

func (st *stage) behind(l kafka.PartitionLag) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return l.Lag > 0 || l.Topic == st.app.topics.Journal && st.parts[l.Partition].Next < l.End
}

// until waits for a condition of what was folded.
func (st *stage) until(ctx context.Context, ok func() bool) error {
	for {
		st.mu.Lock()
		done := ok()
		st.mu.Unlock()
		if done {
			return nil
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// outputs reads what was published.
func (st *stage) outputs(ctx context.Context) (all []kept, err error) {
	records, err := st.app.Outputs(ctx)
	for _, r := range records {
		k := keep(r.Topic, r.Key, r.Value, r.Headers)
		if r.Topic == st.app.topics.Sink {
			k.key = string(r.Key)
		}
		all = append(all, k)
	}
	return all, err
}
