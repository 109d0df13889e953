package check

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// output is an output record as the laws see it.
type output struct {
	Output
	source *event // whom ls-source or source names; nil where it is no record of the input
	sender string // of ls-place: who wrote it
	value  map[string]any
	action string
	person person // of a sink record
}

// person is whom a sink record's identifiers name.
type person struct{ kind, id string } // kind: id, email, anonymous_id, or another identifier of Customer.io

// where says which record is meant without naming anybody.
func (o *output) where() string {
	if o.source != nil {
		return o.source.pos
	}
	return position(o.Topic, o.Partition, o.Offset)
}

func (o *output) isEvent() bool {
	return o.action == "event" || o.action == "page" || o.action == "screen"
}

// place is a parsed ls-place.
type place struct {
	sender        string // topic ID and partition
	offset, index int64
}

func parsePlace(s string) (place, bool) {
	parts := strings.Split(s, "/")
	n := len(parts)
	if n < 4 || parts[0] == "" {
		return place{}, false
	}
	_, err1 := strconv.ParseUint(parts[n-3], 10, 31)
	offset, err2 := strconv.ParseInt(parts[n-2], 10, 64)
	index, err3 := strconv.ParseInt(parts[n-1], 10, 32)
	ok := err1 == nil && err2 == nil && err3 == nil && offset >= 0 && index >= 0
	return place{strings.Join(parts[:n-2], "/"), offset, index}, ok
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.offset, q.offset), cmp.Compare(p.index, q.index))
}

// decodeOutputs passes over repeats as law 2.2 tells readers to, and gives each
// record to the source that it is of.
func (r *run) decodeOutputs() {
	r.report.Counts.Outputs = len(r.Outputs)
	sorted := slices.Clone(r.Outputs)
	slices.SortStableFunc(sorted, byPosition)
	seen := reader{run: r, highest: map[string]place{}, first: map[string]*output{}}
	for i := range sorted {
		o := &output{Output: sorted[i]}
		if !seen.passesOver(o) {
			r.outs = append(r.outs, o)
			r.take(o)
		}
	}
}

// reader is a reader of all output partitions that keeps, for each, the highest
// place of each sender.
type reader struct {
	*run
	highest map[string]place
	first   map[string]*output // by ls-place
}

func (r *reader) passesOver(o *output) bool {
	header := o.Headers["ls-place"]
	p, ok := parsePlace(header)
	if !ok {
		r.violate("2.2", position(o.Topic, o.Partition, o.Offset), "ls-place is missing or isn't sender/partition/offset/index")
		return false
	}
	o.sender = p.sender
	mark := position(o.Topic, o.Partition, 0) + " " + p.sender
	highest, marked := r.highest[mark]
	first := r.first[header]
	repeat := marked && p.compare(highest) <= 0
	switch where := position(o.Topic, o.Partition, o.Offset); {
	case !repeat && first != nil:
		r.violate("2.2", where, "its ls-place stands in another output partition too, where it isn't passed over")
	case !repeat:
		r.highest[mark], r.first[header] = p, o
	case first == nil:
		r.violate("2.2", where, "a reader passes over it as a repeat, and its ls-place was never seen: it is lost")
	case first.Topic != o.Topic || first.Partition != o.Partition:
		r.violate("2.2", where, "its ls-place stands in another output partition too")
	case !sameBytes(first.Output, o.Output):
		r.violate("2.2", where, "a repeat with other bytes than the first record of its ls-place")
	}
	if repeat {
		r.report.Counts.Repeats++
	}
	return repeat
}

func sameBytes(a, b Output) bool {
	return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) && maps.Equal(ownHeaders(a), ownHeaders(b))
}

func ownHeaders(o Output) map[string]string {
	own := maps.Clone(o.Headers)
	maps.DeleteFunc(own, func(name, _ string) bool { return !strings.HasPrefix(name, "ls-") })
	return own
}

// take sorts a record by its topic.
func (r *run) take(o *output) {
	switch o.Topic {
	case r.Rules.Sink:
		r.takeSink(o)
	case r.Rules.Decisions:
		r.takeDecision(o)
	case r.Rules.DLQ:
		r.takeDead(o)
	default:
		r.violate("1", position(o.Topic, o.Partition, o.Offset), "a topic that is no output")
	}
}

