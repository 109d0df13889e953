package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// day is when the tests' events happen.
var day = time.Date(2026, 11, 16, 9, 0, 0, 0, time.UTC)

// world is a run under construction: it gives records the offsets and places
// that a faultless run would give them.
type world struct {
	t       *testing.T
	sources []Source
	outs    []*Output
	next    map[string]int64
	rules   Rules
	open    bool
}

func newWorld(t *testing.T) *world { return &world{t: t, next: map[string]int64{}} }

// object is a JSON object; with adds members to a copy.
type object map[string]any

func (o object) with(more object) object {
	o = maps.Clone(o)
	maps.Copy(o, more)
	return o
}

func (o object) without(name string) object {
	o = maps.Clone(o)
	delete(o, name)
	return o
}

func (w *world) bytes(v any) []byte {
	if s, ok := v.(string); ok {
		return []byte(s)
	}
	b, err := json.Marshal(v)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// arrives appends a source record, arriving after the day's start, and gives its position.
func (w *world) arrives(topic string, after time.Duration, v any) string {
	offset := w.next[topic]
	w.next[topic]++
	w.sources = append(w.sources, Source{Topic: topic, Offset: offset, Key: []byte("k"), Value: w.bytes(v), Time: day.Add(after)})
	return position(topic, 0, offset)
}

// source is the n-th event that the app sends: its messageId is its own, its
// time n seconds after the day's start.
func (w *world) source(n int, v object) string {
	return w.from("events.app", n, v)
}

func (w *world) from(topic string, n int, v object) string {
	after := time.Duration(n) * time.Second
	stamp := object{"timestamp": day.Add(after).Format(time.RFC3339), "messageId": fmt.Sprintf("m%d", n)}
	return w.arrives(topic, after, stamp.with(v))
}

func (w *world) put(o Output) *Output {
	o.Offset = w.next[o.Topic]
	w.next[o.Topic]++
	place := fmt.Sprintf("J/0/%d/0", len(w.outs))
	o.Headers = maps.Clone(o.Headers)
	o.Headers["ls-place"] = place
	w.outs = append(w.outs, &o)
	return &o
}

// eventID is a ULID of the n-th second, told apart by tail (a digit or letter).
func eventID(n int, tail string) string {
	ms := day.Add(time.Duration(n) * time.Second).UnixMilli()
	id := make([]byte, 10)
	for i := 9; i >= 0; i-- {
		id[i] = crockford[ms&31]
		ms >>= 5
	}
	return string(id) + "000000000000000" + tail
}

func kindOf(why string) string {
	switch why {
	case "user", "linked":
		return "id"
	case "email":
		return "email"
	}
	return "anonymous_id"
}

// sink writes a sink record of the n-th event's message.
func (w *world) sink(source string, n int, key, why string, value object) *Output {
	value = object{"type": "person", "identifiers": object{kindOf(why): key}}.with(value)
	return w.put(Output{Topic: "customerio.sink", Key: []byte(key), Value: w.bytes(value), Headers: map[string]string{
		"ls-source": source, "ls-message": fmt.Sprintf("m%d", n), "ls-why": why,
	}})
}

// event writes the n-th event into the sink.
func (w *world) event(source string, n int, key, why, name string, attributes object) *Output {
	id := eventID(n, "A")
	o := w.sink(source, n, key, why, object{"action": "event", "name": name, "id": id,
		"timestamp": day.Unix() + int64(n), "attributes": attributes})
	o.Headers["ls-event"] = id
	return o
}

func (w *world) identify(source string, n int, key string, attributes object) *Output {
	return w.sink(source, n, key, "user", object{"action": "identify", "timestamp": day.Unix() + int64(n), "attributes": attributes})
}

func (w *world) merge(source string, n int, into string, secondary object) *Output {
	v := object{"type": "person", "action": "merge", "primary": object{"id": into}, "secondary": secondary}
	return w.put(Output{Topic: "customerio.sink", Key: []byte(into), Value: w.bytes(v), Headers: map[string]string{
		"ls-source": source, "ls-message": fmt.Sprintf("m%d", n), "ls-why": "user",
	}})
}

func (w *world) decide(source, outcome string) *Output {
	return w.remark(source, "outcome", outcome)
}

func (w *world) remark(source, kind, outcome string) *Output {
	v := object{"kind": kind, "outcome": outcome, "reason": "r", "source": source, "at": day.UnixMilli()}
	return w.put(Output{Topic: "stitch.decisions", Key: []byte("k"), Value: w.bytes(v), Headers: map[string]string{}})
}

func (w *world) quarantine(source string) *Output {
	for _, s := range w.sources {
		if position(s.Topic, s.Partition, s.Offset) == source {
			return w.put(Output{Topic: "stitch.dlq", Key: s.Key, Value: s.Value, Headers: map[string]string{
				"ls-source": source, "ls-reason": "bad", "ls-error": "The value is bad at its start.",
			}})
		}
	}
	w.t.Fatalf("no source %s", source)
	return nil
}

func (w *world) check() Report {
	var outs []Output
	for _, o := range w.outs {
		outs = append(outs, *o)
	}
	return Check(Input{Sources: w.sources, Outputs: outs, Schema: "testdata/track-v2-entity.schema.json", Rules: w.rules, HoldsOpen: w.open})
}

// edit changes an output's value.
func (w *world) edit(o *Output, change func(object)) {
	v := object{}
	if err := json.Unmarshal(o.Value, &v); err != nil {
		w.t.Fatal(err)
	}
	change(v)
	o.Value = w.bytes(v)
}

// world cases: build makes a run, want lists the violations that Check finds in
// it, in order; none where the run keeps every law.
type worldCase struct {
	name  string
	build func(*world)
	want  []string
}

func runCases(t *testing.T, cases []worldCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.build(w)
			var got []string
			for _, v := range w.check().Violations {
				got = append(got, v.String())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

// The events that most cases are made of.
var (
	viewed = object{"type": "track", "event": "product_viewed", "anonymousId": "a1", "properties": object{"product_id": "p1", "price": 2}}
	login  = object{"type": "identify", "anonymousId": "a1", "userId": "u1", "traits": object{"email": "Ann@example.com"}}
	bought = object{"type": "track", "event": "order_completed", "anonymousId": "a1", "userId": "u1",
		"properties": object{"order_id": "o1", "revenue": 9.5}}
	alias = object{"type": "alias", "userId": "u2", "previousId": "u1"}
)

// seen writes viewed as an anonymous event, n seconds into the day.
func (w *world) seen(source string, n int) *Output {
	return w.event(source, n, "a1", "anonymous", "product_viewed", object{"product_id": "p1", "price": 2})
}

// logsIn is the n-th event, the login of u1 on a1, published.
func (w *world) logsIn(n int) string {
	source := w.source(n, login)
	w.identify(source, n, "u1", object{"anonymous_id": "a1", "email": "ann@example.com"})
	return source
}
