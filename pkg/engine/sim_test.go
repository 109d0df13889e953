package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lockstitch/pkg/engine/simshop"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

var (
	simSchedules = flag.Int("sim.schedules", 500, "schedules of the simulator")
	simSeed      = flag.Uint64("sim.seed", 1, "first seed")
)

// mutant is a safeguard taken away, to show that the simulator misses it.
type mutant uint8

const (
	whole mutant = iota
	noSeen
	noSilence
	noCompare
)

const simServer = simshop.Authority

// world is one schedule: real owners and real ingest over simulated parts,
// every port call a step at which the schedule may kill or pause its caller.
type world struct {
	rnd     *rand.Rand
	faults  *rand.Rand
	mutant  mutant
	kafka   *simKafka
	state   *simState
	ingest  *wire.Ingest
	owner   []*actor  // the assigned owner of each journal partition
	reader  []*actor  // of each source partition
	arrived []int     // how much of each source has arrived,
	came    [][]int64 // and when each record did
	zombies []*actor
	late    bool   // the authority's ingest is slow
	slow    string // a step at which everybody tarries
	rebuilt int64  // from snapshots
	peace   bool   // nothing breaks any more
	limits  limits
}

// limits bound a schedule, to shrink one that fails.
type limits struct{ records, steps, faults int }

// actor is a process's thread, resumed by the schedule from port call to port call.
type actor struct {
	name   string
	next   func() (string, bool)
	stop   func()
	yield  func(string) bool
	failed error
	step   string   // at which it is
	head   Position // that it read last
}

type killed struct{}

// at is a port call's step: the schedule may never come back to it.
func (a *actor) at(step string) {
	if !a.yield(step) {
		panic(killed{})
	}
}

func spawn(name string, run func(a *actor) error) *actor {
	a := &actor{name: name}
	a.next, a.stop = iter.Pull(func(yield func(string) bool) {
		a.yield = yield
		defer func() {
			if r := recover(); r != nil {
				if _, ok := r.(killed); !ok {
					panic(r)
				}
			}
		}()
		a.failed = run(a)
	})
	return a
}

// spawnOwner assigns the journal partition to a new owner.
func (w *world) spawnOwner(p int32) {
	skew := int64(w.rnd.IntN(2*3_600_000) - 3_600_000) // of its clock
	w.owner[p] = spawn(fmt.Sprint("owner ", p), func(a *actor) error {
		var o *Owner
		o = NewOwner(p, &simLog{w: w, a: a, p: p}, simRedis{w.state, a}, simCopies{w, a}, simSources{w, a}, Options{
			Go: func(f func()) { f() }, SnapshotEvery: 20 * time.Millisecond, SnapshotRate: 1 << 30,
			Environment: "sim", Rules: simRules(), Batch: 8, Cache: w.rnd.IntN(6), Tick: 20 * time.Millisecond,
			Nonce: fmt.Sprint("n", w.rnd.Uint64()), Now: func() time.Time { return time.UnixMilli(w.kafka.now + skew) },
			Wait: func(context.Context, time.Duration) error { a.at("wait"); return nil }, Observe: simObserver{w, &o},
		})
		return o.Run(context.Background())
	})
}

func simRules() stitch.Rules {
	r := stitch.DefaultRules()
	r.MergeDelay = 60
	return r
}

// spawnReader assigns the source partition to a new ingest.
func (w *world) spawnReader(s int) {
	w.reader[s] = spawn(fmt.Sprint("ingest ", s), func(a *actor) error {
		j := Journal{Ingest: w.ingest}
		for {
			a.at("fetch")
			from := w.kafka.ingested[s]
			to := min(int64(w.arrived[s]), from+int64(1+w.rnd.IntN(3)))
			out := j.Records("source", w.kafka.sources[s][from:to])
			for _, r := range out {
				a.at("journal")
				w.kafka.write(r, false)
			}
			a.at("commit")
			if w.reader[s] != a {
				return ErrLost
			}
			w.kafka.ingested[s] = to
		}
	})
}

// simObserver hears of batches; without `seen`, it makes the owner forget.
type simObserver struct {
	w *world
	o **Owner
}

