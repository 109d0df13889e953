package wire

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstitch/stitch"
)

// arrival is when the records of these tables arrived.
var arrival = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC).UnixMilli()

// decodeAt decodes a value that stands in a topic of the samples' configuration.
func decodeAt(t testing.TB, in *Ingest, topic, value string) (*stitch.Event, *stitch.DeadLetter) {
	t.Helper()
	ev, dead := in.Decode(Record{
		Source: stitch.Source{Topic: topic, Partition: 1, Offset: 7}, Value: []byte(value), Arrival: arrival, CheckAhead: true,
	})
	if (ev == nil) == (dead == nil) {
		t.Fatalf("event %v and dead letter %v: exactly one must be there", ev, dead)
	}
	return ev, dead
}

// mustDecode is decodeAt for a record that is an event.
func mustDecode(t testing.TB, in *Ingest, topic, value string) *stitch.Event {
	t.Helper()
	ev, dead := decodeAt(t, in, topic, value)
	if dead != nil {
		t.Fatalf("%s\nis refused: %v", value, dead.Rejects)
	}
	return ev
}

// mustRefuse is decodeAt for a record that is none; it returns reasons and sentences.
func mustRefuse(t testing.TB, in *Ingest, value string) (reasons, sentences []string) {
	t.Helper()
	ev, dead := decodeAt(t, in, "events.app", value)
	if ev != nil {
		t.Fatalf("%s\nis taken for %+v", value, ev)
	}
	for _, r := range dead.Rejects {
		reasons, sentences = append(reasons, r.Reason), append(sentences, r.Sentence)
	}
	return reasons, sentences
}

func nested(depth int) string {
	return `{"type":"track","event":"e","userId":"u1","x":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
}

// big is a record of exactly so many bytes.
func big(size int) string {
	head, tail := `{"type":"track","event":"e","userId":"u1","context":{"x":"`, `"}}`
	return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
}

// track is a good record with something else in its place.
func track(members string) string {
	return `{"type":"track","event":"e","userId":"u1",` + members + `}`
}

func identify(traits string) string {
	return `{"type":"identify","userId":"u1","traits":` + traits + `}`
}

func traitsOf(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"a%d":1`, i)
	}
	return "{" + b.String()[1:] + "}"
}

