package engine_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/engine/memory"
	"lockstitch/pkg/traffic"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
	"lockstitch/stitch/plan"
)

// history is a journal as it came to be, and what its fold gives: record by
// record, every entity kept as it is, nothing encoded but what leaves.
type history struct {
	now     int64
	entries [][]engine.Entry // by partition
	parts   []*stitch.Partition
	folded  []int64              // next offset to fold
	out     [][]engine.Published // what each partition published, in order
}

const journalID = "journal-id"

// live makes a history of n source records, of which so many are odd (0 to 1):
// sources, partitions and time take turns at random, and now and then the rules
// change.
func live(rnd *rand.Rand, partitions, n int, share float64) (*history, error) {
	h := &history{
		now: 1_800_000_000_000, entries: make([][]engine.Entry, partitions),
		folded: make([]int64, partitions), out: make([][]engine.Published, partitions),
	}
	for p := range partitions {
		h.parts = append(h.parts, stitch.NewPartition(stitch.Meta{
			Logic: stitch.Logic, TopicID: journalID, Environment: "test", Number: int32(p),
		}, nil))
	}
	post, err := source(rnd, share)
	if err != nil {
		return nil, err
	}
	for n > 0 {
		h.now += rnd.Int64N(10_000)
		switch p := rnd.IntN(partitions); rnd.IntN(20) {
		case 0, 1:
			h.tick(p)
		case 2:
			rules := stitch.DefaultRules()
			rules.MaxCustomers, rules.MaxDevices, rules.LastLogin = 1+rnd.IntN(5), 1+rnd.IntN(5), rnd.IntN(2) == 0
			h.append(p, &stitch.Message{Kind: stitch.MsgRules, Rules: &rules})
		case 3, 4, 5, 6, 7, 8, 9:
			h.publish(post())
			n--
		default:
			if err := h.fold(p); err != nil {
				return nil, err
			}
		}
	}
	return h, h.finish()
}

// source makes source records as ingest journals them: a shop's of a few people,
// so that they meet, and between them what no shop would send so much of.
func source(rnd *rand.Rand, share float64) (next func() []engine.Published, err error) {
	all := wire.Trust{Alias: true, Delete: true, Suppress: true, Split: true}
	in, err := wire.NewIngest(wire.IngestOptions{
		Plan: plan.Default(), TemporaryUserIDs: []string{"tmp-*"},
		Sources: map[string]wire.SourceRule{
			"events.app": {Origin: "app"}, "events.web": {Origin: "web"},
			"events.server": {Origin: "server", Trust: all}, "events.commerce": {Origin: "commerce"},
		},
	})
	if err != nil {
		return nil, err
	}
	j := engine.Journal{Ingest: in}
	g := traffic.New(traffic.Options{Seed: rnd.Uint64(), People: 1 + rnd.IntN(8), Garbage: 0.02})
	offsets := map[string]int64{}
	return func() []engine.Published {
		l := g.Next()
		if rnd.Float64() < share {
			l = odd(rnd, l.Time)
		}
		r := wire.Record{
			Source: stitch.Source{Topic: l.Topic, Offset: offsets[l.Topic]}, Key: []byte(l.Key), Value: l.Value, Arrival: l.Time.UnixMilli(),
		}
		offsets[l.Topic]++
		return j.Records(l.Topic, []wire.Record{r})
	}, nil
}

// odd is an event of few devices, customers, addresses and orders: merges in
// chains and circles, splits, provisional customers, shared devices and tokens.
func odd(rnd *rand.Rand, at time.Time) traffic.Line {
	pick := func(from ...string) string { return from[rnd.IntN(len(from))] }
	device, customer := pick("d1", "d2", "d3"), pick("c1", "c2", "c3", "c4", "tmp-1", "tmp-2", "tmp-3")
	topic := pick("events.app", "events.web", "events.server")
	ev := map[string]any{"timestamp": at.Add(-time.Duration(rnd.IntN(100)) * time.Minute).Format(time.RFC3339), "type": "track"}
	traits := map[string]any{"email": pick("e1@x.example", "e2@x.example", "e3@x.example")}
	switch rnd.IntN(12) {
	case 0:
		ev["event"], ev["anonymousId"] = "looked", device
	case 1, 2:
		ev["type"], ev["anonymousId"], ev["userId"], ev["traits"] = "identify", device, customer, traits
	case 3:
		ev["event"], ev["anonymousId"] = pick("user_logged_out", "looked"), device
	case 4:
		ev["type"], ev["anonymousId"], ev["traits"] = "identify", device, traits
	case 5, 6:
		topic = "events.server"
		ev["type"], ev["userId"], ev["previousId"] = "alias", customer, pick("c1", "c2", "c3", "c4")
	case 7:
		topic = "events.server"
		ev["event"], ev["userId"] = pick("Identity Split", "User Suppressed", "User Unsuppressed"), customer
		ev[pick("anonymousId", "previousId")] = pick(device, "c1", "c2")
	case 8:
		ev["event"], ev["userId"] = "looked", customer
	case 9, 10:
		ev["event"], ev[pick("anonymousId", "userId")] = pick("Device Created or Updated", "Device Deleted"), pick(device, customer)
		ev["context"] = map[string]any{"device": map[string]any{"id": "p" + device, "token": pick("t1", "t2", "t3"), "type": "ios"}}
	case 11:
		ev["event"], ev[pick("anonymousId", "userId")] = "order_completed", pick(device, customer)
		ev["properties"] = map[string]any{"order_id": pick("o1", "o2"), "revenue": rnd.IntN(3), "items": 1}
	}
	value, err := json.Marshal(ev)
	if err != nil {
		panic(err) // it holds nothing but texts and numbers
	}
	return traffic.Line{Topic: topic, Value: value, Time: at}
}

