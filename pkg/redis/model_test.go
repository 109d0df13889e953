package redis

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/engine/memory"
	"lockstitch/stitch"
)

// TestModel: whatever owners of a few generations try, in any order, Redis says
// and holds what the state in memory does.
func TestModel(t *testing.T) {
	s := open(t, embedded(miniredis.RunT(t)))
	p := int32(0) // a partition for each run
	rapid.Check(t, func(rt *rapid.T) {
		p++
		m := &model{T: rt, p: p, redis: s, memory: memory.NewState(), used: map[string]bool{}}
		rt.Repeat(map[string]func(*rapid.T){"begin": m.begin, "swap": m.swap, "": m.same})
	})
}

type model struct {
	*rapid.T
	p      int32
	redis  *State
	memory *memory.State
	used   map[string]bool // generations that had begun
}

// keysOf are the entities there can be.
var keysOf = []string{"c:a", "c:b", "d:a", "f:\x00", "a:{0}"}

// position draws one that is likely the head's.
func (m *model) position(t *rapid.T) engine.Position {
	h, _, err := m.memory.Head(t.Context(), m.p)
	if err != nil {
		t.Fatal(err)
	}
	if rapid.IntRange(0, 3).Draw(t, "where") > 0 {
		return h.Position
	}
	gens := []string{h.Generation, "", "g0", "g1"}
	return pos(rapid.SampledFrom(gens).Draw(t, "gen"), max(0, h.Applied+int64(rapid.IntRange(-2, 2).Draw(t, "off"))))
}

func (m *model) begin(t *rapid.T) {
	old := m.position(t)
	gen := rapid.SampledFrom([]string{"g0", "g1", "g2", "g3", "g4"}).Draw(t, "new")
	if m.used[gen] {
		t.Skip("names are used once")
	}
	h := engine.Head{
		Position: pos(gen, int64(rapid.IntRange(0, 2).Draw(t, "at"))), Logic: rapid.IntRange(1, 2).Draw(t, "logic"),
		Meta: rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "meta"),
	}
	want, err1 := m.memory.Begin(t.Context(), m.p, old, h)
	got, err2 := m.redis.Begin(t.Context(), m.p, old, h)
	if want != got || (err1 == nil) != (err2 == nil) {
		t.Fatalf("begin %v after %v: %v, %v; in memory %v, %v", h.Position, old, got, err2, want, err1)
	}
	m.used[gen] = m.used[gen] || got
}

func (m *model) swap(t *rapid.T) {
	d := engine.Delta{Base: m.position(t), Logic: rapid.IntRange(1, 2).Draw(t, "logic"), Meta: []byte{byte(rapid.IntRange(0, 255).Draw(t, "meta"))}}
	d.Next = pos(d.Base.Generation, d.Base.Applied+int64(rapid.IntRange(0, 2).Draw(t, "advance")))
	for _, k := range keysOf {
		switch rapid.IntRange(0, 3).Draw(t, k) {
		case 1:
			d.Set = append(d.Set, engine.KV{Key: k, Value: rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "value")})
		case 2:
			d.Delete = append(d.Delete, k)
		}
		switch at := rapid.Int64Range(-1, 3).Draw(t, "timer"); {
		case at >= 0:
			d.Timers = append(d.Timers, engine.TimerChange{Key: k, Timer: stitch.Timer{At: at, Wait: stitch.WaitAll}})
		}
	}
	want, err1 := m.memory.Swap(t.Context(), m.p, d)
	got, err2 := m.redis.Swap(t.Context(), m.p, d)
	if want != got || (err1 == nil) != (err2 == nil) {
		t.Fatalf("swap %v to %v: %v, %v; in memory %v, %v", d.Base, d.Next, got, err2, want, err1)
	}
}

// seen is all that a State shows of a partition.
type seen struct {
	Head   engine.Head
	OK     bool
	Timers map[string]stitch.Timer
	At     engine.Position // of the timers
	AtEnd  engine.Position
	Values [][]byte
	Before engine.Position
	After  engine.Position
	Errors []error
}

func (m *model) seen(t *rapid.T, s engine.State) (v seen) {
	var e1, e2, e3 error
	v.Head, v.OK, e1 = s.Head(t.Context(), m.p)
	v.Timers, v.At, v.AtEnd, e2 = s.Timers(t.Context(), m.p, v.Head.Generation)
	v.Values, v.Before, v.After, e3 = s.Read(t.Context(), m.p, v.Head.Generation, keysOf)
	v.Errors = []error{e1, e2, e3}
	return v
}

func (m *model) same(t *rapid.T) {
	opts := []cmp.Option{cmpopts.EquateErrors(), cmp.AllowUnexported(stitch.Timer{})}
	if diff := cmp.Diff(m.seen(t, m.memory), m.seen(t, m.redis), opts...); diff != "" {
		t.Fatalf("memory and Redis differ (-memory +redis):\n%s", diff)
	}
}