// TestBadInput is contract section 6, and what section 7 adds to it. want is the
// reasons; where is what the first sentence must say of the place.
func TestBadInput(t *testing.T) {
	at := func(d time.Duration) string {
		return `"timestamp":"` + time.UnixMilli(arrival).UTC().Add(d).Format(time.RFC3339Nano) + `"`
	}
	tests := []struct {
		name, value string
		want        []string
		where       string
	}{
		{"nothing", ``, []string{"not_json"}, "the record"},
		{"no JSON", `type=track`, []string{"not_json"}, "at byte 1"},
		{"cut off", `{"type":"track"`, []string{"not_json"}, ""},
		{"two objects", `{"type":"track"} {}`, []string{"not_json"}, "at byte 17"},
		{"a leading zero", track(`"x":01`), []string{"not_json"}, ""},
		{"a byte order mark", "\xef\xbb\xbf{}", []string{"not_json"}, "at byte 0"},
		{"a comment", track(`"x":1 /* y */`), []string{"not_json"}, ""},
		{"an array", `[]`, []string{"not_object"}, "the record"},
		{"a text", `"x"`, []string{"not_object"}, ""},
		{"null", `null`, []string{"not_object"}, ""},
		{"a key twice", track(`"userId":"u2"`), []string{"duplicate_key"}, "at byte"},
		{"a key twice, escaped", track(`"user\u0049d":"u2"`), []string{"duplicate_key"}, ""},
		{"a key twice, deep", track(`"context":{"a":[{"b":1,"b":2}]}`), []string{"duplicate_key"}, ""},
		{"invalid UTF-8", track("\"x\":\"\xff\""), []string{"invalid_utf8"}, "at byte"},
		{"invalid UTF-8 in a key", track("\"\xc3\":1"), []string{"invalid_utf8"}, ""},
		{"a surrogate as bytes", track("\"x\":\"\xed\xa0\x80\""), []string{"invalid_utf8"}, ""},
		{"a lone surrogate", track(`"x":"\ud800"`), []string{"invalid_utf8"}, ""},
		{"a lone surrogate, low", track(`"x":"abc\udc00"`), []string{"invalid_utf8"}, ""},
		{"two high surrogates", track(`"x":"\ud83d\ud83d"`), []string{"invalid_utf8"}, ""},
		{"nesting of 65", nested(65), []string{"too_deep"}, "at byte"},
		{"nesting of 100,000", nested(100_000), []string{"too_deep"}, ""},
		{"nesting of 100,000, open", strings.Repeat("[", 100_000), []string{"too_deep"}, ""},
		{"over 1 MiB", big(1<<20 + 1), []string{"too_large"}, "1 MiB"},
		{"no type", `{"event":"e","userId":"u1"}`, []string{"unknown_type"}, "type:"},
		{"a null type", `{"type":null,"userId":"u1"}`, []string{"unknown_type"}, ""},
		{"an unknown type", `{"type":"Track","event":"e","userId":"u1"}`, []string{"unknown_type"}, ""},
		{"a type that is no text", `{"type":1,"userId":"u1"}`, []string{"unknown_type"}, ""},
		{"a track without event", `{"type":"track","name":"e","userId":"u1"}`, []string{"missing_event"}, "event:"},
		{"a track with a blank event", `{"type":"track","event":" ","userId":"u1"}`, []string{"missing_event"}, ""},
		{"a track with a number for event", `{"type":"track","event":1,"userId":"u1"}`, []string{"missing_event"}, ""},
		{"a screen without name", `{"type":"screen","userId":"u1","properties":{"url":"https://a"}}`, []string{"missing_name"}, "name:"},
		{"a page without anything", `{"type":"page","userId":"u1"}`, []string{"missing_name"}, "properties.url"},
		{"a time without zone", track(`"timestamp":"2026-11-25T10:00:00"`), []string{"bad_time"}, "timestamp:"},
		{"a bare date", track(`"timestamp":"2026-11-25"`), []string{"bad_time"}, ""},
		{"a time that is a number", track(`"timestamp":1794881291`), []string{"bad_time"}, ""},
		{"an empty time", track(`"timestamp":""`), []string{"bad_time"}, ""},
		{"before 1970", track(`"timestamp":"1969-12-31T23:59:59Z"`), []string{"bad_time"}, ""},
		{"no such day", track(`"timestamp":"2026-02-29T00:00:00Z"`), []string{"bad_time"}, ""},
		{"a bad original time", track(`"originalTimestamp":"yesterday"`), []string{"bad_time"}, "originalTimestamp:"},
		{"more than a day ahead", track(at(24*time.Hour + time.Millisecond)), []string{"time_ahead"}, "timestamp:"},
		{"an ID that is a boolean", `{"type":"track","event":"e","userId":true}`, []string{"bad_id"}, "userId:"},
		{"an ID that is an object", track(`"anonymousId":{}`), []string{"bad_id"}, "anonymousId:"},
		{"an ID with a fraction", `{"type":"track","event":"e","userId":12.5}`, []string{"bad_id"}, ""},
		{"an ID with an exponent", `{"type":"track","event":"e","userId":1e3}`, []string{"bad_id"}, ""},
		{"a message ID that is an array", track(`"messageId":[1]`), []string{"bad_id"}, "messageId:"},
		{"an ID of 257 bytes", track(`"anonymousId":"` + strings.Repeat("a", 257) + `"`), []string{"id_too_long"}, "anonymousId:"},
		{"a message ID of 257 bytes", track(`"messageId":"` + strings.Repeat("é", 129) + `"`), []string{"id_too_long"}, ""},
		{"a number over the range", track(`"properties":{"a":[1,{"b":1e309}]}`), []string{"number_range"}, "properties.a[1].b"},
		{"a number over the range, negative", track(`"context":{"x":-1e400}`), []string{"number_range"}, "context.x"},
		{"a number over the range, long", track(`"x":1` + strings.Repeat("0", 309)), []string{"number_range"}, ""},
		{"a name that may be personal", track(`"properties":{"jane@example.com":1e309}`), []string{"number_range"}, "properties.?"},
		{"properties that are a text", track(`"properties":"x"`), []string{"bad_shape"}, "properties:"},
		{"properties that are an array", track(`"properties":[1]`), []string{"bad_shape"}, ""},
		{"traits that are a number", identify(`1`), []string{"bad_shape"}, "traits:"},
		{"a context that is a text", track(`"context":"x"`), []string{"bad_shape"}, "context:"},
		{"context.traits that are meant and none", `{"type":"identify","userId":"u1","context":{"traits":"x"}}`, []string{"bad_shape"}, "context.traits:"},
		{"a userId of 151 bytes", `{"type":"track","event":"e","userId":"` + strings.Repeat("u", 151) + `"}`, []string{"limit_person_id"}, "userId:"},
		{"an event name of 101 bytes", `{"type":"track","event":"` + strings.Repeat("e", 101) + `","userId":"u1"}`, []string{"limit_event_name"}, ""},
		{"an attribute's name of 151 bytes", identify(`{"` + strings.Repeat("n", 151) + `":1}`), []string{"limit_attribute_name"}, "traits.?"},
		{"an attribute of 1,001 bytes", identify(`{"a":"` + strings.Repeat("v", 1001) + `"}`), []string{"limit_attribute_value"}, "traits.a"},
		{"301 attributes", identify(traitsOf(301)), []string{"limit_attributes"}, "traits:"},
		{"300 attributes and an email", identify(traitsOf(300)[:len(traitsOf(300))-1] + `,"email":"a@x.example"}`), []string{"limit_attributes"}, "traits:"},
		{"300 attributes and the anonymous ID that a login ties", `{"type":"identify","userId":"u1","anonymousId":"a1","traits":` + traitsOf(300) + `}`, []string{"limit_attributes"}, "traits:"},
		{"event data of 40,000 bytes", track(`"properties":{"a":"` + strings.Repeat("v", 40_000) + `"}`), []string{"limit_operation"}, ""},
		{"event data over 100,000 bytes", track(`"properties":{"a":"` + strings.Repeat("v", 100_000) + `"}`), []string{"limit_event_data", "limit_operation"}, ""},
		{"everything at once", `{"type":"track","userId":"null","timestamp":"x","anonymousId":[],"messageId":{},"event":"order_completed","properties":{"order_id":{},"revenue":"1","items":-1}}`,
			[]string{"bad_time", "bad_id", "bad_id", "unusable_user_id_null", "plan_range", "plan_type", "plan_type"}, "timestamp:"},
		{"alternatives", `{"type":"track","event":"checkout_started","userId":"u1"}`, []string{"plan_one_of"}, "properties: must have one of cart_id, value"},
		{"an enum", `{"type":"track","event":"push_permission_x","userId":"u1","properties":{"push_permission_status":"secret"}}`, []string{"plan_enum"}, "properties.push_permission_status:"},
		{"nobody", `{"type":"track","event":"e"}`, []string{"names_nobody"}, ""},
		{"nobody, in all ways", `{"type":"group","userId":null,"anonymousId":"","groupId":"g"}`, []string{"names_nobody"}, ""},
		{"nobody, an app's order", `{"type":"track","event":"order_completed","properties":{"order_id":"o","revenue":1,"items":1}}`, []string{"names_nobody"}, ""},
		{"an alias without previousId", `{"type":"alias","userId":"u1","anonymousId":"a1"}`, []string{"missing_previous_id"}, "previousId:"},
		{"an alias of an unstable ID", `{"type":"alias","userId":"u1","previousId":"undefined"}`, []string{"unusable_previous_id"}, ""},
		{"an alias of an address", `{"type":"alias","userId":"u1","previousId":"a@example.com"}`, []string{"unusable_previous_id"}, ""},
		{"an alias of a blank", `{"type":"alias","userId":"u1","previousId":" "}`, []string{"unusable_previous_id"}, ""},
		{"an alias to nobody", `{"type":"alias","previousId":"u1","anonymousId":"a1"}`, []string{"missing_user_id"}, "userId:"},
		{"an address of 257 bytes", identify(`{"email":"` + strings.Repeat("a", 250) + `@ex.com"}`), []string{"id_too_long"}, "traits.email"},
	}
	in := newIngest(t, IngestOptions{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reasons, sentences := mustRefuse(t, in, tt.value)
			if diff := cmp.Diff(tt.want, reasons); diff != "" {
				t.Errorf("reasons (-want +got):\n%s%q", diff, sentences)
			}
			if !strings.Contains(sentences[0], tt.where) {
				t.Errorf("sentence %q doesn't say %q", sentences[0], tt.where)
			}
		})
	}
}

