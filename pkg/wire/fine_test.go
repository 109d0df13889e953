package wire

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lockstitch/stitch"
)

// cmpEmpty: CBOR and the tables don't tell nil from empty; the markers of
// toarray structs say nothing.
var cmpEmpty = cmp.Options{
	cmpopts.EquateEmpty(),
	cmpopts.IgnoreUnexported(stitch.Key{}, stitch.Source{}, stitch.Place{}, stitch.Note{}, stitch.Header{}, stitch.Reject{}, stitch.Edge{}),
}

// TestWho is law identity.8 and section 7, "IDs", "traits", "white space".
func TestWho(t *testing.T) {
	type who struct{ Anonymous, User, Email string }
	tests := []struct {
		name, value string
		want        who
		notes       []string
	}{
		{"both", `{"userId":"u1","anonymousId":"a1"}`, who{"a1", "u1", ""}, nil},
		{"white space is cut", `{"userId":" \t\u200bu 1\ufeff ","anonymousId":"\u00a0a1\n"}`, who{"a1", "u 1", ""}, nil},
		{"integers are digits", `{"userId":811004,"anonymousId":12345678901234567890123}`, who{"12345678901234567890123", "811004", ""}, nil},
		{"empty and null are absent", `{"userId":"","anonymousId":"a1"}`, who{"a1", "", ""}, nil},
		{"null is absent", `{"userId":null,"anonymousId":"a1"}`, who{"a1", "", ""}, nil},
		{"an unusable anonymous ID", `{"userId":"u1","anonymousId":"Anonymous"}`, who{"", "u1", ""}, []string{"unusable_anonymous_id anonymousId: anonymous"}},
		{"a blank anonymous ID", `{"userId":"u1","anonymousId":"  "}`, who{"", "u1", ""}, []string{"unusable_anonymous_id anonymousId: blank"}},
		{"an address as anonymous ID", `{"userId":"u1","anonymousId":"a@example.com"}`, who{"", "u1", ""}, []string{"unusable_anonymous_id anonymousId: email"}},
		{"the context's address, no ID at all", `{"context":{"traits":{"email":" A.B@Example.COM "}}}`, who{"", "", "a.b@example.com"}, nil},
		{"the context's address, an unusable anonymous ID", `{"anonymousId":"null","context":{"traits":{"email":"a@b.c"}}}`, who{"", "", "a@b.c"}, []string{"unusable_anonymous_id anonymousId: null"}},
		{"the context's address, an ID", `{"anonymousId":"a1","context":{"traits":{"email":"a@b.c"}}}`, who{"a1", "", ""}, nil},
		{"an address in properties names nobody", `{"anonymousId":"a1","properties":{"email":"a@b.c"}}`, who{"a1", "", ""}, nil},
		{"an ID of capital letters", `{"userId":"NULL-1","anonymousId":"0"}`, who{"", "NULL-1", ""}, []string{"unusable_anonymous_id anonymousId: zero"}},
		{"an ID with an @", `{"userId":"auth0@tenant"}`, who{"", "auth0@tenant", ""}, nil},
	}
	in := newIngest(t, IngestOptions{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ev := mustDecode(t, in, "events.app", `{"type":"track","event":"e",`+tt.value[1:])
			if diff := cmp.Diff(tt.want, who{ev.Anonymous, ev.User, ev.Email}); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.notes, noteTexts(ev)); diff != "" {
				t.Errorf("notes: %s", diff)
			}
		})
	}
}

func noteTexts(ev *stitch.Event) (texts []string) {
	for _, n := range ev.Notes {
		texts = append(texts, n.Name+" "+n.Detail)
	}
	return texts
}

