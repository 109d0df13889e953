package wire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstitch/stitch"
)

// headerTexts are a record's headers as "name: value".
func headerTexts(headers []stitch.Header) (texts []string) {
	for _, h := range headers {
		texts = append(texts, h.Key+": "+string(h.Value))
	}
	return texts
}

var (
	testPlace  = stitch.Place{Sender: "T1", Partition: 2, Offset: 30, Index: 1}
	testSource = stitch.Source{Topic: "events.app", Partition: 1, Offset: 7}
)

func TestEncodeSink(t *testing.T) {
	id := stitch.ULID{0x01, 0x9a, 0x90, 0xc3, 0x0b, 0x6b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	device := &stitch.Device{ID: "d1", Token: "t1", Platform: "ios", Fields: []byte(`{"device_os":"17"}`)}
	tests := []struct {
		name       string
		sink       stitch.Sink
		key, value string
		headers    []string
	}{
		{"an event", stitch.Sink{
			Person: stitch.Person{ID: `cus_"1`}, Action: stitch.ActEvent, Name: "order_completed", EventID: id, Time: 1794906883999,
			Attributes: []byte(`{"a":1}`), MessageID: "m1", Order: "o1", Why: stitch.WhyUser, Corrects: "events.app/1/6",
		}, `cus_"1`, `{"type":"person","action":"event","identifiers":{"id":"cus_\"1"},"name":"order_completed","id":"01KA8C62VB041061050R3GG28A","timestamp":1794906883,"attributes":{"a":1}}`,
			[]string{"ls-message: m1", "ls-event: 01KA8C62VB041061050R3GG28A", "ls-order: o1", "ls-why: user", "ls-corrects: events.app/1/6"}},
		{"an anonymous page", stitch.Sink{Person: stitch.Person{Anonymous: "a1"}, Action: stitch.ActPage, Name: "/", EventID: id, Time: 0, Why: stitch.WhyAnonymous},
			"a1", `{"type":"person","action":"page","identifiers":{"anonymous_id":"a1"},"name":"/","id":"01KA8C62VB041061050R3GG28A","timestamp":0}`,
			[]string{"ls-event: 01KA8C62VB041061050R3GG28A", "ls-why: anonymous"}},
		{"a lead's screen", stitch.Sink{Person: stitch.Person{Email: "j@e.c"}, Action: stitch.ActScreen, Name: "Cart", EventID: id, Time: 1000, Why: stitch.WhyEmail},
			"j@e.c", `{"type":"person","action":"screen","identifiers":{"email":"j@e.c"},"name":"Cart","id":"01KA8C62VB041061050R3GG28A","timestamp":1}`,
			[]string{"ls-event: 01KA8C62VB041061050R3GG28A", "ls-why: email"}},
		{"an identify", stitch.Sink{Person: stitch.Person{ID: "u1"}, Action: stitch.ActIdentify, Time: 1000, Attributes: []byte(`{"a":1}`), Email: "j@e.c", Anonymous: "a1", Why: stitch.WhyUser},
			"u1", `{"type":"person","action":"identify","identifiers":{"id":"u1"},"timestamp":1,"attributes":{"email":"j@e.c","anonymous_id":"a1","a":1}}`, []string{"ls-why: user"}},
		{"an identify that ties, its traits too", stitch.Sink{Person: stitch.Person{ID: "u1"}, Action: stitch.ActIdentify, Time: 1000, Attributes: []byte(`{"anonymous_id":"x","a":"anonymous_id","b":{"anonymous_id":2}}`), Anonymous: "a1"},
			"u1", `{"type":"person","action":"identify","identifiers":{"id":"u1"},"timestamp":1,"attributes":{"anonymous_id":"a1","a":"anonymous_id","b":{"anonymous_id":2}}}`, nil},
		{"an identify that ties, its only trait too, escaped", stitch.Sink{Person: stitch.Person{ID: "u1"}, Action: stitch.ActIdentify, Time: 1000, Attributes: []byte(`{"anonymous\u005fid":"x"}`), Anonymous: "a1"},
			"u1", `{"type":"person","action":"identify","identifiers":{"id":"u1"},"timestamp":1,"attributes":{"anonymous_id":"a1"}}`, nil},
		{"an identify of nothing", stitch.Sink{Person: stitch.Person{Email: "j@e.c"}, Action: stitch.ActIdentify, Time: 1000},
			"j@e.c", `{"type":"person","action":"identify","identifiers":{"email":"j@e.c"},"timestamp":1}`, nil},
		{"a device", stitch.Sink{Person: stitch.Person{ID: "u1"}, Action: stitch.ActAddDevice, Device: device, LastUsed: 1794906883999},
			"u1", `{"type":"person","action":"add_device","identifiers":{"id":"u1"},"device":{"token":"t1","platform":"ios","last_used":1794906883,"attributes":{"device_os":"17"}}}`, nil},
		{"a device's end", stitch.Sink{Person: stitch.Person{ID: "u1"}, Action: stitch.ActDeleteDevice, Device: device},
			"u1", `{"type":"person","action":"delete_device","identifiers":{"id":"u1"},"device":{"token":"t1"}}`, nil},
		{"a merge", stitch.Sink{Person: stitch.Person{ID: "u1"}, Action: stitch.ActMerge, Secondary: stitch.Person{Email: "j@e.c"}},
			"u1", `{"type":"person","action":"merge","primary":{"id":"u1"},"secondary":{"email":"j@e.c"}}`, nil},
		{"a deletion", stitch.Sink{Person: stitch.Person{ID: "u1"}, Action: stitch.ActDelete}, "u1", `{"type":"person","action":"delete","identifiers":{"id":"u1"}}`, nil},
		{"a suppression", stitch.Sink{Person: stitch.Person{ID: "u1"}, Action: stitch.ActSuppress}, "u1", `{"type":"person","action":"suppress","identifiers":{"id":"u1"}}`, nil},
		{"its end", stitch.Sink{Person: stitch.Person{ID: "u1"}, Action: stitch.ActUnsuppress}, "u1", `{"type":"person","action":"unsuppress","identifiers":{"id":"u1"}}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.sink.Source = testSource
			topic, rec := Encode(&stitch.Output{Place: testPlace, Sink: &tt.sink})
			if topic != TopicSink || string(rec.Key) != tt.key {
				t.Errorf("topic %d, key %s", topic, rec.Key)
			}
			if diff := cmp.Diff(tt.value, string(rec.Value)); diff != "" {
				t.Errorf("value: %s", diff)
			}
			want := append([]string{"ls-source: events.app/1/7", "ls-place: T1/2/30/1"}, tt.headers...)
			if diff := cmp.Diff(want, headerTexts(rec.Headers)); diff != "" {
				t.Errorf("headers: %s", diff)
			}
			checkSchema(t, rec.Value)
		})
	}
}

// TestRoom: what is encoded into one room stays what it was, until the room is reset.
func TestRoom(t *testing.T) {
	var outputs []stitch.Output
	for i := range 200 {
		id := strings.Repeat("u", i)
		dead := &stitch.DeadLetter{Raw: stitch.Raw{Headers: []stitch.Header{{Key: id}}}, Rejects: []stitch.Reject{{Reason: id}}}
		outputs = append(outputs,
			stitch.Output{Place: testPlace, Sink: &stitch.Sink{Person: stitch.Person{ID: id}, Action: stitch.ActDelete, MessageID: id}},
			stitch.Output{Place: testPlace, Decision: &stitch.Decision{Key: id, Kind: "outcome"}},
			stitch.Output{Place: testPlace, Dead: dead},
		)
	}
	var room Room
	for range 2 {
		var recs []EncodedRecord
		var messages [][]byte
		for i := range outputs {
			_, rec := room.Encode(&outputs[i])
			recs = append(recs, rec)
			messages = append(messages, room.MarshalState(&stitch.Message{Nonce: strings.Repeat("n", i)}))
		}
		for i, rec := range recs {
			if _, want := Encode(&outputs[i]); cmp.Diff(want, rec) != "" {
				t.Fatalf("output %d: %s", i, cmp.Diff(want, rec))
			}
			if !bytes.Equal(messages[i], EncodeMessage(&stitch.Message{Nonce: strings.Repeat("n", i)})) {
				t.Fatalf("message %d is another", i)
			}
		}
		room.Reset()
	}
}

func TestEncodeDecision(t *testing.T) {
	topic, rec := Encode(&stitch.Output{Place: testPlace, Decision: &stitch.Decision{
		Key: "u1", Kind: "outcome", Outcome: "duplicate", Reason: "message", Source: testSource, Message: `m"1`,
		At: 1794906883009, Other: "events.app/1/6", Person: "u1", Order: "o1",
	}})
	want := `{"kind":"outcome","outcome":"duplicate","reason":"message","source":"events.app/1/7","message":"m\"1",` +
		`"at":"2026-11-17T09:14:43.009Z","other":"events.app/1/6","person":"u1","order":"o1"}`
	if diff := cmp.Diff(want, string(rec.Value)); diff != "" || topic != TopicDecisions || string(rec.Key) != "u1" {
		t.Errorf("topic %d, key %s, value %s", topic, rec.Key, diff)
	}
	if diff := cmp.Diff([]string{"ls-source: events.app/1/7", "ls-place: T1/2/30/1"}, headerTexts(rec.Headers)); diff != "" {
		t.Error(diff)
	}
	_, rec = Encode(&stitch.Output{Place: testPlace, Decision: &stitch.Decision{Key: "u1", Kind: "identity", Outcome: "linked"}})
	if want := `{"kind":"identity","outcome":"linked","at":"1970-01-01T00:00:00.000Z"}`; string(rec.Value) != want {
		t.Errorf("value %s", rec.Value)
	}
	if diff := cmp.Diff([]string{"ls-place: T1/2/30/1"}, headerTexts(rec.Headers)); diff != "" {
		t.Error(diff)
	}
}

