package wire

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"lockstitch/stitch"
)

// TestContent is law duplicates.1: what is content, and what SDKs change when
// they send again.
func TestContent(t *testing.T) {
	in := newIngest(t, IngestOptions{})
	content := func(value string) stitch.Hash { return mustDecode(t, in, "events.app", value).Content }
	base := track(`"anonymousId":"a1","messageId":"m1","timestamp":"2026-11-17T10:14:43Z","properties":{"a":1,"b":{"c":"é","d":[1,2]}}`)
	same := map[string]string{
		"order and white space": `{"timestamp":"2026-11-17T10:14:43Z","properties":{ "b":{"d":[1, 2],"c":"é"},"a":1},"event":"e","type":"track","userId":"u1"}`,
		"escapes":               track(`"timestamp":"2026-11-17T10:14:43Z","properties":{"\u0061":1,"b":{"c":"\u00e9","d":[1,2]}}`),
		"numbers":               track(`"timestamp":"2026-11-17T10:14:43Z","properties":{"a":1.0,"b":{"c":"é","d":[1e0,0.2e1]}}`),
		"nulls":                 track(`"timestamp":"2026-11-17T10:14:43Z","previousId":null,"traits":{},"properties":{"a":1,"x":null,"b":{"c":"é","y":null,"d":[1,2]}}`),
		"what isn't content":    `{"type":"track","event":"e","anonymousId":"a9","userId":"u9","messageId":"m9","sentAt":"x","_metadata":{"a":1},"context":{"a":1},"timestamp":"2026-11-17T10:14:43Z","properties":{"a":1,"b":{"c":"é","d":[1,2]}}}`,
	}
	for name, value := range same {
		if content(value) != content(base) {
			t.Errorf("%s: other content", name)
		}
	}
	other := map[string]string{
		"a property":          track(`"timestamp":"2026-11-17T10:14:43Z","properties":{"a":2,"b":{"c":"é","d":[1,2]}}`),
		"the order of a list": track(`"timestamp":"2026-11-17T10:14:43Z","properties":{"a":1,"b":{"c":"é","d":[2,1]}}`),
		"null in a list":      track(`"timestamp":"2026-11-17T10:14:43Z","properties":{"a":1,"b":{"c":"é","d":[1,2,null]}}`),
		"text for a number":   track(`"timestamp":"2026-11-17T10:14:43Z","properties":{"a":"1","b":{"c":"é","d":[1,2]}}`),
		"the time as posted":  track(`"timestamp":"2026-11-17T10:14:43.000Z","properties":{"a":1,"b":{"c":"é","d":[1,2]}}`),
		"the original time":   track(`"timestamp":"2026-11-17T10:14:43Z","originalTimestamp":"2026-11-17T10:14:43Z","properties":{"a":1,"b":{"c":"é","d":[1,2]}}`),
		"previousId":          track(`"previousId":"p","timestamp":"2026-11-17T10:14:43Z","properties":{"a":1,"b":{"c":"é","d":[1,2]}}`),
		"the event":           `{"type":"track","event":"f","userId":"u1","timestamp":"2026-11-17T10:14:43Z","properties":{"a":1,"b":{"c":"é","d":[1,2]}}}`,
		"the type":            `{"type":"screen","name":"e","userId":"u1","timestamp":"2026-11-17T10:14:43Z","properties":{"a":1,"b":{"c":"é","d":[1,2]}}}`,
	}
	seen := map[stitch.Hash]string{content(base): "the base"}
	for name, value := range other {
		h := content(value)
		if as, taken := seen[h]; taken {
			t.Errorf("%s: the same content as %s", name, as)
		}
		seen[h] = name
	}
	if content(track(`"properties":{"n":9007199254740993}`)) == content(track(`"properties":{"n":9007199254740992}`)) {
		t.Error("large integers aren't exact")
	}
	if content(`{"type":"identify","userId":"u1"}`) == content(`{"type":"identify","userId":"u2"}`) {
		t.Error("an identify's userId is content")
	}
	if content(`{"type":"identify","userId":"u1","context":{"traits":{"a":1}}}`) == content(`{"type":"identify","userId":"u1","context":{"traits":{"a":2}}}`) {
		t.Error("the traits that an identify means are content")
	}
	device := func(token string) string {
		return `{"type":"track","event":"Device Created or Updated","userId":"u1","context":{"device":{"id":"d","type":"ios","token":"` + token + `"}}}`
	}
	if content(device("t1")) == content(device("t2")) {
		t.Error("the device of a device event is content")
	}
}

