package wire

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/oklog/ulid/v2"

	"lockstitch/stitch"
)

// Topic is one of the output topics.
type Topic uint8

// The topics that Encode writes to.
const (
	TopicSink Topic = iota + 1
	TopicDecisions
	TopicDead
)

// Names of the headers of outputs (contract section 1).
const (
	HeaderSource   = "ls-source"
	HeaderPlace    = "ls-place"
	HeaderMessage  = "ls-message"
	HeaderEvent    = "ls-event"
	HeaderOrder    = "ls-order"
	HeaderWhy      = "ls-why"
	HeaderCorrects = "ls-corrects"
	HeaderReason   = "ls-reason"
	HeaderError    = "ls-error"
)

// EncodedRecord is an output as it goes to its topic.
type EncodedRecord struct {
	Key     []byte
	Value   []byte
	Headers []stitch.Header
}

// Room is memory that records are encoded into, one behind the other, and that is
// used again. The zero value is ready. It is not safe for concurrent use.
type Room struct {
	text    []byte
	headers []stitch.Header
}

// maxRoom is what a Room keeps, in bytes of text, even if little of it is needed.
const maxRoom = 1 << 20

// Reset makes room anew: nothing that was encoded before may be in use any more.
func (r *Room) Reset() {
	if cap(r.text) > maxRoom && len(r.text) < cap(r.text)/4 {
		*r = Room{}
	}
	clear(r.headers) // they refer to dead letters
	r.text, r.headers = r.text[:0], r.headers[:0]
}

// Reserve makes room for n bytes, if need be in new memory of size bytes: what was
// encoded before stays where it is, and is not copied.
func (r *Room) Reserve(n, size int) {
	if cap(r.text)-len(r.text) < n {
		r.text = make([]byte, 0, max(n, size))
	}
}

// Encode is Room's Encode with room of its own.
func Encode(o *stitch.Output) (topic Topic, rec EncodedRecord) { return new(Room).Encode(o) }

// Encode turns an output that is no message into the record of its topic. The
// same output gives the same bytes. A message goes to the journal, encoded by
// MarshalState; for one, and for an output of nothing, topic is 0.
func (r *Room) Encode(o *stitch.Output) (topic Topic, rec EncodedRecord) {
	switch {
	case o.Sink != nil:
		return TopicSink, r.sink(o.Place, o.Sink)
	case o.Decision != nil:
		return TopicDecisions, r.decision(o.Place, o.Decision)
	case o.Dead != nil:
		return TopicDead, r.dead(o.Place, o.Dead)
	}
	return 0, rec
}

// MarshalState is MarshalState into the room.
func (r *Room) MarshalState(v any) []byte { return r.keep(AppendState(r.text, v)) }

// keep takes text that was appended to r.text, and returns what was appended. It never
// grows into what is encoded next.
func (r *Room) keep(text []byte) []byte {
	start := len(r.text)
	r.text = text
	return text[start:len(text):len(text)]
}

func (r *Room) header(name string, value []byte) {
	r.headers = append(r.headers, stitch.Header{Key: name, Value: value})
}

// textHeader adds a header, unless it is empty.
func (r *Room) textHeader(name, value string) {
	if value != "" {
		r.header(name, r.keep(append(r.text, value...)))
	}
}

// from are the headers from the n-th on.
func (r *Room) from(n int) []stitch.Header { return r.headers[n:len(r.headers):len(r.headers)] }

// sink encodes one operation of Customer.io's Track API v2.
func (r *Room) sink(place stitch.Place, s *stitch.Sink) (rec EncodedRecord) {
	first := len(r.headers)
	rec.Value = r.keep(appendOperation(r.text, s))
	rec.Key = r.keep(append(r.text, s.Person.Key()...))
	r.header(HeaderSource, r.keep(s.Source.Append(r.text)))
	r.header(HeaderPlace, r.keep(place.Append(r.text)))
	r.textHeader(HeaderMessage, s.MessageID)
	if s.EventID != (stitch.ULID{}) {
		r.header(HeaderEvent, r.keep(appendULID(r.text, s.EventID)))
	}
	r.textHeader(HeaderOrder, s.Order)
	r.textHeader(HeaderWhy, s.Why.String())
	r.textHeader(HeaderCorrects, s.Corrects)
	rec.Headers = r.from(first)
	return rec
}

