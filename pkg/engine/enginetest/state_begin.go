package enginetest

import (
	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

func testAbsent(t *stateTest) {
	t.wantHead(0, engine.Head{})
	t.want(gen, engine.Position{}, map[string][]byte{"c:a": nil})
	t.want(gen, engine.Position{}, map[string][]byte{})
	t.wantTimers(0, gen, nil)
	t.swap(delta(0, 1, "c:a"), false)
	t.wantHead(0, engine.Head{})
	t.want(gen, engine.Position{}, map[string][]byte{"c:a": nil})
}

func testBegin(t *stateTest) {
	h := headAt(gen, 42)
	h.Meta = anyBytes()
	t.beginAt(0, engine.Position{}, h, true)
	t.wantHead(0, h)
	t.want(gen, h.Position, map[string][]byte{"c:a": nil})

	next := headAt("another", 0)
	next.Logic = logic + 1 // a rebuild may bring other logic
	t.beginAt(0, h.Position, next, true)
	t.wantHead(0, next)
}

func testBeginElsewhere(t *stateTest) {
	t.beginAt(0, at(gen, 0), headAt("other", 0), false)
	t.beginAt(0, at("", 5), headAt("other", 0), false)
	t.wantHead(0, engine.Head{})

	t.begin()
	t.swap(delta(0, 10, "c:a"), true)
	for _, old := range []engine.Position{{}, at(gen, 0), at(gen, 9), at(gen, 11), at("gone", 10), at("", 10)} {
		t.beginAt(0, old, headAt("other", 0), false)
	}
	t.wantHead(0, headAt(gen, 10))
	t.want(gen, at(gen, 10), map[string][]byte{"c:a": valueAt("c:a", 10)})
}

func testBeginOld(t *stateTest) {
	t.begin()
	t.swap(delta(0, 10, "c:a"), true)
	for _, name := range []string{"", gen} {
		begun, err := t.s.Begin(t.ctx, 0, at(gen, 10), headAt(name, 0))
		if begun || err == nil {
			t.Fatalf("generation %q begun after %q: %v, %v; want an error", name, gen, begun, err)
		}
	}
	t.wantHead(0, headAt(gen, 10))
	t.want(gen, at(gen, 10), map[string][]byte{"c:a": valueAt("c:a", 10)})
}

func testGenerationEmpty(t *stateTest) {
	t.begin()
	d := delta(0, 10, "c:a", "d:b")
	d.Timers = []engine.TimerChange{{Key: "f:o", Timer: stitch.Timer{At: 5}}}
	t.swap(d, true)
	t.beginAt(0, at(gen, 10), headAt("other", 3), true)
	t.want("other", at("other", 3), map[string][]byte{"c:a": nil, "d:b": nil})
	t.wantTimers(0, "other", nil)
}

// testGenerationsRemoved also sees that removal leaves alone what is no other
// generation of this partition.
func testGenerationsRemoved(t *stateTest) {
	t.begin()
	d := delta(0, 10, "c:a", "d:b")
	d.Timers = []engine.TimerChange{{Key: "f:o", Timer: stitch.Timer{At: 5}}}
	t.swap(d, true)
	t.beginAt(1, engine.Position{}, headAt(gen, 0), true)
	t.swapIn(1, d, true)

	t.beginAt(0, at(gen, 10), headAt("other", 0), true)
	d.Base, d.Next = at("other", 0), at("other", 10)
	t.swap(d, true)
	t.until("values and timers of the old generation are gone", func() bool {
		values, _, _, err := t.s.Read(t.ctx, 0, gen, []string{"c:a", "d:b"})
		if err != nil {
			t.Fatal(err)
		}
		timers, _, _, err := t.s.Timers(t.ctx, 0, gen)
		if err != nil {
			t.Fatal(err)
		}
		return values[0] == nil && values[1] == nil && len(timers) == 0
	})

	there := map[string][]byte{"c:a": valueAt("c:a", 10), "d:b": valueAt("d:b", 10)}
	t.want("other", at("other", 10), there)
	t.wantTimers(0, "other", map[string]stitch.Timer{"f:o": {At: 5}})
	t.wantIn(1, gen, at(gen, 10), there)
	t.wantTimers(1, gen, map[string]stitch.Timer{"f:o": {At: 5}})
}

// testGenerationLeft: an owner that slept through a rebuild, at the same offset.
func testGenerationLeft(t *stateTest) {
	t.begin()
	t.beginAt(0, at(gen, 0), headAt("other", 0), true)
	d := delta(0, 10, "c:a")
	d.Timers = []engine.TimerChange{{Key: "f:o", Timer: stitch.Timer{At: 5}}}
	t.swap(d, false)
	t.wantHead(0, headAt("other", 0))
	t.want("other", at("other", 0), map[string][]byte{"c:a": nil})
	t.want(gen, at("other", 0), map[string][]byte{"c:a": nil})
	t.wantTimers(0, gen, nil)
}
