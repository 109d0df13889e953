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

// Encode turns an output that is no message into the record of its topic. The
// same output gives the same bytes. A message is encoded by EncodeMessage, to
// the journal; for one, and for an output of nothing, topic is 0.
func Encode(o *stitch.Output) (topic Topic, rec EncodedRecord) {
	switch {
	case o.Sink != nil:
		rec.Key, rec.Value, rec.Headers = EncodeSink(nil, o.Place, o.Sink)
		return TopicSink, rec
	case o.Decision != nil:
		return TopicDecisions, EncodeDecision(o.Place, o.Decision)
	case o.Dead != nil:
		return TopicDead, EncodeDead(o.Place, o.Dead)
	}
	return 0, rec
}

// EncodeSink appends the value, one operation of Customer.io's Track API v2, to
// dst, and returns it with the record's key and headers, whose text may stand behind
// it in dst's room.
func EncodeSink(dst []byte, place stitch.Place, s *stitch.Sink) (key, value []byte, headers []stitch.Header) {
	if dst == nil {
		dst = make([]byte, 0, 256+len(s.Attributes)+7*headerText)
	}
	start := len(dst)
	dst = appendOperation(dst, s)
	h := headerList{list: make([]stitch.Header, 0, 7), text: dst[len(dst):]}
	key = h.keep(append(h.text, s.Person.Key()...))
	h.set(HeaderSource, s.Source.Append(h.text))
	h.set(HeaderPlace, place.Append(h.text))
	h.add(HeaderMessage, s.MessageID)
	if s.EventID != (stitch.ULID{}) {
		h.set(HeaderEvent, appendULID(h.text, s.EventID))
	}
	h.add(HeaderOrder, s.Order)
	h.add(HeaderWhy, s.Why.String())
	h.add(HeaderCorrects, s.Corrects)
	return key, dst[start:len(dst):len(dst)], h.list
}

func appendULID(b []byte, id stitch.ULID) []byte {
	b = append(b, make([]byte, ulid.EncodedSize)...)
	_ = ulid.ULID(id).MarshalTextTo(b[len(b)-ulid.EncodedSize:]) // it fits
	return b
}

// headerList is a record's headers. Their values stand one after the other in one
// piece of memory; a value never grows into the next.
type headerList struct {
	list []stitch.Header
	text []byte // what is written next begins at its end
}

// headerText is the room for a header's text, in bytes: most fit.
const headerText = 32

func newHeaders(n int) headerList {
	return headerList{list: make([]stitch.Header, 0, n), text: make([]byte, 0, headerText*n)}
}

// keep takes text that was appended to h.text, and returns what was appended.
func (h *headerList) keep(text []byte) []byte {
	start := len(h.text)
	h.text = text
	return text[start:len(text):len(text)]
}

func (h *headerList) set(name string, text []byte) {
	h.list = append(h.list, stitch.Header{Key: name, Value: h.keep(text)})
}

func (h *headerList) add(name, value string) {
	if value != "" {
		h.set(name, append(h.text, value...))
	}
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
