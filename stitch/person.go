package stitch

import "slices"

// customer handles a message to a customer: it follows the customer's merges,
// and where the message ends here, it publishes.
func (s *step) customer(m *Message) {
	p := s.person()
	switch m.Kind {
	case MsgClaimed:
		s.claimed(m)
	case MsgOffer:
		s.offered(m)
	case MsgMerged:
		s.mergedIn(m)
	case MsgTakeOver:
		s.takeOver(*m.Pending)
	case MsgEvent, MsgMerge:
		if p.Waiting != nil {
			p.Queue = append(p.Queue, m.kept())
			return
		}
		s.customerEvent(m)
	}
}

func (s *step) person() *PersonState {
	if s.e.Person == nil {
		s.e.Person = &PersonState{}
	}
	return s.e.Person
}

// customerEvent is customer for events and merges, when none waits before them.
func (s *step) customerEvent(m *Message) {
	ev := m.Event
	switch {
	case m.Kind == MsgMerge && len(m.Path)+len(m.Void) == 0 && m.Merge.From == s.key.ID:
		s.aliased(m, false)
	case m.Merge != nil:
		s.onMerge(m, m.Kind == MsgEvent)
	case !m.Hop && ev.ignored() != "":
		s.outcome(ev, "ignored", ev.ignored(), "")
	case ev.Type == Alias && !ev.login():
		m.Merge = &Edge{From: ev.Previous, To: ev.User, Time: ev.Time, Origin: ev.Origin, ID: ev.ID()}
		s.aliased(m, true)
	case ev.Op == OpSplit && ev.Previous == s.key.ID && !m.Hop:
		s.split(ev)
	default:
		s.ofCustomer(m)
	}
}

// split takes a merge of this customer back, for all that is processed from now on.
func (s *step) split(ev *Event) {
	p := s.e.Person
	p.Splits = append(p.Splits, Edge{From: ev.Previous, To: ev.User, Time: ev.Time, Origin: ev.Origin, ID: ev.ID()})
	s.identity(ev, "split", "merge_taken_back", ev.User)
	if p.Told != nil && p.Told.To == ev.User {
		s.identity(ev, "split_after_merge", "customerio_was_told", ev.User)
	}
	apart := &Message{Kind: MsgMerged, Merge: &Edge{From: s.key.ID, To: s.key.ID}, Event: ev.cause()}
	s.apart(apart)
	s.forward(apart, ev.User)
	s.outcome(ev, "ignored", "split", "")
}

// apart tells devices that a customer is nobody else any more. Those where the
// customer logged in after the merge are known to who took over alone.
func (s *step) apart(m *Message) {
	for _, device := range s.e.Person.Links {
		next := *m
		next.To = Key{Kind: KindDevice, ID: device}
		s.send(next)
	}
}

func (s *step) forward(m *Message, customer string) {
	next := *m
	next.To = Key{Kind: KindCustomer, ID: customer}
	s.send(next)
}

// ofCustomer sends the event on to who this customer is now, or publishes it.
func (s *step) ofCustomer(m *Message) {
	p, next := s.e.Person, *m
	to, ok := p.onward(s.key.ID, &next)
	if p.away() && to != p.Told.To {
		next.Tie = "" // Customer.io gave it to another, with the rest of this customer
	}
	if ok {
		next.To, next.Hop = Key{Kind: KindCustomer, ID: to}, true
		if next.Why == 0 {
			next.Why = m.Event.whyNamed()
		}
		s.send(next)
		return
	}
	s.link(&next)
	if s.askAddress(&next) {
		return
	}
	s.publish(&next, next.Event.Email)
}

// link notes the device of a login (law identity.9), and tells the device of
// the merges that the login followed, so that merged customers count as one there.
func (s *step) link(m *Message) {
	if m.Link == "" {
		return
	}
	p, device := s.e.Person, Key{Kind: KindDevice, ID: m.Link}
	if !slices.Contains(p.Links, m.Link) {
		if len(p.Links) >= s.p.Rules.MaxDevices {
			s.identity(m.Event, "link_refused", "too_many_devices_of_customer", m.Link)
			s.send(Message{Kind: MsgUnlink, To: device, Customer: m.Event.User, Event: m.Event.cause()})
			m.Tie = ""
			return
		}
		p.Links = append(p.Links, m.Link)
	}
	for _, e := range m.Path {
		s.send(Message{Kind: MsgMerged, To: device, Merge: &e, Event: m.Event.cause()})
	}
}

