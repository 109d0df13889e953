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
			e.Person.Waiting = rapid.OneOf(rapid.Just[*stitch.Message](nil), messages()).Draw(t, "waiting")
			e.Person.Queue = rapid.SliceOfN(messages(), 0, 3).Draw(t, "queue")
		}
		return &e
	})
}

// TestByHandAsTheLibrary: what is written by hand are the library's bytes, and
// what is read by hand is what the library reads.
func TestByHandAsTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sameAsLibrary(t, messages().Draw(t, "message"))
		sameAsLibrary(t, entities().Draw(t, "entity"))
	})
}

func sameAsLibrary[T any](t *rapid.T, v *T) {
	want := appendAny([]byte{formatVersion}, v)
	got := AppendState(nil, v)
	if !bytes.Equal(got, want) {
		t.Fatalf("%+v\nwritten as  %x\nthe library %x", v, got, want)
	}
	back, library := new(T), new(T)
	if err := decodeMode.Unmarshal(got[1:], library); err != nil {
		t.Fatal(err)
	}
	if !byHand(got[1:], back) {
		t.Fatalf("can't read %x", got)
	}
	if !reflect.DeepEqual(back, library) {
		t.Fatalf("read as     %+v\nthe library %+v", back, library)
	}
}

// byHand reads a message as a Decoder does, one that knows words already, or an entity.
func byHand(b []byte, v any) bool {
	r := reader{b: b, known: map[string]string{"": "", "n": "n"}, event: new(stitch.Event)}
	switch v := v.(type) {
	case *stitch.Message:
		readMessage(&r, v)
	case *stitch.Entity:
		readEntity(&r, v)
	}
	return r.done()
}

// FuzzByHand: what is read by hand, the library reads as the same. What it
// refuses is the library's to judge.
func FuzzByHand(f *testing.F) {
	f.Add(EncodeMessage(&stitch.Message{Kind: stitch.MsgTick, Watermark: 1 << 40, Nonce: "n"})[1:])
	f.Add(EncodeMessage(&stitch.Message{
		Kind: stitch.MsgEvent, To: stitch.Key{Kind: stitch.KindDevice, ID: "a"}, Path: []stitch.Edge{{From: "a", To: "b", Time: -1}},
		Event: &stitch.Event{Type: stitch.Track, Name: "n", Attributes: []byte("{}"), Fact: &stitch.Fact{Key: "k"}, Collapse: &stitch.Collapse{Window: 70000}},
	})[1:])
	f.Add(MarshalState(&stitch.Entity{
		Claims: []byte("claims"), Topics: []string{"t"}, Collapse: []stitch.Collapsed{{Key: "k", Time: 70000}},
		Device: &stitch.DeviceState{Evidence: []stitch.Evidence{{Time: 300, Kind: stitch.EvLogin, Who: "u"}}, Tied: map[string]string{"a": "b", "aa": "b"}},
		Fact:   &stitch.FactState{Held: &stitch.Event{}},
		Person: &stitch.PersonState{Owned: map[string]int64{"b": 1, "a": 1 << 33}, Devices: map[string]stitch.PushDevice{"d": {Token: "t"}}, Waiting: &stitch.Message{}},
	})[1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		noMoreThanLibrary(t, b, new(stitch.Message), new(stitch.Message))
		noMoreThanLibrary(t, b, new(stitch.Entity), new(stitch.Entity))
	})
}

func noMoreThanLibrary(t *testing.T, b []byte, v, library any) {
	if !byHand(b, v) {
		return
	}
	if err := decodeMode.Unmarshal(b, library); err != nil {
		t.Fatalf("%x was read as %+v, and the library says: %v", b, v, err)
	}
	if !reflect.DeepEqual(v, library) {
		t.Fatalf("%x was read as %+v, by the library as %+v", b, v, library)
	}
}

// TestReadAfresh: what is written otherwise than by hand is read by the library,
// and nothing is left of the first try.
func TestReadAfresh(t *testing.T) {
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

// TestDecoderUsesMemoryAgain: what was there before shows in no message.
func TestDecoderUsesMemoryAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d Decoder
		for range 4 {
			for _, m := range rapid.SliceOfN(messages(), 0, 9).Draw(t, "batch") {
				want, wantErr := DecodeMessage(EncodeMessage(m))
				got, err := d.Message(EncodeMessage(m))
				if (err == nil) != (wantErr == nil) || !reflect.DeepEqual(got, want) {
					t.Fatalf("got %+v, %v\nwant %+v, %v", got, err, want, wantErr)
				}
			}
			d.Reset()
		}
	})
}
