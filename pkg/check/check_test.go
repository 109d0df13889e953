package check

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestWholeRun is a run with something of everything that keeps every law.
func TestWholeRun(t *testing.T) {
	w := newWorld(t)
	w.seen(w.source(1, viewed), 1)
	w.logsIn(2)
	w.event(w.source(3, viewed), 3, "u1", "linked", "product_viewed", object{"product_id": "p1"})
	w.decide(w.source(3, viewed), "duplicate")
	app := w.source(4, bought)
	w.decide(app, "held")
	server := w.from("events.server", 5, bought.without("anonymousId"))
	w.event(server, 5, "u1", "user", "order_completed", object{"order_id": "o1", "revenue": 9.5}).Headers["ls-order"] = "o1"
	w.decide(app, "suppressed")
	w.quarantine(w.source(6, viewed.with(object{"userId": "undefined"})))
	w.quarantine(w.arrives("events.app", time.Minute, "no JSON \xff"))
	w.decide(w.source(7, object{"type": "group", "anonymousId": "a1"}), "ignored")
	w.remark(w.source(8, login), "identity", "address_refused")
	w.identify("events.app/0/8", 8, "u1", object{})
	erased := w.source(9, viewed.with(object{"anonymousId": "a9"}))
	w.decide(erased, "erased")
	w.remark(erased, "note", "reserved_dropped")
	w.put(*w.outs[0]).Headers["ls-place"] = w.outs[0].Headers["ls-place"] // a crash, and the same bytes again

	got := w.check()
	if err := got.Err(); err != nil {
		t.Error(err)
	}
	want := Counts{
		Sources: 11, Outputs: 15, Repeats: 1, SinkRecords: 5, Decisions: 7, DeadLetters: 2,
		Published: 5, Duplicate: 1, Suppressed: 1, Held: 1, Ignored: 1, Erased: 1, Quarantined: 2,
		Identities: 1, Notes: 1, Orders: 1, Linked: 1,
	}
	if diff := cmp.Diff(want, got.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestErrListsViolations(t *testing.T) {
	w := newWorld(t)
	for n := range 25 {
		w.source(n, viewed)
	}
	err := w.check().Err()
	if err == nil || !strings.Contains(err.Error(), "25 violations") || strings.Count(err.Error(), "\n") != 20 {
		t.Errorf("got %v, want 25 violations, 20 of them listed", err)
	}
}

func TestPlaces(t *testing.T) {
	runCases(t, []worldCase{
		{"a place twice with other bytes", func(w *world) {
			o := w.seen(w.source(1, viewed), 1)
			again := w.put(*o)
			again.Headers["ls-place"] = o.Headers["ls-place"]
			again.Headers["ls-why"] = "ambiguous"
		}, []string{"law 2.2: a repeat with other bytes than the first record of its ls-place (customerio.sink/0/1)"}},
		{"other headers than ls- may differ in a repeat", func(w *world) {
			o := w.seen(w.source(1, viewed), 1)
			again := w.put(*o)
			again.Headers["ls-place"] = o.Headers["ls-place"]
			again.Headers["trace"] = "x"
		}, nil},
		{"a place lower than one seen, and new", func(w *world) {
			w.seen(w.source(1, viewed), 1).Headers["ls-place"] = "J/0/7/0"
			w.seen(w.source(2, viewed), 2).Headers["ls-place"] = "J/0/6/3"
		}, []string{
			"law 2.1: no outcome: the record is lost (events.app/0/1)",
			"law 2.2: a reader passes over it as a repeat, and its ls-place was never seen: it is lost (customerio.sink/0/1)",
		}},
		{"another sender's place may be lower", func(w *world) {
			w.seen(w.source(1, viewed), 1).Headers["ls-place"] = "J/0/7/0"
			w.decide(w.source(2, viewed), "ignored").Headers["ls-place"] = "J/1/6/3"
		}, nil},
		{"one place in two topics", func(w *world) {
			place := w.seen(w.source(1, viewed), 1).Headers["ls-place"]
			w.decide(w.source(2, viewed), "ignored").Headers["ls-place"] = place
		}, []string{"law 2.2: its ls-place stands in another output partition too, where it isn't passed over (stitch.decisions/0/0)"}},
		{"one place in two partitions, passed over", func(w *world) {
			w.decide(w.source(1, viewed), "ignored").Headers["ls-place"] = "J/0/3/0"
			other := w.decide(w.source(2, viewed), "ignored")
			other.Headers["ls-place"], other.Partition = "J/0/5/0", 1
			stray := w.decide(w.source(3, viewed), "ignored")
			stray.Headers["ls-place"], stray.Partition = "J/0/3/0", 1
		}, []string{
			"law 2.1: no outcome: the record is lost (events.app/0/2)",
			"law 2.2: its ls-place stands in another output partition too (stitch.decisions/1/2)",
		}},
		{"no place", func(w *world) {
			w.seen(w.source(1, viewed), 1).Headers["ls-place"] = "J/0/x/0"
		}, []string{"law 2.2: ls-place is missing or isn't sender/partition/offset/index (customerio.sink/0/0)"}},
	})
}

func TestOutcomes(t *testing.T) {
	token := object{"type": "track", "event": "Device Created or Updated", "anonymousId": "a1"}
	runCases(t, []worldCase{
		{"none", func(w *world) { w.source(1, viewed) },
			[]string{"law 2.1: no outcome: the record is lost (events.app/0/0)"}},
		{"two", func(w *world) {
			s := w.source(1, viewed)
			w.seen(s, 1)
			w.decide(s, "ignored")
		}, []string{"law 2.1: more than one outcome: published, ignored (events.app/0/0)"}},
		{"one, twice", func(w *world) {
			s := w.source(1, viewed)
			w.quarantine(s)
			w.quarantine(s)
		}, []string{"law 2.1: more than one outcome: quarantined, quarantined (events.app/0/0)"}},
		{"an event published twice", func(w *world) {
			s := w.source(1, viewed)
			w.seen(s, 1)
			w.edit(w.seen(s, 1), func(v object) { v["id"] = eventID(1, "B") })
			w.outs[1].Headers["ls-event"] = eventID(1, "B")
		}, []string{"law 2.1: published 2 times as an event (events.app/0/0)"}},
		{"an unknown one", func(w *world) { w.decide(w.source(1, viewed), "dropped") }, []string{
			`law 2.1: an outcome that the contract doesn't know: "dropped" (events.app/0/0)`,
			"law 2.1: no outcome: the record is lost (events.app/0/0)",
		}},
		{"of nothing", func(w *world) { w.seen("events.app/0/7", 1) },
			[]string{"law 2.1: its source is missing or is no record of the input (customerio.sink/0/0)"}},
		{"a note is no outcome", func(w *world) { w.remark(w.source(1, viewed), "note", "n") },
			[]string{"law 2.1: no outcome: the record is lost (events.app/0/0)"}},
		{"a token held to the end", func(w *world) { w.decide(w.source(1, token), "held") }, nil},
		{"held twice", func(w *world) {
			s := w.source(1, token)
			w.decide(s, "held")
			w.decide(s, "held")
		}, []string{"law 2.1: held 2 times (events.app/0/0)"}},
		{"held, then two ends", func(w *world) {
			s := w.source(1, token)
			w.decide(s, "held")
			w.decide(s, "suppressed")
			w.quarantine(s)
		}, []string{"law 2.1: held, then more than one outcome: quarantined, suppressed (events.app/0/0)"}},
		{"held, then ignored", func(w *world) {
			s := w.source(1, token)
			w.decide(s, "held")
			w.decide(s, "ignored")
		}, []string{"law 2.1: held, then ignored: only published, suppressed and quarantined may follow (events.app/0/0)"}},
		{"an order held for ever", func(w *world) { w.decide(w.source(1, bought), "held") },
			[]string{"law 2.1: an order that is held for ever (events.app/0/0)"}},
		{"an order still held when the run was stopped", func(w *world) {
			w.open = true
			w.decide(w.source(1, bought), "held")
		}, nil},
		{"a position twice in the input", func(w *world) {
			w.seen(w.source(1, viewed), 1)
			w.sources = append(w.sources, w.sources[0])
		}, []string{"law 2.1: the input holds this position twice: the check itself was fed wrongly (events.app/0/0)"}},
	})
}

func TestBadInput(t *testing.T) {
	runCases(t, []worldCase{
		{"no object, and not quarantined", func(w *world) { w.decide(w.arrives("events.app", 0, "[1]"), "ignored") },
			[]string{"law 6: not a JSON object, and not quarantined (events.app/0/0)"}},
		{"no reason", func(w *world) { w.quarantine(w.source(1, viewed)).Headers["ls-reason"] = "" },
			[]string{"law 6: a dead letter without ls-reason or ls-error (events.app/0/0)"}},
		{"other bytes", func(w *world) { w.quarantine(w.source(1, viewed)).Value = []byte(`{"type":"track"}`) },
			[]string{"law 6: a dead letter whose key or value isn't the source record's (events.app/0/0)"}},
		{"another key", func(w *world) { w.quarantine(w.source(1, viewed)).Key = []byte("K") },
			[]string{"law 6: a dead letter whose key or value isn't the source record's (events.app/0/0)"}},
		{"bytes as a JSON string", func(w *world) {
			w.quarantine(w.arrives("events.app", 0, "{\xff")).Value = []byte(`"{\ufffd"`)
		}, nil},
		{"spaces dropped", func(w *world) {
			w.quarantine(w.arrives("events.app", 0, `{ "type": 1 }`)).Value = []byte(`{"type":1}`)
		}, nil},
		{"deep", func(w *world) {
			w.quarantine(w.arrives("events.app", 0, strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)))
		}, nil},
	})
}

func TestShape(t *testing.T) {
	runCases(t, []worldCase{
		{"the schema refuses the value", func(w *world) {
			w.edit(w.seen(w.source(1, viewed), 1), func(v object) { v["timestamp"] = "soon" })
		}, []string{
			"law 1: the vendor's schema refuses the value: type at /timestamp (events.app/0/0)",
			"law 2.3: ls-event has another time than the event (events.app/0/0)",
			"law 3.3: published with another time than the event's own (events.app/0/0)",
		}},
		{"no JSON", func(w *world) { w.seen(w.source(1, viewed), 1).Value = []byte("x") }, []string{
			"law 1: a value that is no JSON (events.app/0/0)",
			`law 1: ls-why "anonymous" doesn't go with an identifier of kind "" (events.app/0/0)`,
			"law 1: the key isn't the person that the  names (events.app/0/0)",
			"law 3.3: published under a customer for whom there is no login on its device (events.app/0/0)",
		}},
		{"too large", func(w *world) {
			w.edit(w.seen(w.source(1, viewed), 1), func(v object) { v["attributes"] = object{"x": strings.Repeat("x", 32<<10)} })
		}, []string{"law 1: a value of 32941 bytes: Customer.io takes less than 32768 (events.app/0/0)"}},
		{"another key", func(w *world) { w.seen(w.source(1, viewed), 1).Key = []byte("a2") },
			[]string{"law 1: the key isn't the person that the event names (events.app/0/0)"}},
		{"another reason", func(w *world) { w.seen(w.source(1, viewed), 1).Headers["ls-why"] = "user" },
			[]string{`law 1: ls-why "user" doesn't go with an identifier of kind "anonymous_id" (events.app/0/0)`}},
		{"another message", func(w *world) { w.seen(w.source(1, viewed), 1).Headers["ls-message"] = "m2" },
			[]string{"law 1: ls-message isn't the source's messageId (events.app/0/0)"}},
		{"another name", func(w *world) {
			w.edit(w.seen(w.source(1, viewed), 1), func(v object) { v["name"] = "product_sold" })
		}, []string{"law 1: the event's name isn't the source's (events.app/0/0)"}},
		{"another topic", func(w *world) { w.seen(w.source(1, viewed), 1).Topic = "customerio.sunk" }, []string{
			"law 1: a topic that is no output (customerio.sunk/0/0)",
			"law 2.1: no outcome: the record is lost (events.app/0/0)",
		}},
		{"a decision that is no object", func(w *world) {
			w.seen(w.source(1, viewed), 1)
			w.remark("", "note", "n").Value = []byte("1")
		}, []string{"law 1: a decision that is no JSON object (stitch.decisions/0/0)"}},
		{"a decision of an unknown kind without an outcome", func(w *world) { w.remark("", "rumour", "") }, []string{
			`law 1: a decision of an unknown kind: "rumour" (stitch.decisions/0/0)`,
			"law 1: a decision without outcome or at (stitch.decisions/0/0)",
		}},
		{"a merge into itself", func(w *world) {
			w.rules.Temporary = func(id string) bool { return id == "u1" }
			w.merge(w.logsIn(1), 1, "u1", object{"id": "u1"})
		}, []string{
			"law 1: a merge of a person into itself (events.app/0/0)",
			"law 3.6: the merges close a circle (events.app/0/0)",
		}},
	})
}

func TestNoSchemaIsAViolation(t *testing.T) {
	got := Check(Input{}).Violations
	want := []Violation{{"1", "the sink's JSON Schema can't be read, so no value was checked: give Input.Schema", "-"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestTimes has the forms of one time that the contract allows.
func TestTimes(t *testing.T) {
	var cases []worldCase
	for _, form := range []string{"2026-11-16T09:00:01Z", "2026-11-16t09:00:01.999z", "2026-11-16T10:00:01+0100", "2026-11-16T04:00:01.5-05:00"} {
		cases = append(cases, worldCase{form, func(w *world) { w.seen(w.source(1, viewed.with(object{"timestamp": form})), 1) }, nil})
	}
	runCases(t, append(cases,
		worldCase{"originalTimestamp where timestamp is missing", func(w *world) {
			w.seen(w.source(1, viewed.with(object{"timestamp": nil, "originalTimestamp": "2026-11-16T09:00:07Z"})), 1)
		}, []string{"law 3.3: published with another time than the event's own (events.app/0/0)"}},
		worldCase{"the arrival where both are", func(w *world) {
			w.seen(w.source(1, viewed.with(object{"timestamp": ""})), 1)
			w.sources[0].Time = day.Add(7 * time.Second)
		}, []string{"law 3.3: published with another time than the event's own (events.app/0/0)"}},
		worldCase{"no time at all: it should have been quarantined, and nothing can be compared", func(w *world) {
			w.seen(w.source(1, viewed.with(object{"timestamp": "soon"})), 1)
		}, nil},
	))
}

func TestEventIDs(t *testing.T) {
	reuse := func(o *Output, id string) {
		o.Value = fmt.Appendf(nil, "%s", strings.ReplaceAll(string(o.Value), o.Headers["ls-event"], id))
		o.Headers["ls-event"] = id
	}
	runCases(t, []worldCase{
		{"no ULID", func(w *world) { w.seen(w.source(1, viewed), 1).Headers["ls-event"] = "8ZZZZZZZZZZZZZZZZZZZZZZZZZ" },
			[]string{"law 2.3: ls-event is missing or no ULID (events.app/0/0)"}},
		{"a letter that no ULID has", func(w *world) { reuse(w.seen(w.source(1, viewed), 1), eventID(1, "U")) }, []string{
			"law 1: the vendor's schema refuses the value: pattern at /id (events.app/0/0)",
			"law 2.3: ls-event is missing or no ULID (events.app/0/0)",
		}},
		{"another in the value", func(w *world) { w.seen(w.source(1, viewed), 1).Headers["ls-event"] = eventID(1, "B") },
			[]string{"law 2.3: the value's id isn't ls-event (events.app/0/0)"}},
		{"of another time", func(w *world) { reuse(w.seen(w.source(1, viewed), 1), eventID(5, "A")) },
			[]string{"law 2.3: ls-event has another time than the event (events.app/0/0)"}},
		{"of two events", func(w *world) {
			w.seen(w.source(1, viewed), 1)
			w.seen(w.source(1, viewed.with(object{"messageId": "m2"})), 1).Headers["ls-message"] = "m2"
		}, []string{"law 2.3: the same ls-event as events.app/0/0, and no ls-corrects (events.app/0/1)"}},
		{"a timestamp that isn't the source's", func(w *world) { w.seen(w.source(1, viewed), 2) }, []string{
			"law 1: ls-message isn't the source's messageId (events.app/0/0)",
			"law 3.3: published with another time than the event's own (events.app/0/0)",
		}},
	})
}
