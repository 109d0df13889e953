package wire

import (
	"slices"
	"sync"

	"lockstitch/stitch"
	"lockstitch/stitch/plan"
)

// decoding is one record on its way to an event. It is reused: nothing of it
// may be left in what Decode returns.
type decoding struct {
	tape
	in   *Ingest
	rec  Record
	rule SourceRule
	ev   *stitch.Event
	fields

	planned *plan.Event // what the plan says of the event; nil: nothing
	class   string      // why the userId is unusable, where that is passed over
	rejects []stitch.Reject
	notes   []stitch.Note
	buf     []byte   // scratch for what is being written
	order   []member // scratch for sorting members
}

// fields are the nodes of the record's members that have a meaning; 0 where
// absent or null.
type fields struct {
	typ, event, name                            int32
	messageID, anonymousID, userID, previousID  int32
	properties, traits, context                 int32
	timestamp, originalTimestamp, contextTraits int32
	contextDevice                               int32
}

var decodings = sync.Pool{New: func() any { return new(decoding) }}

// Decode turns a source record into an event, or into a dead letter that says
// everything that is wrong with it: exactly one of the two is not nil. It is a
// pure function of the record and the rules.
func (in *Ingest) Decode(rec Record) (*stitch.Event, *stitch.DeadLetter) {
	ev := new(stitch.Event)
	if dead := in.DecodeInto(rec, ev); dead != nil {
		return nil, dead
	}
	return ev, nil
}

// DecodeInto is Decode into ev, whatever that was before. With a dead letter ev is
// nothing in particular.
func (in *Ingest) DecodeInto(rec Record, ev *stitch.Event) *stitch.DeadLetter {
	d := decodings.Get().(*decoding)
	*ev = stitch.Event{}
	d.in, d.rec, d.rule, d.ev = in, rec, in.source(rec.Source.Topic), ev
	d.fields, d.planned, d.class = fields{}, nil, ""
	d.rejects, d.notes = d.rejects[:0], d.notes[:0]
	if rec.size() > maxRecord {
		d.reject(ReasonTooLarge, "the record, with its key and headers: must not be over 1 MiB")
	} else {
		d.decode()
	}
	rejects := slices.Clone(d.rejects)
	d.release()
	if len(rejects) > 0 {
		return &stitch.DeadLetter{
			Source: rec.Source, Raw: stitch.Raw{Key: rec.Key, Value: rec.Value, Headers: rec.Headers}, Rejects: rejects,
		}
	}
	return nil
}

