package audit

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// order IDs: the last 16 characters are the order's.
const (
	orderA      = "01KB0000000AAAAAAAAAAAAAAA"
	orderALater = "01KC0000000AAAAAAAAAAAAAAA"
	orderB      = "01KB0000000BBBBBBBBBBBBBBB"
)

var (
	device   = stitch.Key{Kind: stitch.KindDevice, ID: "d1"}
	customer = stitch.Key{Kind: stitch.KindCustomer, ID: "u1"}
	fact     = stitch.Key{Kind: stitch.KindFact, ID: "o1"}
)

var (
	ignoreUnexported = cmpopts.IgnoreUnexported(Report{}, Finding{})
	ignoreBlank      = cmpopts.IgnoreUnexported(stitch.Key{}, stitch.Source{})
)

// TestWholeRun has something of everything, and nothing wrong.
func TestWholeRun(t *testing.T) {
	w := newWorld()
	w.seen()
	of, at := w.seen()
	w.publish(of, next(at)) // a device's old token and its new one
	for _, outcome := range []string{"duplicate", "suppressed", "ignored", "erased"} {
		of := w.source("events.app")
		w.decide(of, w.journals(0, of, stitch.Message{}), outcome)
	}
	bad := w.source("events.server")
	w.quarantine(bad, ingestPlace(bad))
	held := w.source("events.app")
	w.decide(held, w.journals(0, held, stitch.Message{To: fact}), "held")
	released := w.source("events.app")
	w.decide(released, w.journals(0, released, stitch.Message{To: fact}), "held")
	w.event(released, w.journals(1, released, stitch.Message{To: customer, Hop: true}), orderA, "o1")
	again := w.source("events.server")
	correction := w.event(again, w.journals(0, again, stitch.Message{To: fact}), orderA, "o1")
	correction.Headers = append(correction.Headers, headers("ls-corrects", released.String())...)
	w.put(topicNames.Journal, 1, Record{Value: wire.EncodeMessage(&stitch.Message{Kind: stitch.MsgTick})})
	w.put(topicNames.Decisions, 1, Record{Value: []byte(`{"kind":"note","outcome":"x"}`), Headers: headers("ls-place", "JRN/1/1/0")})

	got := w.audit(t)
	if err := got.Err(); err != nil {
		t.Fatal(err)
	}
	want := Report{
		Records: 10, Held: 2, Journaled: 9, OutputRecords: 13, JournalRecords: 11,
		Outcomes: map[string]int64{"published": 4, "duplicate": 1, "suppressed": 1, "ignored": 1, "erased": 1, "held": 1, "quarantined": 1},
		Ranges: []Range{
			{Topic: "events.app", Partition: 0, To: 8, Records: 8}, {Topic: "events.app", Partition: 1},
			{Topic: "events.server", Partition: 0, To: 2, Records: 2}, {Topic: "events.server", Partition: 1},
		},
		Listed: Listed{Missing: []Finding{}, Conflicts: []Finding{}, Doubled: []Finding{}},
	}
	if diff := cmp.Diff(want, got, ignoreUnexported); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFaults: each kind of fault is found, and said so that one knows where.
func TestFaults(t *testing.T) {
	cases := []struct {
		name      string
		do        func(w *world)
		missing   string // what is listed
		conflicts string
		doubled   string
	}{
		{name: "never journaled", do: func(w *world) { w.source("events.app") },
			missing: "events.app/0/1: ingest has committed past it, and the journal holds no message of it"},
		{name: "journaled, and no outcome", do: func(w *world) {
			of := w.source("events.app")
			w.journals(0, of, stitch.Message{})
			w.journals(1, of, stitch.Message{To: customer, Hop: true})
		}, missing: "events.app/0/1 at journal/1/0: its journal messages are folded, and there is no outcome"},
		{name: "released from its hold, and lost", do: func(w *world) {
			of := w.source("events.app")
			w.decide(of, w.journals(0, of, stitch.Message{To: fact}), "held")
			w.journals(1, of, stitch.Message{To: customer, Hop: true})
		}, missing: "events.app/0/1 at journal/1/0: it was held and then sent on, and has no outcome after that; its last journal message is folded"},
		{name: "only a note is no outcome", do: func(w *world) {
			of := w.source("events.app")
			r := w.decide(of, w.journals(0, of, stitch.Message{}), "ignored")
			r.Value = []byte(strings.Replace(string(r.Value), `"outcome","outcome":"ignored"`, `"note","outcome":"reserved_dropped"`, 1))
		}, missing: "events.app/0/1 at journal/0/1: its journal messages are folded, and there is no outcome"},
		{name: "an identical repeat", do: func(w *world) {
			of, at := w.seen()
			w.publish(of, at)
			w.publish(of, at)
		}, doubled: "JRN/0/1/0 at sink/0/2: the same bytes as sink/0/1\nJRN/0/1/0 at sink/0/3: the same bytes as sink/0/1"},
		{name: "a repeat with another value", do: func(w *world) {
			of, at := w.seen()
			w.publish(of, at).Value = []byte("{}")
		}, conflicts: "JRN/0/1/0 at sink/0/2: its place stands there with other bytes: sink/0/1"},
		{name: "a repeat with another key", do: func(w *world) {
			of, at := w.seen()
			w.publish(of, at).Key = []byte("u2")
		}, conflicts: "JRN/0/1/0 at sink/0/2: its place stands there with other bytes: sink/0/1"},
		{name: "a repeat with another header", do: func(w *world) {
			of, at := w.seen()
			r := w.publish(of, at)
			r.Headers = append(r.Headers, headers("ls-why", "user")...)
		}, conflicts: "JRN/0/1/0 at sink/0/2: its place stands there with other bytes: sink/0/1"},
		{name: "one place in two topics", do: func(w *world) {
			_, at := w.seen()
			other := w.source("events.app")
			w.journals(0, other, stitch.Message{})
			w.decide(other, at, "ignored")
		}, conflicts: "JRN/0/1/0 at decisions/0/0: its place stands in another output partition too: sink/0/1"},
		{name: "a place lower than the highest, never seen", do: func(w *world) {
			a := w.source("events.app")
			low := w.journals(0, a, stitch.Message{})
			w.seen()
			w.publish(a, low)
		}, missing: "events.app/0/1 at journal/0/1: its journal messages are folded, and there is no outcome",
			conflicts: "JRN/0/1/0 at sink/0/2: out of order: a reader passes over it as a repeat, and its place was never seen there"},
		{name: "two outcomes", do: func(w *world) {
			of, at := w.seen()
			w.decide(of, next(at), "duplicate")
		}, conflicts: "events.app/0/1: more than one outcome: published, duplicate"},
		{name: "published and quarantined", do: func(w *world) {
			of, _ := w.seen()
			w.quarantine(of, ingestPlace(of))
		}, conflicts: "events.app/0/1: more than one outcome: published, quarantined"},
		{name: "two ends after a hold", do: func(w *world) {
			of := w.source("events.app")
			at := w.journals(0, of, stitch.Message{To: fact})
			w.decide(of, at, "held")
			w.decide(of, next(at), "suppressed")
			w.publish(of, at)
			w.logs[topicNames.Sink][0][1].Headers[1].Value = []byte(next(next(at)).String())
		}, conflicts: "events.app/0/1: more than one outcome: published, suppressed, held"},
		{name: "held, then duplicate", do: func(w *world) {
			of := w.source("events.app")
			at := w.journals(0, of, stitch.Message{})
			w.decide(of, at, "held")
			w.decide(of, next(at), "duplicate")
		}, conflicts: "events.app/0/1: held, then duplicate: only published, suppressed and quarantined may follow"},
		{name: "one decision under two places", do: func(w *world) {
			of := w.source("events.app")
			at := w.journals(0, of, stitch.Message{})
			w.decide(of, at, "ignored")
			w.decide(of, next(at), "ignored")
		}, conflicts: "events.app/0/1: the same outcome twice, under two places: ignored"},
		{name: "one source record, two events", do: func(w *world) {
			of := w.source("events.app")
			at := w.journals(0, of, stitch.Message{})
			w.event(of, at, orderA, "")
			w.event(of, next(at), orderB, "")
		}, conflicts: "events.app/0/1: the same outcome twice, under two places: published"},
		{name: "an order visible twice", do: func(w *world) {
			for _, id := range []string{orderA, orderB, orderALater} {
				of := w.source("events.app")
				w.event(of, w.journals(0, of, stitch.Message{To: fact}), id, "o1")
			}
		}, conflicts: "events.app/0/3: its order is visible twice: events.app/0/1 was published too, and neither corrects the other"},
		{name: "an outcome of a gap", do: func(w *world) {
			gap, _ := w.seen()
			w.seen()
			w.drop("events.app", 0, gap.Offset)
		}, conflicts: "events.app/0/1: an outcome (published) of an offset that holds no record"},
		{name: "an outcome beyond the source's end", do: func(w *world) {
			_, at := w.seen()
			w.publish(stitch.Source{Topic: "events.app", Offset: 77}, next(at))
		}, conflicts: "events.app/0/77 at sink/0/2: an outcome of a record that isn't there: its partition ends before it (where the topic was made anew, give --from)"},
		{name: "an outcome that the journal has no message of", do: func(w *world) {
			of, at := w.seen()
			other := w.source("events.app")
			_ = of
			w.publish(other, next(at))
		}, conflicts: "events.app/0/2: an outcome (published) told by the fold, and no message of it in the journal"},
		{name: "no place", do: func(w *world) {
			of, at := w.seen()
			w.publish(of, at).Headers = nil
		}, conflicts: "sink/0/2: ls-place is missing, or isn't sender/partition/offset/index"},
		{name: "a decision of no outcome that there is", do: func(w *world) {
			of, at := w.seen()
			w.decide(of, next(at), "published")
		}, conflicts: "decisions/0/0: a decision with an outcome that the contract doesn't know"},
		{name: "a decision that is no JSON", do: func(w *world) {
			of, at := w.seen()
			w.decide(of, next(at), "ignored").Value = []byte("{")
		}, conflicts: "decisions/0/0: a decision that is no JSON object of ours"},
		{name: "an outcome of nothing", do: func(w *world) {
			of, at := w.seen()
			w.publish(of, next(at)).Headers[0].Value = []byte("events.app/x")
		}, conflicts: "sink/0/2: an outcome whose source isn't topic/partition/offset"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			w.seen()
			c.do(w)
			got := w.audit(t)
			for _, x := range []struct {
				kind, want string
				n          int64
				all        []Finding
			}{
				{"missing", c.missing, got.Missing, got.Listed.Missing},
				{"conflicts", c.conflicts, got.Conflicts, got.Listed.Conflicts},
				{"doubled", c.doubled, got.Doubled, got.Listed.Doubled},
			} {
				if diff := cmp.Diff(x.want, said(x.all)); diff != "" || int(x.n) != len(x.all) {
					t.Errorf("%d %s (-want +got):\n%s", x.n, x.kind, diff)
				}
			}
			if got.Clean() != (c.missing == "" && c.conflicts == "") || got.Clean() != (got.Err() == nil) {
				t.Errorf("clean: %v, %v", got.Clean(), got.Err())
			}
		})
	}
}

