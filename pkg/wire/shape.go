package wire

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unsafe"
)

// Every message is encoded once and decoded once on each of its hops, and every
// entity that a batch touches is encoded with it: by reflection that was half of
// all that a processor did. So a type is looked at once, and becomes a shape,
// which knows where each field lies. It writes the very bytes that the CBOR
// library writes, and reads what it writes; anything else is left to the library,
// which says what is wrong (TestShapes, FuzzShapes). Types need no code of their own,
// so a new field of the fold can't be forgotten here.

// kind is how a value is written.
type kind uint8

const (
	aBool kind = iota
	anInt
	aUint
	aText
	aBytes  // []byte
	anArray // [N]byte
	aList
	aMap // with texts as keys
	aPointer
	aStruct // a map by number
	aTuple  // a struct as an array
)

// shape is how values of one type lie in memory and in CBOR.
type shape struct {
	kind   kind
	typ    reflect.Type
	size   uintptr
	elem   *shape // of a list, a map, a pointer
	fields []field
	byKey  []*field // of a struct, by number
}

// field is one field of a struct.
type field struct {
	*shape
	offset uintptr
	key    int
	omit   bool // where it is empty
}

// shapes are those of the types met so far; an error where the library has to do it.
var shapes sync.Map // reflect.Type → func() (*shape, error)

// shapeOf returns the shape of what v points to; nil where there is none.
func shapeOf(v any) (*shape, unsafe.Pointer) {
	t := reflect.TypeOf(v)
	if t == nil || t.Kind() != reflect.Pointer {
		return nil, nil
	}
	known, ok := shapes.Load(t.Elem())
	if !ok {
		s, err := look(t.Elem(), map[reflect.Type]*shape{})
		if err != nil {
			s = nil
		}
		known, _ = shapes.LoadOrStore(t.Elem(), s)
	}
	return known.(*shape), reflect.ValueOf(v).UnsafePointer()
}

// look makes a type's shape. seen holds those begun, as types may hold themselves.
func look(t reflect.Type, seen map[reflect.Type]*shape) (*shape, error) {
	if s := seen[t]; s != nil {
		return s, nil
	}
	s := &shape{typ: t, size: t.Size()}
	seen[t] = s
	var err error
	switch t.Kind() {
	case reflect.Bool:
		s.kind = aBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.kind = anInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.kind = aUint
	case reflect.String:
		s.kind = aText
	case reflect.Array:
		s.kind = anArray
		err = only(t.Elem().Kind() == reflect.Uint8, t)
	case reflect.Slice:
		s.kind = aList
		if t.Elem().Kind() == reflect.Uint8 {
			s.kind = aBytes
			return s, nil
		}
		s.elem, err = look(t.Elem(), seen)
	case reflect.Map:
		s.kind = aMap
		if err = only(t.Key().Kind() == reflect.String, t); err == nil {
			s.elem, err = look(t.Elem(), seen)
		}
	case reflect.Pointer:
		s.kind = aPointer
		s.elem, err = look(t.Elem(), seen)
	case reflect.Struct:
		err = s.struct_(seen)
	default:
		err = only(false, t)
	}
	return s, err
}

var errLibrary = errors.New("left to the library")

func only(ok bool, t reflect.Type) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%v: %w", t, errLibrary)
}

// struct_ looks at the fields and their tags.
func (s *shape) struct_(seen map[reflect.Type]*shape) error {
	s.kind = aStruct
	if mark, ok := s.typ.FieldByName("_"); ok {
		if err := only(mark.Tag.Get("cbor") == ",toarray" && mark.Type.Size() == 0, s.typ); err != nil {
			return err
		}
		s.kind = aTuple
	}
	for f := range s.typ.Fields() {
		if f.Name == "_" {
			continue
		}
		elem, err := look(f.Type, seen)
		if err != nil {
			return err
		}
		one := field{shape: elem, offset: f.Offset}
		if err := one.tag(f, s.kind); err != nil {
			return err
		}
		s.fields = append(s.fields, one)
	}
	return s.number()
}

// tag reads the field's tag: "7,keyasint,omitempty", or none in a tuple.
func (f *field) tag(of reflect.StructField, in kind) (err error) {
	tag, tagged := of.Tag.Lookup("cbor")
	if in == aTuple {
		return only(!tagged && of.IsExported() && !of.Anonymous, of.Type)
	}
	number, rest, _ := strings.Cut(tag, ",")
	if f.key, err = strconv.Atoi(number); err != nil {
		return only(false, of.Type)
	}
	f.omit = rest == "keyasint,omitempty"
	// The library leaves out a struct where all of its fields would be.
	whole := f.omit && (of.Type.Kind() == reflect.Struct)
	return only((f.omit || rest == "keyasint") && of.IsExported() && !of.Anonymous && !whole && f.key > 0 && f.key < 256, of.Type)
}

// number sorts a struct's fields by their numbers, as they are written, and puts
// them where their numbers find them.
func (s *shape) number() error {
	if s.kind == aTuple {
		return nil
	}
	slices.SortFunc(s.fields, func(a, b field) int { return a.key - b.key })
	for i := range s.fields {
		f := &s.fields[i]
		if f.key < len(s.byKey) {
			return only(false, s.typ) // a number twice
		}
		s.byKey = append(append(s.byKey, make([]*field, f.key-len(s.byKey))...), f)
	}
	return nil
}
