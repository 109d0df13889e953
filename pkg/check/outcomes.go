package check

import "strings"

// checkOutcomes is law 2.1: every source record has exactly one outcome.
func (r *run) checkOutcomes() {
	for _, e := range r.events {
		r.count(e)
		ends := e.ends()
		switch {
		case e.held == 0 && len(ends) == 0:
			r.violate("2.1", e.pos, "no outcome: the record is lost")
		case e.held == 0 && len(ends) > 1:
			r.violate("2.1", e.pos, "more than one outcome: %s", strings.Join(ends, ", "))
		case e.held > 0:
			r.checkHeld(e, ends)
		}
		if events := e.eventRecords(); len(events) > 1 {
			r.violate("2.1", e.pos, "published %d times as an event", len(events))
		}
		if !e.object && len(e.dead) == 0 {
			r.violate("6", e.pos, "not a JSON object, and not quarantined")
		}
	}
}

// ends are the outcomes that aren't held; published counts once.
func (e *event) ends() []string {
	var ends []string
	if len(e.sinks) > 0 {
		ends = append(ends, "published")
	}
	for range e.dead {
		ends = append(ends, "quarantined")
	}
	return append(ends, e.decided...)
}

func (r *run) checkHeld(e *event, ends []string) {
	switch {
	case e.held > 1:
		r.violate("2.1", e.pos, "held %d times", e.held)
	case len(ends) > 1:
		r.violate("2.1", e.pos, "held, then more than one outcome: %s", strings.Join(ends, ", "))
	case len(ends) == 0 && e.isOrder(r.Rules) && !r.HoldsOpen:
		r.violate("2.1", e.pos, "an order that is held for ever")
	case len(ends) == 1 && ends[0] != "published" && ends[0] != "suppressed" && ends[0] != "quarantined":
		r.violate("2.1", e.pos, "held, then %s: only published, suppressed and quarantined may follow", ends[0])
	}
}

// eventRecords are its sink records that Customer.io counts as an event.
func (e *event) eventRecords() []*output {
	var events []*output
	for _, o := range e.sinks {
		if o.isEvent() {
			events = append(events, o)
		}
	}
	return events
}

func (r *run) count(e *event) {
	c := &r.report.Counts
	if e.held > 0 {
		c.Held++
	}
	switch e.outcome() {
	case "published":
		c.Published++
	case "quarantined":
		c.Quarantined++
	case "duplicate":
		c.Duplicate++
	case "suppressed":
		c.Suppressed++
	case "ignored":
		c.Ignored++
	case "erased":
		c.Erased++
	case "held":
		c.Open++
	}
}