// unusableIDs are law identity.8's, with the class of the reason; the record has
// the anonymous ID a1, and a device d1 with the token t1.
var unusableIDs = map[string]string{
	`" "`: "blank", `"\u200b"`: "blank", `"''"`: "blank", `"null"`: "null", `"NULL"`: "null", `"'null'"`: "null", `"\"Null\""`: "null",
	`"undefined"`: "undefined", `"NaN"`: "nan", `"None"`: "none", `"0"`: "zero", `0`: "zero", `-0`: "zero", `"-1"`: "minus_one", `-1`: "minus_one",
	`"true"`: "true", `"False"`: "false", `"guest"`: "guest", `"Anonymous"`: "anonymous", `" unknown "`: "unknown",
	`"[object Object]"`: "object", `"“[object object]”"`: "object",
	`"00000000-0000-0000-0000-000000000000"`: "zero_uuid", `"{00000000-0000-0000-0000-000000000000}"`: "zero_uuid",
	`"00000000000000000000000000000000"`: "zero_uuid",
	`"jane@example.com"`:                 "email", `"Jane.Doe+x@Shop.Example"`: "email", `"'a@b.co'"`: "email",
	`"a1"`: "own_anonymous_id", `"A1"`: "own_anonymous_id", `"d1"`: "own_device_id", `"t1"`: "own_push_token", `"test-user"`: "configured",
}

func TestUnusableUserID(t *testing.T) {
	const rest = `,"anonymousId":" a1 ","context":{"device":{"id":"d1","token":"t1"}}}`
	options := IngestOptions{UnusableUserIDs: []string{"'Test-User'"}}
	refuses := newIngest(t, options)
	options.UnusableUserIDAbsent = true
	absents := newIngest(t, options)
	for id, class := range unusableIDs {
		t.Run(id, func(t *testing.T) {
			value := `{"type":"track","event":"e","userId":` + id + rest
			reasons, sentences := mustRefuse(t, refuses, value)
			if diff := cmp.Diff([]string{"unusable_user_id_" + class}, reasons); diff != "" {
				t.Errorf("%s%q", diff, sentences)
			}
			ev := mustDecode(t, absents, "events.app", value)
			if ev.User != "" || ev.Anonymous != "a1" {
				t.Errorf("absent: user %q, anonymous %q", ev.User, ev.Anonymous)
			}
			if diff := cmp.Diff([]string{"unusable_user_id userId: " + class}, noteTexts(ev)); diff != "" {
				t.Error(diff)
			}
			// An alias is about IDs, so it is refused all the same.
			if _, dead := decodeAt(t, absents, "events.app", `{"type":"alias","previousId":"p1","userId":`+id+rest); dead == nil {
				t.Error("an alias to it is taken")
			}
		})
	}
}

func TestTemporaryUserID(t *testing.T) {
	in := newIngest(t, IngestOptions{TemporaryUserIDs: []string{"tmp-*", `guest\d+`, "visitor_.*"}})
	for id, want := range map[string]bool{
		"tmp-": true, "tmp-x*y": true, "tmp": false, "xtmp-1": false, "guest12": true, "guest12x": false, "guestx": false,
		"visitor_": true, "visitor_9": true, "visitor9": false,
	} {
		if ev := mustDecode(t, in, "events.app", `{"type":"track","event":"e","userId":"`+id+`"}`); ev.Temporary != want {
			t.Errorf("%s: temporary is %v", id, ev.Temporary)
		}
	}
}

func TestNewIngestRefuses(t *testing.T) {
	for name, o := range map[string]IngestOptions{
		"a source without origin":   {Sources: map[string]SourceRule{"events.app": {}}},
		"a pattern that is none":    {TemporaryUserIDs: []string{"("}},
		"an empty pattern":          {TemporaryUserIDs: []string{""}},
		"a logout and a split":      {LogoutEvents: []string{"x"}, SplitEvents: []string{"x"}},
		"a logout that is reserved": {LogoutEvents: []string{"User Deleted"}},
	} {
		t.Run(name, func(t *testing.T) {
			if in, err := NewIngest(o); err == nil || in != nil {
				t.Error("accepted")
			}
		})
	}
}

