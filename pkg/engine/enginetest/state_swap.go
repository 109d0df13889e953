package enginetest

import (
	"bytes"
	"fmt"
	"maps"
	"math"

	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

func testSwap(t *stateTest) {
	t.begin()
	t.swap(delta(0, 10, "c:a", "d:b"), true)
	t.wantHead(0, headAt(gen, 10))
	t.want(gen, at(gen, 10), map[string][]byte{"c:a": valueAt("c:a", 10), "d:b": valueAt("d:b", 10), "c:c": nil})
}

func testSwapAgain(t *stateTest) {
	t.begin()
	t.swap(delta(0, 10, "c:a", "c:b", "c:c"), true)
	d := delta(10, 11, "c:b", "c:d")
	d.Delete = []string{"c:c", "c:never"}
	t.swap(d, true)
	t.wantHead(0, headAt(gen, 11))
	t.want(gen, at(gen, 11), map[string][]byte{
		"c:a": valueAt("c:a", 10), "c:b": valueAt("c:b", 11), "c:c": nil, "c:d": valueAt("c:d", 11), "c:never": nil,
	})
}

// refused expects that a delta of everything isn't carried out on a state at 10.
func (t *stateTest) refused(d engine.Delta) {
	t.Helper()
	d.Set = []engine.KV{{Key: "c:a", Value: []byte("no")}, {Key: "c:new", Value: []byte("no")}}
	d.Delete = []string{"c:b"}
	d.Timers = []engine.TimerChange{{Key: "f:o"}, {Key: "f:new", Timer: stitch.Timer{At: 1}}}
	d.Meta = []byte("no")
	t.swap(d, false)
	t.at10()
}

// go10 takes a fresh state to 10, at10 expects it untouched there.
func (t *stateTest) go10() {
	t.Helper()
	t.begin()
	d := delta(0, 10, "c:a", "c:b")
	d.Timers = []engine.TimerChange{{Key: "f:o", Timer: stitch.Timer{At: 5}}}
	t.swap(d, true)
}

func (t *stateTest) at10() {
	t.Helper()
	t.wantHead(0, headAt(gen, 10))
	t.want(gen, at(gen, 10), map[string][]byte{"c:a": valueAt("c:a", 10), "c:b": valueAt("c:b", 10), "c:new": nil})
	t.wantTimers(0, gen, map[string]stitch.Timer{"f:o": {At: 5}})
}

func testSwapElsewhere(t *stateTest) {
	t.go10()
	t.refused(delta(0, 9))
	t.refused(delta(0, 11))
	t.refused(delta(9, 11))
	t.refused(delta(11, 12))
	t.refused(delta(1, 100)) // no text that 10 begins, or that begins 10
	d := delta(10, 11)
	d.Base.Generation, d.Next.Generation = "gone", "gone"
	t.refused(d)
}

// testSwapDone: the reply of the first try was lost. What the second brings is
// the same in truth; that it differs here shows that nothing is written.
func testSwapDone(t *stateTest) {
	t.go10()
	d := delta(0, 10, "c:new")
	d.Delete = []string{"c:b"}
	d.Timers = []engine.TimerChange{{Key: "f:o"}}
	d.Meta = []byte("other")
	t.swap(d, true)
	t.at10()
	t.swap(delta(5, 10, "c:new"), true) // another batch size, the same end
	t.at10()
}

func testSwapLogic(t *stateTest) {
	t.go10()
	for _, base := range []int64{0, 10} { // at next already, and at base
		d := delta(base, base+10)
		d.Logic = logic + 1
		t.refused(d)
	}
}

func testSwapInvalid(t *stateTest) {
	t.go10()
	for _, d := range []engine.Delta{
		{Base: at(gen, 10), Next: at("other", 11)},
		{Base: at(gen, 10), Next: at(gen, 10)},
		{Base: at(gen, 10), Next: at(gen, 9)},
		{Base: at("", 10), Next: at("", 11)},
	} {
		d.Logic, d.Set = logic, []engine.KV{{Key: "c:new"}}
		if moved, err := t.s.Swap(t.ctx, 0, d); moved || err == nil {
			t.Fatalf("swap %v to %v: moved %v, %v; want an error", d.Base, d.Next, moved, err)
		}
		t.at10()
	}
}

func testSwapNothing(t *stateTest) {
	t.begin()
	t.swap(delta(0, 1), true)
	t.wantHead(0, headAt(gen, 1))
}

func testOffsets(t *stateTest) {
	const big = 1 << 53
	t.beginAt(0, engine.Position{}, headAt(gen, big), true)
	t.swap(delta(big+1, big+2), false) // the same double
	t.swap(delta(big, big+1), true)
	t.swap(delta(big, big+2), false)
	t.swap(delta(big+1, math.MaxInt64), true)
	t.wantHead(0, headAt(gen, math.MaxInt64))
	t.beginAt(0, at(gen, math.MaxInt64-1), headAt("other", 0), false)
}

func testPartitions(t *stateTest) {
	t.begin()
	t.beginAt(12, engine.Position{}, headAt(gen, 0), true)
	d := delta(0, 10, "c:a")
	d.Timers = []engine.TimerChange{{Key: "f:o", Timer: stitch.Timer{At: 5}}}
	t.swapIn(12, d, true)
	t.wantHead(0, headAt(gen, 0))
	t.wantHead(1, engine.Head{})
	t.wantHead(12, headAt(gen, 10))
	t.want(gen, at(gen, 0), map[string][]byte{"c:a": nil})
	t.wantTimers(0, gen, nil)
	t.wantIn(12, gen, at(gen, 10), map[string][]byte{"c:a": valueAt("c:a", 10)})
}

func testTimers(t *stateTest) {
	t.begin()
	d := delta(0, 10)
	d.Timers = []engine.TimerChange{
		{Key: "f:1", Timer: stitch.Timer{At: 1}},
		{Key: "f:2", Timer: stitch.Timer{At: math.MaxInt64, Wait: stitch.WaitAll}},
		{Key: "c:3", Timer: stitch.Timer{At: 1700000000000, Wait: stitch.WaitAuthorities}},
		{Key: "c:4"}, // had none
	}
	t.swap(d, true)
	t.wantTimers(0, gen, map[string]stitch.Timer{
		"f:1": {At: 1}, "f:2": {At: math.MaxInt64, Wait: stitch.WaitAll}, "c:3": {At: 1700000000000, Wait: stitch.WaitAuthorities},
	})
	d = delta(10, 11)
	d.Timers = []engine.TimerChange{
		{Key: "f:1"},
		{Key: "f:2", Timer: stitch.Timer{Wait: stitch.WaitAll}}, // zero At removes, whatever else it says
		{Key: "c:3", Timer: stitch.Timer{At: 2}},
	}
	t.swap(d, true)
	t.wantTimers(0, gen, map[string]stitch.Timer{"c:3": {At: 2}})
	t.wantTimers(0, "other", nil)
}

func testPromote(t *stateTest) {
	t.go10()
	promote := func(at engine.Position, from, to int, want bool) {
		t.Helper()
		done, err := t.s.Promote(t.ctx, 0, at, from, to, []byte("promoted"))
		if err != nil || done != want {
			t.Fatalf("promote at %v from %d to %d: done %v, %v; want %v", at, from, to, done, err, want)
		}
	}
	promote(at(gen, 9), logic, logic+1, false)
	promote(at("other", 10), logic, logic+1, false)
	promote(at(gen, 10), logic+1, logic+2, false)
	t.at10()
	promote(at(gen, 10), logic, logic+1, true)
	promote(at(gen, 10), logic, logic+1, true) // the reply of the first try was lost
	t.wantHead(0, engine.Head{Position: at(gen, 10), Logic: logic + 1, Meta: []byte("promoted")})
	t.want(gen, at(gen, 10), map[string][]byte{"c:a": valueAt("c:a", 10), "c:b": valueAt("c:b", 10)})
	t.swap(delta(10, 11, "c:a"), false) // an owner of the logic before
	d := delta(10, 11, "c:a")
	d.Logic++
	t.swap(d, true)
}

func testMany(t *stateTest) {
	const n = 5000
	t.begin()
	set, clear := delta(0, 1), delta(1, 2)
	values, gone, timers := map[string][]byte{}, map[string][]byte{}, map[string]stitch.Timer{}
	keys := make([]string, n)
	for i := range n {
		k := fmt.Sprintf("c:%04d", i)
		keys[i], values[k], gone[k] = k, valueAt(k, 1), nil
		timers[k] = stitch.Timer{At: int64(i + 1)}
		set.Set = append(set.Set, engine.KV{Key: k, Value: values[k]})
		set.Timers = append(set.Timers, engine.TimerChange{Key: k, Timer: timers[k]})
		clear.Delete = append(clear.Delete, k)
		clear.Timers = append(clear.Timers, engine.TimerChange{Key: k})
	}
	t.swap(set, true)
	t.want(gen, at(gen, 1), values)
	t.wantTimers(0, gen, timers)

	read, _, _, err := t.s.Read(t.ctx, 0, gen, append(keys, keys[0], "c:none"))
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range append(keys, keys[0]) { // in the order asked for, a key twice
		if !bytes.Equal(read[i], values[k]) {
			t.Fatalf("value %d is %q, want %q", i, read[i], values[k])
		}
	}
	t.wantPages(values)
	t.swap(clear, true)
	t.want(gen, at(gen, 2), gone)
	t.wantTimers(0, gen, nil)
	t.wantPages(nil)
}

// wantPages expects the entities on their pages, in order, however many pages
// are read at a time, and none in another generation.
func (t *stateTest) wantPages(want map[string][]byte) {
	t.Helper()
	for _, n := range []int{1024, 100, 1} {
		got := map[string][]byte{}
		for first := 0; first < engine.Pages; first += n {
			n := min(n, engine.Pages-first)
			entities, before, after, err := t.s.Page(t.ctx, 0, gen, first, n)
			if err != nil {
				t.Fatal(err)
			}
			head, _, err := t.s.Head(t.ctx, 0)
			if err != nil {
				t.Fatal(err)
			}
			if before != head.Position || after != head.Position {
				t.Fatalf("pages at %v and %v, the head is at %v", before, after, head.Position)
			}
			t.same("pages", engine.PagesOf(maps.All(want), first, n), entities)
			for _, kv := range entities {
				got[kv.Key] = kv.Value
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d entities on all pages, want %d", len(got), len(want))
		}
	}
	others, _, _, err := t.s.Page(t.ctx, 0, "other", 0, engine.Pages)
	if err != nil || len(others) > 0 {
		t.Fatalf("%d entities of another generation, %v", len(others), err)
	}
}

// anyBytes is every byte, and nothing that is UTF-8.
func anyBytes() []byte {
	b := make([]byte, 0, 512)
	for i := range 256 {
		b = append(b, byte(i), byte(255-i))
	}
	return b
}

func testBytes(t *stateTest) {
	t.begin()
	values := map[string][]byte{
		"c:" + string(anyBytes()): anyBytes(),
		"c:empty":                 {},
		"c:nul":                   {0},
		"c:{0}:head":              []byte("braces"),
		"c: *?[a-z]\r\n$-1\r\n":   []byte("\r\n$-1\r\n"),
		"c:große Größe":           []byte("nil"),
		"c:big":                   bytes.Repeat(anyBytes(), 4096),
	}
	d := delta(0, 1)
	d.Meta = anyBytes()
	timers := map[string]stitch.Timer{}
	for k, v := range values {
		d.Set = append(d.Set, engine.KV{Key: k, Value: v})
		d.Timers = append(d.Timers, engine.TimerChange{Key: k, Timer: stitch.Timer{At: 1}})
		timers[k] = stitch.Timer{At: 1}
	}
	d.Set = append(d.Set, engine.KV{Key: "c:nil", Value: nil})
	values["c:nil"] = []byte{} // there it is, and empty
	t.swap(d, true)
	t.want(gen, at(gen, 1), values)
	t.wantTimers(0, gen, timers)
	t.wantHead(0, engine.Head{Position: d.Next, Logic: logic, Meta: anyBytes()})
}

// testCopies: buffers are the caller's again after a call, and what a call
// returns is the caller's too.
func testCopies(t *stateTest) {
	h := headAt(gen, 0)
	t.beginAt(0, engine.Position{}, h, true)
	clear(h.Meta)
	t.wantHead(0, headAt(gen, 0))
	d := delta(0, 1, "c:a")
	t.swap(d, true)
	clear(d.Set[0].Value)
	clear(d.Meta)
	for range 2 {
		values, _, _, err := t.s.Read(t.ctx, 0, gen, []string{"c:a"})
		if err != nil {
			t.Fatal(err)
		}
		t.same("value", valueAt("c:a", 1), values[0])
		clear(values[0])
		got, _, err := t.s.Head(t.ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.same("head", headAt(gen, 1), got)
		clear(got.Meta)
	}
}
