package stitch

import (
	"cmp"
	"maps"
	"slices"
)

// compare orders merges by event time, then by origin and message ID.
func (a Edge) compare(b Edge) int {
	return cmp.Or(
		cmp.Compare(a.Time, b.Time), cmp.Compare(a.Origin, b.Origin), cmp.Compare(a.ID, b.ID),
		cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To),
	)
}

// addMerge puts a merge among the evidence; once, in order.
func (p *PersonState) addMerge(e Edge) {
	if i, found := slices.BinarySearchFunc(p.Merges, e, Edge.compare); !found {
		p.Merges = slices.Insert(p.Merges, i, e)
	}
}

// merge returns the customer's merge in force for a message: the first by event
// time that is neither void for the message nor split since (law identity.6).
func (p *PersonState) merge(void []Edge) (Edge, bool) {
	for _, e := range p.Merges {
		if !slices.Contains(void, e) && !p.splitFrom(e) {
			return e, true
		}
	}
	return Edge{}, false
}

func (p *PersonState) splitFrom(e Edge) bool {
	return slices.ContainsFunc(p.Splits, func(s Edge) bool { return s.To == e.To && s.Time >= e.Time })
}

// away reports whether Customer.io was told that this customer is another now,
// and no split has taken that back here.
func (p *PersonState) away() bool { return p.Told != nil && !p.splitFrom(*p.Told) }

// onward finds where the message goes from customer id: to another customer, or
// nowhere (ok false), where it ends here. It extends the message's path and
// voids the latest merge of a circle that would close, so that evidence in any
// order ends at the same person and no message runs for ever (PROTOCOL).
func (p *PersonState) onward(id string, m *Message) (to string, ok bool) {
	for {
		e, found := p.merge(m.Void)
		if !found {
			return "", false
		}
		start := slices.IndexFunc(m.Path, func(x Edge) bool { return x.From == e.To })
		if e.To != id && start < 0 {
			m.Path = append(slices.Clone(m.Path), e)
			return e.To, true
		}
		circle := []Edge{e}
		if e.To != id {
			circle = append(slices.Clone(m.Path[start:]), e)
		}
		latest := slices.MaxFunc(circle, Edge.compare)
		m.Void = append(slices.Clone(m.Void), latest)
		if latest != e {
			i := slices.Index(m.Path, latest)
			m.Path = m.Path[:i]
			return latest.From, true
		}
	}
}

// aliased takes a merge in as evidence and follows it. outcome is false for a
// merge that is no source record's own outcome: a provisional customer's, which
// is merged once, and so is no evidence where that has happened.
func (s *step) aliased(m *Message, outcome bool) {
	p, e := s.e.Person, *m.Merge
	if outcome || !p.away() {
		p.addMerge(e)
	}
	if p.away() {
		s.mergedAlready(m.Event, e, outcome)
		return
	}
	s.onMerge(m, outcome)
}

// mergedAlready: what comes after another merge of the same customer was told
// is a decision only (contract section 7, "aliases").
func (s *step) mergedAlready(ev *Event, e Edge, outcome bool) {
	if told := s.e.Person.Told; told.To != e.To {
		s.identity(ev, "merge_refused", "merged_already", told.To)
	}
	s.unmerged(ev, outcome, "merged_already")
}

func (s *step) unmerged(ev *Event, outcome bool, reason string) {
	if outcome {
		s.outcome(ev, "ignored", reason, "")
	}
}

