package stitch

import (
	"cmp"
	"math"
	"slices"
)

// What one entity remembers is bounded, so that nobody who posts for one device
// or customer without end makes a state that takes more than its share of time
// and memory. Law identity.9 has the limits that people meet; these are far
// beyond them (docs/decisions/0006-readings-of-the-contract.md).
const (
	maxEvidence = 1024 // pieces of a device; the oldest go
	maxHeld     = 32   // push tokens that wait on a device for a customer; the oldest is suppressed
)

// boundEvidence compacts what a device knows, now and then: what is older than
// contract section 3 has it, and where there is too much, all of it. Then the
// oldest pieces go.
func (s *step) boundEvidence() {
	d, n := s.e.Device, len(s.e.Device.Evidence)
	switch {
	case n > maxEvidence:
		d.compact(math.MaxInt64, s.timeline())
		d.Evidence = slices.Delete(d.Evidence, 0, max(0, len(d.Evidence)-maxEvidence*3/4))
	case n%16 == 0:
		d.compact(s.p.Clock-s.p.Rules.SharedAfter, s.timeline())
	}
}

// distinct is how many customers the device knows, merged ones counted as one,
// so that a shop's provisional customers don't use the limit up.
func (d *DeviceState) distinct() int {
	all := map[string]bool{}
	for _, c := range d.Customers {
		all[d.canonical(c)] = true
	}
	return len(all)
}

// holdToken holds one more push token.
func (s *step) holdToken(h HeldToken) {
	d := s.e.Device
	if len(d.Held) >= maxHeld {
		s.outcome(d.Held[0].Event, "suppressed", "too_many_tokens", h.Event.Source.String())
		d.Held = slices.Delete(d.Held, 0, 1)
	}
	d.Held = append(d.Held, h)
}

// push notes what a push device last said; of more than the limit, the one that
// said something longest ago is forgotten.
func (p *PersonState) push(id string, d PushDevice, limit int) {
	if p.Devices == nil {
		p.Devices = map[string]PushDevice{}
	}
	p.Devices[id] = d
	if len(p.Devices) <= limit {
		return
	}
	oldest, at := "", d.Time
	for id, d := range p.Devices {
		if oldest == "" || cmp.Or(cmp.Compare(d.Time, at), cmp.Compare(id, oldest)) < 0 {
			oldest, at = id, d.Time
		}
	}
	delete(p.Devices, oldest)
}

// own notes an address of the customer's, claimed now. One beyond the limit
// isn't noted, but asked each time: the address itself knows its owner.
func (p *PersonState) own(address string, now int64, limit int) (news bool) {
	_, known := p.Owned[address]
	if !known && len(p.Owned) >= limit {
		return false
	}
	if p.Owned == nil {
		p.Owned = map[string]int64{}
	}
	p.Owned[address] = now
	return !known
}
