package stitch

import (
	"fmt"
	"slices"
	"testing"
)

// flooded is the device that somebody posts for without end.
const flooded = "d1"

// Whatever is posted for one device or customer, its state stays bounded, and
// each record has its outcome.
func TestStateIsBounded(t *testing.T) {
	const many = 3000
	for name, draw := range map[string]func(i int) Event{
		"logins": func(i int) Event { return Event{Type: Identify, Anonymous: flooded, User: "c1"} },
		"logins and logouts": func(i int) Event {
			if i%2 == 0 {
				return Event{Type: Identify, Anonymous: flooded, User: "c1"}
			}
			return Event{Type: Track, Op: OpLogout, Anonymous: flooded}
		},
		"captures": func(i int) Event {
			return Event{Type: Identify, Anonymous: flooded, Email: fmt.Sprintf("%d@x.example", i%7)}
		},
		"held tokens": func(i int) Event {
			return Event{Type: Track, Op: OpDeviceUpdate, Anonymous: flooded, Device: &Device{ID: fmt.Sprint(i), Token: "t", Platform: "ios"}}
		},
		"tokens": func(i int) Event {
			return Event{Type: Track, Op: OpDeviceUpdate, User: "c1", Device: &Device{ID: fmt.Sprint(i), Token: "t", Platform: "ios"}}
		},
		"addresses": func(i int) Event {
			return Event{Type: Identify, User: "c1", Email: fmt.Sprintf("%d@x.example", i)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(1)
			for i := range many {
				l.now += 1000
				ev := draw(i)
				ev.Origin = "app"
				l.post(ev)
				l.drain()
			}
			d, p := l.parts[0].entities[Key{Kind: KindDevice, ID: flooded}], l.parts[0].entities[Key{Kind: KindCustomer, ID: "c1"}]
			if d != nil && (len(d.Device.Evidence) > maxEvidence || len(d.Device.Held) > maxHeld) {
				t.Errorf("the device has %d pieces of evidence and %d tokens", len(d.Device.Evidence), len(d.Device.Held))
			}
			limit := DefaultRules().MaxDevices
			if p != nil && p.Person != nil && (len(p.Person.Devices) > limit || len(p.Person.Owned) > limit) {
				t.Errorf("the customer has %d devices and %d addresses", len(p.Person.Devices), len(p.Person.Owned))
			}
			for source, got := range l.outcomes() {
				if len(got) == 0 || slices.Contains(got, "ignored") {
					t.Fatalf("%s has the outcomes %v", source, got)
				}
			}
		})
	}
}

// Of what a customer's push devices said, the oldest is forgotten.
func TestTheOldestPushDeviceGoes(t *testing.T) {
	var p PersonState
	for i, at := range []int64{5, 1, 9} {
		p.push(fmt.Sprint("p", i), PushDevice{Time: at}, 2)
	}
	if _, kept := p.Devices["p1"]; kept || len(p.Devices) != 2 {
		t.Errorf("kept %v", p.Devices)
	}
}
