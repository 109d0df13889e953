package wire

import (
	"encoding/binary"
	"math"

	"lockstitch/stitch"
)

// reader reads what cbor_write.go writes, with heads in their shortest form and
// fields and keys in order: at anything else it turns bad, and the library judges
// the bytes afresh. It reads nothing otherwise than the library does (FuzzByHand).
// So what a record means, and whether it is damaged, is the library's word.
type reader struct {
	b     []byte
	at    int // how far b was read: a number, as a pointer would be the collector's business at each step
	bad   bool
	known map[string]string // texts that were made before; nil for none
	id    string            // of the entity that the message goes to
	event *stitch.Event     // room for the message's event; nil for none
}

// done says that all was read, and well.
func (r *reader) done() bool { return !r.bad && r.at == len(r.b) }

// head reads a head in its shortest form.
func (r *reader) head() (major byte, n uint64) {
	rest := r.b[r.at:]
	if len(rest) == 0 {
		r.bad = true
		return 0, 0
	}
	major, n = rest[0]&0xe0, uint64(rest[0]&0x1f)
	rest = rest[1:]
	if r.at++; n < 24 {
		return major, n
	}
	var least uint64
	switch {
	case n == 24 && len(rest) >= 1:
		n, least = uint64(rest[0]), 24
		r.at++
	case n == 25 && len(rest) >= 2:
		n, least = uint64(binary.BigEndian.Uint16(rest)), 1<<8
		r.at += 2
	case n == 26 && len(rest) >= 4:
		n, least = uint64(binary.BigEndian.Uint32(rest)), 1<<16
		r.at += 4
	case n == 27 && len(rest) >= 8:
		n, least = binary.BigEndian.Uint64(rest), 1<<32
		r.at += 8
	default:
		r.bad = true
		return 0, 0
	}
	r.bad = r.bad || n < least
	return major, n
}

// length reads a head of a kind whose n things are still to come, each of them a
// byte at least.
func (r *reader) length(major byte) int {
	m, n := r.head()
	if m != major || n > uint64(len(r.b)-r.at) {
		r.bad = true
	}
	if r.bad {
		return 0
	}
	return int(n)
}

func (r *reader) take(n int) []byte {
	s := r.b[r.at : r.at+n]
	r.at += n
	return s
}

func (r *reader) text() string { return string(r.take(r.length(majorText))) }

// word reads a text that is likely to come again.
func (r *reader) word() string {
	b := r.take(r.length(majorText))
	if s, ok := r.known[string(b)]; ok {
		return s
	}
	s := string(b)
	if r.known != nil && len(r.known) < maxKnown && len(s) <= maxKnownText {
		r.known[s] = s
	}
	return s
}

// whom reads an ID, which is likely to be the entity's.
func (r *reader) whom() string {
	b := r.take(r.length(majorText))
	if string(b) == r.id {
		return r.id
	}
	return string(b)
}

// bytes reads bytes; none at all are never written.
func (r *reader) bytes() []byte {
	s := r.take(r.length(majorBytes))
	if len(s) == 0 {
		r.bad = true
		return nil
	}
	return append([]byte(nil), s...)
}

func (r *reader) fixed(to []byte) {
	if s := r.take(r.length(majorBytes)); len(s) == len(to) {
		copy(to, s)
	} else {
		r.bad = true
	}
}

func (r *reader) int() int64 {
	major, n := r.head()
	if n > math.MaxInt64 || major != majorUint && major != majorNeg {
		r.bad = true
		return 0
	}
	if major == majorNeg {
		return ^int64(n)
	}
	return int64(n)
}

func (r *reader) int32() int32 {
	n := r.int()
	r.bad = r.bad || n != int64(int32(n))
	return int32(n)
}

func (r *reader) uint8() uint8 {
	n := r.int()
	r.bad = r.bad || n != int64(uint8(n))
	return uint8(n)
}

func (r *reader) flag() bool {
	if r.at == len(r.b) || r.b[r.at] != cborTrue && r.b[r.at] != cborFalse {
		r.bad = true
		return false
	}
	return r.take(1)[0] == cborTrue
}

// array reads the head of an array of n elements.
func (r *reader) array(n int) { r.bad = r.length(majorArray) != n || r.bad }

func (r *reader) texts() []string { return readList(r, r.text) }

