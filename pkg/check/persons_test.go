package check

import "testing"

// mergesInto is the n-th event, an alias of from into to by the server, published.
func (w *world) mergesInto(n int, from, to string) *Output {
	source := w.from("events.server", n, object{"type": "alias", "userId": to, "previousId": from})
	return w.merge(source, n, to, object{"id": from})
}

func TestMerges(t *testing.T) {
	email := object{"type": "identify", "userId": "u1", "traits": object{"email": "l@example.com"}}
	runCases(t, []worldCase{
		{"by a trusted alias", func(w *world) { w.mergesInto(1, "u1", "u2") }, nil},
		{"by an alias that isn't trusted", func(w *world) { w.merge(w.source(1, alias), 1, "u2", object{"id": "u1"}) },
			[]string{"law 3.6: two customers are merged, and no alias from a trusted origin says so (events.app/0/0)"}},
		{"by a second login on a device", func(w *world) {
			w.logsIn(1)
			second := w.source(2, login.with(object{"userId": "u2", "traits": object{}}))
			w.identify(second, 2, "u2", object{})
			w.merge(second, 2, "u2", object{"id": "u1"})
		}, []string{"law 3.6: two customers are merged, and no alias from a trusted origin says so (events.app/0/1)"}},
		{"of a provisional person", func(w *world) {
			w.rules.Temporary = func(id string) bool { return id == "tmp-1" }
			w.merge(w.logsIn(1), 1, "u1", object{"id": "tmp-1"})
		}, nil},
		{"along a chain", func(w *world) {
			w.mergesInto(1, "u2", "u3")
			o := w.mergesInto(2, "u1", "u2")
			w.edit(o, func(v object) { v["primary"] = object{"id": "u3"} })
			o.Key = []byte("u3")
		}, nil},
		{"into two others", func(w *world) {
			w.mergesInto(1, "u1", "u2")
			w.mergesInto(2, "u1", "u3")
		}, []string{"law 3.6: a second merge of the customer whom events.server/0/0 merged into another (events.server/0/1)"}},
		{"in a circle", func(w *world) {
			w.mergesInto(1, "u1", "u2")
			w.mergesInto(2, "u2", "u1")
		}, []string{
			"law 3.6: the merges close a circle (events.server/0/0)",
			"law 3.6: the merges close a circle (events.server/0/1)",
		}},
		{"of an anonymous ID", func(w *world) { w.merge(w.logsIn(1), 1, "u1", object{"anonymous_id": "a1"}) }, []string{
			"law 1: the vendor's schema refuses the value: required at /secondary (events.app/0/0)",
			"law 3.6: a merge of something that is neither a customer nor an address (events.app/0/0)",
		}},
		{"of a lead, once", func(w *world) {
			s := w.source(1, email)
			w.identify(s, 1, "u1", object{"email": "l@example.com"})
			w.merge(s, 1, "u1", object{"email": "l@example.com"})
			w.identify(s, 1, "u1", object{"email": "l@example.com"})
		}, nil},
		{"of a lead, twice", func(w *world) {
			s := w.source(1, email)
			w.merge(s, 1, "u1", object{"email": "l@example.com"})
			w.merge(s, 1, "u1", object{"email": "l@example.com"})
		}, []string{"law 3.7: the lead was taken over by events.app/0/0 already (events.app/0/0)"}},
		{"of a lead of another address", func(w *world) { w.merge(w.source(1, email), 1, "u1", object{"email": "k@example.com"}) },
			[]string{"law 3.7: a lead is taken over by a customer who never named the address (events.app/0/0)"}},
	})
}

