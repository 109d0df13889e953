package wire

import (
	"bytes"
	"net/mail"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"lockstitch/stitch"
)

// attributes writes what the sink's "attributes" will be: an identify's traits,
// an event's properties, in the order in which they were posted.
func (d *decoding) attributes() {
	switch {
	case d.ev.Type == stitch.Identify:
		traits := d.identifyTraits()
		if traits != 0 && d.isObject(traits) {
			d.write(traits)
		}
	case d.ev.Type == stitch.Alias || d.ev.Type == stitch.Group:
	case d.ev.Op == stitch.OpNone || d.ev.Op == stitch.OpLogout || d.ev.Op == stitch.OpSplit:
		d.write(d.properties)
		if len(d.ev.Attributes) > maxEventData {
			d.reject(ReasonLimitEventData, "properties: must not be over 100,000 bytes")
		}
	}
	d.checkOperation()
}

// checkOperation keeps the operation that the event becomes under Customer.io's
// 32 KB, whoever it will be about.
func (d *decoding) checkOperation() {
	ev := d.ev
	size := operationReserve + len(ev.Attributes) + quotedLen(ev.Name) +
		quotedLen(ev.User) + quotedLen(ev.Anonymous) + quotedLen(ev.Email)
	if ev.Device != nil {
		size += len(ev.Device.Fields) + quotedLen(ev.Device.Token)
	}
	if size >= maxOperation {
		d.reject(ReasonLimitOperation, "traits, properties: the operation for Customer.io must stay under 32 KB")
	}
}

// quotedLen is the length of a text as JSON, at the most.
func quotedLen(s string) int {
	n := len(s) + 2
	for _, c := range []byte(s) {
		switch {
		case c < ' ':
			n += 5
		case c == '"' || c == '\\':
			n++
		}
	}
	return n
}

// write fills the event's attributes from an object.
func (d *decoding) write(object int32) {
	if object == 0 || d.nodes[object].kind != '{' {
		return
	}
	d.buf = append(d.buf[:0], '{')
	count := 0
	for k := object + 1; k < d.nodes[object].next; k = d.nodes[k+1].next {
		if d.nodes[k+1].kind == 'n' || d.dropped(k) {
			continue
		}
		if count++; count > 1 {
			d.buf = append(d.buf, ',')
		}
		d.writeMember(k)
	}
	if d.ev.Type == stitch.Identify && count+d.added(object) > maxAttributes {
		d.rejectAt(object, ReasonLimitAttributes, "must not be over 300 attributes")
	}
	if len(d.buf) > 1 {
		d.ev.Attributes = bytes.Clone(append(d.buf, '}'))
	}
}

// added is how many attributes an identify gets beside its traits: its email, and
// the anonymous ID that a login ties.
func (d *decoding) added(traits int32) (n int) {
	if d.ev.Email != "" {
		n++
	}
	if d.ev.User != "" && d.ev.Anonymous != "" && (!d.rule.Trust.Reserved || d.find(traits, "anonymous_id") == 0) {
		n++
	}
	return n
}

func (d *decoding) writeMember(k int32) {
	v := k + 1
	d.buf = append(append(d.buf, d.raw(k)...), ':')
	mark := len(d.buf)
	typed := d.ev.Type == stitch.Page && pageShapes[string(d.bytes(k))] != 0
	d.writeValue(v, d.in.times && !typed) // what the vendor's schema wants as text stays text
	if d.ev.Type == stitch.Identify {
		d.checkAttribute(k, len(d.buf)-mark)
	}
}

// checkAttribute keeps Customer.io's limits of a person's attributes.
func (d *decoding) checkAttribute(k int32, size int) {
	v := k + 1
	if n := len(d.bytes(k)); n > maxAttributeName {
		d.rejectAt(v, ReasonLimitAttributeName, "the name of an attribute must not be over 150 bytes")
	}
	if size > maxAttributeValue && d.nodes[v].kind == '"' {
		size = len(d.bytes(v))
	}
	if size > maxAttributeValue {
		d.rejectAt(v, ReasonLimitAttributeValue, "an attribute must not be over 1,000 bytes")
	}
}

