package stitch

import (
	"maps"
	"slices"
)

// device handles a message to an anonymous ID: it takes in evidence, finds out
// whose the event is, and sends it on, or publishes it for its anonymous person.
func (s *step) device(m *Message) {
	if s.e.Device == nil {
		s.e.Device = &DeviceState{}
	}
	d := s.e.Device
	switch m.Kind {
	case MsgMerged:
		d.same(m.Merge.From, m.Merge.To)
		s.settle()
	case MsgUnlink:
		d.unlink(m.Customer)
	case MsgEvent:
		s.deviceEvent(m)
	}
}

// unlink forgets a customer whose link was refused (law identity.9).
func (d *DeviceState) unlink(customer string) {
	d.Evidence = slices.DeleteFunc(d.Evidence, func(ev Evidence) bool {
		return ev.Kind == EvLogin && ev.Who == customer
	})
	d.Customers = slices.DeleteFunc(d.Customers, func(c string) bool { return c == customer })
	maps.DeleteFunc(d.Tied, func(_, c string) bool { return c == customer })
}

func (s *step) timeline() timeline { return s.e.Device.timeline(s.key.ID, &s.p.Rules) }

func (s *step) deviceEvent(m *Message) {
	ev := m.Event
	if reason := ev.ignored(); reason != "" {
		s.outcome(ev, "ignored", reason, "")
		return
	}
	news := s.takeEvidence(ev)
	var provisional []Message
	if news {
		provisional = s.provisional(ev)
	}
	tl := s.timeline()
	switch {
	case ev.User != "":
		s.named(m, tl)
	case ev.Op == OpDeviceUpdate || ev.Op == OpDeviceDelete:
		s.token(ev, tl)
	default:
		s.nameless(m, tl)
	}
	if news {
		s.settle()
	}
	for _, merge := range provisional {
		s.send(merge)
	}
}

// ignored says why the event is no business of Customer.io's, whoever it is
// about (contract section 7, "nobody", "push tokens", "aliases"); "" where it is some.
func (ev *Event) ignored() string {
	switch {
	case ev.Type == Group:
		return "group"
	case ev.Type == Alias && ev.Previous == ev.User:
		return "alias_to_itself"
	case ev.Type == Alias && ev.Previous != ev.Anonymous && !ev.Trusted:
		return "alias_not_trusted"
	case ev.Op.ofUser() && !ev.Trusted:
		return "operation_not_trusted"
	case ev.Op == OpSplit && ev.User == "":
		return "split_of_nobody"
	case (ev.Op == OpDeviceUpdate || ev.Op == OpDeviceDelete) && ev.Device.Token == "":
		return "no_push_token"
	case ev.Op == OpDeviceUpdate && ev.Device.Platform == "":
		return "push_platform"
	}
	return ""
}

func (o Op) ofUser() bool { return o == OpUserDelete || o == OpUserSuppress || o == OpUserUnsuppress }

// login reports whether the event ties a device to a customer (law identity.2).
func (ev *Event) login() bool {
	return ev.User != "" && ev.Anonymous != "" &&
		(ev.Type == Identify || ev.Type == Alias && ev.Previous == ev.Anonymous)
}

// takeEvidence adds what the event says of the device; true where it said anything new.
func (s *step) takeEvidence(ev *Event) bool {
	d := s.e.Device
	piece := Evidence{Time: ev.Time, Origin: ev.Origin, ID: ev.ID(), Who: ev.User}
	switch {
	case ev.login():
		if !s.linkAllowed(ev) {
			return false
		}
		piece.Kind, piece.Temporary = EvLogin, ev.Temporary
	case ev.Op == OpLogout:
		piece.Kind, piece.Who = EvLogout, ""
	case ev.Op == OpSplit && ev.User != "":
		piece.Kind = EvSplit
		s.identity(ev, "split", "link_taken_back", ev.User)
	case ev.Type == Identify && ev.Email != "":
		piece.Kind, piece.Who = EvCapture, ev.Email
	default:
		return false
	}
	added := d.add(piece)
	s.boundEvidence()
	return added
}

// linkAllowed keeps the limit of customers of one anonymous ID (law identity.9).
func (s *step) linkAllowed(ev *Event) bool {
	d := s.e.Device
	if slices.Contains(d.Customers, ev.User) {
		return true
	}
	if d.distinct() >= s.p.Rules.MaxCustomers || len(d.Customers) >= maxEvidence {
		s.identity(ev, "link_refused", "too_many_customers_on_device", ev.User)
		return false
	}
	d.Customers = append(d.Customers, ev.User)
	s.identity(ev, "linked", "login", ev.User)
	return true
}

// named sends an event that names its customer on to that customer; a login
// with the anonymous ID that it ties (law identity.2).
func (s *step) named(m *Message, tl timeline) {
	ev := m.Event
	next := Message{Kind: MsgEvent, To: Key{Kind: KindCustomer, ID: ev.User}, Event: ev, Hop: true, Why: WhyUser, Corrects: m.Corrects}
	if ev.login() && slices.Contains(s.e.Device.Customers, ev.User) {
		next.Link = s.key.ID
		next.Tie = s.tie(ev, tl)
	}
	s.send(next)
}

