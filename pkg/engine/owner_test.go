package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/engine/memory"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// errQuiet ends an owner of a test: nothing is left to do.
var errQuiet = errors.New("quiet")

// heard is an observer that remembers.
type heard struct {
	tookOver   []string
	rebuilt    []string
	promoted   []string
	unreadable []int64
	troubles   []error
	outcomes   int
	refused    int
}

func (h *heard) TookOver(_ int32, from, silent int64) {
	h.tookOver = append(h.tookOver, fmt.Sprintf("%d..%d", from, silent))
}

func (h *heard) Promoted(_ int32, at int64, from, to int) {
	h.promoted = append(h.promoted, fmt.Sprintf("%d: %d to %d", at, from, to))
}
func (h *heard) Snapshot(int32, engine.Copied)                 {}
func (h *heard) Rebuilding(_ int32, reason string, _, _ int64) { h.rebuilt = append(h.rebuilt, reason) }

func (h *heard) Folded(_ int32, b engine.Batch)   { h.outcomes += len(b.Outputs) }
func (h *heard) Refused(int32)                    { h.refused++ }
func (h *heard) Trouble(_ int32, err error)       { h.troubles = append(h.troubles, err) }
func (h *heard) Unreadable(_ int32, offset int64) { h.unreadable = append(h.unreadable, offset) }

// quiet ends the owner when its log has nothing more to read.
type quiet struct {
	engine.Log
	cancel context.CancelFunc
}

func (q quiet) Read(ctx context.Context, from int64, limit int) ([]engine.Entry, error) {
	out, err := q.Log.Read(ctx, from, limit)
	if err == nil && len(out) == 0 {
		q.cancel()
	}
	return out, err
}

// slow fails the first Publish, whose records stay on their way.
type slow struct {
	engine.Log
	onTheirWay []engine.Published
}

func (l *slow) Publish(ctx context.Context, out []engine.Published) error {
	if l.onTheirWay != nil {
		return l.Log.Publish(ctx, out)
	}
	l.onTheirWay = slices.Clone(out)
	return errors.New("no answer yet")
}

// setting is a journal of one partition, its state, and what an owner said.
type setting struct {
	journal *memory.Journal
	state   *memory.State
	copies  *memory.Snapshots
	heard   heard
	env     string
	logic   int // 0 for ours
}

func newSetting() *setting {
	return &setting{
		journal: memory.NewJournal(1, func() int64 { return 1_800_000_000_000 }),
		state:   memory.NewState(), copies: memory.NewSnapshots(), env: "test",
	}
}

// own runs an owner until nothing is left to do, or it can't serve the partition.
func (s *setting) own(t *testing.T) error {
	t.Helper()
	return s.ownWith(t, s.journal.Log(0), func(context.Context, time.Duration) error { return errQuiet })
}

func (s *setting) ownWith(t *testing.T, log engine.Log, wait func(context.Context, time.Duration) error) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := engine.NewOwner(0, quiet{log, cancel}, s.state, s.copies, nil, engine.Options{
		Environment: s.env, Logic: s.logic, Rules: stitch.DefaultRules(), Batch: 10, Cache: 10, Tick: time.Hour, Nonce: "n",
		SnapshotEvery: time.Hour, SnapshotRate: 1,
		Now: time.Now, Observe: &s.heard, Wait: wait,
	})
	return o.Run(ctx)
}

// post appends an event of customer c1.
func (s *setting) post(n int64) {
	to := stitch.Key{Kind: stitch.KindCustomer, ID: "c1"}
	s.journal.Append(0, wire.EncodeMessage(&stitch.Message{
		Kind: stitch.MsgEvent, To: to, Place: stitch.Place{Sender: "s", Offset: n},
		Event: &stitch.Event{Source: stitch.Source{Topic: "s", Offset: n}, Type: stitch.Track, Name: "e", User: "c1", Time: 1},
	}))
}

func (s *setting) sink() int { return len(s.journal.Published(engine.TopicSink)) }

