package stitch

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func drawEvidence(t *rapid.T) []Evidence {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Evidence {
		ev := Evidence{
			Time:   rapid.Int64Range(1, 30).Draw(t, "time"),
			Origin: rapid.SampledFrom([]string{"app", "web"}).Draw(t, "origin"),
			ID:     fmt.Sprint("m", rapid.IntRange(1, 8).Draw(t, "id")),
			Kind:   EvidenceKind(rapid.IntRange(int(EvLogin), int(EvSplit)).Draw(t, "kind")),
		}
		switch ev.Kind {
		case EvLogin, EvSplit:
			ev.Who = rapid.SampledFrom([]string{"c1", "c2", "c3"}).Draw(t, "customer")
		case EvCapture:
			ev.Who = rapid.SampledFrom([]string{"a@x.example", "b@x.example"}).Draw(t, "address")
		}
		return ev
	}), 0, 12).Draw(t, "evidence")
}

// answers is whose an event is, at every time.
func (d *DeviceState) answers(r *Rules) (all [][4]string) {
	tl := d.timeline("d1", r)
	for at := int64(0); at <= 32; at++ {
		customer, address, anon, why := tl.who(at)
		all = append(all, [4]string{customer, address, anon, why.String()})
	}
	return all
}

// Contract section 3: the same set of evidence in any order, however often each
// piece is applied, gives the same answer.
func TestEvidenceInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := DefaultRules()
		rules.SharedAfter = rapid.Int64Range(3, 20).Draw(t, "after")
		evidence := drawEvidence(t)
		var one, other DeviceState
		for _, ev := range evidence {
			one.add(ev)
		}
		again := append(slices.Clone(evidence), evidence...)
		for _, ev := range rapid.Permutation(again).Draw(t, "order") {
			other.add(ev)
		}
		if diff := cmp.Diff(one.answers(&rules), other.answers(&rules)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Compaction of what says the same with nothing between changes no answer.
func TestCompactionChangesNoAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := DefaultRules()
		rules.SharedAfter = rapid.Int64Range(3, 20).Draw(t, "after")
		var d DeviceState
		for _, ev := range drawEvidence(t) {
			d.add(ev)
		}
		before := d.answers(&rules)
		d.compact(rapid.Int64Range(0, 40).Draw(t, "before"), d.timeline("d1", &rules))
		if diff := cmp.Diff(before, d.answers(&rules)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Law identity.5: two customers never share an anonymous event.
func TestNobodyElsesLogin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := DefaultRules()
		var d DeviceState
		logins := map[string]bool{}
		for _, ev := range drawEvidence(t) {
			d.add(ev)
			if ev.Kind == EvLogin {
				logins[ev.Who] = true
			}
		}
		for _, a := range d.answers(&rules) {
			if a[0] != "" && !logins[a[0]] {
				t.Fatalf("customer %s never logged in there", a[0])
			}
		}
	})
}

// follow runs a message from customer to customer until it ends.
func follow(people map[string]*PersonState, from string) (end string, steps int) {
	m := Message{}
	for steps = 0; steps < 1000; steps++ {
		p := people[from]
		if p == nil {
			return from, steps
		}
		to, ok := p.onward(from, &m)
		if !ok {
			return from, steps
		}
		from = to
	}
	return "", steps
}

// Law identity.6: merges in any order end at the same customer, chains end, and
// all of a circle end at one.
func TestMergesInAnyOrder(t *testing.T) {
	names := []string{"A", "B", "C", "D", "E"}
	rapid.Check(t, func(t *rapid.T) {
		edges := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Edge {
			return Edge{
				From: rapid.SampledFrom(names).Draw(t, "from"), To: rapid.SampledFrom(names).Draw(t, "to"),
				Time: rapid.Int64Range(1, 9).Draw(t, "time"), Origin: "server", ID: fmt.Sprint("m", rapid.IntRange(1, 9).Draw(t, "id")),
			}
		}), 0, 9).Draw(t, "edges")
		build := func(edges []Edge) map[string]*PersonState {
			people := map[string]*PersonState{}
			for _, e := range edges {
				if people[e.From] == nil {
					people[e.From] = &PersonState{}
				}
				if e.From != e.To {
					people[e.From].addMerge(e)
				}
			}
			return people
		}
		one, other := build(edges), build(rapid.Permutation(append(slices.Clone(edges), edges...)).Draw(t, "order"))
		for _, name := range names {
			end, steps := follow(one, name)
			if end == "" {
				t.Fatalf("from %s: no end after %d steps", name, steps)
			}
			if again, _ := follow(other, name); again != end {
				t.Fatalf("from %s: %s in one order, %s in another", name, end, again)
			}
			if e, ok := first(one[name]); ok {
				if via, _ := follow(one, e.To); via != end && !voidSomewhere(one, name) {
					t.Fatalf("%s ends at %s, but %s, into whom it was merged, at %s", name, end, e.To, via)
				}
			}
		}
	})
}

func first(p *PersonState) (Edge, bool) {
	if p == nil {
		return Edge{}, false
	}
	return p.merge(nil)
}

// voidSomewhere: a message from there meets a circle.
func voidSomewhere(people map[string]*PersonState, from string) bool {
	seen := map[string]bool{}
	for !seen[from] {
		seen[from] = true
		e, ok := first(people[from])
		if !ok {
			return false
		}
		from = e.To
	}
	return true
}

// Customers whose merges run in a circle count as one, by whichever they are named.
func TestACircleIsOneCustomer(t *testing.T) {
	d := DeviceState{Same: map[string]string{"A": "B", "B": "A", "C": "B"}}
	for _, c := range []string{"A", "B", "C"} {
		if got := d.canonical(c); got != "A" {
			t.Errorf("%s counts as %s", c, got)
		}
	}
}