func (simObserver) TookOver(int32, int64, int64) {}
func (s simObserver) Rebuilding(_ int32, _ string, from, _ int64) {
	if from > 0 {
		s.w.rebuilt++
	}
}
func (simObserver) Promoted(int32, int64, int, int) {}
func (simObserver) Snapshot(int32, Copied)          {}
func (s simObserver) Folded(int32, Batch) {
	if s.w.mutant == noSeen {
		clear((*s.o).part.Seen)
	}
}
func (simObserver) Refused(int32) {}
func (simObserver) Trouble(_ int32, err error) {
	if !errors.Is(err, ErrTruncated) && !errors.Is(err, errReply) { // the journal was cut while it was behind: it takes over anew
		panic(err)
	}
}
func (simObserver) Unreadable(int32, int64) { panic("unreadable") }

var simIngest = sync.OnceValue(func() *wire.Ingest { return simshop.NewIngest(simHold * time.Millisecond) })

const simHold = 40 // ms

func newWorld(seed uint64, m mutant, l limits) *world {
	w := &world{rnd: rand.New(rand.NewPCG(seed, 7)), faults: rand.New(rand.NewPCG(seed, 11)), limits: l, mutant: m, ingest: simIngest(), arrived: make([]int, 3), came: make([][]int64, 3)}
	w.late = w.rnd.IntN(3) == 0
	w.slow = []string{"", "append", "publish", "swap", "swapped", "commit", "page", "passed", "timers", "load"}[w.rnd.IntN(10)]
	partitions := 1 + w.rnd.IntN(3)
	w.kafka = &simKafka{
		now: 1_800_000_000_000, sources: simTraffic(rand.New(rand.NewPCG(seed, 13)), l.records), ingested: make([]int64, 3),
		journal: make([][]Entry, partitions), start: make([]int64, partitions), copies: make([][][]byte, partitions), commits: slices.Repeat([]int64{-1}, partitions), outputs: map[Topic][]simRecord{},
	}
	w.state = &simState{w: w, past: make([][]simHead, partitions)}
	w.owner, w.reader = make([]*actor, partitions), make([]*actor, 3)
	for p := range partitions {
		w.state.past[p] = []simHead{{}}
		w.spawnOwner(int32(p))
	}
	if slow := rand.New(rand.NewPCG(seed, 17)); slow.IntN(4) == 0 {
		w.kafka.slow = slow
	}
	for s := range w.reader {
		w.spawnReader(s)
	}
	return w
}

// run plays the schedule: faults for a while, then peace until all is settled.
func (w *world) run() error {
	defer w.stopAll()
	for range min(200+w.rnd.IntN(1000), w.limits.steps) {
		w.kafka.passes(int64(w.rnd.IntN(3)))
		if s := w.rnd.IntN(3); w.arrived[s] < len(w.kafka.sources[s]) && w.rnd.IntN(8) == 0 {
			w.arrive(s)
		}
		if w.faults.IntN(40) == 0 && w.limits.faults > 0 {
			w.limits.faults--
			w.fault()
		}
		if err := w.resume(w.pick()); err != nil {
			return err
		}
	}
	for s, recs := range w.kafka.sources {
		for w.arrived[s] < len(recs) {
			w.arrive(s)
		}
	}
	w.peace = true
	return w.settle()
}

func (w *world) arrive(s int) {
	w.arrived[s]++
	w.came[s] = append(w.came[s], w.kafka.now)
}

func (w *world) pick() *actor {
	all := slices.Concat(w.owner, w.reader, w.zombies)
	a := all[w.rnd.IntN(len(all))]
	if (a == w.reader[simServer] && w.late || a.step == w.slow) && w.rnd.IntN(10) > 0 {
		return w.pick()
	}
	return a
}

func (w *world) resume(a *actor) error {
	step, ok := a.next()
	if a.step = step; ok || a.failed == nil || errors.Is(a.failed, ErrLost) {
		return nil
	}
	return fmt.Errorf("%s: %w", a.name, a.failed)
}

