package wire

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"lockstitch/stitch"
)

// Messages and entities are most of what is written, so they are written by
// hand: the very bytes that the CBOR library writes for them (a test compares
// the two for any value). What is rare in them is left to the library.

// CBOR's major types, in the head's upper three bits.
const (
	majorUint  = 0 << 5
	majorNeg   = 1 << 5
	majorBytes = 2 << 5
	majorText  = 3 << 5
	majorArray = 4 << 5
	majorMap   = 5 << 5
	cborTrue   = 0xf5
	cborFalse  = 0xf4
)

// appendHead appends a head with the shortest form of n.
func appendHead(b []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

func appendInt(b []byte, n int64) []byte {
	if n < 0 {
		return appendHead(b, majorNeg, uint64(^n))
	}
	return appendHead(b, majorUint, uint64(n))
}

func appendString(b []byte, s string) []byte {
	return append(appendHead(b, majorText, uint64(len(s))), s...)
}

func appendBytes(b, s []byte) []byte {
	return append(appendHead(b, majorBytes, uint64(len(s))), s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, cborTrue)
	}
	return append(b, cborFalse)
}

// appendAny leaves a value to the library.
func appendAny(b []byte, v any) []byte {
	buf := bytes.NewBuffer(b)
	if err := encodeMode.MarshalToBuffer(v, buf); err != nil {
		panic("wire: a value of the fold that CBOR can't hold: " + err.Error())
	}
	return buf.Bytes()
}

// pairs is a struct that is being written: a map from field numbers, in their
// order, to values. A zero value is left out.
type pairs struct {
	b  []byte
	at int // of the map's head
	n  byte
}

func openPairs(b []byte) pairs { return pairs{b: append(b, majorMap), at: len(b)} }

// key begins a field; its value follows.
func (f *pairs) key(number byte) {
	f.n++
	f.b = appendHead(f.b, majorUint, uint64(number))
}

// close returns the bytes. A head of one byte has room for 23 fields, as many as a
// message has, the longest.
func (f *pairs) close() []byte {
	f.b[f.at] |= f.n
	return f.b
}

func (f *pairs) int(number byte, n int64) {
	if n != 0 {
		f.key(number)
		f.b = appendInt(f.b, n)
	}
}

func (f *pairs) text(number byte, s string) {
	if s != "" {
		f.key(number)
		f.b = appendString(f.b, s)
	}
}

func (f *pairs) bytes(number byte, s []byte) {
	if len(s) > 0 {
		f.fixed(number, s)
	}
}

func (f *pairs) fixed(number byte, s []byte) {
	f.key(number)
	f.b = appendBytes(f.b, s)
}

func (f *pairs) flag(number byte, v bool) {
	if v {
		f.key(number)
		f.b = append(f.b, cborTrue)
	}
}

func (f *pairs) texts(number byte, list []string) {
	appendList(f, number, list, appendString)
}

// other is a field that is there, and left to the library.
func (f *pairs) other(number byte, v any) {
	f.key(number)
	f.b = appendAny(f.b, v)
}

// appendList appends a field that is an array, unless it is empty.
func appendList[V any](f *pairs, number byte, list []V, value func([]byte, V) []byte) {
	if len(list) == 0 {
		return
	}
	f.key(number)
	f.b = appendHead(f.b, majorArray, uint64(len(list)))
	for _, v := range list {
		f.b = value(f.b, v)
	}
}

// order is the deterministic encoding's order of texts as keys.
func order(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

// appendMap appends a field that is a map, keys in order, unless it is empty.
func appendMap[V any](f *pairs, number byte, m map[string]V, value func([]byte, V) []byte) {
	if len(m) == 0 {
		return
	}
	f.key(number)
	f.b = appendHead(f.b, majorMap, uint64(len(m)))
	if len(m) == 1 {
		for k, v := range m {
			f.b = value(appendString(f.b, k), v)
		}
		return
	}
	keys := make([]string, 0, 16)
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, order)
	for _, k := range keys {
		f.b = value(appendString(f.b, k), m[k])
	}
}

func appendKey(b []byte, k *stitch.Key) []byte {
	b = appendHead(append(b, majorArray|2), majorUint, uint64(k.Kind))
	return appendString(b, k.ID)
}

func appendSource(b []byte, s *stitch.Source) []byte {
	b = appendString(append(b, majorArray|3), s.Topic)
	return appendInt(appendInt(b, int64(s.Partition)), s.Offset)
}

func appendPlace(b []byte, p *stitch.Place) []byte {
	b = appendString(append(b, majorArray|4), p.Sender)
	b = appendInt(appendInt(b, int64(p.Partition)), p.Offset)
	return appendInt(b, int64(p.Index))
}

func appendMessage(b []byte, m *stitch.Message) []byte {
	f := openPairs(b)
	f.key(1)
	f.b = appendHead(f.b, majorUint, uint64(m.Kind))
	f.key(2)
	f.b = appendKey(f.b, &m.To)
	f.key(3)
	f.b = appendPlace(f.b, &m.Place)
	if m.Event != nil {
		f.key(4)
		f.b = appendEvent(f.b, m.Event)
	}
	f.int(5, int64(m.Why))
	f.flag(6, m.Hop)
	if len(m.Void) > 0 {
		f.other(7, m.Void)
	}
	if len(m.Path) > 0 {
		f.other(8, m.Path)
	}
	f.text(9, m.Tie)
	f.text(10, m.Link)
	if m.Merge != nil {
		f.other(11, m.Merge)
	}
	f.text(12, m.Customer)
	f.flag(14, m.Granted)
	f.flag(15, m.Lead)
	if m.Estate != nil {
		f.other(16, m.Estate)
	}
	f.text(18, m.Corrects)
	f.int(19, m.Number)
	f.int(20, m.Watermark)
	f.int(21, m.WatermarkAll)
	f.text(22, m.Nonce)
	if m.Rules != nil {
		f.other(23, m.Rules)
	}
	f.flag(24, m.Ask)
	if m.Pending != nil {
		f.other(25, m.Pending)
	}
	return f.close()
}

