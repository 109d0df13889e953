package ledger

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"lockstitch/stitch"
)

// Entry is one record: where its sender caused it, and the checksum of all it says.
type Entry struct {
	Offset int64
	Index  int32
	Sum    uint64
}

func (e Entry) at(f Entry) int {
	return cmp.Or(cmp.Compare(e.Offset, f.Offset), cmp.Compare(e.Index, f.Index))
}

// Sum is the checksum of a record's parts; which topic it stands in is one of them.
// nil and empty are told apart.
func Sum(parts ...[]byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	var size [8]byte
	for _, p := range parts {
		n := int64(len(p))
		if p == nil {
			n = -1
		}
		binary.LittleEndian.PutUint64(size[:], uint64(n))
		_, _ = d.Write(size[:]) // it can't fail
		_, _ = d.Write(p)
	}
	return d.Sum64()
}

// SumRecord is the checksum of a record with a key and headers.
func SumRecord(topic string, key, value []byte, headers []stitch.Header) uint64 {
	parts := make([][]byte, 0, 3+2*len(headers))
	parts = append(parts, []byte(topic), key, value)
	for _, h := range headers {
		parts = append(parts, []byte(h.Key), h.Value)
	}
	return Sum(parts...)
}

// Parse reads a place as ls-place has it; from is the sender's partition.
func Parse(place string) (from string, offset int64, index int32, err error) {
	fields := strings.Split(place, "/")
	if len(fields) != 4 {
		return "", 0, 0, fmt.Errorf("%q is no place", place)
	}
	offset, err1 := strconv.ParseInt(fields[2], 10, 64)
	n, err2 := strconv.ParseInt(fields[3], 10, 32)
	if err1 != nil || err2 != nil || fields[0] == "" {
		return "", 0, 0, fmt.Errorf("%q is no place", place)
	}
	return fields[0] + "/" + fields[1], offset, int32(n), nil
}

// Ledger is what stands in the topics, by sender partition.
type Ledger struct{ senders map[string][]Entry }

// New makes an empty one.
func New() *Ledger { return &Ledger{senders: map[string][]Entry{}} }

// Add notes a record.
func (l *Ledger) Add(from string, offset int64, index int32, sum uint64) {
	l.senders[from] = append(l.senders[from], Entry{offset, index, sum})
}

// Left are the senders that nobody has asked for by Compare, in order.
func (l *Ledger) Left() []string {
	var left []string
	for from := range l.senders {
		left = append(left, from)
	}
	slices.Sort(left)
	return left
}

// Difference is what a comparison found; Places are the first of each kind.
type Difference struct {
	Same      int64 // as it should be
	Repeats   int64 // once more as the same bytes
	Lost      int64 // should be there
	Extra     int64 // should not be there
	Conflicts int64 // other bytes under the same place
	Places    []string
}

// Clean says whether only repeats are there.
func (d *Difference) Clean() bool { return d.Lost+d.Extra+d.Conflicts == 0 }

// Add adds another sender's.
func (d *Difference) Add(o Difference) {
	d.Same += o.Same
	d.Repeats += o.Repeats
	d.Lost += o.Lost
	d.Extra += o.Extra
	d.Conflicts += o.Conflicts
	d.Places = append(d.Places, o.Places[:min(len(o.Places), max(0, shown-len(d.Places)))]...)
}

const shown = 20 // places

func (d *Difference) find(n *int64, from string, e Entry, what string) {
	if *n++; len(d.Places) < shown {
		d.Places = append(d.Places, fmt.Sprintf("%s: %s/%d/%d", what, from, e.Offset, e.Index))
	}
}

// Comparison walks one sender's records and what they should be side by side.
type Comparison struct {
	from string
	got  []Entry
	d    Difference
}

// Compare begins the comparison of a sender's records, which the ledger gives up.
func (l *Ledger) Compare(from string) *Comparison {
	c := &Comparison{from: from, got: l.senders[from]}
	delete(l.senders, from)
	slices.SortFunc(c.got, func(a, b Entry) int { return cmp.Or(a.at(b), cmp.Compare(a.Sum, b.Sum)) })
	return c
}

// Want says what should be there; it is called in the order of places.
func (c *Comparison) Want(want Entry) {
	for len(c.got) > 0 && c.got[0].at(want) < 0 {
		c.take("not to be there")
	}
	if len(c.got) == 0 || c.got[0].at(want) > 0 {
		c.d.find(&c.d.Lost, c.from, want, "lost")
		return
	}
	first := true
	for ; len(c.got) > 0 && c.got[0].at(want) == 0; c.got = c.got[1:] {
		switch {
		case c.got[0].Sum != want.Sum:
			c.d.find(&c.d.Conflicts, c.from, want, "other bytes")
		case first:
			c.d.Same++
			first = false
		default:
			c.d.Repeats++
		}
	}
	if first {
		c.d.find(&c.d.Lost, c.from, want, "lost")
	}
}

func (c *Comparison) take(what string) {
	c.d.find(&c.d.Extra, c.from, c.got[0], what)
	c.got = c.got[1:]
}

// End is what was found; what nobody wanted is too much.
func (c *Comparison) End() Difference {
	for len(c.got) > 0 {
		c.take("not to be there")
	}
	return c.d
}