// TestGoodInput is the other side of each limit of TestBadInput.
func TestGoodInput(t *testing.T) {
	tests := []struct{ name, value string }{
		{"nesting of 64", nested(64)},
		{"1 MiB", big(1 << 20)},
		{"white space", " \n{ \"type\" : \"track\" , \"event\":\"e\",\t\"userId\":\"u1\"}\r\n "},
		{"a surrogate pair", track(`"x":"\ud83d\ude00"`)},
		{"a day ahead", track(`"timestamp":"2026-11-26T12:00:00Z"`)},
		{"an ID of 256 bytes", track(`"anonymousId":"` + strings.Repeat("a", 256) + `"`)},
		{"an ID of 256 bytes after the cut", track(`"anonymousId":"  ` + strings.Repeat("a", 256) + `  "`)},
		{"a userId of 150 bytes", `{"type":"track","event":"e","userId":"` + strings.Repeat("u", 150) + `"}`},
		{"the largest number", track(`"x":1.7976931348623157e308`)},
		{"a tiny number", track(`"x":5e-324`)},
		{"an integer of 308 digits", track(`"x":1` + strings.Repeat("0", 307))},
		{"an event name of 100 bytes", `{"type":"track","event":"` + strings.Repeat("e", 100) + `","userId":"u1"}`},
		{"an attribute's name of 150 bytes", identify(`{"` + strings.Repeat("n", 150) + `":1}`)},
		{"an attribute of 1,000 bytes", identify(`{"a":"` + strings.Repeat("v", 1000) + `"}`)},
		{"an attribute of 1,000 bytes, escaped", identify(`{"a":"` + strings.Repeat(`\u0041`, 1000) + `"}`)},
		{"300 attributes", identify(traitsOf(300))},
		{"300 attributes, email and tied ID among them", `{"type":"identify","userId":"u1","anonymousId":"a1","traits":` + traitsOf(298)[:len(traitsOf(298))-1] + `,"email":"a@x.example"}}`},
		{"event data of 30,000 bytes", track(`"properties":{"a":"` + strings.Repeat("v", 30_000) + `"}`)},
		{"any sentAt", track(`"sentAt":"never"`)},
		{"context.traits that nobody means", track(`"context":{"traits":"x","device":[]}`)},
		{"no such device", track(`"context":{"device":{"id":[],"token":{}}}`)},
	}
	in := newIngest(t, IngestOptions{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { mustDecode(t, in, "events.app", tt.value) })
	}
}