// fault kills, pauses, or makes Redis forget.
func (w *world) fault() {
	p, s := w.faults.IntN(len(w.owner)), w.faults.IntN(len(w.reader))
	switch w.faults.IntN(10) {
	case 0, 1:
		w.owner[p].stop()
		w.spawnOwner(int32(p))
	case 2, 3:
		w.zombies = append(w.zombies, w.owner[p])
		w.spawnOwner(int32(p))
	case 4:
		w.reader[s].stop()
		w.spawnReader(s)
	case 5:
		w.zombies = append(w.zombies, w.reader[s])
		w.spawnReader(s)
	case 6:
		w.state.lose(int32(p), 1+w.faults.IntN(4))
	case 7:
		w.state.lose(int32(p), 1<<30)
	case 8, 9:
		w.cut(int32(p))
	}
}

// cut lets retention take the journal up to the newest whole snapshot, and with
// it, mostly, what Redis has.
func (w *world) cut(p int32) {
	a := &actor{yield: func(string) bool { return true }}
	s, ok, err := Find(context.Background(), simCopies{w, a}, p, func(stitch.Meta) bool { return true })
	if err != nil {
		panic(err)
	}
	if ok {
		w.kafka.start[p] = s.Meta.Applied
		if w.faults.IntN(3) > 0 {
			w.state.lose(p, 1<<30)
		}
	}
}

// settle goes on without faults until nothing is left to do.
func (w *world) settle() error {
	for range 20000 {
		w.kafka.now += 50
		for _, a := range slices.Concat(w.owner, w.reader, w.zombies) {
			if err := w.resume(a); err != nil {
				return err
			}
		}
		if w.done() {
			return nil
		}
	}
	return fmt.Errorf("not settled: something hangs: %s", w.unsettled())
}

// unsettled says what is left to do.
func (w *world) unsettled() string {
	var all []string
	for s, recs := range w.kafka.sources {
		all = append(all, fmt.Sprintf("source %d at %d of %d", s, w.kafka.ingested[s], len(recs)))
	}
	for p := range w.owner {
		h := w.state.now(int32(p))
		all = append(all, fmt.Sprintf("partition %d at %d of %d, committed %d, %d timers",
			p, h.head.Applied, len(w.kafka.journal[p]), w.kafka.commits[p], len(h.timers)))
	}
	return strings.Join(all, "; ")
}

func (w *world) done() bool {
	for s, recs := range w.kafka.sources {
		if w.kafka.ingested[s] < int64(len(recs)) {
			return false
		}
	}
	for p := range w.owner {
		h := w.state.now(int32(p))
		if !h.ok || h.head.Applied < int64(len(w.kafka.journal[p])) || len(h.timers) > 0 || w.kafka.commits[p] < h.head.Applied {
			return false
		}
	}
	return true
}

func (w *world) stopAll() {
	for _, a := range slices.Concat(w.owner, w.reader, w.zombies) {
		a.stop()
	}
}

func slashed(place string) string { return strings.ReplaceAll(place, "/", " ") }

// judge compares what was published with a sequential fold of the journal: the
// outputs are a function of it, so any difference is a loss or a conflict.
func (w *world) judge() error {
	want := map[string]string{}
	for p := range w.kafka.journal {
		if err := w.reference(int32(p), want); err != nil {
			return err
		}
	}
	got := map[string]string{}
	for topic, recs := range w.kafka.outputs {
		for _, r := range recs {
			text := fmt.Sprint(topic, r.key, "\n", r.value, "\n", r.headers)
			if old, ok := got[r.place]; ok && old != text {
				return fmt.Errorf("conflict at place %s", r.place)
			}
			if r.below {
				return fmt.Errorf("place %s was published again though it was committed before", r.place)
			}
			got[r.place] = text
		}
	}
	for place, text := range want {
		if got[place] != text {
			return fmt.Errorf("lost or other: place %s: want %s, got %s", place, text, got[place])
		}
	}
	for place := range got {
		if _, ok := want[place]; !ok && !strings.HasPrefix(place, "source/") {
			return fmt.Errorf("published, but no fold of the journal says so: place %s", place)
		}
	}
	return errors.Join(w.journaled(), w.released())
}

// simOrder is what of an order's copy names it.
type simOrder struct {
	Event      string
	User       string `json:"userId"`
	Properties struct {
		ID string `json:"order_id"`
	}
}

