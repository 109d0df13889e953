package check

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// orders are written with the event ID of the first second, as all copies share one.
func (w *world) order(source string, n int, revenue float64) *Output {
	o := w.event(source, n, "u1", "user", "order_completed", object{"order_id": "o1", "revenue": revenue})
	w.edit(o, func(v object) { v["id"] = eventID(1, "Z") })
	o.Headers["ls-event"], o.Headers["ls-order"] = eventID(1, "Z"), "o1"
	return o
}

func revenue(of float64) object {
	return bought.with(object{"properties": object{"order_id": "o1", "revenue": of}})
}

func (w *world) held(n int, v object) string {
	source := w.source(n, v)
	w.decide(source, "held")
	return source
}

func TestOrders(t *testing.T) {
	const late = 3600 // past the hold
	runCases(t, []worldCase{
		{"app, held and released", func(w *world) { w.order(w.held(1, bought), 1, 9.5) }, nil},
		{"app, published and never held", func(w *world) { w.order(w.source(1, bought), 1, 9.5) },
			[]string{"law 4.3: an app's copy of an order was published and never held (events.app/0/0)"}},
		{"app released, authority corrects", func(w *world) {
			app := w.held(1, bought)
			w.order(app, 1, 9.5)
			w.order(w.from("events.commerce", late, revenue(8)), late, 8).Headers["ls-corrects"] = app
		}, nil},
		{"authority published, and the app's copy too, in time", func(w *world) {
			app := w.held(1, bought)
			w.order(app, 1, 9.5)
			w.order(w.from("events.server", 2, revenue(8)), 2, 8).Headers["ls-corrects"] = app
		}, []string{"law 4.3: an app's copy was published, though the authority's events.server/0/0 arrived before its hold ended (events.app/0/0)"}},
		{"exactly when the hold ends is in time", func(w *world) {
			app := w.held(1, bought)
			w.order(app, 1, 9.5)
			w.order(w.from("events.server", 601, revenue(8)), 601, 8).Headers["ls-corrects"] = app
		}, []string{"law 4.3: an app's copy was published, though the authority's events.server/0/0 arrived before its hold ended (events.app/0/0)"}},
		{"counted twice", func(w *world) {
			app := w.held(1, bought)
			w.order(app, 1, 9.5)
			w.event(w.from("events.server", late, revenue(8)), late, "u1", "user", "order_completed",
				object{"order_id": "o1", "revenue": 8}).Headers["ls-order"] = "o1"
		}, []string{"law 4.3: the order counts twice: another ls-event than events.app/0/0 (events.server/0/0)"}},
		{"counted twice under Segment's name and as a number", func(w *world) {
			number := bought.with(object{"event": "Order Completed", "properties": object{"order_id": 17, "revenue": 1}})
			text := bought.with(object{"properties": object{"order_id": " 17 ", "revenue": 1}})
			w.event(w.from("events.server", 1, number), 1, "u1", "user", "Order Completed", object{"order_id": 17, "revenue": 1}).Headers["ls-order"] = "17"
			w.event(w.from("events.server", 2, text), 2, "u1", "user", "order_completed", object{"order_id": "17", "revenue": 1}).Headers["ls-order"] = "17"
		}, []string{"law 4.3: the order counts twice: another ls-event than events.server/0/0 (events.server/0/1)"}},
		{"two shops are two orders", func(w *world) {
			for n, shop := range []string{"s1", "s2"} {
				o := bought.with(object{"properties": object{"order_id": "o1", "shop_id": shop, "revenue": 1}})
				w.event(w.from("events.server", n, o), n, "u1", "user", "order_completed",
					object{"order_id": "o1", "shop_id": shop, "revenue": 1}).Headers["ls-order"] = "o1"
			}
		}, nil},
		{"a source's own shop stands for shop_id", func(w *world) {
			w.rules.Shops = map[string]string{"events.server": "s1", "events.commerce": "s1"}
			w.event(w.from("events.server", 1, bought), 1, "u1", "user", "order_completed", object{"order_id": "o1", "revenue": 9.5}).Headers["ls-order"] = "o1"
			same := bought.with(object{"properties": object{"order_id": "o1", "shop_id": "s1", "revenue": 9.5}})
			w.event(w.from("events.commerce", 2, same), 2, "u1", "user", "order_completed", object{"order_id": "o1", "revenue": 9.5}).Headers["ls-order"] = "o1"
		}, []string{"law 4.3: the order counts twice: another ls-event than events.server/0/0 (events.commerce/0/0)"}},
		{"the same event ID and no ls-corrects", func(w *world) {
			w.order(w.held(1, bought), 1, 9.5)
			w.order(w.from("events.server", late, revenue(8)), late, 8)
		}, []string{"law 2.3: the same ls-event as events.app/0/0, and no ls-corrects (events.server/0/0)"}},
		{"the authority suppressed, and the app's shows", func(w *world) {
			w.order(w.held(1, bought), 1, 9.5)
			w.decide(w.from("events.server", late, revenue(8)), "suppressed")
		}, []string{"law 4.3: an authority has a copy of the order, and the last value that shows isn't an authority's (events.app/0/0)"}},
		{"both suppressed", func(w *world) {
			w.decide(w.held(1, bought), "suppressed")
			w.decide(w.from("events.server", 2, revenue(8)), "suppressed")
		}, []string{"law 4.3: an authority has a copy of the order, and the last value that shows isn't an authority's (events.app/0/0)"}},
		{"an authority's copy that is quarantined isn't the truth", func(w *world) {
			w.order(w.held(1, bought), 1, 9.5)
			w.quarantine(w.from("events.server", 2, revenue(-1)))
		}, nil},
		{"the app corrects the authority", func(w *world) {
			server := w.from("events.server", 1, bought)
			w.order(server, 1, 9.5)
			w.order(w.source(late, revenue(8)), late, 8).Headers["ls-corrects"] = server
		}, []string{
			"law 4.3: an app's copy was published, though the authority's events.server/0/0 arrived before its hold ended (events.app/0/0)",
			"law 4.3: an authority has a copy of the order, and the last value that shows isn't an authority's (events.app/0/0)",
		}},
		{"another revenue than the source's, another ls-order", func(w *world) {
			w.order(w.from("events.server", 1, bought), 1, 7).Headers["ls-order"] = "o2"
		}, []string{
			"law 1: ls-order isn't the source's order_id (events.server/0/0)",
			"law 4.3: the order's revenue isn't its source's (events.server/0/0)",
		}},
		{"a correction of nothing", func(w *world) {
			w.order(w.from("events.server", 1, bought), 1, 9.5).Headers["ls-corrects"] = "events.app/0/0"
		}, []string{
			"law 4.3: a correction of an event that was never published (events.server/0/0)",
			"law 4.3: ls-corrects names no other published copy of the event (events.server/0/0)",
		}},
		{"a correction before what it corrects", func(w *world) {
			server, app := w.from("events.server", late, revenue(8)), w.held(1, bought)
			w.order(server, late, 8).Headers["ls-corrects"] = app
			w.order(app, 1, 9.5)
		}, []string{
			"law 4.3: an authority has a copy of the order, and the last value that shows isn't an authority's (events.app/0/0)",
			"law 4.3: a correction before what it corrects (events.server/0/0)",
		}},
		{"a nameless authority's copy takes the app's person", func(w *world) {
			w.decide(w.held(1, bought), "suppressed")
			w.order(w.from("events.server", 2, bought.without("userId").without("anonymousId")), 2, 9.5)
		}, nil},
		{"a nameless authority's copy takes another person", func(w *world) {
			w.decide(w.held(1, bought.with(object{"userId": "u7"})), "suppressed")
			w.order(w.from("events.server", 2, bought.without("userId").without("anonymousId")), 2, 9.5)
		}, []string{"law 3.1: a record that names nobody was published under somebody (events.server/0/0)"}},
	})
}

// Without arrival times, copies can't be said to be in time or late.
func TestOrdersWithoutArrivals(t *testing.T) {
	w := newWorld(t)
	app := w.held(1, bought)
	w.order(app, 1, 9.5)
	w.order(w.from("events.server", 2, revenue(8)), 2, 8).Headers["ls-corrects"] = app
	for i := range w.sources {
		w.sources[i].Time = time.Time{}
	}
	if err := w.check().Err(); err != nil {
		t.Error(err)
	}
}

func TestDigits(t *testing.T) {
	for in, want := range map[any]string{
		" o1\u200b ": "o1", json.Number("17"): "17", json.Number("17.0"): "17", json.Number("1.7e1"): "17",
		json.Number("90071992547409931234"): "90071992547409931234", json.Number("1.5"): "1.5", nil: "", true: "",
		json.Number("1e999999999"): "1e999999999",
	} {
		if diff := cmp.Diff(want, digits(in)); diff != "" {
			t.Errorf("%v: %s", in, diff)
		}
	}
}
