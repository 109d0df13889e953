package check

import "testing"

func TestSequence(t *testing.T) {
	named := viewed.with(object{"userId": "u1"})
	publish := func(w *world, source string, n int) *Output {
		return w.event(source, n, "u1", "user", "product_viewed", object{})
	}
	linked := func(w *world, source string, n int) {
		w.event(source, n, "u1", "linked", "product_viewed", object{})
	}
	runCases(t, []worldCase{
		{"one route out of order", func(w *world) {
			first, second := w.source(1, named), w.source(2, named)
			publish(w, second, 2)
			publish(w, first, 1)
		}, []string{"law 2.4: published after events.app/0/1, which came later on the same route (events.app/0/0)"}},
		{"two devices may overtake each other", func(w *world) {
			first, second := w.source(1, named), w.source(2, named.with(object{"anonymousId": "a2"}))
			publish(w, second, 2)
			publish(w, first, 1)
		}, nil},
		{"a delayed identify shares its cause's source", func(w *world) {
			first := w.logsIn(1)
			publish(w, w.source(2, named), 2)
			w.identify(first, 1, "u1", object{"email": "ann@example.com"})
		}, nil},
		{"an order's copy stands where it was settled", func(w *world) {
			order := w.held(1, bought)
			publish(w, w.source(2, named), 2)
			w.order(order, 1, 9.5)
		}, nil},
		{"a merged customer's may be overtaken", func(w *world) {
			w.mergesInto(9, "u1", "u2")
			first, second := w.source(1, named), w.source(2, named)
			publish(w, second, 2)
			publish(w, first, 1)
		}, nil},
		{"two sink partitions", func(w *world) {
			publish(w, w.source(1, named), 1)
			publish(w, w.source(2, named), 2).Partition = 1
		}, []string{"law 2.4: in another sink partition than events.app/0/0, of the same person (events.app/0/1)"}},
		{"two writers", func(w *world) {
			publish(w, w.source(1, named), 1)
			publish(w, w.source(2, named), 2).Headers["ls-place"] = "J/1/0/0"
		}, []string{"law 2.4: another writer than that of events.app/0/0, of the same person (events.app/0/1)"}},
		{"stitched before the login", func(w *world) {
			s := w.source(1, viewed)
			linked(w, s, 1)
			w.logsIn(2)
		}, []string{"law 2.4: stitched to a customer before the login's identify, events.app/0/1 (events.app/0/0)"}},
		{"stitched after the login, however early it happened", func(w *world) {
			s := w.source(1, viewed)
			w.logsIn(2)
			linked(w, s, 1)
		}, nil},
		{"stitched by a merged customer's login", func(w *world) {
			w.decide(w.source(1, login.with(object{"userId": "u0"})), "ignored")
			w.mergesInto(9, "u0", "u1")
			linked(w, w.source(2, viewed), 2)
			w.logsIn(3)
		}, nil},
	})
}