// released: no app copy of an order is published where an authority's had arrived
// within the hold (law duplicates.3). The hold counts from the first app copy's
// append to the journal; after its release the app may correct itself. An
// authority's copy that names nobody may end quarantined, and is passed over.
func (w *world) released() error {
	first := map[string]int64{} // order → arrival of the authority's copy
	for i, rec := range w.kafka.sources[simServer] {
		var o simOrder
		if json.Unmarshal(rec.Value, &o) == nil && o.Event == "order_completed" && o.User != "" {
			if _, ok := first[o.Properties.ID]; !ok {
				first[o.Properties.ID] = w.came[simServer][i]
			}
		}
	}
	held := map[string]int64{} // order → from when
	for _, entries := range w.kafka.journal {
		for _, e := range entries {
			m, err := wire.DecodeMessage(e.Value)
			if err != nil || m.To.Kind != stitch.KindFact || m.Event.Fact.Authority {
				continue
			}
			if _, ok := held[m.Event.Fact.Order]; !ok {
				held[m.Event.Fact.Order] = e.Time
			}
		}
	}
	for s, recs := range w.kafka.sources[:simServer] {
		for _, rec := range recs {
			var o simOrder
			if json.Unmarshal(rec.Value, &o) != nil || o.Event != "order_completed" || !w.published(rec.Source.String()) {
				continue
			}
			if came, ok := first[o.Properties.ID]; ok && came <= held[o.Properties.ID]+simHold {
				return fmt.Errorf("the copy %d of order %s was published, though the authority's was there in time", s, o.Properties.ID)
			}
		}
	}
	return nil
}

func (w *world) published(source string) bool {
	return slices.ContainsFunc(w.kafka.outputs[TopicSink], func(r simRecord) bool {
		s, _ := simOutcome(TopicSink, r)
		return s == source
	})
}

// reference folds journal partition p from its start, and compares the state.
func (w *world) reference(p int32, want map[string]string) error {
	part := stitch.NewPartition(stitch.Meta{TopicID: simTopicID, Logic: stitch.Logic, Environment: "sim", Number: p}, nil)
	for _, e := range w.kafka.journal[p] {
		m, err := wire.DecodeMessage(e.Value)
		if err != nil {
			return err
		}
		if k, ok := stitch.Needs(m); ok && !part.Has(k) {
			part.Put(k, nil)
		}
		for _, o := range part.Fold(stitch.Record{Offset: e.Offset, Time: e.Time, Message: m}, nil) {
			r := Encode(&o)
			if r.Topic == TopicJournal {
				continue
			}
			k := &simKafka{outputs: map[Topic][]simRecord{}}
			k.write(r, false)
			rec := k.outputs[r.Topic][0]
			want[rec.place] = fmt.Sprint(r.Topic, rec.key, "\n", rec.value, "\n", rec.headers)
		}
	}
	return w.sameState(p, part)
}

// sameState: what Redis holds is, byte for byte, the fold of the journal.
func (w *world) sameState(p int32, part *stitch.Partition) error {
	h := w.state.now(p)
	meta := wire.MarshalState(&part.Meta)
	if !bytes.Equal(meta, h.head.Meta) {
		return fmt.Errorf("partition %d: meta differs", p)
	}
	entities, _ := part.Changes()
	if len(entities) != len(h.data) {
		return fmt.Errorf("partition %d: %d entities, want %d", p, len(h.data), len(entities))
	}
	for _, k := range entities {
		v := wire.MarshalState(part.Entity(k))
		if h.data[k.String()] != string(v) {
			return fmt.Errorf("partition %d: state of %s differs", p, k)
		}
	}
	return nil
}

// journaled: each source record has exactly one outcome at the end.
func (w *world) journaled() error {
	outcome := map[string]int{}
	held := map[string]bool{}
	seen := map[string]bool{}
	for topic, recs := range w.kafka.outputs {
		for _, r := range recs {
			if seen[r.place] {
				continue
			}
			seen[r.place] = true
			source, kind := simOutcome(topic, r)
			switch kind {
			case "":
			case "held":
				held[source] = true
			case "sink":
				outcome[source] |= 1
			default:
				if outcome[source]&^1 != 0 || outcome[source]&1 != 0 && kind != "sink" {
					return fmt.Errorf("source %s has two outcomes, the second %s", source, kind)
				}
				outcome[source] |= 2
			}
		}
	}
	for s, recs := range w.kafka.sources {
		for i := range recs {
			source := recs[i].Source.String()
			if outcome[source] == 0 && !held[source] {
				return fmt.Errorf("source %s (of %d) has no outcome: lost", source, s)
			}
			if outcome[source] == 3 {
				return fmt.Errorf("source %s is published and has another outcome", source)
			}
		}
	}
	return nil
}

