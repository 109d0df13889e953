package check

import (
	"slices"
	"time"
)

// identity is what law 4.1 knows a message by.
type identity struct {
	origin, message string
	content         [32]byte
}

// apart is how long lies between two arrivals; 0 where either isn't known.
func apart(a, b *event) time.Duration {
	if a.Time.IsZero() || b.Time.IsZero() {
		return 0
	}
	return a.Time.Sub(b.Time).Abs()
}

// checkDuplicates is law 4.1 in both directions: a message sent again is
// published once, and nothing is called a duplicate without its twin.
func (r *run) checkDuplicates() {
	messages := map[identity][]*event{}
	for _, e := range r.events {
		if e.message != "" {
			id := identity{e.origin, e.message, e.content}
			messages[id] = append(messages[id], e)
		}
	}
	for _, e := range r.events {
		r.checkPublishedOnce(e, messages[identity{e.origin, e.message, e.content}])
	}
	r.checkTwins(messages)
	r.checkConflicts()
}

func (r *run) checkPublishedOnce(e *event, twins []*event) {
	if len(e.sinks) == 0 {
		return
	}
	for _, twin := range twins {
		if twin == e {
			return // each pair is told once, at the later position
		}
		if len(twin.sinks) > 0 && apart(e, twin) <= r.Rules.Window {
			r.violate("4.1", e.pos, "the same message was published as %s already", twin.pos)
			return
		}
	}
}

// checkTwins wants, for each duplicate, a chain of twins (the same message, the
// same order, the same collapsed repeat) to a record that isn't one itself:
// where all are duplicates, the fact is lost.
func (r *run) checkTwins(messages map[identity][]*event) {
	twins := newSets()
	for _, same := range messages {
		twins.join(same)
	}
	for _, copies := range r.orderCopies() {
		twins.join(copies)
	}
	for _, repeats := range r.repeats() {
		for i, e := range repeats {
			for _, other := range repeats[:i] {
				if e.time.Sub(other.time).Abs() <= r.windowOf(e) {
					twins.join([]*event{e, other})
				}
			}
		}
	}
	witnessed := map[*event]bool{}
	for _, e := range r.events {
		if o := e.outcome(); o != "duplicate" && o != "" {
			witnessed[twins.find(e)] = true
		}
	}
	for _, e := range r.events {
		if e.outcome() == "duplicate" && !witnessed[twins.find(e)] {
			r.violate("4.1", e.pos, "a duplicate of nothing: no record says the same and has another outcome")
		}
	}
}

// checkConflicts wants a note where two contents stand under one message ID, both
// published and both come to one device, else to one customer.
func (r *run) checkConflicts() {
	type route struct{ origin, message, anon, user string }
	conflicts := map[route][]*event{}
	for _, e := range r.events {
		if e.message == "" || len(e.sinks) == 0 || e.order != "" || e.mergeAlias() || e.anon == "" && e.user == "" {
			continue
		}
		to := route{e.origin, e.message, e.anon, ""}
		if e.anon == "" {
			to.user = e.user
		}
		conflicts[to] = append(conflicts[to], e)
	}
	for _, same := range conflicts {
		noted := slices.ContainsFunc(same, func(e *event) bool { return e.notedConflict })
		for _, e := range same[1:] {
			if e.content != same[0].content && !noted && apart(e, same[0]) <= r.Rules.Window {
				r.violate("4.1", e.pos, "the message ID of %s with other content, and no potential_duplicate note", same[0].pos)
				break
			}
		}
	}
}

// repeat is what law 4.5 takes for the same act.
type repeat struct {
	event, key string
	contents   [32]byte
}

func (r *run) repeats() map[repeat][]*event {
	repeats := map[repeat][]*event{}
	for _, e := range r.events {
		if id, ok := r.repeatOf(e); ok {
			repeats[id] = append(repeats[id], e)
		}
	}
	return repeats
}

func (r *run) repeatOf(e *event) (repeat, bool) {
	c, ok := r.collapse(e)
	if !ok || e.time.IsZero() {
		return repeat{}, false
	}
	key := digits(e.props[c.Key])
	return repeat{e.name, key, digest(withoutNulls(e.props))}, key != ""
}

func (r *run) collapse(e *event) (Collapse, bool) {
	i := slices.IndexFunc(r.Rules.Collapse, func(c Collapse) bool { return e.typ == "track" && c.Event == e.name })
	if i < 0 {
		return Collapse{}, false
	}
	return r.Rules.Collapse[i], true
}

func (r *run) windowOf(e *event) time.Duration {
	c, _ := r.collapse(e)
	return c.Window
}

// checkCollapse is law 4.5: of one person's repeats, one published right after
// another lies outside the window.
func (r *run) checkCollapse() {
	type act struct {
		who person
		repeat
	}
	last := map[act]*output{}
	for _, o := range r.sinks {
		id, ok := r.repeatOf(o.source)
		if !ok || !o.isEvent() {
			continue
		}
		this := act{o.person, id}
		if before := last[this]; before != nil && before.source != o.source &&
			o.source.time.Sub(before.source.time).Abs() < r.windowOf(o.source) {
			r.violate("4.5", o.where(), "published within the collapse window of %s, which says the same", before.where())
		}
		last[this] = o
	}
}

// sets are disjoint sets of events.
type sets struct{ parent map[*event]*event }

func newSets() sets { return sets{map[*event]*event{}} }

func (s sets) find(e *event) *event {
	for s.parent[e] != nil {
		if up := s.parent[s.parent[e]]; up != nil {
			s.parent[e] = up
		}
		e = s.parent[e]
	}
	return e
}

func (s sets) join(same []*event) {
	for _, e := range same[min(1, len(same)):] {
		if a, b := s.find(same[0]), s.find(e); a != b {
			s.parent[b] = a
		}
	}
}