// Records of a Publish that failed may still be on their way: nothing is encoded over
// them.
func TestOwnerLeavesWhatIsOnItsWay(t *testing.T) {
	s := newSetting()
	for n := range int64(30) {
		s.post(n)
	}
	log := &slow{Log: s.journal.Log(0)}
	if err := s.ownWith(t, log, func(context.Context, time.Duration) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if s.sink() != 30 {
		t.Fatalf("%d sink records", s.sink())
	}
	for i, late := range log.onTheirWay {
		if want := s.journal.Published(engine.TopicSink)[i]; cmp.Diff(want, late) != "" {
			t.Fatalf("record %d has changed on its way:\n%s", i, cmp.Diff(want, late))
		}
	}
}

// A record that is none of ours is passed over and counted; the partition goes on.
func TestOwnerPassesOverGarbage(t *testing.T) {
	s := newSetting()
	s.post(0)
	s.journal.Append(0, []byte(`{"garbage":true}`))
	s.post(1)
	if err := s.own(t); err != nil {
		t.Fatal(err)
	}
	if s.sink() != 2 || len(s.heard.unreadable) != 1 || s.heard.unreadable[0] != 1 {
		t.Fatalf("%d sink records, unreadable %v", s.sink(), s.heard.unreadable)
	}
}

// What no waiting mends ends the owner, before anything is published.
func TestOwnerStops(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(s *setting)
		want   error
	}{
		"a newer program's record":                          {func(s *setting) { s.journal.Append(0, []byte{2, 0xa0}) }, engine.ErrOtherLogic},
		"somebody else's commit":                            {func(s *setting) { s.journal.CommitForeign(0, 1) }, engine.ErrForeignCommit},
		"a journal made anew, under the offsets of the old": {func(s *setting) { s.journal.Recreate() }, engine.ErrForeignCommit},
		"another environment":                               {func(s *setting) { s.env = "other" }, engine.ErrOtherEnvironment},
		"another environment, and an empty Redis": {func(s *setting) {
			if _, err := engine.Copy(context.Background(), 0, s.state, s.copies, "a"); err != nil {
				panic(err)
			}
			s.state.Restore(memory.NewState())
			s.env = "other"
		}, engine.ErrOtherEnvironment},
		"no state, and the journal cut": {func(s *setting) {
			s.state.Restore(memory.NewState())
			s.journal.Truncate(0, 1)
		}, engine.ErrNoHistory},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetting()
			s.post(0)
			if err := s.own(t); err != nil {
				t.Fatal(err)
			}
			before := s.sink()
			tt.change(s)
			if err := s.own(t); !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if s.sink() != before {
				t.Fatal("it published all the same")
			}
		})
	}
}

// A newer logic goes on where the state stands, at an offset that is told; the
// older one is refused from there on. What the older one has published and the
// state lost only it can fold.
func TestOwnerPromotes(t *testing.T) {
	s := newSetting()
	s.post(0)
	if err := s.own(t); err != nil {
		t.Fatal(err)
	}
	before := s.state.Clone()
	s.post(1)
	if err := s.own(t); err != nil {
		t.Fatal(err)
	}
	at := s.journal.Committed(0)
	now := s.state.Clone()
	s.state.Restore(before)
	s.logic = stitch.Logic + 1
	if err := s.own(t); !errors.Is(err, engine.ErrUnfinished) {
		t.Fatalf("behind the older logic's commit: %v", err)
	}
	s.state.Restore(now)
	s.post(2)
	if err := s.own(t); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d: %d to %d", at, stitch.Logic, stitch.Logic+1); len(s.heard.promoted) != 1 || s.heard.promoted[0] != want {
		t.Errorf("promoted %q, want %q", s.heard.promoted, want)
	}
	s.post(3)
	s.logic = stitch.Logic
	if err := s.own(t); !errors.Is(err, engine.ErrOtherLogic) {
		t.Errorf("going back: %v", err)
	}
	s.logic++
	if err := s.own(t); err != nil || s.sink() != 4 {
		t.Errorf("%v, %d sink records, want 4", err, s.sink())
	}
}

