package stitch

// step is the handling of one journal record. It appends outputs with places
// that count from the record's first.
type step struct {
	p      *Partition
	offset int64
	key    Key     // the entity that is handled,
	e      *Entity // and its state
	out    []Output
	index  int32
}

// Needs returns the entity that the message goes to; ok is false for what goes
// to the partition itself. It must be loaded (Put) before Fold.
func Needs(m *Message) (k Key, ok bool) {
	if m.Kind == MsgTick || m.Kind == MsgRules {
		return Key{}, false
	}
	return m.To, true
}

// Fold handles one record and appends its outputs, in order, to out. Entities
// that it needs (Needs, Due) must be loaded. It is a pure function of the
// partition's state and the record. Outputs refer to the record's message and to its
// event; state never does, so that both can be used again once the outputs are encoded.
func (p *Partition) Fold(rec Record, out []Output) []Output {
	s := step{p: p, offset: rec.Offset, out: out}
	m := rec.Message
	p.Applied = rec.Offset + 1
	p.Clock = max(p.Clock, rec.Time)
	switch m.Kind {
	case MsgTick:
		p.Watermark = max(p.Watermark, m.Watermark)
		p.WatermarkAll = max(p.WatermarkAll, m.WatermarkAll)
	case MsgRules:
		p.Rules = *m.Rules
	}
	for k, ok := p.timers.next(p.Clock, p.Watermark, p.WatermarkAll); ok; k, ok = p.timers.next(p.Clock, p.Watermark, p.WatermarkAll) {
		s.enter(k)
		s.stopTimer()
		s.fire()
	}
	if k, ok := Needs(m); ok && p.fresh(m.Place) {
		s.enter(k)
		s.handle(m)
	}
	return s.out
}

// fresh reports whether the message is none that this partition has had before
// (PROTOCOL, "Between partitions"), and remembers its place.
func (p *Partition) fresh(pl Place) bool {
	from := p.from(pl)
	if last, ok := p.Seen[from]; ok && !pl.After(last) {
		return false
	}
	p.Seen[from] = pl
	return true
}

// from is pl.From(), made once for each sender.
func (p *Partition) from(pl Place) string {
	k := sender{pl.Sender, pl.Partition}
	from, ok := p.senders[k]
	if !ok {
		from = pl.From()
		p.senders[k] = from
	}
	return from
}

// enter makes k the entity at hand. An entity untouched for its retention
// counts as fresh, whether a sweeper was there or not; but not while something
// waits in it, however long a source stood still.
func (s *step) enter(k Key) {
	s.key, s.e = k, s.p.entities[k]
	keep := s.p.Rules.KeepPerson
	if k.Kind == KindFact {
		keep = s.p.Rules.KeepFact
	}
	if s.e.Touched != 0 && s.p.Clock-s.e.Touched > keep && !s.e.waits() {
		*s.e = Entity{}
	}
	s.e.Touched = s.p.Clock
	s.p.changed[k] = struct{}{}
}

func (s *step) setTimer(t Timer) {
	if s.e.Timer == t {
		return
	}
	s.e.Timer = t
	s.p.timers.set(s.key, t)
	s.p.moved[s.key] = struct{}{}
}

// stopTimer removes the timer of the entity at hand, whatever the entity says.
func (s *step) stopTimer() {
	s.e.Timer = Timer{}
	s.p.timers.set(s.key, Timer{})
	s.p.moved[s.key] = struct{}{}
}

// fire handles the timer of the entity at hand.
func (s *step) fire() {
	switch s.key.Kind {
	case KindFact:
		s.holdEnded()
	case KindCustomer, KindAddress:
		s.pendingDue()
	}
}

// handle gives the message to the entity at hand.
func (s *step) handle(m *Message) {
	if m.Kind == MsgEvent && !m.Hop && !s.admit(m.Event) {
		return
	}
	switch s.key.Kind {
	case KindDevice:
		s.device(m)
	case KindFact:
		s.fact(m.Event)
	case KindCustomer:
		s.customer(m)
	case KindAddress:
		s.address(m)
	}
}

// admit claims the event for the entity that sees it first, and says what
// ingest had to say about it. False for a duplicate.
func (s *step) admit(ev *Event) bool {
	duplicate, potential, other := s.e.claim(ev, s.p.Clock, s.p.Rules.DuplicateWindow)
	if duplicate {
		s.outcome(ev, "duplicate", "message_id", other.String())
		return false
	}
	if potential {
		s.note(ev, "potential_duplicate", "message_id_with_other_content", other.String())
	}
	for _, n := range ev.Notes {
		s.note(ev, n.Name, n.Detail, "")
	}
	return true
}

func (s *step) emit(o Output) {
	o.Place = Place{Sender: s.p.TopicID, Partition: s.p.Number, Offset: s.offset, Index: s.index}
	s.index++
	s.out = append(s.out, o)
}

// send emits a message to another entity.
func (s *step) send(m Message) {
	m.Place = Place{Sender: s.p.TopicID, Partition: s.p.Number, Offset: s.offset, Index: s.index}
	s.emit(Output{Message: &m})
}

// outcome emits the outcome of a source record that is no sink record.
func (s *step) outcome(ev *Event, outcome, reason, other string) {
	s.decide("outcome", outcome, reason, other, ev)
}

// note emits a remark that changes no outcome.
func (s *step) note(ev *Event, name, reason, other string) {
	s.decide("note", name, reason, other, ev)
}

// identity emits a change of who is who, or a refusal of one.
func (s *step) identity(ev *Event, name, reason, other string) {
	s.decide("identity", name, reason, other, ev)
}

func (s *step) decide(kind, outcome, reason, other string, ev *Event) {
	d := Decision{
		Kind: kind, Outcome: outcome, Reason: reason, Other: other,
		Source: ev.Source, Message: ev.MessageID, At: s.p.Clock,
	}
	if ev.Fact != nil {
		d.Order = ev.Fact.Order
	}
	if s.key.Kind == KindFact {
		d.Key = d.Order
	} else {
		d.Person, d.Key = s.key.ID, s.key.ID
	}
	s.emit(Output{Decision: &d})
}

// ID is how evidence knows the event: its message ID, else its source position.
func (ev *Event) ID() string {
	if ev.MessageID != "" {
		return ev.MessageID
	}
	return ev.Source.String()
}
