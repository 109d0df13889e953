package wire

import (
	"bytes"
	"path/filepath"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"lockstitch/stitch"
)

var schema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	return c.Compile(filepath.Join("..", "..", "testdata", "customerio", "track-v2-entity.schema.json"))
})

// checkSchema fails where the vendor would refuse the operation.
func checkSchema(t testing.TB, value []byte) {
	t.Helper()
	s, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	if err := s.Validate(v); err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	if len(value) >= maxOperation {
		t.Fatalf("the operation has %d bytes", len(value))
	}
}

// sinksOf makes the sink records that the fold could make of an event, for the
// longest customer ID that another event may have named.
func sinksOf(ev *stitch.Event, customer string) []*stitch.Sink {
	r := stitch.Sink{
		Person: stitch.Person{ID: customer}, Source: ev.Source, MessageID: ev.MessageID, Why: stitch.WhyLinked,
		Name: ev.Name, EventID: ev.EventID, Time: ev.Time, Attributes: ev.Attributes,
	}
	if ev.User != "" {
		r.Person.ID = ev.User
	}
	switch {
	case ev.Type == stitch.Group || ev.Op == stitch.OpSplit:
		return nil
	case ev.Op == stitch.OpDeviceUpdate || ev.Op == stitch.OpDeviceDelete:
		return deviceSinks(ev, r)
	case ev.Op != stitch.OpNone && ev.Op != stitch.OpLogout:
		r.Action = stitch.ActDelete
		return []*stitch.Sink{&r}
	case ev.Type == stitch.Identify:
		r.Action, r.Email, r.Anonymous = stitch.ActIdentify, ev.Email, ev.Anonymous
		return []*stitch.Sink{&r}
	case ev.Type == stitch.Alias:
		r.Action, r.Secondary = stitch.ActMerge, stitch.Person{ID: ev.Previous}
		return []*stitch.Sink{&r}
	}
	r.Action = map[stitch.Type]stitch.Action{stitch.Track: stitch.ActEvent, stitch.Page: stitch.ActPage, stitch.Screen: stitch.ActScreen}[ev.Type]
	anonymous := r
	anonymous.Person = stitch.Person{Anonymous: "anonymous"}
	return []*stitch.Sink{&r, &anonymous}
}

func deviceSinks(ev *stitch.Event, r stitch.Sink) []*stitch.Sink {
	if ev.Device.Token == "" {
		return nil
	}
	r.Action, r.Device = stitch.ActDeleteDevice, ev.Device
	sinks := []*stitch.Sink{&r}
	if ev.Device.Platform != "" {
		add := r
		add.Action, add.LastUsed = stitch.ActAddDevice, ev.Time
		sinks = append(sinks, &add)
	}
	return sinks
}
