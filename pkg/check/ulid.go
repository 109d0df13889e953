package check

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// ulidTime is a ULID's time in Unix ms; ok is false where s is no ULID.
func ulidTime(s string) (ms int64, ok bool) {
	if len(s) != 26 || s[0] > '7' {
		return 0, false
	}
	for i := range len(s) {
		digit := strings.IndexByte(crockford, s[i])
		if digit < 0 {
			return 0, false
		}
		if i < 10 {
			ms = ms<<5 | int64(digit)
		}
	}
	return ms, true
}

// checkEventIDs is the part of law 2.3 that one run shows: event IDs are ULIDs
// of the event's time, one for each event, and only corrections share one.
func (r *run) checkEventIDs() {
	byID := map[string][]*output{}
	for _, o := range r.sinks {
		if !o.isEvent() {
			continue
		}
		id := o.Headers["ls-event"]
		ms, ok := ulidTime(id)
		if !ok {
			r.violate("2.3", o.where(), "ls-event is missing or no ULID")
			continue
		}
		if o.value["id"] != id {
			r.violate("2.3", o.where(), "the value's id isn't ls-event")
		}
		r.checkEventTime(o, ms)
		byID[id] = append(byID[id], o)
	}
	for _, same := range byID {
		r.checkCorrections(same)
	}
}

// checkEventTime leaves orders out: theirs is the time of the copy seen first.
func (r *run) checkEventTime(o *output, ms int64) {
	seconds, _ := o.value["timestamp"].(json.Number)
	if o.source.order == "" && seconds.String() != strconv.FormatInt(ms/1000, 10) {
		r.violate("2.3", o.where(), "ls-event has another time than the event")
	}
}

// checkCorrections looks at the records of one event ID: one without
// ls-corrects, before any correction in its own partition, and corrections that
// name a copy which was published.
func (r *run) checkCorrections(same []*output) {
	first := slices.IndexFunc(same, func(o *output) bool { return o.Headers["ls-corrects"] == "" })
	if first < 0 {
		r.violate("4.3", same[0].where(), "a correction of an event that was never published")
	}
	for i, o := range same {
		switch corrects := o.Headers["ls-corrects"]; {
		case corrects == "" && i > first:
			r.violate("2.3", o.where(), "the same ls-event as %s, and no ls-corrects", same[first].where())
		case corrects != "":
			r.report.Counts.Corrections++
			other := func(c *output) bool { return c.source.pos == corrects && c.source != o.source }
			if !slices.ContainsFunc(same, other) {
				r.violate("4.3", o.where(), "ls-corrects names no other published copy of the event")
			}
			if i < first && same[first].Partition == o.Partition {
				r.violate("4.3", o.where(), "a correction before what it corrects")
			}
		}
	}
}