// TestEventID is law stream.3.
func TestEventID(t *testing.T) {
	in := newIngest(t, IngestOptions{})
	id := func(topic, members string) ulid.ULID {
		return ulid.ULID(mustDecode(t, in, topic, `{"type":"track","event":"e","timestamp":"2026-11-17T10:14:43.123Z",`+members+`}`).EventID)
	}
	base := id("events.app", `"userId":"u1","anonymousId":"a1","messageId":"m1"`)
	if want := time.Date(2026, 11, 17, 10, 14, 43, 123e6, time.UTC).UnixMilli(); int64(base.Time()) != want {
		t.Errorf("time %d, want %d", base.Time(), want)
	}
	if again := id("events.app", `"userId":null,"anonymousId":"a1","messageId":"m1","context":{"x":1}`); again != base {
		t.Error("the same message on the same device has two IDs")
	}
	for name, other := range map[string]ulid.ULID{
		"another device":    id("events.app", `"userId":"u1","anonymousId":"a2","messageId":"m1"`),
		"a customer":        id("events.app", `"userId":"a1","messageId":"m1"`),
		"another origin":    id("events.web", `"anonymousId":"a1","messageId":"m1"`),
		"another message":   id("events.app", `"anonymousId":"a1","messageId":"m2"`),
		"no message":        id("events.app", `"anonymousId":"a1"`),
		"another content":   id("events.app", `"anonymousId":"a1","messageId":"m1","properties":{"a":1}`),
		"IDs that run over": id("events.app", `"anonymousId":"a1m","messageId":"1"`),
	} {
		if other == base {
			t.Errorf("%s: the same ID", name)
		}
	}
	for _, value := range []string{`{"type":"identify","userId":"u1"}`, `{"type":"alias","userId":"u1","previousId":"p"}`, `{"type":"group","userId":"u1"}`} {
		if ev := mustDecode(t, in, "events.app", value); ev.EventID != (stitch.ULID{}) {
			t.Errorf("%s has an event ID", value)
		}
	}
}

func orderRecord(event, properties string) string {
	return `{"type":"track","event":"` + event + `","userId":"u1","properties":{"revenue":1,"items":1,` + properties + `}}`
}

