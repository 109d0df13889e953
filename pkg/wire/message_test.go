package wire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstitch/stitch"
)

// messages draws any message.
func messages() *rapid.Generator[*stitch.Message] {
	return rapid.Custom(func(t *rapid.T) *stitch.Message {
		m := rapid.Make[stitch.Message]().Draw(t, "message")
		m.Event = rapid.Ptr(rapid.Custom(event), true).Draw(t, "event")
		m.Pending = rapid.Ptr(rapid.Custom(pending), true).Draw(t, "pending")
		return &m
	})
}

func event(t *rapid.T) stitch.Event     { return rapid.Make[stitch.Event]().Draw(t, "of a message") }
func pending(t *rapid.T) stitch.Pending { return rapid.Make[stitch.Pending]().Draw(t, "merge") }

func TestMessageRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := messages().Draw(t, "m")
		encoded := EncodeMessage(want)
		got, err := DecodeMessage(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpEmpty); diff != "" {
			t.Fatalf("-sent +received:\n%s", diff)
		}
		if again := EncodeMessage(got); !bytes.Equal(encoded, again) {
			t.Fatalf("encoded again: %x, at first %x", again, encoded)
		}
	})
}

// TestSampleMessages: what real records become survives the journal.
func TestSampleMessages(t *testing.T) {
	in := newIngest(t, IngestOptions{})
	for _, file := range []string{"shop.jsonl", "clients.jsonl"} {
		for _, rec := range sampleRecords(t, file) {
			ev, _ := in.Decode(rec)
			if ev == nil {
				continue
			}
			to, ok := ev.Route()
			if !ok {
				t.Fatalf("%s goes to nobody", rec.Value)
			}
			want := &stitch.Message{Kind: stitch.MsgEvent, To: to, Event: ev}
			got, err := DecodeMessage(EncodeMessage(want))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpEmpty); diff != "" {
				t.Fatal(diff)
			}
		}
	}
}

// TestBytesInHeaders: a Kafka header's key need not be UTF-8, and must not
// poison the journal.
func TestBytesInHeaders(t *testing.T) {
	want := &stitch.Message{Event: &stitch.Event{Raw: &stitch.Raw{Headers: []stitch.Header{{Key: "\xff\xfe", Value: []byte{0xff}}}}}}
	got, err := DecodeMessage(EncodeMessage(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpEmpty); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeMessageRefuses(t *testing.T) {
	good := EncodeMessage(&stitch.Message{Kind: stitch.MsgTick})
	for name, tt := range map[string]struct {
		value []byte
		want  string
	}{
		"nothing":           {nil, "no bytes"},
		"another version":   {append([]byte{9}, good[1:]...), "format version 9, this program reads 1"},
		"JSON":              {[]byte(`{"kind":1}`), "no format version"},
		"cut off":           {good[:len(good)-1], "damaged"},
		"more after it":     {append(bytes.Clone(good), 0), "damaged"},
		"an unknown field":  {[]byte{1, 0xa1, 0x18, 99, 1}, "damaged, or of a newer program"},
		"a field twice":     {[]byte{1, 0xa2, 1, 1, 1, 1}, "damaged"},
		"an endless list":   {[]byte{1, 0x9f, 0xff}, "damaged"},
		"nothing but a key": {[]byte{1}, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := DecodeMessage(tt.value)
			if err == nil || m != nil {
				t.Fatalf("read as %+v", m)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q doesn't say %q", err, tt.want)
			}
		})
	}
}

// TestStateIsDeterministic: equal maps are equal bytes, however they were built.
func TestStateIsDeterministic(t *testing.T) {
	forth, back := map[string]string{}, map[string]string{}
	names := strings.Fields("a bb ccc d ee fff g hh iii j kk lll")
	for i := range names {
		forth[names[i]] = "x"
		back[names[len(names)-1-i]] = "x"
	}
	a := MarshalState(&stitch.Entity{Device: &stitch.DeviceState{Same: forth}})
	b := MarshalState(&stitch.Entity{Device: &stitch.DeviceState{Same: back}})
	if !bytes.Equal(a, b) {
		t.Errorf("%x\n%x", a, b)
	}
	var e stitch.Entity
	if err := UnmarshalState(a, &e); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(forth, e.Device.Same); diff != "" {
		t.Error(diff)
	}
}