// TestEmails is section 7, "traits", and law identity.7's "trimmed, case folded".
func TestEmails(t *testing.T) {
	tests := []struct {
		name, members, email, attributes string
		notes                            []string
	}{
		{"a trait", `"traits":{"email":" Jane@Example.com\u200b","a":1}`, "jane@example.com", `{"a":1}`, nil},
		{"the only trait", `"traits":{"email":"j@e.c"}`, "j@e.c", ``, nil},
		{"of the context, no traits", `"context":{"traits":{"email":"J@E.C","a":1}}`, "j@e.c", `{"a":1}`, nil},
		{"of the context, null traits", `"traits":null,"context":{"traits":{"email":"j@e.c"}}`, "j@e.c", ``, nil},
		{"of the context, PHP's traits", `"traits":[],"context":{"traits":{"a":1}}`, "", `{"a":1}`, nil},
		{"of the context, empty traits", `"traits":{},"context":{"traits":{"a":1}}`, "", `{"a":1}`, nil},
		{"traits without it, the context with", `"traits":{"b":1},"context":{"traits":{"email":"j@e.c","a":1}}`, "", `{"b":1}`, nil},
		{"no @", `"traits":{"email":"jane","a":1}`, "", `{"a":1}`, []string{"unusable_email traits.email"}},
		{"blanks in it", `"traits":{"email":"a b@e.c"}`, "", ``, []string{"unusable_email traits.email"}},
		{"empty", `"traits":{"email":""}`, "", ``, []string{"unusable_email traits.email"}},
		{"nothing before the @", `"traits":{"email":"@e.c"}`, "", ``, []string{"unusable_email traits.email"}},
		{"a number", `"traits":{"email":5}`, "", ``, []string{"unusable_email traits.email"}},
		{"null", `"traits":{"email":null,"a":null,"b":1}`, "", `{"b":1}`, nil},
		{"of the context, unusable", `"context":{"traits":{"email":"x"}}`, "", ``, []string{"unusable_email context.traits.email"}},
		{"not ASCII", `"traits":{"email":"ÄÖ\u212a@E.C"}`, "äök@e.c", ``, nil},
	}
	in := newIngest(t, IngestOptions{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ev := mustDecode(t, in, "events.app", `{"type":"identify","userId":"u1",`+tt.members+`}`)
			if ev.Email != tt.email || string(ev.Attributes) != tt.attributes {
				t.Errorf("email %q, attributes %s", ev.Email, ev.Attributes)
			}
			if diff := cmp.Diff(tt.notes, noteTexts(ev)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if ev := mustDecode(t, in, "events.app", `{"type":"identify","traits":{"a":1},"context":{"traits":{"email":"j@e.c"}}}`); ev.Email != "j@e.c" {
		t.Errorf("the context's address doesn't name the person of a record without ID: %q", ev.Email)
	}
}

func TestTimes(t *testing.T) {
	ms := func(y, mo, d, h, mi, s, milli int) int64 {
		return time.Date(y, time.Month(mo), d, h, mi, s, milli*1e6, time.UTC).UnixMilli()
	}
	tests := []struct {
		name, members string
		want          int64
	}{
		{"UTC", `"timestamp":"2026-11-17T10:14:43.603Z"`, ms(2026, 11, 17, 10, 14, 43, 603)},
		{"lower case", `"timestamp":"2026-11-17t10:14:43z"`, ms(2026, 11, 17, 10, 14, 43, 0)},
		{"an offset", `"timestamp":"2026-11-17T10:14:43-05:00"`, ms(2026, 11, 17, 15, 14, 43, 0)},
		{"an offset without colon", `"timestamp":"2026-11-17T10:14:43.5+0530"`, ms(2026, 11, 17, 4, 44, 43, 500)},
		{"+0000", `"timestamp":"2026-11-17T10:14:43+0000"`, ms(2026, 11, 17, 10, 14, 43, 0)},
		{"microseconds are cut", `"timestamp":"2026-11-17T10:14:43.603999+00:00"`, ms(2026, 11, 17, 10, 14, 43, 603)},
		{"a leap second", `"timestamp":"2016-12-31T23:59:60Z"`, ms(2017, 1, 1, 0, 0, 0, 0)},
		{"a leap day", `"timestamp":"2000-02-29T00:00:00Z"`, ms(2000, 2, 29, 0, 0, 0, 0)},
		{"1970", `"timestamp":"1970-01-01T01:00:00+01:00"`, 0},
		{"the original", `"originalTimestamp":"2026-11-17T10:14:43Z"`, ms(2026, 11, 17, 10, 14, 43, 0)},
		{"the original, timestamp null", `"timestamp":null,"originalTimestamp":"2026-11-17T10:14:43Z"`, ms(2026, 11, 17, 10, 14, 43, 0)},
		{"both", `"timestamp":"2026-11-17T10:14:43Z","originalTimestamp":"2026-11-30T10:14:43Z"`, ms(2026, 11, 17, 10, 14, 43, 0)},
		{"sentAt is no clock", `"sentAt":"2026-11-17T10:14:43Z"`, arrival},
	}
	in := newIngest(t, IngestOptions{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if ev := mustDecode(t, in, "events.app", track(tt.members)); ev.Time != tt.want {
				t.Errorf("time %d, want %d", ev.Time, tt.want)
			}
		})
	}
	for _, bad := range []string{
		"", "2026-11-17 10:14:43Z", "2026-11-17T10:14Z", "2026-11-17T24:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z",
		"2026-04-31T00:00:00Z", "1900-02-29T00:00:00Z", "2026-11-17T10:60:00Z", "2026-11-17T10:14:61Z", "2026-11-17T10:14:43.Z", "2026-11-17T10:14:43,5Z",
		"2026-11-17T10:14:43+24:00", "2026-11-17T10:14:43+01:60", "2026-11-17T10:14:43+1:00", "2026-11-17T10:14:43+01", "2026-11-17T10:14:43 +01:00",
		"2026-11-17T10:14:43ZZ", "20261117T101443Z", "2026-11-17T10:14:43", "1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00+00:01", "+026-11-17T10:14:43Z",
	} {
		if got, ok := parseTime([]byte(bad)); ok {
			t.Errorf("%q is taken for %d", bad, got)
		}
	}
}

// TestAttributes is section 7, "times", "reserved", "white space" (null traits),
// and the shapes of the vendor's schema.
func TestAttributes(t *testing.T) {
	tests := []struct {
		name, topic, value, want string
		notes                    []string
	}{
		{"as posted", "events.app", track(`"properties": { "b" : [ 1, {"x": null} ], "a":"\u00e9\n", "n":12345678901234567890.10 , "t":true}`), `{"b":[1,{"x":null}],"a":"\u00e9\n","n":12345678901234567890.10,"t":true}`, nil},
		{"none", "events.app", track(`"properties":{}`), ``, nil},
		{"PHP's none", "events.app", track(`"properties":[]`), ``, nil},
		{"nulls", "events.app", track(`"properties":{"a":null}`), ``, nil},
		{"times", "events.app", track(`"properties":{"a":"2026-11-17T10:14:43.9+01:00","b":["2026-11-17T09:14:43Z"],"c":{"d":"1970-01-01T00:00:00Z"}}`), `{"a":1794906883,"b":[1794906883],"c":{"d":0}}`, nil},
		{"what is no time", "events.app", track(`"properties":{"a":"2026-11-17","b":"2026-11-17T10:14:43","c":"1960-01-01T00:00:00Z","d":"at 2026-11-17T10:14:43Z"}`), `{"a":"2026-11-17","b":"2026-11-17T10:14:43","c":"1960-01-01T00:00:00Z","d":"at 2026-11-17T10:14:43Z"}`, nil},
		{"reserved in event data", "events.app", track(`"properties":{"recipient":"a@b.c","from_address":"a@b.c","reply_to":"x","id":5,"email":"a@b.c"}`), `{"id":5,"email":"a@b.c"}`, []string{"reserved_dropped properties.recipient", "reserved_dropped properties.from_address", "reserved_dropped properties.reply_to"}},
		{"reserved in event data, trusted", "events.trusted", track(`"properties":{"recipient":"a@b.co","reply_to":"x"}`), `{"recipient":"a@b.co"}`, []string{"shape_dropped properties.reply_to"}},
		{"reserved in traits", "events.app", identify(`{"id":"x","cio_id":"y","anonymous_id":"z","_update":true,"recipient":"r","first\u005fname":"J"}`), `{"recipient":"r","first\u005fname":"J"}`, []string{"reserved_dropped traits.id", "reserved_dropped traits.cio_id", "reserved_dropped traits.anonymous_id", "reserved_dropped traits._update"}},
		{"reserved, escaped", "events.app", identify(`{"i\u0064":"x","a":1}`), `{"a":1}`, []string{"reserved_dropped traits.id"}},
		{"reserved in traits, trusted", "events.trusted", identify(`{"cio_id":"y","_update":true}`), `{"cio_id":"y","_update":true}`, nil},
		{"reserved in traits, trusted, of another shape", "events.trusted", identify(`{"_update":"true"}`), ``, []string{"shape_dropped traits._update"}},
		{"subscriptions", "events.app", identify(`{"cio_subscription_preferences":{"topics":{"topic_1":true}}}`), `{"cio_subscription_preferences":{"topics":{"topic_1":true}}}`, nil},
		{"subscriptions of another shape", "events.app", identify(`{"cio_subscription_preferences":{"topics":{"topic_1":"yes"}},"a":1}`), `{"a":1}`, []string{"shape_dropped traits.cio_subscription_preferences"}},
		{"a page's typed names", "events.app", `{"type":"page","name":"n","userId":"u1","properties":{"url":5,"title":"2026-11-17T10:14:43Z","keywords":["a","b"],"path":{},"search":"","referrer":null}}`, `{"title":"2026-11-17T10:14:43Z","keywords":["a","b"],"search":""}`, []string{"shape_dropped properties.url", "shape_dropped properties.path"}},
		{"a page's keywords of another shape", "events.app", `{"type":"page","name":"n","userId":"u1","properties":{"keywords":"a,b"}}`, ``, []string{"shape_dropped properties.keywords"}},
		{"a screen's names aren't typed", "events.app", `{"type":"screen","name":"n","userId":"u1","properties":{"url":5}}`, `{"url":5}`, nil},
		{"a device operation has none", "events.app", `{"type":"track","event":"Device Deleted","userId":"u1","properties":{"a":1}}`, ``, nil},
		{"a group has none", "events.app", `{"type":"group","groupId":"g","userId":"u1","traits":{"a":1}}`, ``, nil},
	}
	sources := sampleSources()
	sources["events.trusted"] = SourceRule{Origin: "trusted", Trust: Trust{Reserved: true}}
	in := newIngest(t, IngestOptions{Sources: sources})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ev := mustDecode(t, in, tt.topic, tt.value)
			if string(ev.Attributes) != tt.want {
				t.Errorf("attributes %s\nwant       %s", ev.Attributes, tt.want)
			}
			if diff := cmp.Diff(tt.notes, noteTexts(ev)); diff != "" {
				t.Error(diff)
			}
		})
	}
	kept := newIngest(t, IngestOptions{KeepTimes: true})
	if ev := mustDecode(t, kept, "events.app", track(`"properties":{"a":"2026-11-17T10:14:43Z"}`)); string(ev.Attributes) != `{"a":"2026-11-17T10:14:43Z"}` {
		t.Errorf("times aren't kept: %s", ev.Attributes)
	}
}

