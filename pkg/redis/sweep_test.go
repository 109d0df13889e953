package redis

import (
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"lockstitch/pkg/engine"
)

// generations counts the keys of each partition's generations, as {p}:gen.
func generations(m *miniredis.Miniredis) map[string]int {
	count := map[string]int{}
	for _, key := range m.Keys() {
		if rest, ok := strings.CutPrefix(key, "ls:"); ok && strings.Count(rest, ":") > 1 {
			parts := strings.SplitN(rest, ":", 3)
			count[parts[0]+":"+parts[1]]++
		}
	}
	return count
}

// TestSweep: many generations of several partitions, and other people's keys.
func TestSweep(t *testing.T) {
	m := miniredis.RunT(t)
	s := open(t, embedded(m))
	others := []string{"other:{0}:g0:e:c:a", "ls:{0}:g0", "ls:{x}:g0:t", "unrelated"}
	for _, key := range others {
		if err := m.Set(key, "there"); err != nil {
			t.Fatal(err)
		}
	}
	for p := range int32(3) {
		old := engine.Position{}
		for _, gen := range []string{"g0", "g1", "g2"} {
			begin(t, s, p, old, gen)
			swap(t, s, p, step(gen, 0, "c:a", "c:b:t", "c:{1}"))
			old = pos(gen, 1)
		}
	}
	until(t, "one generation of each partition is left", func() bool {
		for p, n := range generations(m) {
			if p != "{x}:g0" && (!strings.HasSuffix(p, ":g2") || n != 3) {
				return false
			}
		}
		return true
	})
	for _, key := range others {
		if !m.Exists(key) {
			t.Errorf("%s is gone", key)
		}
	}
	until(t, "the heads say that they are swept", func() bool {
		return m.HGet("ls:{0}:head", "sweep")+m.HGet("ls:{1}:head", "sweep")+m.HGet("ls:{2}:head", "sweep") == ""
	})
}

// TestSweepCutShort: the process that began a generation died before it had
// removed the others. Who takes the partition over goes on.
func TestSweepCutShort(t *testing.T) {
	m := miniredis.RunT(t)
	first := open(t, embedded(m))
	begin(t, first, 0, engine.Position{}, "g0")
	swap(t, first, 0, step("g0", 0, "c:a"))
	until(t, "the first sweep is done", func() bool { return m.HGet("ls:{0}:head", "sweep") == "" })
	first.sweep.close()
	begin(t, first, 0, pos("g0", 1), "g1")
	if generations(m)["{0}:g0"] != 1 {
		t.Fatal("there is nothing left to sweep")
	}
	if _, _, err := open(t, embedded(m)).Head(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	until(t, "the old generation is gone", func() bool { return generations(m)["{0}:g0"] == 0 })
}

// TestSweepLate: a sweeper that was paused between its SCAN and its removal
// must not take the generation that has begun since for what is left over.
func TestSweepLate(t *testing.T) {
	m := miniredis.RunT(t)
	s := open(t, embedded(m))
	begin(t, s, 0, engine.Position{}, "g0")
	begin(t, s, 0, pos("g0", 0), "g1")
	swap(t, s, 0, step("g1", 0, "c:a", "c:b"))
	ctx := t.Context()
	late := &sweeper{s: s, wish: map[int32]string{0: "g0"}} // of a process that knows of g0 only
	if err := late.pass(ctx); err != nil {
		t.Fatal(err)
	}
	if n := generations(m)["{0}:g1"]; n != 2 {
		t.Fatalf("%d keys are left of the living generation, want 2", n)
	}
	if len(late.wish) != 0 {
		t.Fatal("it goes on and on")
	}
}

// TestSweepTrouble: what fails is heard of, and the wish stays.
func TestSweepTrouble(t *testing.T) {
	m := miniredis.RunT(t)
	o := embedded(m)
	heard := make(chan error, 1)
	o.Trouble = func(err error) { heard <- err }
	s := open(t, o)
	answers(m, func(c *server.Peer, cmd string, _ ...string) bool {
		if cmd != "SCAN" {
			return false
		}
		c.WriteError("NOPERM no SCAN for you")
		return true
	})
	begin(t, s, 0, engine.Position{}, "g0")
	if err := <-heard; !strings.Contains(err.Error(), "allow the user") {
		t.Fatal(err)
	}
	answers(m, nil)
	s.sweep.mu.Lock()
	defer s.sweep.mu.Unlock()
	if s.sweep.wish[0] != "g0" {
		t.Fatal("the wish is forgotten")
	}
}