// TestUnderWay: what isn't at its end yet is pending, and turns missing when its
// journal messages are folded.
func TestUnderWay(t *testing.T) {
	claim := func(w *world) stitch.Source {
		of := w.source("events.app")
		w.journals(0, of, stitch.Message{To: customer})
		w.journals(1, of, stitch.Message{Kind: stitch.MsgClaim, To: stitch.Key{Kind: stitch.KindAddress, ID: "x"}, Customer: customer.ID})
		return of
	}
	tick := func(w *world, after time.Duration) {
		w.now += after.Milliseconds()
		w.put(topicNames.Journal, 1, Record{Value: wire.EncodeMessage(&stitch.Message{Kind: stitch.MsgTick})})
	}
	merge := func(w *world) {
		of := w.source("events.server")
		w.journals(0, of, stitch.Message{To: customer})
		w.journals(1, of, stitch.Message{Kind: stitch.MsgMerged, To: customer, Pending: &stitch.Pending{Owes: true}})
	}
	cases := []struct {
		name             string
		do               func(w *world)
		pending, missing int64
	}{
		{"its message isn't folded", func(w *world) {
			w.journals(0, w.source("events.app"), stitch.Message{})
			w.committed[topicNames.Journal] = []int64{1, 0}
		}, 1, 0},
		{"it was sent on, and that isn't folded", func(w *world) {
			of := w.source("events.app")
			w.journals(0, of, stitch.Message{})
			w.journals(1, of, stitch.Message{To: customer, Hop: true})
			w.committed[topicNames.Journal] = []int64{2, 0}
		}, 1, 0},
		{"nobody has committed the journal yet", func(w *world) {
			w.journals(0, w.source("events.app"), stitch.Message{})
			w.committed[topicNames.Journal] = []int64{-1, -1}
		}, 1, 0},
		{"it waits for an address, which wasn't asked yet", func(w *world) {
			claim(w)
			w.committed[topicNames.Journal] = []int64{2, 0}
		}, 1, 0},
		{"it waits for an address, whose answer is on its way", func(w *world) {
			claim(w)
			w.journals(0, stitch.Source{}, stitch.Message{Kind: stitch.MsgClaimed, To: customer})
			w.committed[topicNames.Journal] = []int64{2, 1}
		}, 1, 0},
		{"what came after it for this customer waits too, another customer's is lost", func(w *world) {
			claim(w)
			w.journals(0, w.source("events.app"), stitch.Message{To: customer, Hop: true})
			w.journals(0, w.source("events.app"), stitch.Message{To: stitch.Key{Kind: stitch.KindCustomer, ID: "u2"}})
			w.journals(0, stitch.Source{}, stitch.Message{Kind: stitch.MsgClaimed, To: customer})
			w.committed[topicNames.Journal] = []int64{4, 1}
		}, 2, 1},
		{"the answer is folded", func(w *world) {
			claim(w)
			w.journals(0, stitch.Source{}, stitch.Message{Kind: stitch.MsgClaimed, To: customer})
		}, 0, 1},
		{"a merge waits for its time", func(w *world) { merge(w); tick(w, 58*time.Second) }, 1, 0},
		{"a merge's time is reached, but not past", func(w *world) { merge(w); tick(w, 59*time.Second) }, 1, 0},
		{"a merge's time is past", func(w *world) { merge(w); tick(w, time.Minute) }, 0, 1},
		{"a merge's time is past, but the owner hasn't got so far", func(w *world) {
			merge(w)
			tick(w, time.Hour)
			w.committed[topicNames.Journal] = []int64{2, 1}
		}, 1, 0},
		{"rules in the journal say that merges wait longer", func(w *world) {
			rules := stitch.DefaultRules()
			rules.MergeDelay = time.Hour.Milliseconds()
			w.put(topicNames.Journal, 0, Record{Value: wire.EncodeMessage(&stitch.Message{Kind: stitch.MsgRules, Rules: &rules})})
			merge(w)
			tick(w, 10*time.Minute)
		}, 1, 0},
		{"ingest hasn't committed it", func(w *world) {
			w.source("events.app")
			w.committed["events.app"] = []int64{1, 0}
		}, 0, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			w.seen()
			c.do(w)
			got := w.audit(t)
			if got.Pending != c.pending || got.Missing != c.missing || got.Conflicts != 0 {
				t.Errorf("%d pending, want %d; %d missing, want %d; conflicts %v\n%s",
					got.Pending, c.pending, got.Missing, c.missing, got.Listed.Conflicts, said(got.Listed.Missing))
			}
		})
	}
}

