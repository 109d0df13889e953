package stitch

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// lab is a journal of n partitions without any bytes: messages wait in their
// partition until the test lets it go on.
type lab struct {
	parts  []*Partition
	queues [][]*Message
	next   []int64
	now    int64
	out    []Output
	source int64
	said   []said // what left, where it is kept
	keep   bool
	reuse  bool // a message's memory is used again once it was handled
}

// said is an output, and what it was when it left.
type said struct {
	output Output
	json   string
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// copied is a message as its receiver reads it: nothing of it is the sender's.
func copied(m *Message) *Message {
	c := new(Message)
	if err := json.Unmarshal([]byte(asJSON(m)), c); err != nil {
		panic(err)
	}
	return c
}

func newLab(n int) *lab {
	l := &lab{now: 1_000_000_000_000, queues: make([][]*Message, n), next: make([]int64, n)}
	for i := range n {
		l.parts = append(l.parts, NewPartition(Meta{TopicID: "j", Number: int32(i)}, nil))
	}
	return l
}

func (l *lab) send(m *Message) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(m.To.String()))
	p := int(h.Sum32() % uint32(len(l.parts)))
	l.queues[p] = append(l.queues[p], m)
}

// post is ingest: the event goes to the entity that must see it first.
func (l *lab) post(ev Event) Source {
	ev.Source = Source{Topic: "s", Offset: l.source}
	l.source++
	if ev.MessageID == "" {
		ev.MessageID = fmt.Sprint("m", ev.Source.Offset)
	}
	if ev.Time == 0 {
		ev.Time = l.now
	}
	sum := sha256.Sum256(fmt.Append(nil, ev.Type, ev.Name, string(ev.Attributes), ev.Time))
	copy(ev.Content[:], sum[:])
	if ev.Type == Track && (ev.Op == OpNone || ev.Op == OpLogout) {
		copy(ev.EventID[:], fmt.Sprintf("%16d", ev.Source.Offset+1)) // as ingest: of what is an event only
	}
	to, _ := ev.Route()
	l.send(&Message{Kind: MsgEvent, To: to, Event: &ev, Place: Place{Sender: "s", Offset: ev.Source.Offset}})
	return ev.Source
}

// step handles partition p's next message.
func (l *lab) step(p int) bool {
	if len(l.queues[p]) == 0 {
		return false
	}
	m := l.queues[p][0]
	l.queues[p] = l.queues[p][1:]
	l.fold(p, m)
	return true
}

func (l *lab) fold(p int, m *Message) {
	if k, ok := Needs(m); ok && !l.parts[p].Has(k) {
		l.parts[p].Put(k, nil)
	}
	for _, o := range l.parts[p].Fold(Record{Offset: l.next[p], Time: l.now, Message: m}, nil) {
		if l.keep {
			l.said = append(l.said, said{o, asJSON(o)})
		}
		if o.Message != nil {
			l.send(copied(o.Message))
		} else {
			l.out = append(l.out, o)
		}
	}
	l.next[p]++
	if l.reuse {
		l.used(p, m)
	}
}

// used is what an owner does to a message when its batch is done. It panics where that
// changes the state.
func (l *lab) used(p int, m *Message) {
	e := l.parts[p].Entity(m.To)
	before := asJSON(e)
	if m.Event != nil {
		*m.Event = Event{}
	}
	*m = Message{}
	if after := asJSON(e); after != before {
		panic("the state refers to a message:\n" + before + "\n" + after)
	}
}

// drain handles all that waits, partition after partition. It panics where that
// has no end.
func (l *lab) drain() {
	steps := 0
	for busy := true; busy; {
		busy = false
		for p := range l.parts {
			for l.step(p) {
				busy = true
				if steps++; steps > 100_000 {
					panic("messages run for ever")
				}
			}
		}
	}
}

// tick lets d ms pass, all sources read.
func (l *lab) tick(d int64) {
	l.now += d
	for p := range l.parts {
		l.fold(p, &Message{Kind: MsgTick, Watermark: l.now, WatermarkAll: l.now})
	}
	l.drain()
}

func (l *lab) sinks() (all []Sink) {
	for _, o := range l.out {
		if o.Sink != nil {
			all = append(all, *o.Sink)
		}
	}
	return all
}

// outcomes is how often each source record had each final outcome.
func (l *lab) outcomes() map[Source][]string {
	all := map[Source][]string{}
	add := func(s Source, o string) {
		if !slices.Contains(all[s], o) {
			all[s] = append(all[s], o)
			slices.Sort(all[s])
		}
	}
	for _, o := range l.out {
		switch {
		case o.Sink != nil:
			add(o.Sink.Source, "published")
		case o.Dead != nil:
			add(o.Dead.Source, "quarantined")
		case o.Decision.Kind == "outcome":
			add(o.Decision.Source, o.Decision.Outcome)
		}
	}
	return all
}