func TestNames(t *testing.T) {
	in := newIngest(t, IngestOptions{})
	long := "https://shop.example/" + strings.Repeat("x", 100)
	for _, tt := range []struct{ name, value, want string }{
		{"a track's, as posted", `{"type":"track","event":" Order é "}`, " Order é "},
		{"an alias of a planned one", `{"type":"track","event":"Checkout Started","properties":{"value":1}}`, "Checkout Started"},
		{"a page's", `{"type":"page","name":"Home","properties":{"url":"u"}}`, "Home"},
		{"a page's URL", `{"type":"page","properties":{"url":"https://a/b","path":"/b"}}`, "https://a/b"},
		{"a page's URL, name empty", `{"type":"page","name":"","properties":{"url":"https://a/b"}}`, "https://a/b"},
		{"a page's path", `{"type":"page","name":null,"properties":{"path":"/b"}}`, "/b"},
		{"a page's path, the URL being over the limit", `{"type":"page","properties":{"url":"` + long + `","path":"/b"}}`, "/b"},
		{"a screen's", `{"type":"screen","name":"Cart","category":""}`, "Cart"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if ev := mustDecode(t, in, "events.app", tt.value[:len(tt.value)-1]+`,"userId":"u1"}`); ev.Name != tt.want {
				t.Errorf("name %q", ev.Name)
			}
		})
	}
}