// tie returns the anonymous ID that a login ties: none on a shared device, and
// none that was told to be another's, as Customer.io can't take it back.
func (s *step) tie(ev *Event, tl timeline) string {
	d, seg := s.e.Device, tl.at(ev.Time)
	if seg.shared || d.canonical(seg.customer) != d.canonical(ev.User) {
		return ""
	}
	anon := tl.anon(seg)
	if told, ok := d.Tied[anon]; ok && told != ev.User && (ev.Temporary || d.canonical(told) != d.canonical(ev.User)) {
		return "" // a provisional customer may turn out to be another's
	}
	if d.Tied == nil {
		d.Tied = map[string]string{}
	}
	d.Tied[anon] = ev.User
	return anon
}

// nameless places an event with the anonymous ID alone, or with an email, by
// the device's time (laws identity.3, 5 and 7).
func (s *step) nameless(m *Message, tl timeline) {
	ev := m.Event
	customer, address, anon, why := tl.who(ev.Time)
	if ev.Type == Identify && ev.Email != "" && tl.at(ev.Time).customer == "" {
		customer, address, why = "", ev.Email, WhyEmail // a capture; on a shared device it names the address only
	}
	next := Message{Kind: MsgEvent, Event: ev, Hop: true, Why: why, Corrects: m.Corrects}
	switch {
	case customer != "":
		next.To = Key{Kind: KindCustomer, ID: customer}
		s.send(next)
	case address != "":
		next.To = Key{Kind: KindAddress, ID: address}
		s.send(next)
	case ev.Type == Identify:
		s.outcome(ev, "ignored", "anonymous_identify", "")
	case ev.Op.ofUser():
		s.outcome(ev, "ignored", "anonymous_operation", "")
	default:
		s.publishAnonymous(m, anon, why)
	}
}

func (s *step) publishAnonymous(m *Message, anon string, why Why) {
	if other, repeat := s.e.collapsed(m.Event); repeat {
		s.outcome(m.Event, "duplicate", "repeated", other.String())
		return
	}
	s.sinkEvent(m, Person{Anonymous: anon}, why)
}

// token sends a device operation to the customer it belongs to, or holds it
// until one logs in (contract section 7, "push tokens").
func (s *step) token(ev *Event, tl timeline) {
	d := s.e.Device
	if customer, _, _, why := tl.who(ev.Time); customer != "" {
		s.send(Message{Kind: MsgEvent, To: Key{Kind: KindCustomer, ID: customer}, Event: ev, Hop: true, Why: why})
		return
	}
	id := ev.Device.key()
	i := slices.IndexFunc(d.Held, func(h HeldToken) bool { return h.ID == id })
	switch {
	case i < 0:
		s.holdToken(HeldToken{ID: id, Event: ev.kept()})
	case ev.Time < d.Held[i].Event.Time:
		s.outcome(ev, "suppressed", "older_token", d.Held[i].Event.Source.String())
		return
	default:
		s.outcome(d.Held[i].Event, "suppressed", "newer_token", ev.Source.String())
		d.Held[i].Event = ev.kept()
	}
	s.outcome(ev, "held", "push_token_without_customer", "")
}

func (d *Device) key() string {
	if d.ID != "" {
		return d.ID
	}
	return d.Token
}

// settle sends held tokens to who turns out to have logged in.
func (s *step) settle() {
	d := s.e.Device
	if len(d.Held) == 0 {
		return
	}
	tl, held := s.timeline(), d.Held
	d.Held = nil
	for _, h := range held {
		if customer, _, _, why := tl.who(h.Event.Time); customer != "" {
			s.send(Message{Kind: MsgEvent, To: Key{Kind: KindCustomer, ID: customer}, Event: h.Event, Hop: true, Why: why})
		} else {
			d.Held = append(d.Held, h)
		}
	}
}

// provisional finds provisional customers to be merged, each once, into the
// customer who next logged in there (law identity.8). They count as one on the
// device at once; the merge is sent after the login.
func (s *step) provisional(cause *Event) (merges []Message) {
	d := s.e.Device
	next := d.nextLogins()
	for i := range next {
		ev, by := &d.Evidence[i], next[i]
		if by == nil || !d.unmerged(ev.Who) {
			continue
		}
		d.Merged = append(d.Merged, ev.Who)
		d.same(ev.Who, by.Who)
		merges = append(merges, Message{
			Kind: MsgMerge, To: Key{Kind: KindCustomer, ID: ev.Who}, Event: cause.cause(), Hop: true,
			Merge: &Edge{From: ev.Who, To: by.Who, Time: by.Time, Origin: by.Origin, ID: by.ID},
		})
	}
	return merges
}

// nextLogins is, for each piece of evidence that is a provisional customer's
// login, the next customer's there; empty where there is none.
func (d *DeviceState) nextLogins() (next []*Evidence) {
	var by *Evidence
	splits := d.splits()
	for i := len(d.Evidence) - 1; i >= 0; i-- {
		switch ev := &d.Evidence[i]; {
		case ev.Kind != EvLogin || splits.undo(ev):
		case !ev.Temporary:
			by = ev
		case by != nil:
			if next == nil {
				next = make([]*Evidence, len(d.Evidence))
			}
			next[i] = by
		}
	}
	return next
}

// unmerged: neither sent to be merged, nor merged into somebody by an alias.
func (d *DeviceState) unmerged(customer string) bool {
	_, known := d.Same[customer]
	return !known && !slices.Contains(d.Merged, customer)
}

// same notes that two customers count as one (contract section 7, "merged
// customers"); from itself, that it counts as nobody else any more.
func (d *DeviceState) same(from, to string) {
	if from == to {
		delete(d.Same, from)
		return
	}
	if d.Same == nil {
		d.Same = map[string]string{}
	}
	d.Same[from] = to
}