// onMerge sends a merge on along the merges in force; where it ends, the person
// there offers to take the merged one over. Only on the way does it turn out
// whether it is in force itself: an earlier merge of the same customer may be void.
func (s *step) onMerge(m *Message, outcome bool) {
	p := s.e.Person
	next := *m
	if to, ok := p.onward(s.key.ID, &next); ok {
		next.To = Key{Kind: KindCustomer, ID: to}
		next.Hop = true
		s.send(next)
		return
	}
	e := *next.Merge
	switch {
	case slices.Contains(next.Void, e) || e.From == s.key.ID:
		s.identity(m.Event, "merge_void", "circle", e.To)
		s.unmerged(m.Event, outcome, "circle")
	case !slices.Contains(next.Path, e):
		s.unmerged(m.Event, outcome, "merged_already")
	case p.away():
		s.identity(m.Event, "merge_refused", "told_otherwise", p.Into)
		s.unmerged(m.Event, outcome, "told_otherwise")
	default:
		cause := m.Event.cause()
		s.send(Message{
			Kind: MsgOffer, To: Key{Kind: KindCustomer, ID: e.From}, Merge: &e, Customer: s.key.ID, Event: cause,
			Pending: &Pending{Customer: e.From, Cause: cause, Why: WhyUser, Owes: outcome},
		})
	}
}

// cause is the event as far as its effects refer to it.
func (ev *Event) cause() *Event {
	return &Event{Source: ev.Source, Origin: ev.Origin, MessageID: ev.MessageID, Time: ev.Time}
}

// offered: another customer would take this one over. The first offer is taken,
// as long as its merge stands: so nobody is ever merged into two, whatever was
// on its way at once. What counts on that hears of it: devices, addresses, and
// who takes over.
func (s *step) offered(m *Message) {
	p, ev, owes := s.e.Person, m.Event, m.Pending.Owes
	switch {
	case p.away():
		s.mergedAlready(ev, *m.Merge, owes)
	case p.splitFrom(*m.Merge):
		s.unmerged(ev, owes, "split")
	case slices.ContainsFunc(p.Pending, func(t Pending) bool { return t.Customer == m.Customer }):
		s.identity(ev, "merge_refused", "told_otherwise", m.Customer)
		s.unmerged(ev, owes, "told_otherwise")
	default:
		p.Told, p.Into = m.Merge, m.Customer
		s.handOver(ev, p.estate(), m.Pending)
	}
}

// estate is what the customer has, as a copy: what has left must not change.
func (p *PersonState) estate() *Estate {
	return &Estate{Addresses: slices.Sorted(maps.Keys(p.Owned)), Links: slices.Clone(p.Links), Devices: maps.Clone(p.Devices)}
}

// handOver gives who took over what this customer had and what is to be merged,
// and tells addresses and devices whose they are now.
func (s *step) handOver(ev *Event, estate *Estate, pending *Pending) {
	edge := *s.e.Person.Told
	edge.From, edge.To = s.key.ID, s.e.Person.Into
	tell := func(kind MessageKind, to Key) { s.send(Message{Kind: kind, To: to, Merge: &edge, Event: ev}) }
	s.send(Message{
		Kind: MsgMerged, To: Key{Kind: KindCustomer, ID: edge.To}, Merge: &edge,
		Estate: estate, Pending: pending, Event: ev,
	})
	for _, address := range estate.Addresses {
		tell(MsgOwner, Key{Kind: KindAddress, ID: address})
	}
	for _, device := range estate.Links {
		tell(MsgMerged, Key{Kind: KindDevice, ID: device})
	}
}

// mergedIn takes over a customer who took this one's offer, with all that the
// customer had, which is passed on where this one was merged meanwhile.
func (s *step) mergedIn(m *Message) {
	p := s.e.Person
	if m.Merge.From == m.Merge.To {
		s.cancel(m.Merge.From)
		s.apart(m)
		if to, ok := p.onward(s.key.ID, m); ok {
			s.forward(m, to)
		}
		return
	}
	if news, any := p.take(m.Estate, s.p.Clock, s.p.Rules.MaxDevices); any && p.away() {
		s.handOver(m.Event, &news, nil)
	}
	if m.Pending != nil {
		s.takeOver(*m.Pending)
		s.identity(m.Event, "merged", "alias", m.Merge.From)
	}
}

