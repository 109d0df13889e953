package wire

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstitch/stitch"
)

// entities draws any entity.
func entities() *rapid.Generator[*stitch.Entity] {
	return rapid.Custom(func(t *rapid.T) *stitch.Entity {
		e := rapid.Make[stitch.Entity]().Draw(t, "entity")
		if e.Person != nil {
			e.Person.Waiting = messages().Draw(t, "waiting")
		}
		return &e
	})
}

// TestShapes: what the shapes write and read is what the library does, for every
// type that is written at all.
func TestShapes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		meta := rapid.Make[stitch.Meta]().Draw(t, "meta")
		sameAsLibrary(t, messages().Draw(t, "message"))
		sameAsLibrary(t, entities().Draw(t, "entity"))
		sameAsLibrary(t, &meta)
	})
}

// sameAsLibrary writes and reads v both ways.
func sameAsLibrary[T any](t *rapid.T, v *T) {
	s, p := shapeOf(v)
	if s == nil {
		t.Fatalf("%T has no shape: the slow way is taken", v)
	}
	var want bytes.Buffer
	if err := encodeMode.MarshalToBuffer(v, &want); err != nil {
		t.Fatal(err)
	}
	got := s.append(nil, p)
	if !bytes.Equal(got, want.Bytes()) {
		t.Fatalf("%+v\nwritten as %x\nthe library %x", v, got, want.Bytes())
	}
	back, library := new(T), new(T)
	if err := decodeMode.Unmarshal(got, library); err != nil {
		t.Fatal(err)
	}
	if s, p := shapeOf(back); !s.unmarshal(got, p) {
		t.Fatalf("can't read %x", got)
	}
	if !reflect.DeepEqual(back, library) {
		t.Fatalf("read as %+v\nthe library %+v", back, library)
	}
}

// FuzzShapes: what the shapes read, the library reads as the same. What they
// refuse is the library's to judge.
func FuzzShapes(f *testing.F) {
	for _, m := range []*stitch.Message{
		{Kind: stitch.MsgTick, Watermark: 1 << 40, Nonce: "n"},
		{Kind: stitch.MsgEvent, To: stitch.Key{Kind: stitch.KindDevice, ID: "a"}, Event: &stitch.Event{Type: stitch.Track, Name: "n"}},
		{Kind: stitch.MsgMerged, Path: []stitch.Edge{{From: "a", To: "b", Time: -1}}},
	} {
		f.Add(EncodeMessage(m)[1:])
	}
	f.Add(MarshalState(&stitch.Meta{Seen: map[string]stitch.Place{"t/1": {Sender: "t", Offset: 300}, "t/10": {}}})[1:])
	f.Add(MarshalState(&stitch.Entity{Claims: []byte("claims"), Timer: stitch.Timer{At: 70000}})[1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		noMoreThanLibrary(t, b, new(stitch.Message), new(stitch.Message))
		noMoreThanLibrary(t, b, new(stitch.Entity), new(stitch.Entity))
		noMoreThanLibrary(t, b, new(stitch.Meta), new(stitch.Meta))
	})
}

func noMoreThanLibrary(t *testing.T, b []byte, v, library any) {
	s, p := shapeOf(v)
	if !s.unmarshal(b, p) {
		return
	}
	if err := decodeMode.Unmarshal(b, library); err != nil {
		t.Fatalf("%x was read as %+v, and the library says: %v", b, v, err)
	}
	if !reflect.DeepEqual(v, library) {
		t.Fatalf("%x was read as %+v, by the library as %+v", b, v, library)
	}
}

// TestShapesLeaveTheRest: a type that the shapes don't know well is the library's.
func TestShapesLeaveTheRest(t *testing.T) {
	type inner struct {
		N int `cbor:"1,keyasint,omitempty"`
	}
	for name, v := range map[string]any{
		"a float":      new(float64),
		"an interface": new(struct{ V any }),
		"a name":       new(struct{ V int }),
		"a struct left out": new(struct {
			V inner `cbor:"1,keyasint,omitempty"`
		}),
		"a number twice": new(struct {
			V, W int `cbor:"1,keyasint"`
		}),
		"numbers as keys": new(map[int]int),
		"no pointer":      inner{},
	} {
		if s, _ := shapeOf(v); s != nil {
			t.Errorf("%s has a shape", name)
		}
	}
}

// TestShapesStartOver: what is written otherwise than the shapes do is read by the
// library, and nothing is left of the first try.
func TestShapesStartOver(t *testing.T) {
	for name, b := range map[string][]byte{
		"another order":   {formatVersion, 0xa2, 22, 0x61, 'n', 1, byte(stitch.MsgTick)},
		"a longer number": {formatVersion, 0xa2, 0x18, 1, 0x18, byte(stitch.MsgTick), 22, 0x61, 'n'},
	} {
		m, err := DecodeMessage(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(&stitch.Message{Kind: stitch.MsgTick, Nonce: "n"}, m); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