// writeValue writes a value without white space, and if times, times as Unix seconds.
func (d *decoding) writeValue(n int32, times bool) {
	node := &d.nodes[n]
	switch node.kind {
	case '{':
		d.buf = append(d.buf, '{')
		for k := n + 1; k < node.next; k = d.nodes[k+1].next {
			if k > n+1 {
				d.buf = append(d.buf, ',')
			}
			d.buf = append(append(d.buf, d.raw(k)...), ':')
			d.writeValue(k+1, times)
		}
		d.buf = append(d.buf, '}')
	case '[':
		d.buf = append(d.buf, '[')
		for k := n + 1; k < node.next; k = d.nodes[k].next {
			if k > n+1 {
				d.buf = append(d.buf, ',')
			}
			d.writeValue(k, times)
		}
		d.buf = append(d.buf, ']')
	case '"':
		if times {
			if ms, ok := d.isoTime(n); ok {
				d.buf = strconv.AppendInt(d.buf, ms/1000, 10)
				return
			}
		}
		d.buf = append(d.buf, d.raw(n)...)
	default:
		d.buf = append(d.buf, d.raw(n)...)
	}
}

// isoTime reads a text that is a time.
func (d *decoding) isoTime(n int32) (ms int64, ok bool) {
	text := d.bytes(n)
	if !looksLikeTime(text) {
		return 0, false
	}
	return parseTime(text)
}

// dropped reports a member that Customer.io would take for something else, or
// refuse (contract section 7, "reserved").
func (d *decoding) dropped(k int32) bool {
	name := d.bytes(k)
	if d.ev.Type == stitch.Identify {
		return d.droppedTrait(k, name)
	}
	switch string(name) {
	case "recipient", "from_address", "reply_to":
		return d.reserved(k, d.isMail(k+1))
	}
	if shape := pageShapes[string(name)]; shape != 0 && d.ev.Type == stitch.Page && !d.hasShape(k+1, shape) {
		d.noteAt(k+1, NoteShapeDropped)
		return true
	}
	return false
}

func (d *decoding) droppedTrait(k int32, name []byte) bool {
	switch string(name) {
	case "email":
		return true // it is the event's Email
	case "id", "cio_id", "anonymous_id":
		return d.reserved(k, true)
	case "_update":
		return d.reserved(k, d.nodes[k+1].kind == 't' || d.nodes[k+1].kind == 'f')
	case "cio_subscription_preferences":
		if !d.isPreferences(k + 1) {
			d.noteAt(k+1, NoteShapeDropped)
			return true
		}
	}
	return false
}

// reserved drops a reserved name, save from a trusted origin where it has the
// shape that Customer.io wants.
func (d *decoding) reserved(k int32, shaped bool) bool {
	if d.rule.Trust.Reserved && shaped {
		return false
	}
	if d.rule.Trust.Reserved {
		d.noteAt(k+1, NoteShapeDropped)
	} else {
		d.noteAt(k+1, NoteReservedDropped)
	}
	return true
}

func (d *decoding) isMail(n int32) bool {
	if d.nodes[n].kind != '"' {
		return false
	}
	text := string(d.bytes(n))
	parsed, err := mail.ParseAddress(text)
	return err == nil && parsed.Address == text
}

// pageShapes are the members of a page that the vendor's schema types: '"' for
// text, '[' for an array of texts.
var pageShapes = map[string]byte{
	"path": '"', "referrer": '"', "search": '"', "title": '"', "url": '"', "keywords": '[',
}

func (d *decoding) hasShape(n int32, shape byte) bool {
	if d.nodes[n].kind != shape {
		return false
	}
	if shape == '[' {
		for k := n + 1; k < d.nodes[n].next; k = d.nodes[k].next {
			if d.nodes[k].kind != '"' {
				return false
			}
		}
	}
	return true
}

// isPreferences: topics, if any, are an object of true and false.
func (d *decoding) isPreferences(n int32) bool {
	if d.nodes[n].kind != '{' {
		return false
	}
	for k := n + 1; k < d.nodes[n].next; k = d.nodes[k+1].next {
		if string(d.bytes(k)) != "topics" {
			continue
		}
		if d.nodes[k+1].kind != '{' {
			return false
		}
		for t := k + 2; t < d.nodes[k+1].next; t = d.nodes[t+1].next {
			if kind := d.nodes[t+1].kind; kind != 't' && kind != 'f' {
				return false
			}
		}
	}
	return true
}

// Get implements plan.Properties over the record's properties.
func (d *decoding) Get(name string) jsontext.Value {
	n := d.find(d.properties, name)
	if n == 0 {
		return nil
	}
	return d.raw(n)
}
