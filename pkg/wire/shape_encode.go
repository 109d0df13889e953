package wire

import (
	"cmp"
	"encoding/binary"
	"reflect"
	"slices"
	"unsafe"
)

// CBOR's major types, and its simple values (RFC 8949, 3).
const (
	majorUint   = 0 << 5
	majorInt    = 1 << 5
	majorBytes  = 2 << 5
	majorText   = 3 << 5
	majorArray  = 4 << 5
	majorMap    = 5 << 5
	simpleFalse = 0xf4
	simpleTrue  = 0xf5
	simpleNull  = 0xf6
)

// slice is how a list lies in memory.
type slice struct {
	data     unsafe.Pointer
	len, cap int
}

// append writes the value at p.
func (s *shape) append(b []byte, p unsafe.Pointer) []byte {
	switch s.kind {
	case aBool:
		if *(*bool)(p) {
			return append(b, simpleTrue)
		}
		return append(b, simpleFalse)
	case anInt:
		return appendInt(b, s.int(p))
	case aUint:
		return appendHead(b, majorUint, s.uint(p))
	case aText:
		text := *(*string)(p)
		return append(appendHead(b, majorText, uint64(len(text))), text...)
	case aBytes:
		v := *(*[]byte)(p)
		if v == nil {
			return append(b, simpleNull)
		}
		return append(appendHead(b, majorBytes, uint64(len(v))), v...)
	case anArray:
		return append(appendHead(b, majorBytes, uint64(s.size)), unsafe.Slice((*byte)(p), s.size)...)
	case aList:
		return s.appendList(b, p)
	case aMap:
		return s.appendMap(b, p)
	case aPointer:
		if to := *(*unsafe.Pointer)(p); to != nil {
			return s.elem.append(b, to)
		}
		return append(b, simpleNull)
	case aTuple:
		b = appendHead(b, majorArray, uint64(len(s.fields)))
		for i := range s.fields {
			b = s.fields[i].append(b, unsafe.Add(p, s.fields[i].offset))
		}
		return b
	}
	return s.appendStruct(b, p)
}

// appendStruct writes the map's head last, as it is the number of fields that
// aren't left out: below 24 it is one byte.
func (s *shape) appendStruct(b []byte, p unsafe.Pointer) []byte {
	start, n := len(b), 0
	b = append(b, 0)
	for i := range s.fields {
		f := &s.fields[i]
		at := unsafe.Add(p, f.offset)
		if f.omit && f.empty(at) {
			continue
		}
		n++
		if f.key < 24 {
			b = append(b, byte(f.key))
		} else {
			b = append(b, 24, byte(f.key))
		}
		b = f.append(b, at)
	}
	if n < 24 {
		b[start] = majorMap | byte(n)
		return b
	}
	return slices.Replace(b, start, start+1, appendHead(nil, majorMap, uint64(n))...)
}

func (s *shape) appendList(b []byte, p unsafe.Pointer) []byte {
	list := (*slice)(p)
	if list.data == nil {
		return append(b, simpleNull)
	}
	b = appendHead(b, majorArray, uint64(list.len))
	for i := range list.len {
		b = s.elem.append(b, unsafe.Add(list.data, uintptr(i)*s.elem.size))
	}
	return b
}

// pair is one pair of a map: its key, and where it was written.
type pair struct {
	key        string
	start, end int
}

// appendMap writes the pairs as they come, then in the order of their keys as
// these are written: a shorter one first.
func (s *shape) appendMap(b []byte, p unsafe.Pointer) []byte {
	m := reflect.NewAt(s.typ, p).Elem()
	if m.IsNil() {
		return append(b, simpleNull)
	}
	b = appendHead(b, majorMap, uint64(m.Len()))
	if m.Len() == 0 {
		return b
	}
	pairs := make([]pair, 0, m.Len())
	key, value := reflect.New(s.typ.Key()).Elem(), reflect.New(s.typ.Elem())
	first := len(b)
	for all := m.MapRange(); all.Next(); {
		key.SetIterKey(all)
		value.Elem().SetIterValue(all)
		start := len(b)
		b = append(appendHead(b, majorText, uint64(key.Len())), key.String()...)
		b = s.elem.append(b, value.UnsafePointer())
		pairs = append(pairs, pair{key.String(), start, len(b)})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(len(a.key), len(b.key)), cmp.Compare(a.key, b.key))
	})
	end := len(b)
	for _, one := range pairs {
		b = append(b, b[one.start:one.end]...)
	}
	return append(b[:first], b[end:]...)
}

// empty reports whether the library would leave the value out.
func (s *shape) empty(p unsafe.Pointer) bool {
	switch s.kind {
	case aBool:
		return !*(*bool)(p)
	case anInt:
		return s.int(p) == 0
	case aUint:
		return s.uint(p) == 0
	case aText:
		return len(*(*string)(p)) == 0
	case aBytes, aList:
		return (*slice)(p).len == 0
	case aMap:
		return reflect.NewAt(s.typ, p).Elem().Len() == 0
	case aPointer:
		return *(*unsafe.Pointer)(p) == nil
	}
	return false
}

func (s *shape) int(p unsafe.Pointer) int64 {
	switch s.size {
	case 1:
		return int64(*(*int8)(p))
	case 2:
		return int64(*(*int16)(p))
	case 4:
		return int64(*(*int32)(p))
	}
	return *(*int64)(p)
}

func (s *shape) uint(p unsafe.Pointer) uint64 {
	switch s.size {
	case 1:
		return uint64(*(*uint8)(p))
	case 2:
		return uint64(*(*uint16)(p))
	case 4:
		return uint64(*(*uint32)(p))
	}
	return *(*uint64)(p)
}

func appendInt(b []byte, n int64) []byte {
	if n < 0 {
		return appendHead(b, majorInt, uint64(-1-n))
	}
	return appendHead(b, majorUint, uint64(n))
}

// appendHead writes a major type with its number, in the shortest form.
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