func TestTies(t *testing.T) {
	secondLogin := func(w *world) {
		w.identify(w.source(2, login.with(object{"userId": "u2", "traits": object{}})), 2, "u2", object{"anonymous_id": "a1"})
	}
	runCases(t, []worldCase{
		{"to two customers", func(w *world) {
			w.logsIn(1)
			secondLogin(w)
		}, []string{"law 3.5: its anonymous ID is tied to another person by events.app/0/0 (events.app/0/1)"}},
		{"to one customer by two logins", func(w *world) {
			w.logsIn(1)
			w.logsIn(2)
		}, nil},
		{"to a customer, and then to a lead of another", func(w *world) {
			w.logsIn(1)
			lead := object{"type": "identify", "anonymousId": "a1", "traits": object{"email": "x@example.com"}}
			w.sink(w.source(2, lead), 2, "x@example.com", "email", object{"action": "identify", "attributes": object{"anonymous_id": "a1"}})
		}, []string{"law 3.5: its anonymous ID is tied to another person by events.app/0/0 (events.app/0/1)"}},
		{"to two who are one by a merge", func(w *world) {
			w.logsIn(1)
			secondLogin(w)
			w.mergesInto(3, "u1", "u3")
			w.mergesInto(4, "u2", "u3")
		}, nil},
		{"to a lead and to another customer", func(w *world) {
			lead := object{"type": "identify", "anonymousId": "a1", "traits": object{"email": "x@example.com"}}
			w.sink(w.source(1, lead), 1, "x@example.com", "email", object{"action": "identify", "attributes": object{"anonymous_id": "a1"}})
			secondLogin(w)
		}, []string{"law 3.5: its anonymous ID is tied to another person by events.app/0/0 (events.app/0/1)"}},
		{"to a lead and to its owner", func(w *world) {
			lead := object{"type": "identify", "anonymousId": "a1", "traits": object{"email": "Ann@example.com"}}
			w.sink(w.source(1, lead), 1, "ann@example.com", "email", object{"action": "identify", "attributes": object{"anonymous_id": "a1"}})
			w.logsIn(2)
		}, nil},
		{"of another device", func(w *world) {
			w.seen(w.source(1, viewed), 1)
			w.identify(w.source(2, login.with(object{"anonymousId": "a2", "traits": object{}})), 2, "u1", object{"anonymous_id": "a1"})
		}, []string{"law 3.2: an identify ties another device's anonymous ID (events.app/0/1)"}},
		{"one address as two customers'", func(w *world) {
			w.logsIn(1)
			w.identify(w.source(2, object{"type": "identify", "userId": "u2"}), 2, "u2", object{"email": "ANN@example.com"})
		}, []string{"law 3.7: its address went out as another customer's with events.app/0/0 (events.app/0/1)"}},
		{"one address as two customers', who are one", func(w *world) {
			w.logsIn(1)
			w.identify(w.source(2, object{"type": "identify", "userId": "u2"}), 2, "u2", object{"email": "ANN@example.com"})
			w.mergesInto(3, "u1", "u2")
		}, nil},
		{"the address of an erased customer", func(w *world) {
			w.logsIn(1)
			w.identify(w.source(2, object{"type": "identify", "userId": "u2"}), 2, "u2", object{"email": "ann@example.com"})
			w.sink(w.from("events.server", 3, object{"type": "track", "event": "User Deleted", "userId": "u1"}), 3, "u1", "user", object{"action": "delete"})
		}, nil},
	})
}

func TestRefusedIDs(t *testing.T) {
	var cases []worldCase
	for name, id := range map[string]any{
		"word": "undefined", "case": "NULL", "quotes": `"'Guest'"`, "spaces": " \u200b\t", "number": 0, "negative": "-1",
		"object": "[object Object]", "zero UUID": "00000000-0000-0000-0000-000000000000", "address": " Ann@Example.com ",
		"own anonymous ID": "a1", "own device ID": "d1", "own token": "t1", "no text": true, "fraction": 1.5, "extended": "test-user",
	} {
		event := viewed.with(object{"userId": id, "context": object{"device": object{"id": "d1", "token": "t1"}}})
		cases = append(cases,
			worldCase{name, func(w *world) {
				w.rules.Refused = []string{"Test-User"}
				w.seen(w.source(1, event), 1)
			}, []string{"law 3.8: a user ID that can't be stable, and the record isn't quarantined (events.app/0/0)"}},
			worldCase{name + ", quarantined", func(w *world) {
				w.rules.Refused = []string{"Test-User"}
				w.quarantine(w.source(1, event))
			}, nil},
			worldCase{name + ", absent as configured", func(w *world) {
				w.rules.Refused, w.rules.UnusableAbsent = []string{"Test-User"}, true
				w.seen(w.source(1, event), 1)
			}, nil})
	}
	runCases(t, append(cases,
		worldCase{"absent ones aren't refused", func(w *world) {
			w.seen(w.source(1, viewed.with(object{"userId": ""})), 1)
			w.seen(w.source(2, viewed.with(object{"userId": nil})), 2)
		}, nil},
		worldCase{"a stable one that looks odd", func(w *world) {
			w.event(w.source(1, viewed.with(object{"userId": 1e6})), 1, "1000000", "user", "product_viewed", object{})
		}, nil},
		worldCase{"an alias of an unstable ID", func(w *world) {
			w.decide(w.from("events.server", 1, alias.with(object{"previousId": "null"})), "ignored")
		},
			[]string{"law 3.8: a user ID that can't be stable, and the record isn't quarantined (events.server/0/0)"}},
		worldCase{"as an identifier", func(w *world) {
			w.rules.UnusableAbsent = true
			w.event(w.source(1, viewed.with(object{"userId": "undefined"})), 1, "undefined", "user", "product_viewed", object{})
		}, []string{
			"law 3.3: published under a customer for whom there is no login on its device (events.app/0/0)",
			"law 3.8: identifiers.id is an ID that can't be stable (events.app/0/0)",
		}},
		worldCase{"as what is merged", func(w *world) {
			w.rules.Temporary = func(string) bool { return true }
			w.merge(w.logsIn(1), 1, "u1", object{"id": "Guest"})
		}, []string{"law 3.8: secondary.id is an ID that can't be stable (events.app/0/0)"}},
	))
}

