package stitch

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawHostile is an event of people who do everything at once: merges in
// circles, splits of links and of merges, provisional customers, addresses that
// several claim, tokens, orders whose copies name nobody.
func drawHostile(t *rapid.T) Event {
	pick := func(what string, from ...string) string { return rapid.SampledFrom(from).Draw(t, what) }
	customer := func(what string) string { return pick(what, "c1", "c2", "c3", "g1", "g2") }
	ev := Event{Origin: "server", Type: Track, Name: "looked", Trusted: true}
	ev.Time = 999_999_000_000 + rapid.Int64Range(0, 20).Draw(t, "time")*1000
	device, who := pick("device", "d1", "d2"), customer("customer")
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0:
		ev.Anonymous = device
	case 1, 2:
		ev.Type, ev.Anonymous, ev.User = Identify, device, who
		ev.Email = pick("email", "", "a@x.example", "b@x.example")
	case 3:
		ev.Type, ev.Email = Identify, pick("email", "a@x.example", "b@x.example")
		ev.Anonymous = pick("maybe", "", device)
	case 4, 5:
		ev.Type, ev.User, ev.Previous = Alias, who, customer("previous")
	case 6:
		ev.Op, ev.User = OpSplit, who
		if ev.Previous = pick("previous", "", "c1", "c2", "c3"); ev.Previous == "" {
			ev.Anonymous, ev.User = device, pick("maybe", "", who)
		}
	case 7:
		ev.Op, ev.Anonymous = OpLogout, device
	case 8:
		ev.Op, ev.Anonymous, ev.User = OpDeviceUpdate, device, pick("maybe", "", who)
		ev.Device = &Device{ID: "p" + device, Token: pick("token", "t1", "t2"), Platform: "ios"}
		if rapid.Bool().Draw(t, "deleted") {
			ev.Op = OpDeviceDelete
		}
	case 9:
		ev.Name = "order_completed"
		ev.Fact = &Fact{Key: pick("order", "o1", "o2"), Order: "o", Arbitrate: rapid.IntRange(0, 9).Draw(t, "once") > 0, Hold: 1000}
		ev.Fact.Authority = rapid.Bool().Draw(t, "authority")
		if ev.User = pick("maybe", "", who); ev.User == "" && !ev.Fact.Authority {
			ev.Anonymous = device
		}
		if ev.names() == (Names{}) {
			ev.Fact.Arbitrate, ev.Raw = true, &Raw{} // as ingest: only an authority's copy may
		}
	}
	ev.Temporary = ev.User != "" && ev.User[0] == 'g'
	return ev
}

// run posts the events in an interleaving of partitions, and lets time run out.
func runHostile(t *rapid.T, l *lab) map[Source]Event {
	posted := map[Source]Event{}
	for _, ev := range rapid.SliceOfN(rapid.Custom(drawHostile), 1, 30).Draw(t, "events") {
		posted[l.post(ev)] = ev
		for range rapid.IntRange(0, 6).Draw(t, "steps") {
			l.step(rapid.IntRange(0, len(l.parts)-1).Draw(t, "partition"))
		}
		if rapid.IntRange(0, 9).Draw(t, "tick") == 0 {
			l.now += 30_000
			for p := range l.parts {
				l.fold(p, &Message{Kind: MsgTick, Watermark: l.now, WatermarkAll: l.now})
			}
		}
	}
	for range 3 {
		l.tick(100_000)
	}
	return posted
}

// Laws stream.1, identity.5 to identity.8 and duplicates.3 under every
// interleaving: whatever people do at once, each record has one outcome, nothing
// runs for ever, and Customer.io is told nothing that can't be.
func TestHostileInterleavings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLab(rapid.IntRange(1, 4).Draw(t, "partitions"))
		l.keep = true
		posted := runHostile(t, l)
		for _, s := range l.said {
			if asJSON(s.output) != s.json {
				t.Fatalf("an output changed after it had left: where batches end would show in it (law stream.3): %s", s.json)
			}
		}
		oneOutcome(t, l)
		ordersEnd(t, posted, l.outcomes())
		mergesAreSound(t, posted, l.sinks())
		namesAreOnePersons(t, posted, l.sinks())
		for _, s := range l.sinks() {
			switch s.Action {
			case ActEvent, ActPage, ActScreen:
				if s.EventID == (ULID{}) {
					t.Fatalf("an event without an ID, of %+v", posted[s.Source])
				}
			}
		}
		for _, p := range l.parts {
			for k, e := range p.entities {
				if e.Person != nil && (e.Person.Waiting != nil || len(e.Person.Queue) > 0 || len(e.Person.Pending) > 0) {
					t.Fatalf("%s waits for ever", k)
				}
			}
		}
	})
}

// TestStateKeepsCopies: an entity that refers to a message would change with the batches
// that come after it.
func TestStateKeepsCopies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLab(rapid.IntRange(1, 4).Draw(t, "partitions"))
		l.reuse = true
		runHostile(t, l)
		oneOutcome(t, l)
	})
}

// ordersEnd: no order is held for ever.
func ordersEnd(t *rapid.T, posted map[Source]Event, outcomes map[Source][]string) {
	for source, ev := range posted {
		if ev.Fact != nil && slices.Equal(outcomes[source], []string{"held"}) {
			t.Fatalf("%s is held for ever: %#v", source, ev)
		}
	}
}