// A state that is lost, or of another journal, is folded again: silently up to
// the committed offset, then as always.
func TestOwnerRebuilds(t *testing.T) {
	for name, tt := range map[string]struct {
		lose   func(s *setting)
		reason string
		sink   int // after two events before, and one after
	}{
		"all is lost": {func(s *setting) { s.state.Restore(memory.NewState()) }, "no state", 3},
		"somebody died while restoring a snapshot": {func(s *setting) {
			head, _, _ := s.state.Head(context.Background(), 0)
			half := head
			half.Generation, half.Applied = "half", -3
			if ok, err := s.state.Begin(context.Background(), 0, head.Position, half); !ok || err != nil {
				panic(err)
			}
		}, "a rebuild was cut short", 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetting()
			s.post(0)
			s.post(1)
			if err := s.own(t); err != nil {
				t.Fatal(err)
			}
			tt.lose(s)
			s.post(2)
			if err := s.own(t); err != nil {
				t.Fatal(err)
			}
			if len(s.heard.rebuilt) != 1 || s.heard.rebuilt[0] != tt.reason {
				t.Errorf("rebuilt %q", s.heard.rebuilt)
			}
			if s.sink() != tt.sink {
				t.Errorf("%d sink records, want %d", s.sink(), tt.sink)
			}
		})
	}
}

// Redis that lost its last writes is caught up silently.
func TestOwnerCatchesUp(t *testing.T) {
	s := newSetting()
	s.post(0)
	if err := s.own(t); err != nil {
		t.Fatal(err)
	}
	past := s.state.Clone()
	s.post(1)
	if err := s.own(t); err != nil {
		t.Fatal(err)
	}
	s.state.Restore(past)
	s.post(2)
	if err := s.own(t); err != nil {
		t.Fatal(err)
	}
	if last := s.heard.tookOver[2]; last != "1..2" {
		t.Errorf("took over %s, want 1..2", last)
	}
	if s.sink() != 3 {
		t.Errorf("%d sink records, want 3", s.sink())
	}
}

// full is a state that refuses to write for a while, as Redis does without memory.
type full struct {
	engine.State
	refuses int
	ends    func() // called with the last refusal, where it isn't nil
}

func (f *full) Swap(ctx context.Context, p int32, d engine.Delta) (bool, error) {
	if f.refuses--; f.refuses >= 0 {
		return false, errors.New("redis: OOM")
	}
	if f.ends != nil {
		f.ends()
	}
	return f.State.Swap(ctx, p, d)
}

