package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"lockstitch/stitch"
)

// hashes fills the event's content hash: the canonical JSON of what law
// duplicates.1 calls content. What SDKs change when they send again isn't in it.
func (d *decoding) hashes() {
	d.buf = append(d.buf[:0], '{', byte('0'+d.ev.Type))
	switch d.ev.Type {
	case stitch.Track:
		d.part("event", d.event)
	case stitch.Page, stitch.Screen:
		d.part("name", d.name)
	}
	d.part("properties", d.properties)
	traits := d.traits
	if d.ev.Type == stitch.Identify {
		traits = d.identifyTraits()
	}
	d.part("traits", traits)
	d.part("previousId", d.previousID)
	d.part("timestamp", d.timestamp)
	d.part("originalTimestamp", d.originalTimestamp)
	if d.ev.Type == stitch.Identify || d.ev.Type == stitch.Alias {
		d.textPart("userId", d.ev.User)
	}
	if dev := d.ev.Device; dev != nil {
		d.textPart("id", dev.ID)
		d.textPart("token", dev.Token)
		d.textPart("platform", dev.Platform)
	}
	d.ev.Content = cut(d.buf)
}

func cut(content []byte) (h stitch.Hash) {
	sum := sha256.Sum256(content)
	copy(h[:], sum[:])
	return h
}

// part adds a member to the content; null, absent and an empty object are one.
func (d *decoding) part(name string, n int32) {
	if n == 0 || d.nodes[n].next == n+1 && (d.nodes[n].kind == '{' || d.nodes[n].kind == '[') {
		return
	}
	mark := len(d.buf)
	d.buf = append(append(append(d.buf, ','), name...), ':')
	start := len(d.buf)
	d.canonical(n)
	if string(d.buf[start:]) == "{}" {
		d.buf = d.buf[:mark]
	}
}

func (d *decoding) textPart(name, text string) {
	if text == "" {
		return
	}
	d.buf = append(append(append(d.buf, ','), name...), ':')
	d.buf, _ = jsontext.AppendQuote(d.buf, text)
}

// hashOf hashes one value's canonical form.
func (d *decoding) hashOf(n int32) stitch.Hash {
	d.buf = d.buf[:0]
	if n != 0 {
		d.canonical(n)
	}
	return cut(d.buf)
}

// canonical writes a value so that the order of members, white space, escapes
// and nulls among members make no difference. Integers keep all of their digits.
func (d *decoding) canonical(n int32) {
	switch node := d.nodes[n]; node.kind {
	case '{':
		d.canonicalObject(n)
	case '[':
		d.buf = append(d.buf, '[')
		for k := n + 1; k < node.next; k = d.nodes[k].next {
			if k > n+1 {
				d.buf = append(d.buf, ',')
			}
			d.canonical(k)
		}
		d.buf = append(d.buf, ']')
	case '"':
		d.canonicalText(n)
	case '0':
		d.buf = appendNumber(d.buf, d.raw(n))
	default:
		d.buf = append(d.buf, d.raw(n)...)
	}
}

func (d *decoding) canonicalText(n int32) {
	if !d.nodes[n].escaped {
		d.buf = append(d.buf, d.raw(n)...) // as AppendQuote would have it
		return
	}
	d.buf, _ = jsontext.AppendQuote(d.buf, d.bytes(n))
}

// member is a member of an object that is being written in order.
type member struct {
	name []byte
	node int32
}

func (d *decoding) canonicalObject(n int32) {
	first := len(d.order)
	for k := n + 1; k < d.nodes[n].next; k = d.nodes[k+1].next {
		if d.nodes[k+1].kind != 'n' {
			d.order = append(d.order, member{d.bytes(k), k})
		}
	}
	members := d.order[first:]
	slices.SortFunc(members, func(a, b member) int { return bytes.Compare(a.name, b.name) })
	d.buf = append(d.buf, '{')
	for i, m := range members { // d.order may move while a member is written, members stays
		if i > 0 {
			d.buf = append(d.buf, ',')
		}
		d.canonicalText(m.node)
		d.buf = append(d.buf, ':')
		d.canonical(m.node + 1)
	}
	d.buf = append(d.buf, '}')
	clear(members)
	d.order = d.order[:first]
}

// appendNumber writes a number so that 1, 1.0 and 1e0 are one. What is written
// as an integer stays exact.
func appendNumber(dst, number []byte) []byte {
	if plainNumber(number) {
		return append(dst, number...)
	}
	f, err := strconv.ParseFloat(string(number), 64)
	switch {
	case err != nil:
		return append(dst, number...) // can't be: the range was checked
	case f == 0:
		return append(dst, '0')
	case f > -1e21 && f < 1e21:
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'e', -1, 64)
}

// plainNumber: digits, and at most a short fraction that doesn't end in 0; such
// a number has no other plain spelling.
func plainNumber(number []byte) bool {
	if bytes.ContainsAny(number, "eE") || string(number) == "-0" {
		return false
	}
	if bytes.IndexByte(number, '.') < 0 {
		return true
	}
	return len(number) <= 15 && number[len(number)-1] != '0'
}

// eventID makes the event's ULID (law stream.3): its time, and 80 bits of
// SHA-256 over origin, first entity, message and content.
func (d *decoding) eventID() {
	ev := d.ev
	if ev.Type != stitch.Track && ev.Type != stitch.Page && ev.Type != stitch.Screen {
		return
	}
	d.buf = appendSized(d.buf[:0], ev.Origin)
	key, _ := ev.Route()
	d.buf = append(d.buf, byte(key.Kind))
	d.buf = appendSized(d.buf, key.ID)
	d.buf = appendSized(d.buf, d.messageKey())
	d.buf = append(d.buf, ev.Content[:]...)
	sum := sha256.Sum256(d.buf)
	binary.BigEndian.PutUint64(ev.EventID[:], uint64(ev.Time)<<16)
	copy(ev.EventID[6:], sum[:10])
}

// appendSized appends a text with its length, so that no two lists of texts are one.
func appendSized(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