// mergesAreSound: nobody is merged into itself, or into two others, but for a
// customer whose merge was split.
func mergesAreSound(t *rapid.T, posted map[Source]Event, sinks []Sink) {
	split, into := map[Person]bool{}, map[Person]Person{}
	for _, ev := range posted {
		if ev.Op == OpSplit {
			split[Person{ID: ev.Previous}] = true
		}
	}
	for _, s := range sinks {
		if s.Action != ActMerge {
			continue
		}
		other, twice := into[s.Secondary]
		if s.Secondary == s.Person || twice && !split[s.Secondary] {
			t.Fatalf("%+v was merged into %+v and %+v", s.Secondary, other, s.Person)
		}
		into[s.Secondary] = s.Person
	}
}

// namesAreOnePersons: an anonymous ID is tied to one customer, those who were
// merged aside; and provisional ones, whom the device takes for merged before
// they are, as another merge of theirs may be on its way. Where merges contradict
// each other (two of one customer, a circle), who is told first is chance.
func namesAreOnePersons(t *rapid.T, posted map[Source]Event, sinks []Sink) {
	merged := map[string]string{}
	root := func(c string) string {
		for range len(merged) + 1 {
			if next, ok := merged[c]; ok {
				c = next
			}
		}
		return c
	}
	for _, s := range sinks {
		if s.Action == ActMerge && s.Secondary.ID != "" {
			merged[s.Secondary.ID] = s.Person.ID
		}
	}
	tied, aliases := map[string]string{}, map[string]int{}
	for _, ev := range posted {
		switch {
		case ev.Type == Alias && ev.Previous != ev.User:
			aliases[ev.Previous]++
		case ev.Temporary:
			return
		}
	}
	for c, n := range aliases {
		if _, told := merged[c]; n > 1 || !told {
			return
		}
	}
	for _, s := range sinks {
		if s.Anonymous == "" || posted[s.Source].Temporary {
			continue
		}
		if other, ok := tied[s.Anonymous]; ok && root(other) != root(s.Person.ID) {
			t.Fatalf("%s is tied to %s and to %s", s.Anonymous, other, s.Person.ID)
		}
		tied[s.Anonymous] = s.Person.ID
	}
}

// Law stream.1 against retention: what waits longer than its entity is kept, as
// a source stood still, has its end all the same.
func TestWhatWaitsIsNotForgotten(t *testing.T) {
	l := newLab(1)
	p := l.parts[0]
	order := l.post(Event{Origin: "app", Type: Track, Name: "order_completed", User: "c1", Fact: &Fact{Key: "o1", Order: "o1", Arbitrate: true, Hold: 1000}})
	identify := l.post(Event{Origin: "app", Type: Identify, User: "c2", Email: "a@x.example"})
	behind := l.post(Event{Origin: "app", Type: Track, Name: "looked", User: "c2"})
	for range 4 {
		l.step(0) // all but the address's answer
	}
	l.now += p.Rules.KeepPerson + p.Rules.KeepFact
	l.drain()
	l.tick(1)
	for _, s := range []Source{order, identify, behind} {
		if got := l.outcomes()[s]; !slices.Contains(got, "published") {
			t.Errorf("%s has the outcomes %v", s, got)
		}
	}
}

// Law stream.3: what a customer hands over doesn't change with the customer.
func TestAnEstateIsACopy(t *testing.T) {
	p := PersonState{Owned: map[string]int64{"b": 1}, Links: make([]string, 0, 4)}
	p.push("p1", PushDevice{Token: "t1"}, 9)
	e := p.estate()
	before := asJSON(e)
	p.take(&Estate{Addresses: []string{"a"}, Links: []string{"d1"}, Devices: map[string]PushDevice{"p1": {Time: 1}}}, 2, 9)
	if diff := cmp.Diff(before, asJSON(e)); diff != "" {
		t.Error(diff)
	}
}

// Where messages between two partitions overtake others, two customers can each
// have taken the other's offer. A take-over that comes there ends all the same.
func TestTakeOversEndInACircle(t *testing.T) {
	for _, who := range []string{"c1", "c3"} {
		l := newLab(2)
		for from, to := range map[string]string{"c1": "c2", "c2": "c1"} {
			for _, p := range l.parts {
				p.Put(Key{Kind: KindCustomer, ID: from}, &Entity{Person: &PersonState{
					First: 1, Told: &Edge{From: from, To: to}, Into: to,
				}})
			}
		}
		cause := &Event{Source: Source{Topic: "s"}}
		l.send(&Message{
			Kind: MsgTakeOver, To: Key{Kind: KindCustomer, ID: "c2"}, Event: cause,
			Pending: &Pending{Customer: who, Cause: cause, Owes: true},
		})
		l.tick(100_000)
		if got := l.outcomes()[cause.Source]; len(got) != 1 {
			t.Errorf("the take-over of %s has the outcomes %v", who, got)
		}
	}
}

// GoString is how a failing run shows its events.
func (ev Event) GoString() string {
	return fmt.Sprintf("\n{%d %s op%d t%d a=%s u=%s p=%s e=%s}", ev.Type, ev.Name, ev.Op, (ev.Time-999_999_000_000)/1000, ev.Anonymous, ev.User, ev.Previous, ev.Email)
}