// TestOperations: what an event is besides one, and whether its origin may.
func TestOperations(t *testing.T) {
	type op struct {
		Op      stitch.Op
		Trusted bool
		Event   bool // has an event ID
	}
	for _, tt := range []struct {
		name         string
		app, trusted op
	}{
		{"Device Created or Updated", op{stitch.OpDeviceUpdate, false, false}, op{stitch.OpDeviceUpdate, false, false}},
		{"Device Deleted", op{stitch.OpDeviceDelete, false, false}, op{stitch.OpDeviceDelete, false, false}},
		{"User Deleted", op{stitch.OpUserDelete, false, false}, op{stitch.OpUserDelete, true, false}},
		{"User Suppressed", op{stitch.OpUserSuppress, false, false}, op{stitch.OpUserSuppress, true, false}},
		{"User Unsuppressed", op{stitch.OpUserUnsuppress, false, false}, op{stitch.OpUserUnsuppress, true, false}},
		{"Identity Split", op{stitch.OpNone, false, true}, op{stitch.OpSplit, true, false}},
		{"user_logged_out", op{stitch.OpLogout, false, true}, op{stitch.OpLogout, false, true}},
		{"User Logged Out", op{stitch.OpLogout, false, true}, op{stitch.OpLogout, false, true}},
		{"Signed Out", op{stitch.OpLogout, false, true}, op{stitch.OpLogout, false, true}},
		{"user_logged_in", op{stitch.OpNone, false, true}, op{stitch.OpNone, false, true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := newIngest(t, IngestOptions{})
			for topic, want := range map[string]op{"events.app": tt.app, "events.server": tt.trusted, "events.other": tt.app} {
				ev := mustDecode(t, in, topic, `{"type":"track","event":"`+tt.name+`","userId":"u1"}`)
				if got := (op{ev.Op, ev.Trusted, ev.EventID != stitch.ULID{}}); got != want {
					t.Errorf("%s: %+v, want %+v", topic, got, want)
				}
			}
		})
	}
}

