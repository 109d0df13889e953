package wire

import (
	"fmt"
	"slices"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"lockstitch/stitch"
)

// formatVersion is the first byte of every message and every state. A change
// that an older reader would misread gets the next number.
const formatVersion = 1

// encoding and decoding of CBOR: RFC 8949's core deterministic encoding, so that
// equal values are equal bytes, whatever built the maps in them.
var (
	encodeMode = must(cbor.CoreDetEncOptions().UserBufferEncMode())
	decodeMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8DecodeInvalid, // a Kafka header's key is any bytes
		MaxArrayElements:  1 << 24,                // a person's state may hold a long queue
		MaxMapPairs:       1 << 24,
		MaxNestedLevels:   64,
	}.DecMode())
)

// must is for the two modes above: their options are constants, and a test loads
// the package.
func must[T any](v T, err error) T {
	if err != nil {
		panic("wire: " + err.Error())
	}
	return v
}

// EncodeMessage encodes the value of a journal record.
func EncodeMessage(m *stitch.Message) []byte { return MarshalState(m) }

// NewerError says that a newer program wrote the bytes: whoever meets it must
// stop, as passing over them would lose what they say.
type NewerError struct{ Version byte }

func (e *NewerError) Error() string {
	return fmt.Sprintf("wire: format version %d, this program reads %d: run the version that wrote it, or a newer one", e.Version, formatVersion)
}

// maxVersion is the last format version there may ever be: a higher first byte is
// no version, and the bytes are none of ours.
const maxVersion = 15

// DecodeMessage is the inverse of EncodeMessage. An error is a *NewerError, or
// says that the record is damaged or none of ours.
func DecodeMessage(value []byte) (*stitch.Message, error) { return new(decoded).read(value, nil) }

// Decoder decodes one message after the other, as DecodeMessage does, into memory that
// is used again. Texts that come again and again it makes once. It is not safe for
// concurrent use.
type Decoder struct {
	known   map[string]string
	decoded []*decoded
	used    int // of these
}

// Bounds of what a Decoder knows: texts, and bytes of each.
const (
	maxKnown     = 1024
	maxKnownText = 64
)

// decoded is room for a message; nearly all have an event.
type decoded struct {
	message stitch.Message
	event   stitch.Event
}

// Reset says that no message, and no message's event, that was decoded before is in
// use any more; what hangs on them may be.
func (d *Decoder) Reset() {
	if 4*d.used < len(d.decoded) { // what many at once have taken isn't kept for ever
		clear(d.decoded[d.used:])
		d.decoded = d.decoded[:d.used]
	}
	d.used = 0
}

// Message decodes a message.
func (d *Decoder) Message(value []byte) (*stitch.Message, error) {
	if d.known == nil {
		d.known = map[string]string{}
	}
	if d.used == len(d.decoded) {
		d.decoded = append(d.decoded, new(decoded))
	} else {
		*d.decoded[d.used] = decoded{}
	}
	d.used++
	return d.decoded[d.used-1].read(value, d.known)
}

// read reads a message into d, which is empty.
func (d *decoded) read(value []byte, known map[string]string) (*stitch.Message, error) {
	b, err := body(value)
	r := reader{b: b, known: known, event: &d.event}
	if err == nil {
		if readMessage(&r, &d.message); r.done() {
			return &d.message, nil
		}
		d.message = stitch.Message{}
		err = decodeSlowly(b, &d.message)
	}
	if err != nil {
		return nil, fmt.Errorf("journal message: %w", err)
	}
	return &d.message, nil
}

// MarshalState encodes a state, such as an entity's, deterministically: equal
// states are equal bytes. v points to a value of the fold: numbers, texts, bytes,
// and maps, lists and structs of them. It panics on any other, a programmer's error.
func MarshalState(v any) []byte {
	buf := scratch.Get().(*[]byte)
	b := AppendState((*buf)[:0], v)
	out := slices.Clone(b)
	if cap(b) <= 1<<16 { // one that a huge state blew up is left to the collector
		*buf = b
		scratch.Put(buf)
	}
	return out
}

// scratch are buffers to encode into, so that what is kept is as long as it has to be.
var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

// AppendState appends what MarshalState returns.
func AppendState(b []byte, v any) []byte {
	b = append(b, formatVersion)
	switch v := v.(type) {
	case *stitch.Message:
		return appendMessage(b, v)
	case *stitch.Entity:
		return appendEntity(b, v)
	}
	return appendAny(b, v)
}

// UnmarshalState is the inverse of MarshalState, into the zero value at v.
func UnmarshalState(value []byte, v any) error {
	b, err := body(value)
	if err != nil {
		return err
	}
	if e, ok := v.(*stitch.Entity); ok {
		r := reader{b: b}
		if readEntity(&r, e); r.done() {
			return nil
		}
		*e = stitch.Entity{}
	}
	return decodeSlowly(b, v)
}

// body is what follows the format version.
func body(b []byte) ([]byte, error) {
	switch {
	case len(b) == 0:
		return nil, fmt.Errorf("wire: no bytes: expected format version %d", formatVersion)
	case b[0] > formatVersion && b[0] <= maxVersion:
		return nil, &NewerError{b[0]}
	case b[0] != formatVersion:
		return nil, fmt.Errorf("wire: bytes of no format version: expected %d", formatVersion)
	}
	return b[1:], nil
}

// decodeSlowly has the library decode, whose word on what is damaged counts.
func decodeSlowly(b []byte, v any) error {
	if err := decodeMode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("wire: damaged, or of a newer program: %w", err)
	}
	return nil
}
