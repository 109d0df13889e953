package try_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstitch/pkg/check"
	"lockstitch/pkg/try"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
	"lockstitch/stitch/scenarios"
)

var hostileRuns = flag.Int("hostile.runs", 150, "seeds of hostile traffic")

// hostile draws records of a few people who do everything at once, late and
// twice: shared devices, captures, merges in circles, splits, provisional
// customers, tokens, orders in all copies.
type hostile struct {
	*rand.Rand
	now, began time.Time // began: what is in sent
	sent       map[string][][]byte
	splits     bool            // circles and splits of merges, else provisional customers: what comes of both, the checker can't know
	nameless   map[string]bool // orders of which a copy names nobody
}

func (h *hostile) pick(from ...string) string { return from[h.IntN(len(from))] }

func (h *hostile) line() try.Line {
	if h.IntN(3) == 0 {
		h.later([]time.Duration{time.Second, 20 * time.Second, 3 * time.Minute, 2 * time.Hour, 9 * 24 * time.Hour}[h.IntN(5)])
	}
	topic := "events." + h.pick("app", "web", "server", "server", "commerce")
	value := h.record(topic)
	if n := len(h.sent[topic]); n > 0 && h.IntN(5) == 0 {
		value = h.sent[topic][h.IntN(n)]
	}
	if bytes.Contains(value, []byte("anonymousId")) || bytes.Contains(value, []byte("userId")) { // else it names nobody, and a copy of what was quarantined is one of nothing
		h.sent[topic] = append(h.sent[topic], value)
	}
	return try.Line{Topic: topic, Key: "k", Value: value, Time: h.now}
}

// later lets time pass. What was sent is sent again within the window of
// message IDs only: after it, it counts anew.
func (h *hostile) later(d time.Duration) {
	if h.now = h.now.Add(d); h.now.Sub(h.began) > 20*time.Hour {
		h.began, h.sent = h.now, map[string][][]byte{}
	}
}

func (h *hostile) record(topic string) []byte {
	at := h.now
	if h.IntN(3) == 0 {
		at = at.Add(-time.Duration(h.IntN(48*3600)) * time.Second)
	}
	ev := map[string]any{"messageId": fmt.Sprint("m", h.Uint32()), "timestamp": at.Format(time.RFC3339)}
	h.who(ev)
	h.what(ev, topic)
	b, err := json.Marshal(ev)
	if err != nil {
		panic(err)
	}
	return b
}

func (h *hostile) who(ev map[string]any) {
	device, customer := h.pick("d1", "d2", "d3"), h.pick("c1", "c2", "c3", "tmp-1", "tmp-2")
	if h.splits {
		customer = h.pick("c1", "c2", "c3", "c4")
	}
	switch h.IntN(8) {
	case 0, 1, 2:
		ev["anonymousId"], ev["userId"] = device, customer
	case 3, 4:
		ev["anonymousId"] = device
	case 5, 6:
		ev["userId"] = customer
	default:
		ev["context"] = map[string]any{"traits": map[string]any{"email": h.pick("a@x.example", "b@x.example")}}
	}
}

func (h *hostile) what(ev map[string]any, topic string) {
	track := func(name string, properties map[string]any) {
		ev["type"], ev["event"], ev["properties"] = "track", name, properties
	}
	switch h.IntN(12) {
	case 0, 1, 2:
		ev["type"] = "identify"
		if h.IntN(2) == 0 {
			ev["traits"] = map[string]any{"email": h.pick("a@x.example", "B@x.example "), "plan": h.IntN(3)}
		}
	case 3:
		ev["type"], ev["userId"], ev["previousId"] = "alias", h.pick("c1", "c2"), h.pick("c2", "c3", "d1", "d2", "tmp-1")
		if h.splits {
			ev["userId"], ev["previousId"] = h.pick("c1", "c2", "c3"), h.pick("c1", "c2", "c3", "d1", "d2")
		}
	case 4:
		track("user_logged_out", nil)
	case 5:
		track("Device Created or Updated", nil)
		ev["context"] = map[string]any{"device": map[string]any{"id": h.pick("p1", "p2"), "token": h.pick("t1", "t2", "t3", "(null)"), "type": h.pick("ios", "android")}}
		if h.IntN(3) == 0 {
			ev["event"] = "Device Deleted"
		}
	case 6:
		track("added_to_cart", map[string]any{"cart_id": h.pick("k1", "k2"), "items": h.IntN(2), "value": 1})
	case 7, 8:
		order := h.pick("o1", "o2", "o3", "o4")
		authority := topic == "events.server" || topic == "events.commerce"
		properties := map[string]any{"order_id": order, "revenue": 1, "items": 1}
		if authority { // what an app corrects itself, the checker takes for a release
			properties["revenue"] = h.IntN(3)
		}
		track("order_completed", properties)
		if authority && h.IntN(3) == 0 && !h.nameless[order] {
			h.nameless[order] = true // once: the checker takes the further ones for copies that could show
			delete(ev, "anonymousId")
			delete(ev, "userId")
			delete(ev, "context")
		}
	case 9:
		if topic == "events.server" && h.IntN(2) == 0 {
			track("Identity Split", nil)
			ev["userId"] = h.pick("c1", "c2")
			if h.splits && h.IntN(2) == 0 {
				ev["previousId"] = h.pick("c1", "c2", "c3")
			}
			return
		}
		ev["type"], ev["name"] = "page", "Home"
	case 10:
		ev["type"], ev["name"] = "screen", "Home"
	default:
		track(h.pick("looked", "looked twice"), map[string]any{"at": "2026-01-02T03:04:05Z"})
	}
}

