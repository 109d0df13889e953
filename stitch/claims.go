package stitch

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// Claims are the messages that an entity has seen first (law duplicates.1),
// packed in the order of their arrival, 28 bytes each: 8 of SHA-256 of origin and message ID, 4
// of the content's, 4 of log time in seconds, 12 of source position. They are
// the entity's own, not the partition's: two devices with one message ID do not
// meet, a claim expires exactly, and one read gets all that a message needs
// (docs/decisions/0002-claims-in-the-entity.md).
const (
	claimSize = 28
	// MaxClaims is how many an entity remembers; a device that posts more within
	// the duplicate window forgets its oldest. It bounds a bot's state to 112 KiB.
	MaxClaims = 4096
)

// claim looks the event up among the entity's claims and claims it. duplicate:
// the same fact was seen, first at other. potential: the same message ID was
// seen with other content. Events without a message ID claim nothing.
func (e *Entity) claim(ev *Event, now, window int64) (duplicate, potential bool, other Source) {
	if ev.MessageID == "" {
		return false, false, Source{}
	}
	id := claimID(ev.Origin, ev.MessageID)
	e.expireClaims(now - window)
	for i := 0; i < len(e.Claims); i += claimSize {
		c := e.Claims[i : i+claimSize]
		if string(c[:8]) != string(id[:]) {
			continue
		}
		other = e.claimSource(c)
		if string(c[8:12]) == string(ev.Content[:4]) {
			again := slices.Clone(c)
			binary.BigEndian.PutUint32(again[12:], uint32(now/1000)) // a repeat claims again
			e.Claims = append(slices.Delete(e.Claims, i, i+claimSize), again...)
			return true, false, other
		}
		potential = true
	}
	e.Claims = e.appendClaim(e.Claims, id, ev, now)
	if len(e.Claims) > MaxClaims*claimSize {
		e.Claims = slices.Delete(e.Claims, 0, claimSize)
	}
	return false, potential, other
}

// expireClaims drops claims made at or before the given log time (ms). Claims
// stand in order of their time, as the clock never goes back.
func (e *Entity) expireClaims(before int64) {
	n := 0
	for n < len(e.Claims) && int64(binary.BigEndian.Uint32(e.Claims[n+12:]))*1000 < before {
		n += claimSize
	}
	e.Claims = slices.Delete(e.Claims, 0, n)
}

func claimID(origin, messageID string) (id [8]byte) {
	var room [128]byte // most fit, and are no garbage
	sum := sha256.Sum256(append(append(append(room[:0], origin...), 0), messageID...))
	copy(id[:], sum[:])
	return id
}

func (e *Entity) appendClaim(b []byte, id [8]byte, ev *Event, now int64) []byte {
	topic := slices.Index(e.Topics, ev.Source.Topic)
	if topic < 0 {
		topic = len(e.Topics)
		e.Topics = append(e.Topics, ev.Source.Topic)
	}
	b = append(b, id[:]...)
	b = append(b, ev.Content[:4]...)
	b = binary.BigEndian.AppendUint32(b, uint32(now/1000))
	b = binary.BigEndian.AppendUint16(b, uint16(topic))
	b = binary.BigEndian.AppendUint16(b, uint16(ev.Source.Partition))
	return binary.BigEndian.AppendUint64(b, uint64(ev.Source.Offset))
}

func (e *Entity) claimSource(c []byte) Source {
	return Source{
		Topic:     e.Topics[binary.BigEndian.Uint16(c[16:])],
		Partition: int32(binary.BigEndian.Uint16(c[18:])),
		Offset:    int64(binary.BigEndian.Uint64(c[20:])),
	}
}

// maxCollapse bounds the acts that an entity remembers: carts of one person
// within seconds of each other.
const maxCollapse = 16

// collapsed reports whether the event repeats the one last published of the same
// key and content within the window (law duplicates.5), and remembers it if not.
func (e *Entity) collapsed(ev *Event) (other Source, repeat bool) {
	c := ev.Collapse
	if c == nil {
		return Source{}, false
	}
	i := slices.IndexFunc(e.Collapse, func(o Collapsed) bool { return o.Key == c.Key && o.Content == c.Content })
	if i >= 0 {
		if last := e.Collapse[i]; abs(ev.Time-last.Time) <= c.Window {
			return last.Source, true
		}
		e.Collapse = slices.Delete(e.Collapse, i, i+1)
	}
	e.Collapse = append(e.Collapse, Collapsed{Key: c.Key, Content: c.Content, Time: ev.Time, Source: ev.Source})
	if len(e.Collapse) > maxCollapse {
		e.Collapse = slices.Delete(e.Collapse, 0, 1)
	}
	return Source{}, false
}

func abs(x int64) int64 {
	if x < 0 {
		return -x
	}
	return x
}