func simOutcome(topic Topic, r simRecord) (source, kind string) {
	header := func(name string) string {
		_, rest, ok := strings.Cut("\n"+r.headers, "\n"+name+"=")
		if !ok {
			return ""
		}
		v, _, _ := strings.Cut(rest, "\n")
		return v
	}
	field := func(name string) string {
		_, rest, ok := strings.Cut(r.value, `"`+name+`":"`)
		if !ok {
			return ""
		}
		v, _, _ := strings.Cut(rest, `"`)
		return v
	}
	switch topic {
	case TopicSink:
		return header("ls-source"), "sink"
	case TopicDLQ:
		return header("ls-source"), "quarantined"
	}
	if field("kind") != "outcome" {
		return "", ""
	}
	return field("source"), field("outcome")
}

// simRebuilds counts the rebuilds from snapshots, to see that there are any.
var simRebuilds atomic.Int64

// simulate plays schedules on all cores and returns the failures, by seed.
func simulate(first uint64, n int, m mutant) map[uint64]error {
	failures := map[uint64]error{}
	var mu sync.Mutex
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < uint64(n); i = next.Add(1) - 1 {
				if err := schedule(first+i, m, all); err != nil {
					mu.Lock()
					failures[first+i] = err
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return failures
}

// all of a schedule: it has no more records, steps or faults than these.
var all = limits{records: 32, steps: 1200, faults: 1200}

// shrink finds smaller limits under which the schedule fails too.
func shrink(seed uint64, m mutant) (small limits, err error) {
	small = all
	for _, of := range []func(*limits) *int{
		func(l *limits) *int { return &l.faults },
		func(l *limits) *int { return &l.records },
		func(l *limits) *int { return &l.steps },
	} {
		for step := *of(&small) / 2; step > 0; {
			try := small
			*of(&try) -= step
			if *of(&try) >= 0 {
				if e := schedule(seed, m, try); e != nil {
					small, err = try, e
					continue
				}
			}
			step /= 2
		}
	}
	return small, err
}

func schedule(seed uint64, m mutant, l limits) error {
	w := newWorld(seed, m, l)
	defer func() { simRebuilds.Add(w.rebuilt) }()
	if err := w.run(); err != nil {
		return err
	}
	return w.judge()
}

// TestSimulator: whatever is killed, paused or forgotten, whenever: nothing is
// lost, nothing is in conflict, and the state is the fold of the journal.
func TestSimulator(t *testing.T) {
	failures := simulate(*simSeed, *simSchedules, whole)
	for seed, err := range failures {
		t.Errorf("seed %d: %v", seed, err)
		small, err := shrink(seed, whole)
		t.Logf("again: go test ./pkg/engine -run '^TestSimulator$' -sim.seed %d -sim.schedules 1; it fails as well with %+v: %v", seed, small, err)
		if len(failures) > 5 {
			t.Fatalf("and %d more", len(failures)-1)
		}
	}
	if *simSchedules >= 500 && simRebuilds.Load() == 0 {
		t.Error("no schedule had a rebuild from a snapshot: it is too tame")
	}
	t.Logf("%d schedules, %d rebuilds from snapshots, %d failed", *simSchedules, simRebuilds.Load(), len(failures))
}

// TestSimulatorMisses: a safeguard taken away is missed.
func TestSimulatorMisses(t *testing.T) {
	for name, m := range map[string]mutant{"seen": noSeen, "silent catch-up": noSilence, "compare": noCompare} {
		t.Run(name, func(t *testing.T) {
			n := 400
			failures := simulate(1, n, m)
			if len(failures) == 0 {
				t.Fatalf("no schedule of %d misses it", n)
			}
			t.Logf("%d of %d schedules fail", len(failures), n)
		})
	}
}