// take adds another's estate to this customer's, and returns what was new of it.
func (p *PersonState) take(e *Estate, now int64, limit int) (news Estate, any bool) {
	for _, a := range e.Addresses {
		if p.own(a, now, limit) {
			news.Addresses = append(news.Addresses, a)
		}
	}
	for _, d := range e.Links {
		if !slices.Contains(p.Links, d) && len(p.Links) < limit {
			p.Links = append(p.Links, d)
			news.Links = append(news.Links, d)
		}
	}
	for id, d := range e.Devices {
		if last, known := p.Devices[id]; !known || d.Time > last.Time {
			p.push(id, d, limit)
			if news.Devices == nil {
				news.Devices = map[string]PushDevice{}
			}
			news.Devices[id] = d
		}
	}
	return news, len(news.Addresses)+len(news.Links)+len(news.Devices) > 0
}

// takeOver merges another person into this one, once this one is surely known
// to Customer.io: a merge whose primary does not exist yet does nothing there.
func (s *step) takeOver(t Pending) {
	p := s.e.Person
	switch {
	case t.Customer == s.key.ID:
		s.identity(t.Cause, "merge_void", "circle", t.Customer)
		s.unmerged(t.Cause, t.Owes, "circle")
		return
	case s.passOn(t):
		return
	case p.First == 0:
		s.sinkIdentify(t.Cause, t.Why, nil, "", "")
		t.Owes = false
	}
	t.At = p.First + s.p.Rules.MergeDelay
	p.Pending = append(p.Pending, t)
	if t.At < s.p.Clock {
		s.pendingDue()
		return
	}
	s.armPending()
}

// passOn gives a take-over to who took this customer over meanwhile; false where
// nobody did, or where it has been there, so that it can't run in a circle.
func (s *step) passOn(t Pending) bool {
	p := s.e.Person
	if !p.away() || slices.Contains(t.Via, p.Into) {
		return false
	}
	t.Via = append(slices.Clone(t.Via), s.key.ID)
	s.send(Message{Kind: MsgTakeOver, To: Key{Kind: KindCustomer, ID: p.Into}, Pending: &t, Event: t.Cause})
	return true
}

// cancel drops the merge of a customer who was split off before it was sent.
func (s *step) cancel(customer string) {
	p := s.e.Person
	p.Pending = slices.DeleteFunc(p.Pending, func(t Pending) bool {
		if t.Customer != customer {
			return false
		}
		s.identity(t.Cause, "merge_cancelled", "split", customer)
		s.unmerged(t.Cause, t.Owes, "split")
		return true
	})
	s.armPending()
}

func (s *step) armPending() {
	p := s.e.Person
	if len(p.Pending) == 0 {
		s.setTimer(Timer{})
		return
	}
	first := slices.MinFunc(p.Pending, func(a, b Pending) int { return cmp.Compare(a.At, b.At) })
	s.setTimer(Timer{At: first.At, Wait: WaitClock})
}

// pendingDue publishes the merges whose time is past; a lead's with the
// identify that gives the customer the address again (law identity.7).
func (s *step) pendingDue() {
	p := s.e.Person
	if p == nil {
		return
	}
	waiting := p.Pending
	p.Pending = nil
	for _, t := range waiting {
		if t.At >= s.p.Clock {
			p.Pending = append(p.Pending, t)
		} else if !s.passOn(t) {
			s.publishMerge(t)
		}
	}
	s.armPending()
}

func (s *step) publishMerge(t Pending) {
	secondary := Person{ID: t.Customer}
	if t.Address != "" {
		secondary = Person{Email: t.Address}
	}
	s.sink(Sink{
		Person: Person{ID: s.key.ID}, Secondary: secondary, Action: ActMerge,
		Source: t.Cause.Source, MessageID: t.Cause.MessageID, Why: t.Why,
	})
	if t.Address != "" {
		s.sinkIdentify(t.Cause, t.Why, nil, t.Address, "")
	}
}