// other leaves a value to the library.
func (r *reader) other(v any) {
	if r.bad {
		return
	}
	rest, err := decodeMode.UnmarshalFirst(r.b[r.at:], v)
	r.at, r.bad = len(r.b)-len(rest), err != nil
}

// fields reads a struct: it calls field with each number, in ascending order.
func (r *reader) fields(field func(number int64)) {
	last := int64(-1)
	for n := r.length(majorMap); n > 0 && !r.bad; n-- {
		number := r.int()
		if number <= last {
			r.bad = true
		}
		last = number
		field(number)
	}
}

// readList reads an array, as far as it is well.
func readList[V any](r *reader, value func() V) []V {
	list := []V{}
	for n := r.length(majorArray); n > 0 && !r.bad; n-- {
		list = append(list, value())
	}
	return list
}

// readMap reads a map with keys in order.
func readMap[V any](r *reader, value func() V) map[string]V {
	n := r.length(majorMap)
	m := map[string]V{}
	last := ""
	for i := range n {
		k := r.text()
		if r.bad || i > 0 && order(last, k) >= 0 {
			r.bad = true
			return nil
		}
		last = k
		m[k] = value()
	}
	return m
}

func readKey(r *reader, k *stitch.Key) {
	r.array(2)
	k.Kind, k.ID = stitch.Kind(r.uint8()), r.text()
	r.id = k.ID
}

func readSource(r *reader, s *stitch.Source) {
	r.array(3)
	s.Topic, s.Partition, s.Offset = r.word(), r.int32(), r.int()
}

func readPlace(r *reader, p *stitch.Place) {
	r.array(4)
	p.Sender, p.Partition, p.Offset, p.Index = r.word(), r.int32(), r.int(), r.int32()
}

func readMessage(r *reader, m *stitch.Message) {
	r.fields(func(number int64) {
		switch number {
		case 1:
			m.Kind = stitch.MessageKind(r.uint8())
		case 2:
			readKey(r, &m.To)
		case 3:
			readPlace(r, &m.Place)
		case 4:
			if m.Event, r.event = r.event, nil; m.Event == nil {
				m.Event = new(stitch.Event)
			}
			readEvent(r, m.Event)
		case 5:
			m.Why = stitch.Why(r.uint8())
		case 6:
			m.Hop = r.flag()
		case 7:
			r.other(&m.Void)
		case 8:
			r.other(&m.Path)
		case 9:
			m.Tie = r.text()
		case 10:
			m.Link = r.text()
		case 11:
			r.other(&m.Merge)
		case 12:
			m.Customer = r.text()
		case 14:
			m.Granted = r.flag()
		case 15:
			m.Lead = r.flag()
		case 16:
			r.other(&m.Estate)
		case 18:
			m.Corrects = r.text()
		case 19:
			m.Number = r.int()
		case 20:
			m.Watermark = r.int()
		case 21:
			m.WatermarkAll = r.int()
		case 22:
			m.Nonce = r.text()
		case 23:
			r.other(&m.Rules)
		case 24:
			m.Ask = r.flag()
		case 25:
			r.other(&m.Pending)
		default:
			r.bad = true
		}
	})
}

func readEvent(r *reader, e *stitch.Event) {
	r.fields(func(number int64) {
		switch number {
		case 1:
			readSource(r, &e.Source)
		case 2:
			e.Origin = r.word()
		case 3:
			e.MessageID = r.text()
		case 4:
			e.Type = stitch.Type(r.uint8())
		case 5:
			e.Op = stitch.Op(r.uint8())
		case 6:
			e.Name = r.word()
		case 7:
			e.Time = r.int()
		case 8:
			e.Anonymous = r.whom()
		case 9:
			e.User = r.whom()
		case 10:
			e.Previous = r.text()
		case 11:
			e.Email = r.whom()
		case 12:
			e.Temporary = r.flag()
		case 13:
			e.Trusted = r.flag()
		case 14:
			r.other(&e.Device)
		case 15:
			r.fixed(e.Content[:])
		case 16:
			r.fixed(e.EventID[:])
		case 17:
			e.Attributes = r.bytes()
		case 18:
			e.Fact = new(stitch.Fact)
			readFact(r, e.Fact)
		case 19:
			e.Collapse = new(stitch.Collapse)
			readCollapse(r, e.Collapse)
		case 20:
			r.other(&e.Notes)
		case 21:
			r.other(&e.Raw)
		case 22:
			e.Arrival = r.int()
		default:
			r.bad = true
		}
	})
}