func TestAliasAndSplit(t *testing.T) {
	in := newIngest(t, IngestOptions{})
	ev := mustDecode(t, in, "events.server", `{"type":"alias","userId":"u2","previousId":811004}`)
	if ev.Previous != "811004" || !ev.Trusted || ev.User != "u2" {
		t.Errorf("trusted alias: %+v", ev)
	}
	ev = mustDecode(t, in, "events.app", `{"type":"alias","userId":"u2","previousId":"a1","anonymousId":"a1"}`)
	if ev.Previous != "a1" || ev.Trusted {
		t.Errorf("alias of the own anonymous ID: %+v", ev)
	}
	ev = mustDecode(t, in, "events.server", `{"type":"track","event":"Identity Split","userId":"u2","properties":{"previousId":"u1"}}`)
	if ev.Previous != "u1" || !ev.Trusted {
		t.Errorf("split of two customers: %+v", ev)
	}
	ev = mustDecode(t, in, "events.server", `{"type":"track","event":"Identity Split","userId":"u2","anonymousId":"a1"}`)
	if ev.Previous != "" || ev.Op != stitch.OpSplit {
		t.Errorf("split of a device: %+v", ev)
	}
	ev = mustDecode(t, in, "events.app", `{"type":"track","event":"e","userId":"u2","previousId":"u1"}`)
	if ev.Previous != "" {
		t.Errorf("a track's previousId means nothing: %+v", ev)
	}
}