// While the state refuses to write, the batch that is out stays out once.
func TestOwnerPublishesOnceWhileRedisIsFull(t *testing.T) {
	s := newSetting()
	s.post(0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := engine.NewOwner(0, quiet{s.journal.Log(0), cancel}, &full{State: s.state, refuses: 7}, nil, nil, engine.Options{
		Environment: "test", Rules: stitch.DefaultRules(), Batch: 10, Cache: 10, Tick: time.Hour, Nonce: "n",
		Now: time.Now, Observe: &s.heard, Wait: func(context.Context, time.Duration) error { return nil },
	})
	if err := o.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if s.sink() != 1 || len(s.heard.troubles) != 7 {
		t.Errorf("%d sink records after %d refusals, want 1 after 7", s.sink(), len(s.heard.troubles))
	}
}

// A compare-and-set that is refused counts, also where the partition was lost while
// it was under way: a process that was paused wakes so.
func TestRefusalOfALostPartitionCounts(t *testing.T) {
	s := newSetting()
	s.post(0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stolen := &full{State: s.state}
	stolen.ends = func() {
		stolen.ends = nil
		if err := s.own(t); err != nil { // the new owner does the batch, and one more
			t.Error(err)
		}
		s.post(1)
		if err := s.own(t); err != nil {
			t.Error(err)
		}
		cancel()
	}
	o := engine.NewOwner(0, s.journal.Log(0), stolen, nil, nil, engine.Options{
		Environment: "test", Rules: stitch.DefaultRules(), Batch: 10, Cache: 10, Tick: time.Hour, Nonce: "m",
		Now: time.Now, Observe: &s.heard, Wait: func(context.Context, time.Duration) error { return errQuiet },
	})
	if err := o.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if s.heard.refused != 1 {
		t.Errorf("%d refusals were counted, want 1", s.heard.refused)
	}
}

// moving is a state that another owner moves on between the reading of the head
// and of the timers, and that loses it again at once, as a failover may.
type moving struct {
	engine.State
	moved bool
}

func (m *moving) Timers(ctx context.Context, p int32, gen string) (map[string]stitch.Timer, engine.Position, engine.Position, error) {
	timers, before, after, err := m.State.Timers(ctx, p, gen)
	if !m.moved {
		m.moved = true
		before.Applied++
		after.Applied++
	}
	return timers, before, after, err
}

// Timers of another moment than the head's are not taken over: a later
// compare-and-set would succeed where the state has fallen back meanwhile.
func TestOwnerReadsTimersOfItsHead(t *testing.T) {
	s := newSetting()
	s.post(0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := engine.NewOwner(0, quiet{s.journal.Log(0), cancel}, &moving{State: s.state}, nil, nil, engine.Options{
		Environment: "test", Rules: stitch.DefaultRules(), Batch: 10, Cache: 10, Tick: time.Hour, Nonce: "n",
		Now: time.Now, Observe: &s.heard, Wait: func(context.Context, time.Duration) error { return nil },
	})
	if err := o.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if s.heard.refused != 1 || s.sink() != 1 {
		t.Errorf("refused %d times, %d sink records; want 1 and 1", s.heard.refused, s.sink())
	}
}

// away are sources that can't be looked at for a while, and of which all was read.
type away struct{ refuses int }

func (a *away) Ends(context.Context) (engine.Ends, error) {
	if a.refuses > 0 {
		a.refuses--
		return nil, errors.New("a source partition has no leader")
	}
	return engine.Ends{}, nil
}
func (*away) Passed(context.Context, engine.Ends) (authorities, all bool, err error) {
	return true, true, nil
}

// ticking ends the owner when an order was published.
type ticking struct {
	engine.Log
	s      *setting
	cancel context.CancelFunc
}

func (l ticking) Read(ctx context.Context, from int64, limit int) ([]engine.Entry, error) {
	if l.s.sink() > 0 {
		l.cancel()
	}
	return l.Log.Read(ctx, from, limit)
}

// While sources can't be looked at a hold goes on, and the owner with it: it takes
// nothing over anew, which would drop its cache and its snapshot.
func TestOwnerOutlastsSources(t *testing.T) {
	s, now := newSetting(), int64(1_800_000_000_000)
	s.journal = memory.NewJournal(1, func() int64 { now += 1000; return now })
	order := stitch.Key{Kind: stitch.KindFact, ID: "o1"}
	s.journal.Append(0, wire.EncodeMessage(&stitch.Message{
		Kind: stitch.MsgEvent, To: order, Place: stitch.Place{Sender: "s"},
		Event: &stitch.Event{
			Source: stitch.Source{Topic: "s"}, Type: stitch.Track, Name: "order_completed", User: "c1", Time: 1, Raw: &stitch.Raw{},
			Fact: &stitch.Fact{Key: "o1", Order: "o1", Arbitrate: true, Hold: 1500},
		},
	}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := engine.NewOwner(0, ticking{s.journal.Log(0), s, cancel}, s.state, nil, &away{refuses: 3}, engine.Options{
		Environment: "test", Rules: stitch.DefaultRules(), Batch: 10, Cache: 10, Nonce: "n",
		Now: time.Now, Observe: &s.heard, Wait: func(context.Context, time.Duration) error { return nil },
	})
	if err := o.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if s.sink() != 1 || len(s.heard.troubles) != 3 || len(s.heard.tookOver) != 1 {
		t.Errorf("%d sink records, %d troubles, taken over %v; want 1, 3 and once", s.sink(), len(s.heard.troubles), s.heard.tookOver)
	}
}