// TestRetention: what retention took is no fault, and is said to be unjudged.
func TestRetention(t *testing.T) {
	t.Run("of an output topic", func(t *testing.T) {
		w := newWorld()
		w.seen()
		w.seen()
		lost, _ := w.seen()
		w.drop(topicNames.Sink, 0, 2)
		w.cut(topicNames.Sink, 0, 1)
		got := w.audit(t)
		if got.Unjudged != 1 || got.Missing != 1 || got.Listed.Missing[0].Source != lost.String() {
			t.Errorf("want the first unjudged and the last missing: %+v", got)
		}
	})
	t.Run("of a whole partition", func(t *testing.T) {
		w := newWorld()
		w.seen()
		w.cut(topicNames.Sink, 0, 1)
		if got := w.audit(t); got.Unjudged != 1 || !got.Clean() {
			t.Errorf("nothing is known of when it was cut: %+v", got)
		}
		w.kept[topicNames.Sink] = time.Hour
		w.now += (30 * time.Minute).Milliseconds()
		if got := w.audit(t); got.Missing != 1 {
			t.Errorf("it is younger than the topic keeps: %+v", got)
		}
		w.now += time.Hour.Milliseconds()
		if got := w.audit(t); got.Unjudged != 1 {
			t.Errorf("it is older than the topic keeps: %+v", got)
		}
	})
	t.Run("of a source", func(t *testing.T) {
		w := newWorld()
		w.seen()
		w.seen()
		w.cut("events.app", 0, 1)
		if got := w.audit(t); !got.Clean() || got.SourceGone != 1 || got.Records != 1 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("of the journal", func(t *testing.T) {
		w := newWorld()
		w.seen()
		w.seen()
		w.cut(topicNames.Journal, 0, 1)
		if got := w.audit(t); !got.Clean() || got.Journaled != 1 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("of a place's first record", func(t *testing.T) {
		w := newWorld()
		of, at := w.seen()
		w.seen()
		w.publish(of, at)
		w.cut(topicNames.Sink, 0, 1)
		if got := w.audit(t); !got.Clean() {
			t.Errorf("a repeat of what retention took isn't out of order: %s", said(got.Listed.Conflicts))
		}
	})
}

func TestRanges(t *testing.T) {
	w := newWorld()
	for range 5 {
		w.seen()
		w.now += (3 * time.Hour).Milliseconds()
	}
	lost := w.source("events.app")
	w.now += (3 * time.Hour).Milliseconds()
	w.seen()
	started := time.UnixMilli(w.logs["events.app"][0][0].Time)
	cases := []struct {
		name             string
		opt              Options
		records, missing int64
	}{
		{"all", Options{}, 7, 1},
		{"from", Options{From: time.UnixMilli(w.logs["events.app"][0][lost.Offset].Time).Add(time.Second)}, 1, 0},
		{"from and to", Options{From: started.Add(2 * time.Hour), To: started.Add(5 * time.Hour)}, 1, 0},
		{"to", Options{To: started.Add(5 * time.Hour)}, 2, 0},
		{"offsets", Options{Offsets: []Offsets{{"events.app", 0, lost.Offset, lost.Offset + 1}}}, 1, 1},
		{"other offsets", Options{Offsets: []Offsets{{"events.app", 0, 0, lost.Offset}, {"events.app", 1, 0, 9}}}, 5, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			opt := w.options
			opt.From, opt.To, opt.Offsets = c.opt.From, c.opt.To, c.opt.Offsets
			got, err := Run(t.Context(), w, opt)
			if err != nil {
				t.Fatal(err)
			}
			if got.Records != c.records || got.Missing != c.missing || got.Conflicts != 0 {
				t.Errorf("%d records, want %d; %d missing, want %d; %s", got.Records, c.records, got.Missing, c.missing, said(got.Listed.Conflicts))
			}
		})
	}
	for name, opt := range map[string]Options{
		"twice":      {Offsets: []Offsets{{"events.app", 0, 0, 1}, {"events.app", 0, 1, 2}}},
		"no source":  {Offsets: []Offsets{{"events.x", 0, 0, 1}}},
		"partition":  {Offsets: []Offsets{{"events.app", 2, 0, 1}}},
		"both kinds": {Offsets: []Offsets{{"events.app", 0, 0, 1}}, From: started},
	} {
		opt.Sources, opt.Topics = w.options.Sources, w.options.Topics
		if _, err := Run(t.Context(), w, opt); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

// A part is read from about when its first record came; and where that finds
// something, because the source has its senders' clocks, from the start.
func TestReadsWhatIsNeeded(t *testing.T) {
	w := newWorld()
	for range 50 {
		w.seen()
	}
	w.now += (5 * time.Hour).Milliseconds()
	of, _ := w.seen()
	w.options.Offsets = []Offsets{{"events.app", 0, of.Offset, of.Offset + 1}}
	if got := w.audit(t); !got.Clean() || w.reads > 10 {
		t.Errorf("%d records read for one: %v", w.reads, got.Err())
	}
	w.logs["events.app"][0][of.Offset].Time += (24 * time.Hour).Milliseconds()
	if got := w.audit(t); !got.Clean() || got.Outcomes["published"] != 1 {
		t.Errorf("a sender's clock that is a day ahead: %+v", got)
	}
}

// The audit reads of a message what the fold wrote.
func TestDecode(t *testing.T) {
	rules := stitch.DefaultRules()
	for _, m := range []stitch.Message{
		{Kind: stitch.MsgEvent, To: device, Hop: true, Event: &stitch.Event{Source: stitch.Source{Topic: "t", Partition: 3, Offset: 9}, Raw: &stitch.Raw{}, Fact: &stitch.Fact{}, Device: &stitch.Device{}}},
		{Kind: stitch.MsgClaim, Customer: "u", Path: []stitch.Edge{{From: "a"}}, Void: []stitch.Edge{{From: "a"}}},
		{Kind: stitch.MsgMerged, Merge: &stitch.Edge{}, Estate: &stitch.Estate{Devices: map[string]stitch.PushDevice{"d": {}}}, Pending: &stitch.Pending{Owes: true, Cause: &stitch.Event{}}},
		{Kind: stitch.MsgRules, Rules: &rules},
	} {
		got, known, err := decode(wire.EncodeMessage(&m))
		if err != nil || !known {
			t.Fatalf("%+v: %v", m, err)
		}
		want := message{Kind: m.Kind, To: m.To, Hop: m.Hop, Customer: m.Customer, Rules: m.Rules}
		if m.Event != nil {
			want.Event = &cause{m.Event.Source}
		}
		if m.Pending != nil {
			want.Pending = &owed{m.Pending.Owes}
		}
		if diff := cmp.Diff(want, got, ignoreBlank); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if _, known, err := decode([]byte("{}")); known || err != nil {
		t.Error("that is none of ours:", known, err)
	}
	if _, _, err := decode([]byte{2, 0xa0}); err == nil {
		t.Error("a newer program's: want an error")
	}
}

func TestWrite(t *testing.T) {
	w := newWorld()
	of, at := w.seen()
	w.publish(of, at)
	w.decide(of, next(at), "ignored")
	for range 3 {
		w.source("events.app")
	}
	w.options.List = 2
	got := w.audit(t)
	var b strings.Builder
	if err := got.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"source records  4", "  missing       3", "conflicting     1", "doubled         1", "\n  events.app/0/1: ingest", "and 1 more"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, b.String())
		}
	}
	for _, id := range []string{"u1", "d1"} {
		if strings.Contains(b.String(), id) {
			t.Errorf("the report names somebody (%s):\n%s", id, b.String())
		}
	}
}