func TestEncodeDead(t *testing.T) {
	dead := &stitch.DeadLetter{
		Source: testSource,
		Raw:    stitch.Raw{Key: []byte("k\xff"), Value: []byte("{\xff"), Headers: []stitch.Header{{Key: "h", Value: []byte("v")}, {Key: "ls-source", Value: []byte("x")}}},
		Rejects: []stitch.Reject{
			{Reason: ReasonPlanMissing, Sentence: "properties.a: is missing"}, {Reason: ReasonPlanType, Sentence: "properties.b: must be text"},
		},
	}
	topic, rec := Encode(&stitch.Output{Place: testPlace, Dead: dead})
	if topic != TopicDead || string(rec.Key) != "k\xff" || string(rec.Value) != "{\xff" {
		t.Errorf("topic %d, key %q, value %q", topic, rec.Key, rec.Value)
	}
	want := []string{
		"h: v", "ls-source: x", "ls-source: events.app/1/7", "ls-place: T1/2/30/1", "ls-reason: plan_missing",
		"ls-error: plan_missing: properties.a: is missing; plan_type: properties.b: must be text",
	}
	if diff := cmp.Diff(want, headerTexts(rec.Headers)); diff != "" {
		t.Error(diff)
	}
	if len(dead.Raw.Headers) != 2 {
		t.Error("the original's headers have grown")
	}
	for range 1000 {
		dead.Rejects = append(dead.Rejects, stitch.Reject{Reason: ReasonBadID, Sentence: strings.Repeat("x", 100)})
	}
	_, rec = Encode(&stitch.Output{Place: testPlace, Dead: dead})
	if text := string(rec.Headers[5].Value); len(text) > maxErrorText+100 || !strings.HasSuffix(text, "and more") {
		t.Errorf("ls-error of %d bytes", len(text))
	}
}

func TestEncodeIsNotForMessages(t *testing.T) {
	if topic, _ := Encode(&stitch.Output{Message: &stitch.Message{}}); topic != 0 {
		t.Errorf("topic %d", topic)
	}
}