// sourceOf is the record that an output is of; an output of none breaks law 2.1.
func (r *run) sourceOf(o *output, pos string) bool {
	o.source = r.at[pos]
	if o.source == nil {
		r.violate("2.1", o.where(), "its source is missing or is no record of the input")
	}
	return o.source != nil
}

func (r *run) takeSink(o *output) {
	r.report.Counts.SinkRecords++
	known := r.sourceOf(o, o.Headers["ls-source"])
	o.value, _ = decodeObject(o.Value) // what isn't an object, the schema refuses
	o.action, _ = o.value["action"].(string)
	identifiers := asObject(o.value["identifiers"])
	if o.action == "merge" {
		identifiers = asObject(o.value["primary"])
	}
	o.person = personOf(identifiers)
	if known {
		o.source.sinks = append(o.source.sinks, o)
		r.sinks = append(r.sinks, o)
	}
}

func personOf(identifiers map[string]any) person {
	for _, kind := range []string{"id", "email", "anonymous_id", "phone", "cio_id"} {
		if id, ok := identifiers[kind].(string); ok && id != "" {
			return person{kind, id}
		}
	}
	return person{}
}

var outcomes = []string{"duplicate", "suppressed", "held", "ignored", "erased"}

func (r *run) takeDecision(o *output) {
	r.report.Counts.Decisions++
	var err error
	if o.value, err = decodeObject(o.Value); err != nil {
		r.violate("1", o.where(), "a decision that is no JSON object")
		return
	}
	kind, _ := o.value["kind"].(string)
	outcome, _ := o.value["outcome"].(string)
	source, _ := o.value["source"].(string)
	if outcome == "" || o.value["at"] == nil {
		r.violate("1", o.where(), "a decision without outcome or at")
	}
	if kind != "outcome" && source == "" {
		r.countRemark(o, kind)
		return
	}
	if !r.sourceOf(o, source) {
		return
	}
	switch {
	case kind != "outcome":
		r.countRemark(o, kind)
		o.source.notedConflict = o.source.notedConflict || outcome == "potential_duplicate"
	case !slices.Contains(outcomes, outcome):
		r.violate("2.1", o.where(), "an outcome that the contract doesn't know: %q", outcome)
	case outcome == "held":
		o.source.held++
	default:
		o.source.decided = append(o.source.decided, outcome)
	}
}

func (r *run) countRemark(o *output, kind string) {
	switch kind {
	case "identity":
		r.report.Counts.Identities++
	case "note":
		r.report.Counts.Notes++
	default:
		r.violate("1", o.where(), "a decision of an unknown kind: %q", kind)
	}
}

func (r *run) takeDead(o *output) {
	r.report.Counts.DeadLetters++
	if !r.sourceOf(o, o.Headers["ls-source"]) {
		return
	}
	o.source.dead = append(o.source.dead, o)
	if o.Headers["ls-reason"] == "" || o.Headers["ls-error"] == "" {
		r.violate("6", o.where(), "a dead letter without ls-reason or ls-error")
	}
	if !sameText(o.Key, o.source.Key) || !sameRecord(o.Value, o.source.Value) {
		r.violate("6", o.where(), "a dead letter whose key or value isn't the source record's")
	}
}

// sameRecord compares a dead letter with its source. Read from JSONL, bytes that
// were no JSON stand as a JSON string, and white space may differ.
func sameRecord(dead, source []byte) bool {
	var s string
	if json.Unmarshal(dead, &s) == nil && sameText([]byte(s), source) {
		return true
	}
	return sameText(compact(dead), compact(source))
}

// sameText passes over how a JSONL writer spelled bytes that are no UTF-8.
func sameText(a, b []byte) bool {
	return bytes.Equal(a, b) || string([]rune(string(a))) == string([]rune(string(b)))
}

func compact(b []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, b) != nil {
		return b
	}
	return out.Bytes()
}

// byPosition is the order in which a reader of each partition sees records.
func byPosition(a, b Output) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
}