// Whatever people do, the independent checker finds nothing, and the number of
// journal partitions shows nowhere but in the order between persons.
func TestHostileTrafficKeepsTheLaws(t *testing.T) {
	in, err := wire.NewIngest(wire.IngestOptions{Sources: scenarios.Topics(), TemporaryUserIDs: []string{"tmp-*"}})
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(*hostileRuns) {
		h := &hostile{Rand: rand.New(rand.NewPCG(seed, 1)), now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), sent: map[string][][]byte{}, nameless: map[string]bool{}, splits: seed%2 == 0}
		var lines []try.Line
		for range 5 + h.IntN(60) {
			lines = append(lines, h.line())
		}
		if judge(t, in, lines) != nil {
			lines = fewest(lines, func(l []try.Line) bool { return judge(t, in, l) != nil })
			t.Fatalf("seed %d: %v\n%s", seed, judge(t, in, lines), script(lines))
		}
	}
}

// judge tries the lines and asks the checker. It passes over what is no law: that
// an address which an anonymous event named goes out with whoever was logged in
// there, as long as nobody owns it (contract section 7, "more captures"), and
// that a customer whose merge was split can be merged again, or the other way round.
func judge(t *testing.T, in *wire.Ingest, lines []try.Line) error {
	report := check.Check(check.Input{
		Sources: sourcesOf(lines), Outputs: tryLines(t, in, stitch.DefaultRules(), lines), Schema: schemaFile,
		Rules: check.Rules{
			Origins:   map[string]string{"events.app": "app", "events.web": "web", "events.server": "server", "events.commerce": "commerce"},
			Temporary: func(id string) bool { return strings.HasPrefix(id, "tmp-") },
		},
	})
	captured, split := false, false
	for _, l := range lines {
		captured = captured || bytes.Contains(l.Value, []byte("x.example")) && !bytes.Contains(l.Value, []byte("userId"))
		split = split || bytes.Contains(l.Value, []byte("Identity Split"))
	}
	report.Violations = slices.DeleteFunc(report.Violations, func(v check.Violation) bool {
		return captured && v.Law == "3.7" && strings.Contains(v.What, "went out as another") ||
			split && v.Law == "3.6" && strings.Contains(v.What, "merge")
	})
	return report.Err()
}

// fewest leaves out lines for as long as the rest still fails.
func fewest(lines []try.Line, fails func([]try.Line) bool) []try.Line {
	for i := 0; i < len(lines); {
		if less := slices.Delete(slices.Clone(lines), i, i+1); fails(less) {
			lines, i = less, 0
			continue
		}
		i++
	}
	return lines
}

func sourcesOf(lines []try.Line) (all []check.Source) {
	next := map[string]int64{}
	for _, l := range lines {
		all = append(all, check.Source{Topic: l.Topic, Offset: next[l.Topic], Key: []byte(l.Key), Value: l.Value, Time: l.Time})
		next[l.Topic]++
	}
	return all
}

func script(lines []try.Line) string {
	var b strings.Builder
	for i, s := range sourcesOf(lines) {
		fmt.Fprintf(&b, "%s/%d %s %s\n", s.Topic, s.Offset, lines[i].Time.Format(time.RFC3339), s.Value)
	}
	return b.String()
}

func tryLines(t *testing.T, in *wire.Ingest, rules stitch.Rules, lines []try.Line) []check.Output {
	t.Helper()
	return outputsOf(t, in, rules, 3, func(yield func(try.Line, error) bool) {
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
	})
}