func readFact(r *reader, x *stitch.Fact) {
	r.fields(func(number int64) {
		switch number {
		case 1:
			x.Key = r.text()
		case 2:
			x.Order = r.text()
		case 3:
			x.Authority = r.flag()
		case 4:
			x.Arbitrate = r.flag()
		case 5:
			x.Hold = r.int()
		default:
			r.bad = true
		}
	})
}

func readCollapse(r *reader, c *stitch.Collapse) {
	r.fields(func(number int64) {
		switch number {
		case 1:
			c.Key = r.text()
		case 2:
			r.fixed(c.Content[:])
		case 3:
			c.Window = r.int()
		default:
			r.bad = true
		}
	})
}

func readEntity(r *reader, e *stitch.Entity) {
	r.fields(func(number int64) {
		switch number {
		case 1:
			e.Touched = r.int()
		case 2:
			r.array(2)
			e.Timer.At, e.Timer.Wait = r.int(), stitch.Wait(r.uint8())
		case 3:
			e.Claims = r.bytes()
		case 4:
			e.Topics = r.texts()
		case 5:
			e.Collapse = readList(r, func() (c stitch.Collapsed) {
				r.array(4)
				c.Key = r.text()
				r.fixed(c.Content[:])
				c.Time = r.int()
				readSource(r, &c.Source)
				return c
			})
		case 6:
			e.Device = new(stitch.DeviceState)
			readDeviceState(r, e.Device)
		case 7:
			e.Fact = new(stitch.FactState)
			readFactState(r, e.Fact)
		case 8:
			e.Person = new(stitch.PersonState)
			readPersonState(r, e.Person)
		default:
			r.bad = true
		}
	})
}

func readDeviceState(r *reader, d *stitch.DeviceState) {
	r.fields(func(number int64) {
		switch number {
		case 1:
			d.Evidence = readList(r, func() (e stitch.Evidence) {
				r.array(6)
				e.Time, e.Origin, e.ID = r.int(), r.text(), r.text()
				e.Kind, e.Who, e.Temporary = stitch.EvidenceKind(r.uint8()), r.text(), r.flag()
				return e
			})
		case 2:
			d.Customers = r.texts()
		case 3:
			d.Same = readMap(r, r.text)
		case 4:
			d.Tied = readMap(r, r.text)
		case 5:
			r.other(&d.Held)
		case 6:
			d.Merged = r.texts()
		default:
			r.bad = true
		}
	})
}

func readFactState(r *reader, x *stitch.FactState) {
	r.fields(func(number int64) {
		switch number {
		case 1:
			x.Status = stitch.FactStatus(r.uint8())
		case 2:
			r.fixed(x.EventID[:])
		case 3:
			x.Held = new(stitch.Event)
			readEvent(r, x.Held)
		case 4:
			x.Origin = r.text()
		case 5:
			x.Authority = r.flag()
		case 6:
			r.fixed(x.Content[:])
		case 7:
			x.Time = r.int()
		case 8:
			readSource(r, &x.Source)
		case 9:
			r.array(3)
			x.Named.Anonymous, x.Named.User, x.Named.Email = r.text(), r.text(), r.text()
		default:
			r.bad = true
		}
	})
}

func readPersonState(r *reader, p *stitch.PersonState) {
	r.fields(func(number int64) {
		switch number {
		case 1:
			p.First = r.int()
		case 2:
			r.other(&p.Merges)
		case 3:
			r.other(&p.Splits)
		case 4:
			r.other(&p.Told)
		case 5:
			p.Into = r.text()
		case 6:
			p.Owned = readMap(r, r.int)
		case 7:
			p.Links = r.texts()
		case 8:
			p.Devices = readMap(r, func() (d stitch.PushDevice) {
				r.array(2)
				d.Token, d.Time = r.text(), r.int()
				return d
			})
		case 9:
			p.Waiting = new(stitch.Message)
			readMessage(r, p.Waiting)
		case 10:
			p.Queue = readList(r, func() *stitch.Message {
				m := new(stitch.Message)
				readMessage(r, m)
				return m
			})
		case 11:
			p.Number = r.int()
		case 12:
			r.other(&p.Pending)
		case 13:
			p.Owner = r.text()
		default:
			r.bad = true
		}
	})
}
