package stitch

// publish writes the sink records of an event that has found its person: the
// entity at hand, a customer or an address. email is what an identify may say.
func (s *step) publish(m *Message, email string) {
	ev, why := m.Event, m.Why
	if why == 0 {
		why = ev.whyNamed()
	}
	who := s.self()
	switch {
	case ev.Op == OpDeviceUpdate || ev.Op == OpDeviceDelete:
		s.pushDevice(ev, who, why)
	case ev.Op.ofUser():
		s.sink(Sink{Person: who, Action: userAction(ev.Op), Source: ev.Source, MessageID: ev.MessageID, Why: why})
	case ev.Op == OpSplit && ev.Trusted:
		s.outcome(ev, "ignored", "split", "")
	case ev.Type == Identify || ev.Type == Alias:
		s.sinkIdentify(ev, why, ev.Attributes, email, m.Tie)
	default:
		if other, repeat := s.e.collapsed(ev); repeat {
			s.outcome(ev, "duplicate", "repeated", other.String())
			return
		}
		s.sinkEvent(m, who, why)
	}
}

// self is the person at hand as Customer.io knows them.
func (s *step) self() Person {
	if s.key.Kind == KindAddress {
		return Person{Email: s.key.ID}
	}
	return Person{ID: s.key.ID}
}

// sink emits a sink record and notes when a person's first went out.
func (s *step) sink(r Sink) {
	if p := s.e.Person; p != nil && p.First == 0 {
		p.First = s.p.Clock
	}
	s.emit(Output{Sink: &r})
}

func (s *step) sinkIdentify(ev *Event, why Why, attributes []byte, email, tie string) {
	who := s.self()
	if who.Email != "" {
		email = "" // it is the identifier
	}
	s.sink(Sink{
		Person: who, Action: ActIdentify, Time: ev.Time, Attributes: attributes, Email: email, Anonymous: tie,
		Source: ev.Source, MessageID: ev.MessageID, Why: why,
	})
}

func (s *step) sinkEvent(m *Message, who Person, why Why) {
	ev := m.Event
	r := Sink{
		Person: who, Action: ActEvent, Name: ev.Name, EventID: ev.EventID, Time: ev.Time,
		Attributes: ev.Attributes, Source: ev.Source, MessageID: ev.MessageID, Why: why, Corrects: m.Corrects,
	}
	switch ev.Type {
	case Page:
		r.Action = ActPage
	case Screen:
		r.Action = ActScreen
	}
	if ev.Fact != nil {
		r.Order = ev.Fact.Order
	}
	s.sink(r)
}

func userAction(op Op) Action {
	switch op {
	case OpUserDelete:
		return ActDelete
	case OpUserSuppress:
		return ActSuppress
	}
	return ActUnsuppress
}

// pushDevice writes a device operation: nothing where the device has said
// something newer, and the old token's end before a new one of the same device
// (contract section 7, "push tokens").
func (s *step) pushDevice(ev *Event, who Person, why Why) {
	p := s.person()
	id := ev.Device.key()
	last, known := p.Devices[id]
	if known && ev.Time < last.Time {
		s.outcome(ev, "suppressed", "older_token", "")
		return
	}
	r := Sink{Person: who, Source: ev.Source, MessageID: ev.MessageID, Why: why}
	if ev.Op == OpDeviceDelete {
		if last.Token == ev.Device.Token {
			last.Token = ""
		}
		p.push(id, PushDevice{Token: last.Token, Time: ev.Time}, s.p.Rules.MaxDevices) // another token than the last may end late
		r.Action, r.Device = ActDeleteDevice, ev.Device
		s.sink(r)
		return
	}
	if known && last.Token != "" && last.Token != ev.Device.Token {
		old := r
		old.Action, old.Device = ActDeleteDevice, &Device{ID: id, Token: last.Token}
		s.sink(old)
	}
	p.push(id, PushDevice{Token: ev.Device.Token, Time: ev.Time}, s.p.Rules.MaxDevices)
	r.Action, r.Device, r.LastUsed = ActAddDevice, ev.Device, ev.Time
	s.sink(r)
}
