package check

import "slices"

// checkMerges is law 3.6: customers become one only where a trusted alias says
// so, each in one other at most, and never in a circle.
func (r *run) checkMerges() {
	leads := map[person]*output{}
	into := map[string]*output{}
	for _, o := range r.sinks {
		from, to := mergedIDs(o)
		switch secondary := personOf(asObject(o.value["secondary"])); {
		case o.action != "merge":
		case from != "":
			r.checkMerge(o, from, to)
			if before := into[from]; before != nil && before.person != o.person {
				r.violate("3.6", o.where(), "a second merge of the customer whom %s merged into another", before.where())
			}
			into[from] = o
		case secondary.kind != "email":
			r.violate("3.6", o.where(), "a merge of something that is neither a customer nor an address")
		case leads[secondary] != nil:
			r.violate("3.7", o.where(), "the lead was taken over by %s already", leads[secondary].where())
		case !r.owned(secondary.id, o.person):
			r.violate("3.7", o.where(), "a lead is taken over by a customer who never named the address")
		default:
			leads[secondary] = o
		}
	}
}

func (r *run) checkMerge(o *output, from, to string) {
	e := o.source
	trusted := e.mergeAlias() && slices.Contains(r.Rules.Trusted, e.Topic) && r.becomes(e.previous, person{"id", from}) && r.becomes(e.user, person{"id", to})
	if !trusted && !r.Rules.Temporary(from) {
		r.violate("3.6", o.where(), "two customers are merged, and no alias from a trusted origin says so")
	}
	if reaches(r.told, to, from) {
		r.violate("3.6", o.where(), "the merges close a circle")
	}
}

// checkTies is law 3.2 with 3.5: an anonymous ID is tied to one customer at most,
// and a login ties its own device's.
func (r *run) checkTies() {
	tied := map[string]*output{}
	for _, o := range r.sinks {
		anon, _ := asObject(o.value["attributes"])["anonymous_id"].(string)
		if o.action != "identify" || anon == "" {
			continue
		}
		if o.source.anon != anon && r.devices[anon] {
			r.violate("3.2", o.where(), "an identify ties another device's anonymous ID")
		}
		before := tied[anon]
		if before == nil {
			tied[anon] = o
		} else if !r.samePerson(before.person, o.person) {
			r.violate("3.5", o.where(), "its anonymous ID is tied to another person by %s", before.where())
		}
	}
}

// samePerson follows merges; an address is its owner.
func (r *run) samePerson(a, b person) bool {
	switch {
	case a == b:
		return true
	case a.kind == "id" && b.kind == "id":
		return r.onePerson(a.id, b.id)
	case a.kind == "email":
		return r.owned(a.id, b)
	}
	return b.kind == "email" && r.owned(b.id, a)
}

// checkAddresses is law 3.7: an address goes out as one customer's at most.
func (r *run) checkAddresses() {
	deleted := map[person]bool{}
	for _, o := range r.sinks {
		deleted[o.person] = deleted[o.person] || o.action == "delete"
	}
	first := map[string]*output{}
	for _, o := range r.sinks {
		email := foldAddress(asObject(o.value["attributes"])["email"])
		if o.action != "identify" || email == "" || o.person.kind != "id" || deleted[o.person] {
			continue
		}
		before := first[email]
		if before == nil {
			first[email] = o
		} else if !r.onePerson(before.person.id, o.person.id) {
			r.violate("3.7", o.where(), "its address went out as another customer's with %s", before.where())
		}
	}
}

// checkRefused is law 3.8: an ID that can't be stable is quarantined, and never
// names anybody.
func (r *run) checkRefused() {
	for _, e := range r.events {
		refused := e.badUser && !r.Rules.UnusableAbsent || e.typ == "alias" && e.badPrevious
		if refused && len(e.dead) == 0 {
			r.violate("3.8", e.pos, "a user ID that can't be stable, and the record isn't quarantined")
		}
	}
	for _, o := range r.sinks {
		for _, named := range []string{"identifiers", "primary", "secondary"} {
			p := personOf(asObject(o.value[named]))
			if p.kind == "id" && r.Rules.unstable(p.id) {
				r.violate("3.8", o.where(), "%s.id is an ID that can't be stable", named)
			}
		}
	}
}

// checkPersons is laws 3.1 to 3.3 with 3.7: whoever a record is published under,
// the input says so. Device deletions and merges are of others too: a token
// moves from one person to the next.
func (r *run) checkPersons() {
	copies := r.orderCopies()
	for _, o := range r.sinks {
		if o.action == "merge" || o.action == "delete_device" {
			continue
		}
		e := o.source
		if !e.nameless() {
			r.checkPerson(o, e)
		} else if !slices.ContainsFunc(copies[e.order], func(c *event) bool { return !c.nameless() && r.fault(o.person, c) == "" }) {
			r.violate("3.1", o.where(), "a record that names nobody was published under somebody")
		}
	}
}

func (r *run) checkPerson(o *output, e *event) {
	law := "3.3"
	if e.user != "" {
		law = "3.1"
	}
	if fault := r.fault(o.person, e); fault != "" {
		r.violate(law, o.where(), "%s", fault)
	}
}

// fault says why a record that names e's IDs can't be p's; "" where it can.
func (r *run) fault(p person, e *event) string {
	switch {
	case e.user != "":
		return when(!r.becomes(e.user, p), "published under another than the customer it names")
	case e.anon == "":
		return when(p != person{"email", e.email} && !r.owned(e.email, p), "published under another than the address it names, or its owner")
	case p.kind == "anonymous_id":
		return when(p.id != e.anon && r.devices[p.id], "published under another device's anonymous ID")
	case p.kind == "email":
		return when(!r.captured(e, p), "published under an address that was never captured on its device")
	}
	return when(!r.linked(e.anon, p) && !r.capturedFor(e, p), "published under a customer for whom there is no login on its device")
}

func when(broken bool, fault string) string {
	if broken {
		return fault
	}
	return ""
}

// linked says that a login on the device is one of p's.
func (r *run) linked(anon string, p person) bool {
	return slices.ContainsFunc(r.logins[anon], func(login *event) bool { return r.becomes(login.user, p) })
}

func (r *run) captured(e *event, p person) bool {
	return e.email == p.id || slices.Contains(r.captures[e.anon], p.id)
}

// capturedFor says that an address captured on the device is p's.
func (r *run) capturedFor(e *event, p person) bool {
	return slices.ContainsFunc(r.captures[e.anon], func(address string) bool { return r.owned(address, p) })
}

// checkErased is law 3.10 as far as one partition shows it: after a customer's
// deletion nothing is published under the customer.
func (r *run) checkErased() {
	type reader struct {
		partition int32
		who       person
	}
	deleted := map[reader]*output{}
	for _, o := range r.sinks {
		at := reader{o.Partition, o.person}
		if before := deleted[at]; before != nil && o.action != "delete" {
			r.violate("3.10", o.where(), "published under a customer whom %s erased before", before.where())
		}
		if o.action == "delete" {
			deleted[at] = o
		}
	}
}