func appendEvent(b []byte, e *stitch.Event) []byte {
	f := openPairs(b)
	f.key(1)
	f.b = appendSource(f.b, &e.Source)
	f.text(2, e.Origin)
	f.text(3, e.MessageID)
	f.int(4, int64(e.Type))
	f.int(5, int64(e.Op))
	f.text(6, e.Name)
	f.int(7, e.Time)
	f.text(8, e.Anonymous)
	f.text(9, e.User)
	f.text(10, e.Previous)
	f.text(11, e.Email)
	f.flag(12, e.Temporary)
	f.flag(13, e.Trusted)
	if e.Device != nil {
		f.other(14, e.Device)
	}
	f.fixed(15, e.Content[:])
	f.fixed(16, e.EventID[:])
	f.bytes(17, e.Attributes)
	if x := e.Fact; x != nil {
		f.key(18)
		g := openPairs(f.b)
		g.text(1, x.Key)
		g.text(2, x.Order)
		g.flag(3, x.Authority)
		g.flag(4, x.Arbitrate)
		g.int(5, x.Hold)
		f.b = g.close()
	}
	if c := e.Collapse; c != nil {
		f.key(19)
		g := openPairs(f.b)
		g.text(1, c.Key)
		g.fixed(2, c.Content[:])
		g.int(3, c.Window)
		f.b = g.close()
	}
	if len(e.Notes) > 0 {
		f.other(20, e.Notes)
	}
	if e.Raw != nil {
		f.other(21, e.Raw)
	}
	f.int(22, e.Arrival)
	return f.close()
}

func appendEntity(b []byte, e *stitch.Entity) []byte {
	f := openPairs(b)
	f.int(1, e.Touched)
	f.key(2)
	f.b = appendHead(appendInt(append(f.b, majorArray|2), e.Timer.At), majorUint, uint64(e.Timer.Wait))
	f.bytes(3, e.Claims)
	f.texts(4, e.Topics)
	appendList(&f, 5, e.Collapse, func(b []byte, c stitch.Collapsed) []byte {
		b = appendBytes(appendString(append(b, majorArray|4), c.Key), c.Content[:])
		return appendSource(appendInt(b, c.Time), &c.Source)
	})
	if e.Device != nil {
		f.key(6)
		f.b = appendDeviceState(f.b, e.Device)
	}
	if e.Fact != nil {
		f.key(7)
		f.b = appendFactState(f.b, e.Fact)
	}
	if e.Person != nil {
		f.key(8)
		f.b = appendPersonState(f.b, e.Person)
	}
	return f.close()
}

func appendDeviceState(b []byte, d *stitch.DeviceState) []byte {
	f := openPairs(b)
	appendList(&f, 1, d.Evidence, appendEvidence)
	f.texts(2, d.Customers)
	appendMap(&f, 3, d.Same, appendString)
	appendMap(&f, 4, d.Tied, appendString)
	if len(d.Held) > 0 {
		f.other(5, d.Held)
	}
	f.texts(6, d.Merged)
	return f.close()
}

func appendEvidence(b []byte, e stitch.Evidence) []byte {
	b = appendInt(append(b, majorArray|6), e.Time)
	b = appendString(appendString(b, e.Origin), e.ID)
	b = appendString(appendHead(b, majorUint, uint64(e.Kind)), e.Who)
	return appendBool(b, e.Temporary)
}

func appendFactState(b []byte, x *stitch.FactState) []byte {
	f := openPairs(b)
	f.int(1, int64(x.Status))
	f.fixed(2, x.EventID[:])
	if x.Held != nil {
		f.key(3)
		f.b = appendEvent(f.b, x.Held)
	}
	f.text(4, x.Origin)
	f.flag(5, x.Authority)
	f.fixed(6, x.Content[:])
	f.int(7, x.Time)
	f.key(8)
	f.b = appendSource(f.b, &x.Source)
	f.key(9)
	f.b = appendString(append(f.b, majorArray|3), x.Named.Anonymous)
	f.b = appendString(appendString(f.b, x.Named.User), x.Named.Email)
	return f.close()
}

func appendPersonState(b []byte, p *stitch.PersonState) []byte {
	f := openPairs(b)
	f.int(1, p.First)
	if len(p.Merges) > 0 {
		f.other(2, p.Merges)
	}
	if len(p.Splits) > 0 {
		f.other(3, p.Splits)
	}
	if p.Told != nil {
		f.other(4, p.Told)
	}
	f.text(5, p.Into)
	appendMap(&f, 6, p.Owned, appendInt)
	f.texts(7, p.Links)
	appendMap(&f, 8, p.Devices, func(b []byte, d stitch.PushDevice) []byte {
		return appendInt(appendString(append(b, majorArray|2), d.Token), d.Time)
	})
	if p.Waiting != nil {
		f.key(9)
		f.b = appendMessage(f.b, p.Waiting)
	}
	appendList(&f, 10, p.Queue, appendMessage)
	f.int(11, p.Number)
	if len(p.Pending) > 0 {
		f.other(12, p.Pending)
	}
	f.text(13, p.Owner)
	return f.close()
}
