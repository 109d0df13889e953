package wire

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"sync"
	"unsafe"
)

// reader reads what append writes. It fails on all else, broken or merely written
// otherwise: which of the two, the library finds out.
type reader struct {
	b      []byte // what is left
	failed bool
	words  *words
}

// words are short texts that come again and again, such as topics, origins and
// names of events, so that they are in memory once.
type words [256]string

const longestWord = 40 // a UUID and more: a message names its device twice

var vocabularies = sync.Pool{New: func() any { return new(words) }}

// unmarshal reads a whole value into the zero value at p; false where the library
// has to, from the start.
func (s *shape) unmarshal(b []byte, p unsafe.Pointer) bool {
	r := reader{b: b, words: vocabularies.Get().(*words)}
	s.read(&r, p)
	vocabularies.Put(r.words)
	return !r.failed && len(r.b) == 0
}

// fail ends the reading: nothing is left.
func (r *reader) fail() { r.b, r.failed = nil, true }

// head reads a major type and its number.
func (r *reader) head() (major byte, n uint64) {
	if len(r.b) == 0 {
		r.fail()
		return 0, 0
	}
	major, n = r.b[0]&0xe0, uint64(r.b[0]&0x1f)
	size := 0
	switch {
	case n < 24:
	case n <= 27:
		size = 1 << (n - 24)
	default:
		r.fail()
		return 0, 0
	}
	if len(r.b) < 1+size {
		r.fail()
		return 0, 0
	}
	switch at := r.b[1:]; size {
	case 1:
		n = uint64(at[0])
	case 2:
		n = uint64(binary.BigEndian.Uint16(at))
	case 4:
		n = uint64(binary.BigEndian.Uint32(at))
	case 8:
		n = binary.BigEndian.Uint64(at)
	}
	r.b = r.b[1+size:]
	return major, n
}

// expect reads the head of a given major type.
func (r *reader) expect(major byte) uint64 {
	got, n := r.head()
	if got != major {
		r.fail()
	}
	if r.failed {
		return 0
	}
	return n
}

// take reads n bytes, which stay the record's.
func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// null reads a null, if one is there.
func (r *reader) null() bool {
	if len(r.b) == 0 || r.b[0] != simpleNull {
		return false
	}
	r.b = r.b[1:]
	return true
}

func (r *reader) text() string {
	b := r.take(r.expect(majorText))
	if len(b) == 0 || len(b) > longestWord {
		return string(b)
	}
	word := &r.words[b[0]^b[len(b)/2]<<2^b[len(b)-1]<<4^byte(len(b))]
	if *word != string(b) {
		*word = string(b)
	}
	return *word
}

// read reads a value into the zero value at p.
func (s *shape) read(r *reader, p unsafe.Pointer) {
	switch s.kind {
	case aBool:
		s.readBool(r, p)
	case anInt, aUint:
		s.readNumber(r, p)
	case aText:
		*(*string)(p) = r.text()
	case aBytes:
		if !r.null() {
			*(*[]byte)(p) = bytes.Clone(r.take(r.expect(majorBytes)))
		}
	case anArray:
		if n := r.expect(majorBytes); n == uint64(s.size) {
			copy(unsafe.Slice((*byte)(p), s.size), r.take(n))
		} else {
			r.fail()
		}
	case aList:
		s.readList(r, p)
	case aMap:
		s.readMap(r, p)
	case aPointer:
		if !r.null() {
			to := reflect.New(s.elem.typ).UnsafePointer()
			s.elem.read(r, to)
			*(*unsafe.Pointer)(p) = to
		}
	case aTuple:
		s.readTuple(r, p)
	case aStruct:
		s.readStruct(r, p)
	}
}

func (s *shape) readBool(r *reader, p unsafe.Pointer) {
	b := r.take(1)
	if r.failed || b[0] != simpleFalse && b[0] != simpleTrue {
		r.fail()
		return
	}
	*(*bool)(p) = b[0] == simpleTrue
}

// readNumber fails on a number that the field doesn't hold.
func (s *shape) readNumber(r *reader, p unsafe.Pointer) {
	major, n := r.head()
	bits := uint(8 * s.size)
	switch {
	case s.kind == aUint && major == majorUint && n>>(bits-1)>>1 == 0:
	case s.kind == anInt && major == majorUint && n>>(bits-1) == 0:
	case s.kind == anInt && major == majorInt && n>>(bits-1) == 0:
		n = ^n // -1-n
	default:
		r.fail()
		return
	}
	switch s.size {
	case 1:
		*(*uint8)(p) = uint8(n)
	case 2:
		*(*uint16)(p) = uint16(n)
	case 4:
		*(*uint32)(p) = uint32(n)
	default:
		*(*uint64)(p) = n
	}
}

func (s *shape) readTuple(r *reader, p unsafe.Pointer) {
	if r.expect(majorArray) != uint64(len(s.fields)) {
		r.fail()
	}
	for i := range s.fields {
		if r.failed {
			return
		}
		s.fields[i].read(r, unsafe.Add(p, s.fields[i].offset))
	}
}

// readStruct wants the numbers in order, so that none comes twice.
func (s *shape) readStruct(r *reader, p unsafe.Pointer) {
	last := uint64(0)
	for n := r.expect(majorMap); n > 0 && !r.failed; n-- {
		key := r.expect(majorUint)
		if key <= last || key >= uint64(len(s.byKey)) || s.byKey[key] == nil {
			r.fail()
			return
		}
		last = key
		f := s.byKey[key]
		f.read(r, unsafe.Add(p, f.offset))
	}
}

// count reads how many values follow. Each takes at least a byte, so a count that
// lies doesn't make a list that nothing fills.
func (r *reader) count(major byte) int {
	n := r.expect(major)
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (s *shape) readList(r *reader, p unsafe.Pointer) {
	if r.null() {
		return
	}
	n := r.count(majorArray)
	if r.failed {
		return
	}
	list := reflect.MakeSlice(s.typ, n, n)
	reflect.NewAt(s.typ, p).Elem().Set(list)
	data := list.UnsafePointer()
	for i := 0; i < n && !r.failed; i++ {
		s.elem.read(r, unsafe.Add(data, uintptr(i)*s.elem.size))
	}
}

// readMap wants the keys in order, so that none comes twice.
func (s *shape) readMap(r *reader, p unsafe.Pointer) {
	if r.null() {
		return
	}
	n := r.count(majorMap)
	if r.failed {
		return
	}
	m := reflect.MakeMapWithSize(s.typ, n)
	reflect.NewAt(s.typ, p).Elem().Set(m)
	for last := ""; n > 0; n-- {
		text := r.text()
		value := reflect.New(s.typ.Elem())
		s.elem.read(r, value.UnsafePointer())
		if r.failed || m.Len() > 0 && !longer(text, last) {
			r.fail()
			return
		}
		m.SetMapIndex(reflect.ValueOf(text).Convert(s.typ.Key()), value.Elem())
		last = text
	}
}

// longer reports that a's key stands behind b's.
func longer(a, b string) bool { return len(a) > len(b) || len(a) == len(b) && a > b }
