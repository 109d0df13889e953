package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Examples prints three worked examples from a run's outputs: a customer stitched
// across app and web, an order that was held and then suppressed, and a device
// that two customers share. inputs are source records by position, where known.
func Examples(w io.Writer, outputs []Record, inputs map[string][]byte) error {
	e := examples{w: w, inputs: inputs}
	for _, o := range outputs {
		e.lines = append(e.lines, read(o))
	}
	e.stitched()
	e.order()
	e.shared()
	return e.err
}

type examples struct {
	w      io.Writer
	err    error
	lines  []line
	inputs map[string][]byte
}

func (e *examples) say(format string, args ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.w, format, args...)
	}
}

// show prints one record: where it came from, what it said, and what came of it.
func (e *examples) show(l line) {
	what := l.outcome + " " + l.reason
	if l.kind == "sink" {
		what = fmt.Sprintf("→ %s under %s (%s)", l.what, l.person, l.why)
	}
	e.say("    %-20s %-34s %s\n", short(l.source), e.said(l.source), what)
}

func short(source string) string { return strings.TrimPrefix(source, "events.") }

// said is what the source record said, in a few words.
func (e *examples) said(source string) string {
	var v struct {
		Type, Event, AnonymousID, MessageID string
		UserID                              any
	}
	if json.Unmarshal(e.inputs[source], &v) != nil || v.Type == "" {
		return ""
	}
	name := v.Type
	if v.Event != "" {
		name = v.Event
	}
	if v.UserID != nil && v.UserID != "" {
		return fmt.Sprintf("%s by %v", name, v.UserID)
	}
	return name + ", no user"
}

// stitched finds a customer with records from app and web, one of them stitched.
func (e *examples) stitched() {
	type seen struct{ app, web, linked bool }
	people := map[string]*seen{}
	for _, l := range e.lines {
		if l.kind != "sink" || l.why == "anonymous" || l.why == "ambiguous" || l.why == "email" {
			continue
		}
		s := people[l.person]
		if s == nil {
			s = &seen{}
			people[l.person] = s
		}
		s.app = s.app || strings.Contains(l.source, ".app/")
		s.web = s.web || strings.Contains(l.source, ".web/")
		s.linked = s.linked || l.why == "linked"
	}
	for _, l := range e.lines {
		if s := people[l.person]; l.kind == "sink" && s != nil && s.app && s.web && s.linked {
			e.say("\n1. One person, from app and web: customer %s\n", l.person)
			e.some(func(o line) bool { return o.kind == "sink" && o.person == l.person })
			return
		}
	}
}

// some shows lines that match, two at most of each topic, person and why.
func (e *examples) some(match func(line) bool) {
	shown := map[string]int{}
	for _, l := range e.lines {
		topic, _, _ := strings.Cut(l.source, "/")
		if match(l) && shown[topic+l.why+l.person] < 2 {
			shown[topic+l.why+l.person]++
			e.show(l)
		}
	}
}

// order finds an order whose app copy was held and then suppressed.
func (e *examples) order() {
	held := map[string]bool{}
	for _, l := range e.lines {
		if l.outcome == "held" && l.order != "" {
			held[l.source] = true
		}
		if l.outcome == "suppressed" && held[l.source] {
			e.say("\n2. One order, told twice: %s\n", l.order)
			e.some(func(o line) bool { return o.order == l.order && o.kind != "identity" })
			return
		}
	}
}

// shared finds a device on which two customers logged in: nobody is merged, and
// each keeps what is theirs.
func (e *examples) shared() {
	logins := map[string]map[string]bool{}
	for _, l := range e.lines {
		device := e.device(l.source)
		if l.action != "identify" || l.why != "user" || device == "" {
			continue
		}
		if logins[device] == nil {
			logins[device] = map[string]bool{}
		}
		if logins[device][l.person] = true; len(logins[device]) == 2 {
			e.say("\n3. A device that two customers use: %s\n", device)
			e.some(func(o line) bool { return o.kind == "sink" && e.device(o.source) == device })
			return
		}
	}
}

func (e *examples) device(source string) string {
	var v struct{ AnonymousID string }
	_ = json.Unmarshal(e.inputs[source], &v)
	return v.AnonymousID
}
