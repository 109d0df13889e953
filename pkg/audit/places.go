package audit

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// place is where an output stands among its sender's.
type place struct {
	offset int64
	index  int32
}

func (p place) less(q place) bool {
	return p.offset < q.offset || p.offset == q.offset && p.index < q.index
}

// places are all places of the outputs, and the readers that pass over what
// isn't higher than the highest (law 2.2).
type places struct {
	sorter  *sorter
	id      string            // the journal's topic ID
	names   []string          // of senders: topic ID and partition
	journal []bool            // of senders: it is this journal
	numbers map[string]uint32 // their indexes
	outs    []string          // output partitions: topic/partition
	topics  []string          // source topics, by number
	readers map[reader]*seen
}

// reader is who reads one sender's records in one output partition.
type reader struct {
	out    uint16
	sender uint32
}

type seen struct{ first, highest place }

func newPlaces(s *sorter) *places {
	return &places{sorter: s, numbers: map[string]uint32{}, readers: map[reader]*seen{}}
}

func (p *places) close() { p.sorter.close() }

// out makes a number for an output partition.
func (p *places) out(topic string, partition int32) uint16 {
	p.outs = append(p.outs, topic+"/"+strconv.Itoa(int(partition)))
	return uint16(len(p.outs) - 1)
}

// topic makes a number for a source topic.
func (p *places) topic(name string) uint32 {
	i := slices.Index(p.topics, name)
	if i < 0 {
		i = len(p.topics)
		p.topics = append(p.topics, name)
	}
	return uint32(i)
}

// parse splits sender/partition/offset/index.
func (p *places) parse(text []byte) (sender uint32, at place, ok bool) {
	i := bytes.LastIndexByte(text, '/')
	if i < 0 {
		return 0, at, false
	}
	k := bytes.LastIndexByte(text[:i], '/')
	if k < 0 || bytes.IndexByte(text[:k], '/') <= 0 {
		return 0, at, false
	}
	index, ok1 := number(text[i+1:])
	offset, ok2 := number(text[k+1 : i])
	if !ok1 || !ok2 || index > 1<<31-1 {
		return 0, at, false
	}
	n, known := p.numbers[string(text[:k])]
	if !known {
		n = uint32(len(p.names))
		p.names = append(p.names, string(text[:k]))
		p.numbers[p.names[n]] = n
		p.journal = append(p.journal, p.id != "" && bytes.HasPrefix(text[:k], []byte(p.id+"/")))
	}
	return n, place{offset, int32(index)}, true
}

// number reads decimal digits.
func number(text []byte) (n int64, ok bool) {
	if len(text) == 0 || len(text) > 18 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// take notes a record's place, and reports whether a reader passes over it.
// fromStart says that the partition was read from its very start; else what comes
// before the first place seen may be a repeat of what was not read.
func (p *places) take(out uint16, rec *Record, sender uint32, at place, fromStart bool) (passed bool, err error) {
	k := reader{out, sender}
	s := p.readers[k]
	switch {
	case s == nil:
		p.readers[k] = &seen{at, at}
	case s.highest.less(at):
		s.highest = at
	case !fromStart && at.less(s.first):
		return true, nil
	default:
		passed = true
	}
	return passed, p.sorter.add(placeRow(sender, at, out, rec, passed))
}

// placeRow is sender 4, offset 8, index 4, output partition 2, offset there with a
// bit for passed over 6, fingerprint 8.
func placeRow(sender uint32, at place, out uint16, rec *Record, passed bool) (r row) {
	binary.BigEndian.PutUint32(r[0:], sender)
	binary.BigEndian.PutUint64(r[4:], uint64(at.offset))
	binary.BigEndian.PutUint32(r[12:], uint32(at.index))
	binary.BigEndian.PutUint64(r[16:], uint64(rec.Offset)<<1) // its upper two bytes are 0
	if passed {
		r[23] |= 1
	}
	binary.BigEndian.PutUint16(r[16:], out)
	binary.BigEndian.PutUint64(r[24:], fingerprint(rec))
	return r
}

// fingerprint is of all that a repeat must have the same. It is only compared
// among records of one place.
func fingerprint(rec *Record) uint64 {
	var h xxhash.Digest
	h.Reset()
	var size [4]byte
	write := func(b []byte) {
		binary.BigEndian.PutUint32(size[:], uint32(len(b)))
		_, _ = h.Write(size[:])
		_, _ = h.Write(b)
	}
	write(rec.Key)
	write(rec.Value)
	for _, header := range rec.Headers {
		write([]byte(header.Key))
		write(header.Value)
	}
	return h.Sum64()
}

// placed is a row read back.
type placed struct {
	sender uint32
	at     place
	out    uint16
	offset int64
	passed bool
	print  uint64
}

func readPlace(r *row) placed {
	where := binary.BigEndian.Uint64(r[16:]) & (1<<48 - 1)
	return placed{
		sender: binary.BigEndian.Uint32(r[0:]),
		at:     place{int64(binary.BigEndian.Uint64(r[4:])), int32(binary.BigEndian.Uint32(r[12:]))},
		out:    binary.BigEndian.Uint16(r[16:]),
		offset: int64(where >> 1), passed: where&1 == 1,
		print: binary.BigEndian.Uint64(r[24:]),
	}
}

func (p *places) text(x placed) string {
	return p.names[x.sender] + "/" + strconv.FormatInt(x.at.offset, 10) + "/" + strconv.Itoa(int(x.at.index))
}

func (p *places) where(x placed) string { return p.outs[x.out] + "/" + strconv.FormatInt(x.offset, 10) }

// judge goes through the records of each place.
func (p *places) judge(report *Report) error {
	var first, last placed
	any := false
	return p.sorter.each(func(r *row) {
		x := readPlace(r)
		again := any && x.sender == first.sender && x.at == first.at
		if !again {
			first = x
		}
		switch {
		case x.passed && (!again || x.out != last.out):
			report.conflict(p.finding(x, "out of order: a reader passes over it as a repeat, and its place was never seen there", nil))
		case !again:
		case x.out != first.out:
			report.conflict(p.finding(x, "its place stands in another output partition too: ", &first))
		case x.print != first.print:
			report.conflict(p.finding(x, "its place stands there with other bytes: ", &first))
		default:
			report.doubled(p.finding(x, "the same bytes as ", &first))
		}
		any, last = true, x
	})
}

func (p *places) finding(x placed, what string, other *placed) func() Finding {
	if other != nil {
		what += p.where(*other)
	}
	return func() Finding { return Finding{Place: p.text(x), Where: p.where(x), What: what} }
}
