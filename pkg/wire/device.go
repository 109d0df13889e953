package wire

import (
	"bytes"
	"strings"

	"lockstitch/stitch"
	"lockstitch/stitch/plan"
)

// device reads the push device of a device operation. It may stand in the
// context, in properties.device, or in the properties themselves; what the
// properties say goes first, as they say what the operation is about.
func (d *decoding) device() {
	if d.ev.Op != stitch.OpDeviceUpdate && d.ev.Op != stitch.OpDeviceDelete {
		return
	}
	inner, flat := d.find(d.properties, "device"), d.flatDevice()
	id := firstOf(d.find(inner, "id"), d.find(flat, "device_id"), d.find(flat, "id"), d.find(d.contextDevice, "id"))
	token := firstOf(d.find(inner, "token"), d.find(flat, "token"), d.find(flat, "device_token"), d.find(d.contextDevice, "token"))
	platform := firstOf(d.find(inner, "type"), d.find(inner, "platform"), d.find(flat, "type"), d.find(flat, "platform"),
		d.find(d.contextDevice, "type"), d.find(d.contextDevice, "platform"))
	dev := &stitch.Device{Platform: d.platform(platform)}
	dev.ID, _ = d.id(id)
	if token != 0 && d.nodes[token].kind == '"' {
		dev.Token = pushToken(d.bytes(token))
	}
	if len(dev.Token) > maxAttributeValue {
		d.rejectAt(token, ReasonIDTooLong, "a push token must not be over 1,000 bytes")
	}
	dev.Fields = d.deviceFields(d.find(inner, "attributes"))
	d.ev.Device = dev
}

// flatDevice is the properties where these are the device themselves: they have
// a token and no device. 0 where they aren't.
func (d *decoding) flatDevice() int32 {
	if d.find(d.properties, "device") == 0 &&
		(d.find(d.properties, "token") != 0 || d.find(d.properties, "device_token") != 0) {
		return d.properties
	}
	return 0
}

func firstOf(nodes ...int32) int32 {
	for _, n := range nodes {
		if n != 0 {
			return n
		}
	}
	return 0
}

func (d *decoding) platform(n int32) string {
	if n == 0 || d.nodes[n].kind != '"' {
		return ""
	}
	for _, platform := range [...]string{"ios", "android"} {
		if bytes.EqualFold(d.bytes(n), []byte(platform)) {
			return platform
		}
	}
	return ""
}

// pushToken returns the token, "" for what SDKs post where they have none:
// (null), BLACKLISTED, a description of an object (contract section 7, "push tokens").
func pushToken(posted []byte) string {
	token := plan.Trim(string(posted))
	switch bare(token) {
	case "", "(null)", "null", "nil", "undefined", "none", "blacklisted":
		return ""
	}
	if token[0] == '[' || strings.ContainsFunc(token, notInToken) {
		return ""
	}
	return token
}

// notInToken: what only a description has. Tokens are hexadecimal (APNs) or
// letters, digits and a little punctuation (FCM).
func notInToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`<>{}()"'\,;`, r)
}

// deviceFields are the device's attributes: the properties that aren't the
// device itself, as text, which is all that Customer.io takes.
func (d *decoding) deviceFields(inner int32) []byte {
	if max(d.size(d.properties), d.size(inner)) > 4*maxAttributes {
		d.reject(ReasonLimitAttributes, "properties: a device must not have over 300 attributes")
		return nil
	}
	d.buf = append(d.buf[:0], '{')
	d.addDeviceFields(d.properties, 0)
	d.addDeviceFields(inner, d.properties)
	if len(d.buf) == 1 {
		return nil
	}
	return bytes.Clone(append(d.buf, '}'))
}

// size is how many nodes a value has, 0 where it is absent: at most two for each
// member of a flat object.
func (d *decoding) size(n int32) int32 {
	if n == 0 {
		return 0
	}
	return d.nodes[n].next - n
}

// addDeviceFields adds the members of one object that the other lacks.
func (d *decoding) addDeviceFields(object, other int32) {
	if object == 0 || d.nodes[object].kind != '{' {
		return
	}
	for k := object + 1; k < d.nodes[object].next; k = d.nodes[k+1].next {
		name := string(d.bytes(k))
		switch name {
		case "id", "token", "type", "platform", "device", "device_id", "device_token", "last_used", "attributes":
			continue
		}
		if other != 0 && d.find(other, name) != 0 {
			continue
		}
		d.addDeviceField(k, name)
	}
}

func (d *decoding) addDeviceField(k int32, name string) {
	v := k + 1
	mark := len(d.buf)
	if mark > 1 {
		d.buf = append(d.buf, ',')
	}
	d.buf = append(append(d.buf, d.raw(k)...), ':')
	value := len(d.buf)
	switch d.nodes[v].kind {
	case 'n':
		d.buf = d.buf[:mark]
		return
	case '"':
		d.buf = append(d.buf, d.raw(v)...)
	case '0', 't', 'f':
		d.buf = append(append(append(d.buf, '"'), d.raw(v)...), '"')
	default:
		d.buf = d.buf[:mark]
		d.noteAt(v, NoteShapeDropped)
		return
	}
	text := string(d.buf[value:])
	switch {
	case name == "push_enabled" && text != `"true"` && text != `"false"`,
		name == "_last_status" && text != `""` && text != `"bounced"` && text != `"sent"` && text != `"suppressed"`:
		d.buf = d.buf[:mark]
		d.noteAt(v, NoteShapeDropped)
	}
}