func (h *history) append(p int, m *stitch.Message) { h.write(p, wire.EncodeMessage(m)) }

func (h *history) write(p int, value []byte) {
	h.entries[p] = append(h.entries[p], engine.Entry{Offset: int64(len(h.entries[p])), Time: h.now, Value: value, Size: len(value)})
}

func (h *history) tick(p int) {
	h.append(p, &stitch.Message{Kind: stitch.MsgTick, Watermark: h.now, WatermarkAll: h.now})
}

// publish journals messages. What ingest sends elsewhere is no part of the fold.
func (h *history) publish(out []engine.Published) {
	for _, r := range out {
		if r.Topic == engine.TopicJournal {
			h.write(int(engine.PartitionOf(r.Entity, len(h.parts))), r.Value)
		}
	}
}

// fold folds the next record of partition p, where there is one.
func (h *history) fold(p int) error {
	if h.folded[p] == int64(len(h.entries[p])) {
		return nil
	}
	e, part := h.entries[p][h.folded[p]], h.parts[p]
	h.folded[p]++
	m, err := wire.DecodeMessage(e.Value)
	if err != nil {
		return err
	}
	if k, ok := stitch.Needs(m); ok && !part.Has(k) {
		part.Put(k, nil)
	}
	var out []engine.Published
	for _, o := range part.Fold(stitch.Record{Offset: e.Offset, Time: e.Time, Message: m}, nil) {
		out = append(out, engine.Encode(&o))
	}
	h.out[p] = append(h.out[p], out...)
	h.publish(out)
	return nil
}