// size is the record's bytes, headers and all: an event may carry the record into
// the journal, whose records have a limit.
func (r Record) size() int {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

// release puts the decoding back, without what it refers to; one that a huge
// record blew up is left to the collector.
func (d *decoding) release() {
	d.in, d.rec, d.ev, d.planned, d.text = nil, Record{}, nil, nil, nil
	if cap(d.nodes) <= 1<<13 && cap(d.buf) <= 1<<17 {
		decodings.Put(d)
	}
}

// maxRemarks bounds how much is said about one record: a hostile one can be
// wrong in a hundred thousand places, and must not take more than its share of time.
const maxRemarks = 100

func (d *decoding) reject(reason, sentence string) {
	if len(d.rejects) < maxRemarks {
		d.rejects = append(d.rejects, stitch.Reject{Reason: reason, Sentence: sentence})
	}
}

// rejectAt refuses the record for what stands at a node.
func (d *decoding) rejectAt(n int32, reason, sentence string) {
	if len(d.rejects) < maxRemarks {
		d.reject(reason, d.path(n)+": "+sentence)
	}
}

// noteAt remarks on what stands at a node.
func (d *decoding) noteAt(n int32, name string) {
	if len(d.notes) < maxRemarks {
		d.note(name, d.path(n))
	}
}

func (d *decoding) note(name, detail string) {
	d.notes = append(d.notes, stitch.Note{Name: name, Detail: detail})
}

// decode fills the event. Where something is wrong it goes on, so that a dead
// letter says all of it; what can't be told apart from there on stops it.
func (d *decoding) decode() {
	if reason, where := d.parse(d.rec.Value); reason != "" {
		d.reject(reason, where)
		return
	}
	d.locate()
	ev := d.ev
	ev.Source, ev.Origin, ev.Arrival = d.rec.Source, d.rule.Origin, d.rec.Arrival
	d.shapes()
	if !d.kind() {
		return
	}
	d.times()
	if len(d.rejects) > 0 && d.shapeless() {
		return
	}
	d.ids()
	d.email()
	d.device()
	d.attributes()
	d.checkPlan()
	if len(d.rejects) > 0 {
		return
	}
	d.hashes()
	d.finish()
}

// locate finds the members that have a meaning.
func (d *decoding) locate() {
	for k := int32(1); k < d.nodes[0].next; k = d.nodes[k+1].next {
		if d.nodes[k+1].kind == 'n' {
			continue
		}
		if field := d.field(d.bytes(k)); field != nil {
			*field = k + 1
		}
	}
	d.contextTraits = d.find(d.context, "traits")
	d.contextDevice = d.find(d.context, "device")
}

func (d *decoding) field(name []byte) *int32 {
	switch string(name) {
	case "type":
		return &d.typ
	case "event":
		return &d.event
	case "name":
		return &d.name
	case "messageId":
		return &d.messageID
	case "anonymousId":
		return &d.anonymousID
	case "userId":
		return &d.userID
	case "previousId":
		return &d.previousID
	case "properties":
		return &d.properties
	case "traits":
		return &d.traits
	case "context":
		return &d.context
	case "timestamp":
		return &d.timestamp
	case "originalTimestamp":
		return &d.originalTimestamp
	}
	return nil
}

// shapes refuses what should be an object and is none (contract section 7, "shapes").
func (d *decoding) shapes() {
	for _, n := range [...]int32{d.properties, d.traits, d.context} {
		if n != 0 && !d.isObject(n) {
			d.rejectAt(n, ReasonBadShape, "must be an object")
		}
	}
}

func (d *decoding) shapeless() bool {
	return slices.ContainsFunc(d.rejects, func(r stitch.Reject) bool { return r.Reason == ReasonBadShape })
}

var kinds = map[string]stitch.Type{
	"track": stitch.Track, "page": stitch.Page, "screen": stitch.Screen,
	"identify": stitch.Identify, "alias": stitch.Alias, "group": stitch.Group,
}

// kind reads the type and the name. Without a known type nothing else can be judged.
func (d *decoding) kind() bool {
	if d.typ != 0 && d.nodes[d.typ].kind == '"' {
		d.ev.Type = kinds[string(d.bytes(d.typ))]
	}
	switch d.ev.Type {
	case 0:
		d.reject(ReasonUnknownType, "type: must be track, page, screen, identify, alias or group")
		return false
	case stitch.Track:
		d.trackName()
	case stitch.Page:
		d.pageName()
	case stitch.Screen:
		if d.ev.Name = d.nameAt(d.name); d.ev.Name == "" {
			d.reject(ReasonMissingName, "name: a screen must have one, as text")
		}
	}
	if len(d.ev.Name) > maxEventName {
		d.reject(ReasonLimitEventName, "the name of the event: must not be over 100 bytes")
	}
	return true
}

func (d *decoding) trackName() {
	ev := d.ev
	if ev.Name = d.nameAt(d.event); ev.Name == "" {
		d.reject(ReasonMissingEvent, "event: a track must name one, as text")
		return
	}
	d.planned = d.in.plan.Lookup(ev.Name)
	ev.Op = d.in.ops[ev.Name]
	switch ev.Op {
	case stitch.OpUserDelete:
		ev.Trusted = d.rule.Trust.Delete
	case stitch.OpUserSuppress, stitch.OpUserUnsuppress:
		ev.Trusted = d.rule.Trust.Suppress
	case stitch.OpSplit:
		if ev.Trusted = d.rule.Trust.Split; !ev.Trusted {
			ev.Op = stitch.OpNone // an event like any other
		}
	case stitch.OpNone:
		if d.planned == nil && d.in.plan.QuarantineUnplanned() {
			d.reject(ReasonUnplanned, "event: the tracking plan doesn't name it")
		}
	}
}

// pageName takes the address of a page that has no name. Its path will do where
// the address is no name for Customer.io.
func (d *decoding) pageName() {
	d.ev.Name = d.nameAt(d.name)
	for _, name := range [...]string{"url", "path"} {
		if d.ev.Name != "" {
			return
		}
		if text := d.nameAt(d.find(d.properties, name)); len(text) <= maxEventName || name == "path" {
			d.ev.Name = text
		}
	}
	if d.ev.Name == "" {
		d.reject(ReasonMissingName, "name: a page must have one, or properties.url or properties.path, as text")
	}
}

// nameAt is a name as it was posted; "" where it is no text, or blank.
func (d *decoding) nameAt(n int32) string {
	if n == 0 || d.nodes[n].kind != '"' {
		return ""
	}
	text := d.bytes(n)
	if len(text) == 0 || plan.Trim(string(text)) == "" {
		return ""
	}
	return string(text)
}

// times reads the event's time: timestamp, else originalTimestamp, else the arrival.
func (d *decoding) times() {
	d.ev.Time = max(d.rec.Arrival, 0)
	original, hasOriginal := d.time(d.originalTimestamp)
	posted, has := d.time(d.timestamp)
	at := d.timestamp
	if !has && d.timestamp == 0 {
		posted, has, at = original, hasOriginal, d.originalTimestamp
	}
	if !has {
		return
	}
	d.ev.Time = posted
	if d.rec.CheckAhead && posted > d.rec.Arrival+dayMillis {
		d.rejectAt(at, ReasonTimeAhead, "must not be more than a day ahead of the record's arrival")
	}
}

func (d *decoding) time(n int32) (ms int64, ok bool) {
	if n == 0 {
		return 0, false
	}
	if d.nodes[n].kind == '"' {
		if ms, ok = parseTime(d.bytes(n)); ok {
			return ms, true
		}
	}
	d.rejectAt(n, ReasonBadTime, "must be an RFC 3339 time with a zone, not before 1970")
	return 0, false
}

// finish settles what depends on all the rest: whom the record names, and its IDs.
func (d *decoding) finish() {
	ev := d.ev
	if ev.Anonymous == "" && ev.User == "" && ev.Email == "" {
		if !d.mayNameNobody() {
			d.reject(ReasonNamesNobody, "userId, anonymousId, context.traits.email: the record must name somebody")
			return
		}
		ev.Raw = d.copyRecord()
	}
	if ev.Op == stitch.OpNone || ev.Op == stitch.OpLogout {
		d.eventID()
	}
	if len(d.notes) > 0 {
		ev.Notes = slices.Clone(d.notes)
	}
}

// mayNameNobody: an authority's copy takes the person of another copy of its
// order (law duplicates.3).
func (d *decoding) mayNameNobody() bool {
	f := d.ev.Fact
	return f != nil && f.Arbitrate && f.Authority
}

// copyRecord keeps the record for the case that the fold has to quarantine it.
func (d *decoding) copyRecord() *stitch.Raw {
	raw := &stitch.Raw{Key: slices.Clone(d.rec.Key), Value: slices.Clone(d.rec.Value)}
	for _, h := range d.rec.Headers {
		raw.Headers = append(raw.Headers, stitch.Header{Key: h.Key, Value: slices.Clone(h.Value)})
	}
	return raw
}

// messageKey is how the record is known: by its message ID, else its position.
func (d *decoding) messageKey() string {
	if d.ev.MessageID != "" {
		return d.ev.MessageID
	}
	return d.ev.Source.String()
}