func drawEvent(t *rapid.T) Event {
	pick := func(what string, from ...string) string { return rapid.SampledFrom(from).Draw(t, what) }
	device, customer := pick("device", "d1", "d2", "d3"), pick("customer", "c1", "c2", "c3", "c4")
	ev := Event{Origin: "app", Type: Track, Name: "looked", Time: 999_999_000_000 + rapid.Int64Range(0, 50).Draw(t, "time")*1000}
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0, 1:
		ev.Anonymous = device
	case 2, 3:
		ev.Type, ev.Anonymous, ev.User = Identify, device, customer
		ev.Email = pick("email", "", "a@x.example", "b@x.example")
	case 4:
		ev.Op, ev.Anonymous = OpLogout, device
	case 5:
		ev.Type, ev.Anonymous, ev.Email = Identify, device, pick("email", "a@x.example", "b@x.example")
	case 6:
		ev.User = customer
	case 7:
		ev.Type, ev.Trusted, ev.Origin, ev.User, ev.Previous = Alias, true, "server", customer, pick("previous", "c1", "c2", "c3", "c4")
	case 8:
		ev.Op, ev.Anonymous, ev.Device = OpDeviceUpdate, device, &Device{ID: "p" + device, Token: pick("token", "t1", "t2"), Platform: "ios"}
	case 9:
		ev.Anonymous, ev.Name = device, "order_completed"
		ev.Fact = &Fact{Key: pick("order", "o1", "o2"), Order: "o", Arbitrate: true, Hold: 1000}
		if ev.Fact.Authority = rapid.Bool().Draw(t, "authority"); ev.Fact.Authority {
			ev.Origin = "server"
		}
	}
	return ev
}

// Laws stream.1 and stream.3: every record has exactly one outcome, and 1, 2, 3
// and 8 journal partitions give the same.
func TestPartitionsGiveTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(rapid.Custom(drawEvent), 1, 25).Draw(t, "events")
		var want map[Source][]string
		for _, n := range []int{1, 2, 3, 8} {
			l := newLab(n)
			for _, ev := range events {
				l.post(ev)
				l.drain()
			}
			for range 3 {
				l.tick(100_000)
			}
			got := l.outcomes()
			if want == nil {
				want = got
				oneOutcome(t, l)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%d partitions: %s", n, diff)
			}
		}
	})
}

func oneOutcome(t *rapid.T, l *lab) {
	got := l.outcomes()
	for i := range l.source {
		s := Source{Topic: "s", Offset: i}
		final := slices.DeleteFunc(slices.Clone(got[s]), func(o string) bool { return o == "held" })
		if len(final) > 1 || len(got[s]) == 0 {
			t.Fatalf("record %d has the outcomes %v", i, got[s])
		}
	}
}

// Laws identity.5, identity.6 and identity.7, in any interleaving of the
// partitions: without an alias, no customer's event goes to another; a merge is
// sent only along an alias or for a shared address.
func TestNoMergeWithoutEvidence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLab(3)
		aliased := map[string]bool{}
		users := map[Source]string{}
		events := rapid.SliceOfN(rapid.Custom(drawEvent), 1, 25).Draw(t, "events")
		for _, ev := range events {
			if ev.Type == Alias {
				aliased[ev.Previous], aliased[ev.User] = true, true
			}
			users[l.post(ev)] = ev.User
			for range rapid.IntRange(0, 4).Draw(t, "steps") {
				l.step(rapid.IntRange(0, 2).Draw(t, "partition"))
			}
		}
		l.drain()
		l.tick(100_000)
		l.tick(100_000)
		for _, s := range l.sinks() {
			if u := users[s.Source]; u != "" && !aliased[u] && s.Action != ActMerge && s.Person.ID != u {
				t.Fatalf("record of %s went to %+v", u, s.Person)
			}
			if s.Action == ActMerge && s.Secondary.ID != "" && !aliased[s.Secondary.ID] {
				t.Fatalf("%s was merged without an alias", s.Secondary.ID)
			}
			if s.Action == ActMerge && s.Secondary == s.Person {
				t.Fatalf("%+v was merged into itself", s.Person)
			}
		}
		oneOutcome(t, l)
	})
}

// Law duplicates.3: orders show one truth under every interleaving of copies,
// re-sends and time: one ls-event, the authority's where it came inside the
// window, and never a step back.
func TestOrdersShowOneTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLab(2)
		first, authorityAt, released := int64(0), int64(0), false
		for i := range rapid.IntRange(1, 8).Draw(t, "steps") {
			if rapid.IntRange(0, 2).Draw(t, "what") == 0 {
				l.tick(rapid.Int64Range(1, 700).Draw(t, "ms"))
				continue
			}
			authority := rapid.Bool().Draw(t, "authority")
			ev := Event{
				Origin: "app", Type: Track, Name: "order_completed", User: "c1", Attributes: fmt.Append(nil, i),
				Fact: &Fact{Key: "o1", Order: "o1", Arbitrate: true, Hold: 1000, Authority: authority},
			}
			if authority {
				ev.Origin = "server"
				if authorityAt == 0 {
					authorityAt = l.now
				}
			}
			if first == 0 {
				first = l.now
			}
			l.post(ev)
			l.drain()
		}
		l.tick(5000)
		sinks := l.sinks()
		if first != 0 && len(sinks) == 0 {
			t.Fatal("the order was lost")
		}
		for i, s := range sinks {
			if s.EventID != sinks[0].EventID {
				t.Fatal("two events for one order")
			}
			if i > 0 && s.Corrects == "" {
				t.Fatal("published twice, and not as a correction")
			}
			released = released || l.originOf(s) == "app"
		}
		if authorityAt != 0 && authorityAt <= first+1000 && released {
			t.Fatal("the app's copy was released though the authority's came in time")
		}
		if authorityAt != 0 && l.authorityLast() != true {
			t.Fatal("the authority's copy is not the one that shows")
		}
	})
}

// originOf tells an app copy by its outcome: only authorities' copies of the
// test are published without having been held.
func (l *lab) originOf(s Sink) string {
	for _, o := range l.out {
		if o.Decision != nil && o.Decision.Outcome == "held" && o.Decision.Source == s.Source {
			return "app"
		}
	}
	return "server"
}

func (l *lab) authorityLast() bool {
	sinks := l.sinks()
	return l.originOf(sinks[len(sinks)-1]) == "server"
}