// TestPushTokens is section 7, "push tokens".
func TestPushTokens(t *testing.T) {
	in := newIngest(t, IngestOptions{})
	inContext := func(device string) string {
		return `{"type":"track","event":"Device Created or Updated","anonymousId":"a1","context":{"device":` + device + `},"properties":{"device_os":"16","app_version":5,"push_enabled":true,"x":null}}`
	}
	const fields = `{"device_os":"16","app_version":"5","push_enabled":"true"}`
	for _, tt := range []struct {
		name, value string
		want        stitch.Device
	}{
		{"in the context", inContext(`{"id":"d1","token":" t1 ","type":"android","name":"n"}`), stitch.Device{ID: "d1", Token: "t1", Platform: "android"}},
		{"iOS", inContext(`{"id":7,"token":"t1","type":"iOS"}`), stitch.Device{ID: "7", Token: "t1", Platform: "ios"}},
		{"no token", inContext(`{"id":"d1","type":"ios"}`), stitch.Device{ID: "d1", Platform: "ios"}},
		{"null", inContext(`{"id":"d1","token":null,"type":"ios"}`), stitch.Device{ID: "d1", Platform: "ios"}},
		{"a number", inContext(`{"id":"d1","token":5,"type":"ios"}`), stitch.Device{ID: "d1", Platform: "ios"}},
		{"(null)", inContext(`{"id":"d1","token":"(null)","type":"ios"}`), stitch.Device{ID: "d1", Platform: "ios"}},
		{"BLACKLISTED", inContext(`{"id":"d1","token":"BLACKLISTED","type":"android"}`), stitch.Device{ID: "d1", Platform: "android"}},
		{"NSData's description", inContext(`{"id":"d1","token":"<740f4707 bebcf74f 9b7c25d4>","type":"ios"}`), stitch.Device{ID: "d1", Platform: "ios"}},
		{"NSData's newer description", inContext(`{"id":"d1","token":"{length = 32, bytes = 0x740f4707}","type":"ios"}`), stitch.Device{ID: "d1", Platform: "ios"}},
		{"an object's description", inContext(`{"id":"d1","token":"[object Object]","type":"ios"}`), stitch.Device{ID: "d1", Platform: "ios"}},
		{"a Java array's", inContext(`{"id":"d1","token":"[B@1a2b3c","type":"ios"}`), stitch.Device{ID: "d1", Platform: "ios"}},
		{"an optional's", inContext(`{"id":"d1","token":"Optional(\"abc\")","type":"ios"}`), stitch.Device{ID: "d1", Platform: "ios"}},
		{"FCM's", inContext(`{"id":"d1","token":"cX9-_a:APA91bH_z-0","type":"android"}`), stitch.Device{ID: "d1", Token: "cX9-_a:APA91bH_z-0", Platform: "android"}},
		{"another platform", inContext(`{"id":"d1","token":"t1","type":"web"}`), stitch.Device{ID: "d1", Token: "t1"}},
		{"no device", inContext(`null`), stitch.Device{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			want.Fields = []byte(fields)
			if diff := cmp.Diff(&want, mustDecode(t, in, "events.app", tt.value).Device); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, tt := range []struct {
		name, members string
		want          stitch.Device
	}{
		{"in properties.device", `"properties":{"device":{"id":"d1","token":"t1","type":"ios","attributes":{"device_os":"17","a":1}},"a":2}`, stitch.Device{ID: "d1", Token: "t1", Platform: "ios", Fields: []byte(`{"a":"2","device_os":"17"}`)}},
		{"in properties", `"properties":{"id":"d1","token":"t1","platform":"android","device_os":"17"}`, stitch.Device{ID: "d1", Token: "t1", Platform: "android", Fields: []byte(`{"device_os":"17"}`)}},
		{"in properties, the rest in the context", `"properties":{"token":"old"},"context":{"device":{"id":"d1","token":"new","type":"ios"}}`, stitch.Device{ID: "d1", Token: "old", Platform: "ios"}},
		{"a field that is refused", `"properties":{"push_enabled":"maybe","_last_status":"x","l":[1]},"context":{"device":{"token":"t1","type":"ios"}}`, stitch.Device{Token: "t1", Platform: "ios"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ev := mustDecode(t, in, "events.app", `{"type":"track","event":"Device Deleted","userId":"u1",`+tt.members+`}`)
			if diff := cmp.Diff(&tt.want, ev.Device); diff != "" {
				t.Error(diff)
			}
		})
	}
}
