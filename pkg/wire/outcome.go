package wire

import (
	"bytes"
	"strings"
	"time"

	"lockstitch/stitch"
)

// mayContain reports that an object may have a member of that name: literally,
// or written with escapes.
func mayContain(object []byte, name string) bool {
	return bytes.IndexByte(object, '\\') >= 0 || bytes.Contains(object, []byte(name))
}

// decision encodes a record of the decisions topic. Its "at" is log time, as
// RFC 3339 with milliseconds, in UTC; empty fields are left out.
func (r *Room) decision(place stitch.Place, d *stitch.Decision) (rec EncodedRecord) {
	source := ""
	if d.Source != (stitch.Source{}) {
		source = d.Source.String()
	}
	first, v := len(r.headers), r.text
	for _, f := range [...]struct{ name, value string }{
		{"kind", d.Kind}, {"outcome", d.Outcome}, {"reason", d.Reason}, {"source", source}, {"message", d.Message},
		{"at", time.UnixMilli(d.At).UTC().Format("2006-01-02T15:04:05.000Z")},
		{"other", d.Other}, {"person", d.Person}, {"order", d.Order},
	} {
		if f.value == "" {
			continue
		}
		v = append(append(append(v, ',', '"'), f.name...), '"', ':')
		v = appendText(v, f.value)
	}
	rec.Value = r.keep(append(v, '}'))
	rec.Value[0] = '{'
	rec.Key = r.keep(append(r.text, d.Key...))
	r.textHeader(HeaderSource, source)
	r.header(HeaderPlace, r.keep(place.Append(r.text)))
	rec.Headers = r.from(first)
	return rec
}

// maxErrorText bounds the header ls-error, in bytes: a record can be wrong in
// thousands of places, and the DLQ must take it all the same.
const maxErrorText = 16 << 10

// dead encodes a record of the DLQ: the original key, value and headers untouched,
// and after these where it came from and all that is wrong with it.
func (r *Room) dead(place stitch.Place, dead *stitch.DeadLetter) EncodedRecord {
	first := len(r.headers)
	r.headers = append(r.headers, dead.Raw.Headers...)
	r.header(HeaderSource, r.keep(dead.Source.Append(r.text)))
	r.header(HeaderPlace, r.keep(place.Append(r.text)))
	r.textHeader(HeaderReason, dead.Rejects[0].Reason)
	r.textHeader(HeaderError, errorText(dead.Rejects))
	return EncodedRecord{Key: dead.Raw.Key, Value: dead.Raw.Value, Headers: r.from(first)}
}

// errorText is every sentence, each after its reason.
func errorText(rejects []stitch.Reject) string {
	var b strings.Builder
	for i, r := range rejects {
		if b.Len()+len(r.Reason)+len(r.Sentence) > maxErrorText {
			b.WriteString("; and more")
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(r.Reason + ": " + r.Sentence)
	}
	return b.String()
}
