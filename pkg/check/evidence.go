package check

import "slices"

// learnEvidence collects what the input says of who is who. It is a superset of
// what may count (void merges, refused links are in it), so that what it doesn't
// support is surely wrong.
func (r *run) learnEvidence() {
	r.merges, r.told, r.owners = map[string][]string{}, map[string][]string{}, map[string][]string{}
	r.logins, r.captures = map[string][]*event{}, map[string][]string{}
	r.devices = map[string]bool{}
	for _, e := range r.events {
		if len(e.dead) == 0 {
			r.learn(e)
		}
	}
	for _, o := range r.sinks {
		from, to := mergedIDs(o)
		if from != "" && to != "" {
			r.merges[from] = append(r.merges[from], to)
			if !slices.Contains(r.told[from], to) {
				r.told[from] = append(r.told[from], to)
			}
		}
	}
}

func (r *run) learn(e *event) {
	if e.anon != "" {
		r.devices[e.anon] = true
	}
	if e.login() {
		r.logins[e.anon] = append(r.logins[e.anon], e)
	}
	if e.mergeAlias() && slices.Contains(r.Rules.Trusted, e.Topic) {
		r.merges[e.previous] = append(r.merges[e.previous], e.user)
	}
	if e.typ != "identify" || e.email == "" {
		return
	}
	if e.user != "" {
		r.owners[e.email] = append(r.owners[e.email], e.user)
	} else if e.anon != "" {
		r.captures[e.anon] = append(r.captures[e.anon], e.email)
	}
}

// mergedIDs are the customers of a merge of two customers: from into to.
func mergedIDs(o *output) (from, to string) {
	if o.action != "merge" {
		return "", ""
	}
	if from := personOf(asObject(o.value["secondary"])); from.kind == "id" && o.person.kind == "id" {
		return from.id, o.person.id
	}
	return "", ""
}

// reaches says that from is to, or was merged into it, by way of others too.
func reaches(edges map[string][]string, from, to string) bool {
	seen := map[string]bool{from: true}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		if queue[0] == to {
			return true
		}
		for _, next := range edges[queue[0]] {
			if !seen[next] {
				seen[next] = true
				queue = append(queue, next)
			}
		}
	}
	return false
}

// onePerson says that two customers are one: either was merged into the other,
// or both into a third.
func (r *run) onePerson(a, b string) bool {
	return slices.ContainsFunc(ends(r.told, a), func(end string) bool { return reaches(r.told, b, end) })
}

// ends are all whom a customer became, himself too.
func ends(edges map[string][]string, from string) []string {
	all := []string{from}
	for i := 0; i < len(all); i++ {
		for _, next := range edges[all[i]] {
			if !slices.Contains(all, next) {
				all = append(all, next)
			}
		}
	}
	return all
}

func (r *run) becomes(customer string, p person) bool {
	return p.kind == "id" && reaches(r.merges, customer, p.id)
}

// owned says that evidence names the address for a customer who is p.
func (r *run) owned(address string, p person) bool {
	return slices.ContainsFunc(r.owners[address], func(c string) bool { return r.becomes(c, p) })
}
