package check

import (
	"testing"
	"time"
)

func TestDuplicates(t *testing.T) {
	hour := 3600
	runCases(t, []worldCase{
		{"a message sent again and published again", func(w *world) {
			w.seen(w.source(1, viewed), 1)
			w.edit(w.seen(w.source(1, viewed), 1), func(v object) { v["id"] = eventID(1, "B") })
			w.outs[1].Headers["ls-event"] = eventID(1, "B")
		}, []string{"law 4.1: the same message was published as events.app/0/0 already (events.app/0/1)"}},
		{"what SDKs change when they send again is no content", func(w *world) {
			w.logsIn(0)
			w.event(w.source(1, viewed), 1, "u1", "linked", "product_viewed", object{})
			again := w.source(1, viewed.with(object{"userId": "u1", "sentAt": "x", "context": object{"campaign": object{}}, "traits": nil}))
			w.event(again, 1, "u1", "user", "product_viewed", object{}).Headers["ls-event"] = eventID(1, "B")
			w.edit(w.outs[2], func(v object) { v["id"] = eventID(1, "B") })
		}, []string{"law 4.1: the same message was published as events.app/0/1 already (events.app/0/2)"}},
		{"a null property is an absent one", func(w *world) {
			w.seen(w.source(1, viewed), 1)
			w.decide(w.source(1, viewed.with(object{"properties": object{"product_id": "p1", "price": 2, "x": nil}})), "duplicate")
		}, nil},
		{"a null deep in a property too, and PHP's empty array is an empty object", func(w *world) {
			deep := func(item object, traits any) object {
				return viewed.with(object{"properties": object{"items": []any{item}}, "traits": traits})
			}
			w.event(w.source(1, deep(object{"sku": "s", "x": nil}, []any{})), 1, "a1", "anonymous", "product_viewed", object{})
			w.decide(w.source(1, deep(object{"sku": "s"}, object{})), "duplicate")
		}, nil},
		{"without arrivals all are within the window", func(w *world) {
			conflict(w, 25*hour)
			w.sources[1].Time = time.Time{}
		}, []string{"law 4.1: the message ID of events.app/0/0 with other content, and no potential_duplicate note (events.app/0/1)"}},
		{"a long chain of duplicates has its witness", func(w *world) {
			w.seen(w.source(1, viewed), 1)
			for range 5 {
				w.decide(w.source(1, viewed), "duplicate")
			}
		}, nil},
		{"outside the window it is published again", func(w *world) {
			w.seen(w.source(1, viewed), 1)
			w.edit(w.seen(w.source(1, viewed), 1), func(v object) { v["id"] = eventID(1, "B") })
			w.outs[1].Headers["ls-event"] = eventID(1, "B")
			w.sources[1].Time = day.Add(25 * time.Hour)
		}, nil},
		{"another origin's message is another", func(w *world) {
			w.seen(w.source(1, viewed), 1)
			w.decide(w.from("events.web", 1, viewed), "duplicate")
		}, []string{"law 4.1: a duplicate of nothing: no record says the same and has another outcome (events.web/0/0)"}},
		{"unless both topics have one origin", func(w *world) {
			w.rules.Origins = map[string]string{"events.web": "app", "events.app": "app"}
			w.seen(w.source(1, viewed), 1)
			w.decide(w.from("events.web", 1, viewed), "duplicate")
		}, nil},
		{"all copies are duplicates", func(w *world) {
			w.decide(w.source(1, viewed), "duplicate")
			w.decide(w.source(1, viewed), "duplicate")
		}, []string{
			"law 4.1: a duplicate of nothing: no record says the same and has another outcome (events.app/0/0)",
			"law 4.1: a duplicate of nothing: no record says the same and has another outcome (events.app/0/1)",
		}},
		{"a duplicate with other content", func(w *world) {
			w.seen(w.source(1, viewed), 1)
			w.decide(w.source(1, viewed.with(object{"properties": object{"product_id": "p2"}})), "duplicate")
		}, []string{"law 4.1: a duplicate of nothing: no record says the same and has another outcome (events.app/0/1)"}},
		{"identifies of two users are two contents", func(w *world) {
			w.logsIn(1)
			w.decide(w.source(1, login.with(object{"userId": "u2"})), "duplicate")
		}, []string{"law 4.1: a duplicate of nothing: no record says the same and has another outcome (events.app/0/1)"}},
		{"devices of two tokens are two contents", func(w *world) {
			device := func(token string) object {
				return object{"type": "track", "event": "Device Deleted", "anonymousId": "a1",
					"context": object{"device": object{"id": "d", "token": token}}}
			}
			w.decide(w.source(1, device("t1")), "ignored")
			w.decide(w.source(1, device("t2")), "duplicate")
		}, []string{"law 4.1: a duplicate of nothing: no record says the same and has another outcome (events.app/0/1)"}},
		{"traits in an identify's context are content", func(w *world) {
			identify := func(name string) object {
				return object{"type": "identify", "userId": "u1", "traits": object{}, "context": object{"traits": object{"name": name}}}
			}
			w.identify(w.source(1, identify("x")), 1, "u1", object{})
			w.decide(w.source(1, identify("y")), "duplicate")
		}, []string{"law 4.1: a duplicate of nothing: no record says the same and has another outcome (events.app/0/1)"}},
		{"two contents under one ID, and no note", func(w *world) { conflict(w, 0) },
			[]string{"law 4.1: the message ID of events.app/0/0 with other content, and no potential_duplicate note (events.app/0/1)"}},
		{"two contents under one ID, with a note", func(w *world) {
			w.remark(conflict(w, 0), "note", "potential_duplicate")
		}, nil},
		{"two contents under one ID, a day apart", func(w *world) { conflict(w, 25*hour) }, nil},
	})
}

