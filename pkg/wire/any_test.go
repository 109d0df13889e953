package wire

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lockstitch/stitch"
)

// Values that SDKs, careless callers and attackers post, as JSON.
var (
	oddTexts = []string{
		`""`, `" "`, `"u1"`, `" u1 "`, `"a1"`, `"null"`, `"0"`, `"é"`, `"\u0000"`, `"\ud83d\ude00"`, `"J@E.C"`, `"j@e.co"`, `"(null)"`, `"\"\\\u0001"`,
		`"2026-11-17T10:14:43Z"`, `"2026-11-17T10:14:43+0530"`, `"2026-11-17"`, `"granted"`, `"true"`, `"ios"`,
		`"` + strings.Repeat("x", 151) + `"`, `"` + strings.Repeat(`\u0001`, 256) + `"`, `"` + strings.Repeat("y", 1001) + `"`, `"` + strings.Repeat("z", 31_000) + `"`,
	}
	oddValues = append([]string{
		`null`, `true`, `false`, `0`, `-0`, `-1`, `1`, `2.50`, `1e3`, `12345678901234567890`, `1e308`, `1e309`, `5e-324`, `[]`, `{}`, `[1,null]`, `{"topics":{"t":1}}`, `["k"]`,
	}, oddTexts...)
	typeNames  = []string{`"track"`, `"page"`, `"screen"`, `"identify"`, `"alias"`, `"group"`}
	eventNames = []string{
		`"e"`, `"order_completed"`, `"Product Added"`, `"checkout_started"`, `"product_viewed"`, `"push_permission_x"`, `"user_logged_out"`, `"Identity Split"`,
		`"Device Created or Updated"`, `"Device Deleted"`, `"User Deleted"`,
	}
	innerNames = []string{
		"order_id", "cart_id", "shop_id", "product_id", "category", "revenue", "value", "price", "items", "discount_code", "push_permission_status",
		"email", "id", "anonymous_id", "_update", "cio_subscription_preferences", "recipient", "url", "path", "keywords", "title", "token", "type", "device",
		"push_enabled", "_last_status", "previousId", "a", `\u0062`,
	}
)

func object(t *rapid.T, label string, names []string, value func(name string) string) string {
	chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 8, rapid.ID[string]).Draw(t, label)
	members := make([]string, len(chosen))
	for i, name := range chosen {
		members[i] = `"` + name + `":` + value(name)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// inner draws properties, traits or a device: mostly objects, of odd values.
func inner(t *rapid.T, label string) string {
	return object(t, label, innerNames, func(name string) string {
		if name == "device" {
			return object(t, label+".device", innerNames, func(string) string { return rapid.SampledFrom(oddValues).Draw(t, "v") })
		}
		return rapid.SampledFrom(oddValues).Draw(t, name)
	})
}

// record draws a record's members, in any order.
func record(t *rapid.T) []string {
	members := []string{
		`"type":` + rapid.SampledFrom(typeNames).Draw(t, "type"), `"event":` + rapid.SampledFrom(eventNames).Draw(t, "event"),
		`"properties":` + inner(t, "properties"), `"traits":` + inner(t, "traits"),
		`"context":{"traits":` + inner(t, "context.traits") + `,"device":` + inner(t, "context.device") + `}`,
	}
	for _, name := range []string{"userId", "anonymousId", "previousId", "messageId", "name", "timestamp", "originalTimestamp"} {
		if rapid.Bool().Draw(t, name+" there") {
			from := oddTexts[:14]
			if strings.HasSuffix(strings.ToLower(name), "timestamp") {
				from = oddTexts[14:16]
			} else if rapid.IntRange(0, 4).Draw(t, "odd") == 0 {
				from = oddValues
			}
			members = append(members, `"`+name+`":`+rapid.SampledFrom(from).Draw(t, name))
		}
	}
	return rapid.Permutation(members).Draw(t, "order")
}

// TestAnyRecord: the invariants of FuzzDecode over records that are mostly
// right; and neither the order of a record's members nor white space changes
// what it is taken for.
func TestAnyRecord(t *testing.T) {
	sources := map[string]SourceRule{
		"t": {Origin: "server", Trust: Trust{Alias: true, Delete: true, Suppress: true, Split: true, Reserved: true}}, "u": {Origin: "app"},
	}
	refuse := newIngest(t, IngestOptions{Sources: sources})
	absent := newIngest(t, IngestOptions{Sources: sources, UnusableUserIDAbsent: true})
	customer, events := strings.Repeat("\x01", maxPersonID), 0
	rapid.Check(t, func(rt *rapid.T) {
		in := rapid.SampledFrom([]*Ingest{refuse, absent}).Draw(rt, "rules")
		topic := rapid.SampledFrom([]string{"t", "u"}).Draw(rt, "topic")
		members := record(rt)
		ev, dead := decodeAt(t, in, topic, "{"+strings.Join(members, ",")+"}")
		members = rapid.Permutation(members).Draw(rt, "another order")
		again, deadAgain := decodeAt(t, in, topic, " {\n"+strings.Join(members, " ,\t")+"\r\n}")
		if (ev == nil) != (again == nil) {
			rt.Fatalf("event %+v, %v; in another order %+v, %v", ev, dead, again, deadAgain)
		}
		if ev == nil {
			return
		}
		events++
		if ev.Content != again.Content || ev.EventID != again.EventID || string(ev.Attributes) != string(again.Attributes) || ev.Email != again.Email {
			rt.Fatalf("event %+v; in another order %+v", ev, again)
		}
		if ev.User == "" && ev.Type == stitch.Alias {
			rt.Fatal("an alias to nobody")
		}
		checkFuzzed(t, ev, customer)
	})
	if events == 0 {
		t.Error("no record was an event")
	}
}