// TestFacts is law duplicates.4.
func TestFacts(t *testing.T) {
	sources := sampleSources()
	sources["events.shop2"] = SourceRule{Origin: "server", Shop: "s2"}
	sources["events.odd"] = SourceRule{Origin: "server", Shop: "\"a\\x00b\""}
	in := newIngest(t, IngestOptions{Sources: sources})
	fact := func(topic, value string) *stitch.Fact { return mustDecode(t, in, topic, value).Fact }
	want := &stitch.Fact{Key: "order_completed\x00\x00o1", Order: "o1", Arbitrate: true, Hold: 600_000}
	if diff := cmp.Diff(want, fact("events.app", orderRecord("order_completed", `"order_id":" o1 "`))); diff != "" {
		t.Error(diff)
	}
	want.Authority = true
	for _, topic := range []string{"events.server", "events.commerce"} {
		if diff := cmp.Diff(want, fact(topic, orderRecord("Order Completed", `"order_id":"o1"`))); diff != "" {
			t.Errorf("%s: %s", topic, diff)
		}
	}
	for _, tt := range []struct{ topic, properties, key string }{
		{"events.app", `"order_id":12345678901234567890`, "order_completed\x00\x0012345678901234567890"},
		{"events.app", `"order_id":"o1","shop_id":7`, "order_completed\x007\x00o1"},
		{"events.app", `"order_id":"o1","shop_id":""`, "order_completed\x00\x00o1"},
		{"events.shop2", `"order_id":"o1"`, "order_completed\x00s2\x00o1"},
		{"events.shop2", `"order_id":"o1","shop_id":"s3"`, "order_completed\x00s3\x00o1"},
		{"events.shop2", `"order_id":"o1","shop_id":""`, "order_completed\x00s2\x00o1"},
		{"events.shop2", `"order_id":"o1","shop_id":null`, "order_completed\x00s2\x00o1"},
		{"events.app", `"order_id":"o1","shop_id":"a\u0000b"`, "order_completed\x00\"a\\x00b\"\x00o1"},
		{"events.odd", `"order_id":"o1"`, "order_completed\x00\"\\\"a\\\\x00b\\\"\"\x00o1"},
	} {
		if got := fact(tt.topic, orderRecord("order_completed", tt.properties)); got.Key != tt.key {
			t.Errorf("%s %s: key %q, want %q", tt.topic, tt.properties, got.Key, tt.key)
		}
	}
	if ev := mustDecode(t, in, "events.app", `{"type":"track","event":"added_to_cart","userId":"u1","properties":{"cart_id":1,"items":1,"value":1}}`); ev.Fact != nil {
		t.Error("a cart is no fact")
	}
}

// TestNamelessAuthority: an authority's copy that names nobody may be named by
// another copy, and is kept as it was posted, for the DLQ.
func TestNamelessAuthority(t *testing.T) {
	in := newIngest(t, IngestOptions{})
	value := []byte(`{"type":"track","event":"order_completed","properties":{"order_id":"o1","revenue":1,"items":1}}`)
	rec := Record{Source: stitch.Source{Topic: "events.server"}, Key: []byte("k"), Value: value, Headers: []stitch.Header{{Key: "h", Value: []byte("v")}}}
	ev, dead := in.Decode(rec)
	if dead != nil {
		t.Fatal(dead.Rejects)
	}
	want := &stitch.Raw{Key: []byte("k"), Value: append([]byte(nil), value...), Headers: []stitch.Header{{Key: "h", Value: []byte("v")}}}
	clear(value) // the event must keep a copy
	if diff := cmp.Diff(want, ev.Raw, cmpEmpty); diff != "" {
		t.Error(diff)
	}
	if key, ok := ev.Route(); !ok || key.Kind != stitch.KindFact {
		t.Errorf("route %v", key)
	}
	if named := mustDecode(t, in, "events.server", orderRecord("order_completed", `"order_id":"o1"`)); named.Raw != nil {
		t.Error("a record that names somebody needs no copy")
	}
}

func TestCollapse(t *testing.T) {
	in := newIngest(t, IngestOptions{})
	collapse := func(event, properties string) *stitch.Collapse {
		return mustDecode(t, in, "events.app", `{"type":"track","event":"`+event+`","userId":"u1","properties":`+properties+`}`).Collapse
	}
	first := collapse("added_to_cart", `{"cart_id":"c1","items":1,"value":9.5}`)
	if first.Window != 2000 || first.Key != "added_to_cart\x00\x00c1" {
		t.Errorf("%+v", first)
	}
	if diff := cmp.Diff(first, collapse("Product Added", `{"value":9.50,"items":1,"x":null,"cart_id":"c1"}`)); diff != "" {
		t.Errorf("the same contents: %s", diff)
	}
	if other := collapse("added_to_cart", `{"cart_id":"c1","items":2,"value":9.5}`); other.Content == first.Content || other.Key != first.Key {
		t.Errorf("other contents: %+v", other)
	}
	if collapse("product_viewed", `{"product_id":"p","category":"c","price":1}`) != nil {
		t.Error("a view doesn't collapse")
	}
}