func appendULID(b []byte, id stitch.ULID) []byte {
	b = append(b, make([]byte, ulid.EncodedSize)...)
	_ = ulid.ULID(id).MarshalTextTo(b[len(b)-ulid.EncodedSize:]) // it fits
	return b
}

func appendOperation(dst []byte, s *stitch.Sink) []byte {
	dst = append(dst, `{"type":"person","action":"`...)
	dst = append(append(dst, s.Action...), '"')
	if s.Action == stitch.ActMerge {
		dst = appendPerson(append(dst, `,"primary":`...), s.Person)
		return append(appendPerson(append(dst, `,"secondary":`...), s.Secondary), '}')
	}
	dst = appendPerson(append(dst, `,"identifiers":`...), s.Person)
	switch s.Action {
	case stitch.ActEvent, stitch.ActPage, stitch.ActScreen:
		dst = appendText(append(dst, `,"name":`...), s.Name)
		dst = append(dst, `,"id":"`...)
		dst = append(appendULID(dst, s.EventID), '"')
		dst = appendSeconds(append(dst, `,"timestamp":`...), s.Time)
		if len(s.Attributes) > 0 {
			dst = append(append(dst, `,"attributes":`...), s.Attributes...)
		}
	case stitch.ActIdentify:
		dst = appendSeconds(append(dst, `,"timestamp":`...), s.Time)
		dst = appendTraits(dst, s)
	case stitch.ActAddDevice, stitch.ActDeleteDevice:
		dst = appendDevice(dst, s)
	}
	return append(dst, '}')
}

func appendPerson(dst []byte, p stitch.Person) []byte {
	switch {
	case p.ID != "":
		dst = append(dst, `{"id":`...)
	case p.Email != "":
		dst = append(dst, `{"email":`...)
	default:
		dst = append(dst, `{"anonymous_id":`...)
	}
	return append(appendText(dst, p.Key()), '}')
}

// appendTraits writes an identify's attributes: its email, the anonymous ID
// that it ties, and its traits.
func appendTraits(dst []byte, s *stitch.Sink) []byte {
	if s.Email == "" && s.Anonymous == "" && len(s.Attributes) == 0 {
		return dst
	}
	dst = append(dst, `,"attributes":{`...)
	open := len(dst)
	if s.Email != "" {
		dst = append(appendText(append(dst, `"email":`...), s.Email), ',')
	}
	traits := s.Attributes
	if s.Anonymous != "" {
		dst = append(appendText(append(dst, `"anonymous_id":`...), s.Anonymous), ',')
		traits = without(traits, "anonymous_id")
	}
	if len(traits) > 2 {
		dst = append(append(dst, traits[1:len(traits)-1]...), ',')
	}
	if len(dst) > open {
		dst = dst[:len(dst)-1] // the last comma
	}
	return append(dst, '}')
}

// without returns a compact object without a member. Only a trusted origin's
// traits can have it, so it is nearly always the object itself.
func without(object []byte, name string) []byte {
	var t tape
	if len(object) == 0 || !mayContain(object, name) {
		return object
	}
	if reason, _ := t.parse(object); reason != "" {
		return object
	}
	out := []byte{'{'}
	for k := int32(1); k < t.nodes[0].next; k = t.nodes[k+1].next {
		if string(t.bytes(k)) == name {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, t.raw(k)...), ':'), t.raw(k+1)...)
	}
	return append(out, '}')
}

func appendDevice(dst []byte, s *stitch.Sink) []byte {
	dst = appendText(append(dst, `,"device":{"token":`...), s.Device.Token)
	if s.Action == stitch.ActAddDevice {
		dst = appendText(append(dst, `,"platform":`...), s.Device.Platform)
		dst = appendSeconds(append(dst, `,"last_used":`...), s.LastUsed)
		if len(s.Device.Fields) > 0 {
			dst = append(append(dst, `,"attributes":`...), s.Device.Fields...)
		}
	}
	return append(dst, '}')
}

func appendText(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // what is no UTF-8 becomes U+FFFD
	return dst
}

// appendSeconds writes Unix ms as whole seconds, which is what Customer.io takes.
func appendSeconds(dst []byte, ms int64) []byte { return strconv.AppendInt(dst, ms/1000, 10) }