// askAddress puts the event off until the address that it names has said whose
// it is; what comes after it for this customer waits behind it, so that order
// stays (law stream.4). An identify claims; any other trait only asks. What the
// customer owns is claimed again now and then, or the address would be forgotten
// while its owner is there.
func (s *step) askAddress(m *Message) bool {
	p, ev := s.e.Person, m.Event
	if ev.Type != Identify || ev.Email == "" || m.Why == WhyEmail {
		return false
	}
	if at, owned := p.Owned[ev.Email]; owned && at > s.p.Clock-s.p.Rules.KeepPerson/4 {
		return false
	}
	p.Number++
	p.Waiting = m.kept()
	s.send(Message{
		Kind: MsgClaim, To: Key{Kind: KindAddress, ID: ev.Email}, Customer: s.key.ID,
		Number: p.Number, Ask: ev.User == "", Event: ev.cause(),
	})
	return true
}

// claimed publishes the identify that waited for its address, and what came after it.
func (s *step) claimed(m *Message) {
	p := s.e.Person
	if p.Waiting == nil || m.Number != p.Number {
		return
	}
	waiting, ev := p.Waiting, p.Waiting.Event
	p.Waiting = nil
	email := ev.Email
	_, owned := p.Owned[email]
	switch {
	case !m.Granted:
		delete(p.Owned, email)
		email = ""
		s.identity(ev, "address_refused", "owned_by_another", m.Customer)
	case owned || !m.Ask:
		p.own(email, s.p.Clock, s.p.Rules.MaxDevices)
	}
	first := p.First == 0
	s.publish(waiting, email)
	if m.Granted && m.Lead {
		s.takeLead(waiting, first)
	}
	s.drain()
}

// takeLead takes over a lead's address, once: by the customer's first sink
// record where that is this identify, else by a merge (law identity.7).
func (s *step) takeLead(m *Message, first bool) {
	if first {
		s.identity(m.Event, "lead_taken_over", "first_identify", m.Event.Email)
		return
	}
	s.identity(m.Event, "lead_taken_over", "merge", m.Event.Email)
	why := m.Why
	if why == 0 {
		why = WhyUser
	}
	s.takeOver(Pending{Address: m.Event.Email, Cause: m.Event.cause(), Why: why})
}

// drain handles what queued behind a claim, until something waits again.
func (s *step) drain() {
	p := s.e.Person
	for len(p.Queue) > 0 && p.Waiting == nil {
		m := p.Queue[0]
		p.Queue = p.Queue[1:]
		s.customerEvent(m)
	}
}

// address handles a message to an email address: a lead, until a customer owns it.
func (s *step) address(m *Message) {
	p := s.person()
	switch m.Kind {
	case MsgClaim:
		s.answerClaim(m)
	case MsgOwner:
		if p.Owner == m.Merge.From {
			p.Owner = m.Merge.To
		}
	case MsgEvent:
		s.addressEvent(m)
	}
}

// answerClaim: the first customer to claim an address owns it, in order of
// arrival (law identity.7).
func (s *step) answerClaim(m *Message) {
	p := s.e.Person
	answer := Message{
		Kind: MsgClaimed, To: Key{Kind: KindCustomer, ID: m.Customer}, Number: m.Number,
		Ask: m.Ask, Granted: p.Owner == "" || p.Owner == m.Customer, Customer: p.Owner,
	}
	if p.Owner == "" && !m.Ask {
		p.Owner = m.Customer
		answer.Lead = p.First != 0
		s.identity(m.Event, "address_owned", "claim", m.Customer)
	}
	s.send(answer)
}

func (s *step) addressEvent(m *Message) {
	p, ev := s.e.Person, m.Event
	next := *m
	if next.Why == 0 {
		next.Why = WhyEmail
	}
	switch {
	case !m.Hop && ev.ignored() != "":
		s.outcome(ev, "ignored", ev.ignored(), "")
	case p.Owner != "":
		next.To, next.Hop = Key{Kind: KindCustomer, ID: p.Owner}, true
		s.send(next)
	default:
		s.publish(&next, ev.Email)
	}
}
