package check

// checkSequence is law 2.4, as far as one run shows it.
func (r *run) checkSequence() {
	r.checkWriters()
	r.checkRoutes()
	r.checkLogins()
}

// checkWriters wants one writer and one partition for each person.
func (r *run) checkWriters() {
	first := map[person]*output{}
	for _, o := range r.sinks {
		before := first[o.person]
		switch {
		case before == nil:
			first[o.person] = o
		case before.Partition != o.Partition:
			r.violate("2.4", o.where(), "in another sink partition than %s, of the same person", before.where())
		case before.sender != o.sender:
			r.violate("2.4", o.where(), "another writer than that of %s, of the same person", before.where())
		}
	}
}

// firstRecords are the first sink record of each source, in order: what is sent
// again later (a take-over's identify) has its cause's source and another place.
func (r *run) firstRecords() []*output {
	var firsts []*output
	seen := map[*event]bool{}
	for _, o := range r.sinks {
		if !seen[o.source] {
			firsts = append(firsts, o)
		}
		seen[o.source] = true
	}
	return firsts
}

// checkRoutes: what names one customer with one anonymous ID, or with none, in
// one source partition keeps its order, orders aside. Customers who were merged
// are left out: their records may be overtaken where the route changed.
func (r *run) checkRoutes() {
	type route struct {
		topic      string
		partition  int32
		user, anon string
	}
	last := map[route]*output{}
	for _, o := range r.firstRecords() {
		e := o.source
		if e.isOrder(r.Rules) || e.mergeAlias() || o.person != (person{"id", e.user}) || len(r.merges[e.user]) > 0 {
			continue
		}
		on := route{e.Topic, e.Partition, e.user, e.anon}
		if before := last[on]; before != nil && before.source.Offset > e.Offset && before.Partition == o.Partition {
			r.violate("2.4", o.where(), "published after %s, which came later on the same route", before.where())
			continue
		}
		last[on] = o
	}
}

// checkLogins: a login's identify stands before whatever the login stitched.
// Only devices on which the customer's own login was published are judged, and
// only customers whom nobody was merged into.
func (r *run) checkLogins() {
	type link struct {
		partition      int32
		customer, anon string
	}
	waiting := map[link][]*output{}
	target := map[string]bool{}
	for _, to := range r.merges {
		for _, customer := range to {
			target[customer] = true
		}
	}
	known := map[link]bool{}
	for _, o := range r.sinks {
		if o.person.kind != "id" || target[o.person.id] {
			continue
		}
		at := link{o.Partition, o.person.id, o.source.anon}
		switch {
		case o.action == "identify" && o.source.login() && !known[at]:
			known[at] = true
			for _, early := range waiting[at] {
				r.violate("2.4", early.where(), "stitched to a customer before the login's identify, %s", o.where())
			}
		case o.Headers["ls-why"] == "linked" && !known[at]:
			waiting[at] = append(waiting[at], o)
		}
	}
}