// conflict publishes two contents under one message ID of one device, the second
// arriving so many seconds later, and gives its position.
func conflict(w *world, later int) string {
	w.seen(w.source(1, viewed), 1)
	other := w.source(1, viewed.with(object{"properties": object{"product_id": "p2"}}))
	w.sources[1].Time = w.sources[0].Time.Add(time.Duration(later) * time.Second)
	o := w.seen(other, 1)
	w.edit(o, func(v object) { v["id"] = eventID(1, "B") })
	o.Headers["ls-event"] = eventID(1, "B")
	return other
}

func TestCollapse(t *testing.T) {
	added := func(cart string, value int) object {
		return object{"type": "track", "event": "added_to_cart", "anonymousId": "a1", "properties": object{"cart_id": cart, "value": value}}
	}
	publish := func(w *world, n int, v object) {
		w.event(w.source(n, v), n, "a1", "anonymous", "added_to_cart", object{})
	}
	runCases(t, []worldCase{
		{"a repeat within the window, published", func(w *world) {
			publish(w, 1, added("c", 1))
			publish(w, 2, added("c", 1))
		}, []string{"law 4.5: published within the collapse window of events.app/0/0, which says the same (events.app/0/1)"}},
		{"other contents", func(w *world) {
			publish(w, 1, added("c", 1))
			publish(w, 2, added("c", 2))
			publish(w, 3, added("d", 1))
		}, nil},
		{"outside the window", func(w *world) {
			publish(w, 1, added("c", 1))
			publish(w, 4, added("c", 1))
		}, nil},
		{"collapsed", func(w *world) {
			publish(w, 1, added("c", 1))
			w.decide(w.source(3, added("c", 1)), "duplicate")
		}, nil},
		{"collapsed outside the window", func(w *world) {
			publish(w, 1, added("c", 1))
			w.decide(w.source(4, added("c", 1)), "duplicate")
		}, []string{"law 4.1: a duplicate of nothing: no record says the same and has another outcome (events.app/0/1)"}},
	})
}