// A record's key and headers count too: an event may carry them into the journal.
func TestLargeHeaders(t *testing.T) {
	in := newIngest(t, IngestOptions{})
	rec := Record{Value: []byte(track(`"x":1`)), Headers: []stitch.Header{{Key: "h", Value: make([]byte, 1<<20)}}}
	if _, dead := in.Decode(rec); dead == nil || dead.Rejects[0].Reason != ReasonTooLarge {
		t.Errorf("dead letter %+v", dead)
	}
}

func TestAheadOfAnUnknownArrival(t *testing.T) {
	in := newIngest(t, IngestOptions{})
	ev, dead := in.Decode(Record{Value: []byte(track(`"timestamp":"2099-01-01T00:00:00Z"`)), Arrival: arrival})
	if dead != nil || ev.Time != time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() {
		t.Errorf("event %+v, dead letter %v", ev, dead)
	}
}

// TestDeadLetterIsUntouched: the DLQ keeps the record as it was.
func TestDeadLetterIsUntouched(t *testing.T) {
	rec := Record{
		Source: stitch.Source{Topic: "events.app", Offset: 3}, Key: []byte("k"), Value: []byte("{\xff"),
		Headers: []stitch.Header{{Key: "h", Value: []byte("v")}},
	}
	ev, dead := newIngest(t, IngestOptions{}).Decode(rec)
	if ev != nil {
		t.Fatal("an event")
	}
	want := &stitch.DeadLetter{
		Source: rec.Source, Raw: stitch.Raw{Key: rec.Key, Value: rec.Value, Headers: rec.Headers}, Rejects: dead.Rejects,
	}
	if diff := cmp.Diff(want, dead, cmpEmpty); diff != "" {
		t.Error(diff)
	}
}

// TestHostileRecords: records made to take long don't. The bound is on what is
// said of them, not on the clock.
func TestHostileRecords(t *testing.T) {
	many := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	in := newIngest(t, IngestOptions{})
	for name, value := range map[string]string{
		"long attributes":   identify(`{` + many(`"%0160d":1`, 6000) + `}`),
		"device attributes": `{"type":"track","event":"Device Deleted","userId":"u1","properties":{` + many(`"a%d":null`, 30_000) + `,"device":{"attributes":{` + many(`"a%d":null`, 30_000) + `}}}}`,
		"shapeless fields":  `{"type":"track","event":"Device Deleted","userId":"u1","properties":{` + many(`"a%d":[]`, 60_000) + `}}`,
		"escaped names":     `{"type":"group","userId":"u1","traits":{` + many(`"\u0061%d":1`, 60_000) + `}}`,
	} {
		t.Run(name, func(t *testing.T) {
			ev, dead := decodeAt(t, in, "events.app", value)
			if dead != nil && len(dead.Rejects) > maxRemarks || ev != nil && len(ev.Notes) > maxRemarks {
				t.Error("too much is said")
			}
		})
	}
}