// finish folds what is left, and lets time run on until nothing waits.
func (h *history) finish() error {
	for range 4 {
		h.now += 3_600_000
		for p := range h.parts {
			h.tick(p)
		}
		for busy := true; busy; {
			busy = false
			for p := range h.parts {
				busy = busy || h.folded[p] < int64(len(h.entries[p]))
				if err := h.fold(p); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// replay is a partition of a history as its owner reads it again, in batches cut
// at random. What is written leaves the history as it is.
type replay struct {
	entries []engine.Entry
	rnd     *rand.Rand
	out     []engine.Published
	cuts    []int
}

var _ engine.Log = (*replay)(nil)

func (r *replay) Bounds(context.Context) (start, end int64, topicID string, err error) {
	return 0, int64(len(r.entries)), journalID, nil
}

func (r *replay) Committed(context.Context) (int64, bool, error) { return -1, true, nil }

func (r *replay) Read(_ context.Context, from int64, limit int) ([]engine.Entry, error) {
	left := r.entries[from:]
	if len(left) == 0 {
		return nil, engine.ErrLost // the end
	}
	n := 1 + r.rnd.IntN(min(limit, len(left)))
	r.cuts = append(r.cuts, n)
	return slices.Clone(left[:n]), nil
}

func (r *replay) Publish(_ context.Context, out []engine.Published) error {
	for i := range out {
		r.out = append(r.out, out[i].Clone())
	}
	return nil
}

func (r *replay) Append(context.Context, []byte) error { return nil }
func (r *replay) Commit(context.Context, int64) error  { return nil }

// deaf is an observer that fails the test where an owner has any trouble.
type deaf struct {
	fail func(format string, args ...any)
}

func (deaf) TookOver(int32, int64, int64)           {}
func (deaf) Rebuilding(int32, string, int64, int64) {}
func (deaf) Promoted(int32, int64, int, int)        {}
func (deaf) Snapshot(int32, engine.Copied)          {}
func (deaf) Folded(int32, engine.Batch)             {}
func (d deaf) Refused(p int32)                      { d.fail("partition %d: refused", p) }
func (d deaf) Trouble(p int32, err error)           { d.fail("partition %d: %v", p, err) }
func (d deaf) Unreadable(p int32, at int64)         { d.fail("partition %d: unreadable at %d", p, at) }

// again has an owner fold partition p, with batches and a cache of at most so many.
func (h *history) again(p int, seed uint64, batch, cache int, clock time.Time, fail func(string, ...any)) (*replay, *memory.State) {
	r := &replay{entries: h.entries[p], rnd: rand.New(rand.NewPCG(seed, uint64(p)))}
	state := memory.NewState()
	o := engine.NewOwner(int32(p), r, state, nil, nil, engine.Options{
		Environment: "test", Rules: stitch.DefaultRules(), Batch: batch, Cache: cache, Tick: time.Second, Nonce: "n",
		Now: func() time.Time { return clock }, Observe: deaf{fail},
		Wait: func(context.Context, time.Duration) error { return context.Canceled },
	})
	if err := o.Run(context.Background()); err != nil {
		fail("partition %d: %v", p, err)
	}
	return r, state
}

// state is partition p's state, as the store would hold it.
func (h *history) state(p int) map[string]string {
	part := h.parts[p]
	all := map[string]string{"meta": string(wire.MarshalState(&part.Meta))}
	keys, _ := part.Changes() // nothing was ever settled: that is all of them
	for _, k := range keys {
		all[k.String()] = string(wire.MarshalState(part.Entity(k)))
		if at := part.Timer(k); at.At != 0 {
			all["timer "+k.String()] = fmt.Sprint(at)
		}
	}
	return all
}

func stored(s *memory.State, p int) map[string]string {
	head, entities, timers, _ := s.Dump(int32(p))
	all := map[string]string{"meta": string(head.Meta)}
	for k, v := range entities {
		all[k] = string(v)
	}
	for k, at := range timers {
		all["timer "+k] = fmt.Sprint(at)
	}
	return all
}

// Laws stream.3 and stream.5: any cut of the journal into batches, with entities
// that go through the store and back between any two of them, gives the same
// bytes as the fold record by record: what is published, and the state.
func TestAnyCutGivesTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		h, err := live(rnd, 1+rnd.IntN(3), rapid.IntRange(1, 300).Draw(t, "records"), 0.9)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			seed := rapid.Uint64().Draw(t, "cuts")
			batch, cache := rapid.IntRange(1, 100).Draw(t, "batch"), rapid.IntRange(0, 40).Draw(t, "cache")
			for p := range h.parts {
				r, state := h.again(p, seed, batch, cache, time.UnixMilli(h.now), t.Fatalf)
				if digest(h.out[p]) != digest(r.out) {
					t.Fatalf("partition %d in batches of %v: -record by record +batches\n%s", p, r.cuts, cmp.Diff(h.out[p], r.out))
				}
				if want, got := h.state(p), stored(state, p); !maps.Equal(want, got) {
					t.Fatalf("partition %d in batches of %v: the state of %v differs", p, r.cuts, differing(want, got))
				}
			}
		}
	})
}

func differing(a, b map[string]string) (keys []string) {
	all := maps.Clone(a)
	maps.Copy(all, b)
	for k := range all {
		if a[k] != b[k] {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// The crash table's last row but one: the journal replayed three times with other
// batch sizes, GOMAXPROCS, owners, and clocks an hour off: the same SHA-256 of
// keys, values and ls- headers for each partition.
func TestReplayGivesTheSame(t *testing.T) {
	const seed, partitions, records = 7, 3, 500
	h, err := live(rand.New(rand.NewPCG(seed, 1)), partitions, records, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]string, partitions)
	for p := range want {
		if want[p] = digest(h.out[p]); len(h.out[p]) < records/10 {
			t.Errorf("partition %d published %d records only", p, len(h.out[p]))
		}
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, run := range []struct {
		procs, batch, cache int
		clock               time.Duration
	}{{1, 1, 0, time.Hour}, {2, 64, 20, -time.Hour}, {2, 1000, 20_000, 0}} {
		t.Run(fmt.Sprintf("%+v", run), func(t *testing.T) {
			runtime.GOMAXPROCS(run.procs)
			got := make([]string, partitions)
			var wg sync.WaitGroup
			for p := range got {
				wg.Go(func() {
					r, _ := h.again(p, uint64(run.batch), run.batch, run.cache, time.UnixMilli(h.now).Add(run.clock), t.Errorf)
					got[p] = digest(r.out)
				})
			}
			wg.Wait()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("lived again", func(t *testing.T) {
		again, err := live(rand.New(rand.NewPCG(seed, 1)), partitions, records, 0.1)
		if err != nil {
			t.Fatal(err)
		}
		for p := range want {
			if digest(again.out[p]) != want[p] {
				t.Errorf("partition %d is another", p)
			}
		}
	})
}

// digest is a SHA-256 of keys, values and ls- headers (others there are none), in order.
func digest(out []engine.Published) string {
	sum := sha256.New()
	for _, r := range out {
		fmt.Fprintf(sum, "%d %q %q %q", r.Topic, r.Entity.String(), r.Key, r.Value)
		for _, h := range r.Headers {
			if strings.HasPrefix(h.Key, "ls-") {
				fmt.Fprintf(sum, " %s=%q", h.Key, h.Value)
			}
		}
		fmt.Fprintln(sum)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}
