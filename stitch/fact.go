package stitch

import (
	"crypto/sha256"
	"encoding/binary"
)

// fact arbitrates between the copies of one planned event (law duplicates.3).
// It needs no identity: the copy that counts is sent on to be stitched.
func (s *step) fact(ev *Event) {
	if s.e.Fact == nil {
		s.e.Fact = &FactState{EventID: factID(s.key.ID, ev.Time)}
	}
	f := s.e.Fact
	switch {
	case !ev.Fact.Arbitrate && f.Status == FactPublished:
		s.outcome(ev, "duplicate", "once", f.Source.String())
	case !ev.Fact.Arbitrate:
		s.publishFact(ev, "")
	case ev.Fact.Authority:
		s.authorityCopy(ev)
	default:
		s.appCopy(ev)
	}
}

// factID is the ULID of all copies of a fact: the bits of its key, and the time
// of the copy seen first, so that two copies can never both count (law stream.3).
func factID(key string, time int64) (id ULID) {
	sum := sha256.Sum256([]byte("fact\x00" + key))
	binary.BigEndian.PutUint64(id[:], uint64(max(time, 0))<<16)
	copy(id[6:], sum[:10])
	return id
}

func (s *step) authorityCopy(ev *Event) {
	f := s.e.Fact
	nameless := ev.names() == Names{}
	switch f.Status {
	case FactNew:
		if nameless {
			s.hold(ev, FactHeldAuthority, WaitAll, "authority_names_nobody")
		} else {
			s.publishFact(ev, "")
		}
	case FactHeldApp:
		if nameless {
			ev = ev.named(f.Held.names())
		}
		s.publishFact(ev, "")
	case FactHeldAuthority:
		if nameless {
			s.outcome(ev, "suppressed", "authority_names_nobody", f.Held.Source.String())
			return
		}
		s.publishFact(ev, "")
	case FactPublished:
		s.laterAuthority(ev, nameless)
	}
}

// laterAuthority: after a release the authority's copy corrects the app's;
// after an authority's, only a changed and newer one of the same origin does.
func (s *step) laterAuthority(ev *Event, nameless bool) {
	f := s.e.Fact
	if f.Authority && (nameless || !f.changedBy(ev)) {
		s.outcome(ev, "suppressed", "order_published", f.Source.String())
		return
	}
	if nameless {
		ev = ev.named(f.Named)
	}
	s.publishFact(ev, f.Source.String())
}

// changedBy: other content and a later event time from the origin that was
// published; the stream never goes backwards. An order that is told again says
// nothing new by being told later, so its time is no content here.
func (f *FactState) changedBy(ev *Event) bool {
	return ev.Origin == f.Origin && ev.said() != f.Content && ev.Time > f.Time
}

// said is what a fact's copy says, its time aside.
func (ev *Event) said() (h Hash) {
	sum := sha256.Sum256(ev.Attributes)
	copy(h[:], sum[:])
	return h
}

func (s *step) appCopy(ev *Event) {
	f := s.e.Fact
	switch f.Status {
	case FactNew:
		s.hold(ev, FactHeldApp, WaitAuthorities, "waits_for_authority")
	case FactHeldApp:
		s.outcome(ev, "suppressed", "app_copy_held", f.Held.Source.String())
	case FactHeldAuthority:
		authority := f.Held.named(ev.names())
		s.outcome(ev, "suppressed", "authority_copy", authority.Source.String())
		s.publishFact(authority, "")
	case FactPublished:
		if !f.Authority && f.changedBy(ev) {
			s.publishFact(ev, f.Source.String())
			return
		}
		s.outcome(ev, "suppressed", "order_published", f.Source.String())
	}
}

func (s *step) hold(ev *Event, status FactStatus, wait Wait, reason string) {
	f := s.e.Fact
	f.Status, f.Held = status, ev.kept()
	s.setTimer(Timer{At: s.p.Clock + ev.Fact.Hold, Wait: wait})
	s.outcome(ev, "held", reason, "")
}

// holdEnded: every authority has been read past the hold, and none had the order.
func (s *step) holdEnded() {
	f := s.e.Fact
	if f == nil || f.Held == nil {
		return
	}
	held := f.Held
	if f.Status == FactHeldApp {
		s.publishFact(held, "")
		return
	}
	f.Status, f.Held = FactNew, nil
	s.emit(Output{Dead: &DeadLetter{Source: held.Source, Raw: *held.Raw, Rejects: []Reject{{
		Reason: "names_nobody", Sentence: "the order names nobody, and no other copy of it came that does",
	}}}})
}

// publishFact sends the copy that counts on to whose it is. Another that was
// held for it has its end.
func (s *step) publishFact(ev *Event, corrects string) {
	f := s.e.Fact
	s.setTimer(Timer{})
	if f.Held != nil && f.Held.Source != ev.Source {
		s.outcome(f.Held, "suppressed", "authority_copy", ev.Source.String())
	}
	f.Status, f.Held = FactPublished, nil
	f.Origin, f.Authority, f.Content, f.Time, f.Source = ev.Origin, ev.Fact.Authority, ev.said(), ev.Time, ev.Source
	f.Named = ev.names()
	next := *ev
	next.EventID, next.Raw, next.Notes = f.EventID, nil, nil
	to, _ := next.Person()
	s.send(Message{Kind: MsgEvent, To: to, Event: &next, Hop: true, Why: next.whyNamed(), Corrects: corrects})
}

func (ev *Event) names() Names { return Names{Anonymous: ev.Anonymous, User: ev.User, Email: ev.Email} }

// named is the event with whom another copy of it named.
func (ev *Event) named(n Names) *Event {
	c := *ev
	c.Anonymous, c.User, c.Email = n.Anonymous, n.User, n.Email
	return &c
}

// whyNamed is how the person of an event is found by what it names itself.
func (ev *Event) whyNamed() Why {
	if ev.User != "" {
		return WhyUser
	}
	return WhyEmail
}