func TestPersons(t *testing.T) {
	under := func(key, why string, v object) func(*world) {
		return func(w *world) { w.event(w.source(9, v), 9, key, why, "product_viewed", object{}) }
	}
	after := func(before, then func(*world)) func(*world) {
		return func(w *world) { before(w); then(w) }
	}
	logsIn := func(w *world) { w.logsIn(1) }
	merged := func(w *world) { w.mergesInto(2, "u1", "u2") }
	captured := func(w *world) {
		lead := object{"type": "identify", "anonymousId": "a1", "traits": object{"email": "ann@example.com"}}
		w.sink(w.source(3, lead), 3, "ann@example.com", "email", object{"action": "identify"})
	}
	otherDevice := func(w *world) { w.decide(w.source(4, viewed.with(object{"anonymousId": "a2"})), "ignored") }
	named := viewed.with(object{"userId": "u1"})
	mail := object{"type": "track", "event": "product_viewed", "context": object{"traits": object{"email": "Ann@example.com"}}}
	const stranger = "law 3.3: published under a customer for whom there is no login on its device (events.app/0/"
	runCases(t, []worldCase{
		{"a customer under another", under("u2", "user", named),
			[]string{"law 3.1: published under another than the customer it names (events.app/0/0)"}},
		{"a customer as anonymous", under("a1", "anonymous", named),
			[]string{"law 3.1: published under another than the customer it names (events.app/0/0)"}},
		{"a customer under whom they were merged into", after(merged, under("u2", "user", named)), nil},
		{"a customer under whom was merged into them", after(merged, under("u1", "user", viewed.with(object{"userId": "u2"}))),
			[]string{"law 3.1: published under another than the customer it names (events.app/0/0)"}},
		{"linked without a login", under("u1", "linked", viewed), []string{stranger + "0)"}},
		{"linked by a login", after(logsIn, under("u1", "linked", viewed)), nil},
		{"linked by a login of another", after(logsIn, under("u2", "linked", viewed)), []string{stranger + "1)"}},
		{"linked by a login on another device", after(logsIn, under("u1", "linked", viewed.with(object{"anonymousId": "a2"}))),
			[]string{stranger + "1)"}},
		{"linked by a login, and merged", after(logsIn, after(merged, under("u2", "linked", viewed))), nil},
		{"linked by an alias of the device", after(func(w *world) {
			w.identify(w.source(1, object{"type": "alias", "anonymousId": "a1", "previousId": "a1", "userId": "u1"}), 1, "u1", object{"anonymous_id": "a1"})
		}, under("u1", "linked", viewed)), nil},
		{"linked by a login that was quarantined", after(func(w *world) { w.quarantine(w.source(1, login)) }, under("u1", "linked", viewed)),
			[]string{stranger + "1)"}},
		{"linked by a track with both IDs", after(under("u1", "user", named), func(w *world) {
			w.event(w.source(10, viewed), 10, "u1", "linked", "product_viewed", object{})
		}), []string{stranger + "1)"}},
		{"anonymous as another device", after(otherDevice, under("a2", "anonymous", viewed)),
			[]string{"law 3.3: published under another device's anonymous ID (events.app/0/1)"}},
		{"anonymous as derived", under("a1~1", "ambiguous", viewed), nil},
		{"ambiguous as the shared ID", under("a1", "ambiguous", viewed),
			[]string{"law 3.5: ambiguous, and published under the shared anonymous ID itself (events.app/0/0)"}},
		{"under an address captured there", after(captured, under("ann@example.com", "email", viewed)), nil},
		{"under an address that wasn't captured there", under("ann@example.com", "email", viewed),
			[]string{"law 3.3: published under an address that was never captured on its device (events.app/0/0)"}},
		{"under the owner of an address captured there", after(captured, after(func(w *world) {
			w.identify(w.source(5, object{"type": "identify", "userId": "u1", "traits": object{"email": "ann@example.com"}}), 5, "u1", object{})
		}, func(w *world) {
			under("u1", "email", viewed)(w)
			w.edit(w.outs[len(w.outs)-1], func(v object) { v["identifiers"] = object{"id": "u1"} })
		})), nil},
		{"under its address", under("ann@example.com", "email", mail), nil},
		{"under another address", under("bob@example.com", "email", mail),
			[]string{"law 3.3: published under another than the address it names, or its owner (events.app/0/0)"}},
		{"nobody's", under("a1", "anonymous", viewed.without("anonymousId")),
			[]string{"law 3.1: a record that names nobody was published under somebody (events.app/0/0)"}},
		{"erased before", after(func(w *world) {
			w.sink(w.from("events.server", 1, object{"type": "track", "event": "User Deleted", "userId": "u1"}), 1, "u1", "user", object{"action": "delete"})
		}, under("u1", "user", named)), []string{"law 3.10: published under a customer whom events.server/0/0 erased before (events.app/0/0)"}},
	})
}
