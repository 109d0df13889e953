package stitch

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"math"
	"slices"
	"strings"
)

// segment is a stretch of a device's time in which its events belong to one
// person. Segments of one epoch lie between two logouts.
type segment struct {
	from     int64     // event time from which it holds
	born     *Evidence // that began the anonymous person of this time; nil: the device's own
	epoch    int
	customer string // logged in
	address  string // captured
	shared   bool   // two customers, no logout: nobody's
}

// timeline is a device's time, from its set of evidence: a pure function of the
// set, in whatever order it came (contract section 3, laws 3, 4, 5 and 7).
type timeline struct {
	id   string // the device's anonymous ID
	segs []segment
}

// compare orders evidence by event time, then by origin and message ID.
func (a Evidence) compare(b Evidence) int {
	return cmp.Or(
		cmp.Compare(a.Time, b.Time), cmp.Compare(a.Origin, b.Origin), cmp.Compare(a.ID, b.ID),
		cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Who, b.Who),
	)
}

// add puts the piece where it belongs; false where it is there already.
func (d *DeviceState) add(ev Evidence) bool {
	i, found := slices.BinarySearchFunc(d.Evidence, ev, Evidence.compare)
	if found {
		return false
	}
	d.Evidence = slices.Insert(d.Evidence, i, ev)
	return true
}

// compact keeps, of pieces that say the same with nothing between them, those
// older than the given event time as the first and the last (contract section
// 3), and one at which a sharing ended, so that no answer changes.
func (d *DeviceState) compact(before int64, tl timeline) {
	begins := map[int64]bool{}
	for _, s := range tl.segs {
		begins[s.from] = true
	}
	same := func(a, b Evidence) bool { return a.Kind == b.Kind && a.Who == b.Who }
	kept := d.Evidence[:0:0]
	for i, ev := range d.Evidence {
		inner := i > 0 && i+1 < len(d.Evidence) && same(d.Evidence[i-1], ev) && same(ev, d.Evidence[i+1])
		if !inner || ev.Time >= before || begins[ev.Time] {
			kept = append(kept, ev)
		}
	}
	d.Evidence = kept
}

// canonical follows the merges that the device was told of; where they run in a
// circle, to the least of it, so that all of it are one.
func (d *DeviceState) canonical(customer string) string {
	for range len(d.Same) + 1 {
		next, ok := d.Same[customer]
		if !ok {
			return customer
		}
		customer = next
	}
	least := customer
	for next := d.Same[customer]; next != customer; next = d.Same[next] {
		least = min(least, next)
	}
	return least
}

// timeline builds the device's time. id is the device's anonymous ID.
func (d *DeviceState) timeline(id string, r *Rules) timeline {
	b := builder{d: d, rules: r, splits: d.splits(), tl: timeline{id: id}}
	b.tl.segs = make([]segment, 0, 1+len(d.Evidence)) // each piece begins one at most
	b.push(segment{from: math.MinInt64})
	for i := range d.Evidence {
		ev := &d.Evidence[i]
		switch ev.Kind {
		case EvLogin:
			if !b.splits.undo(ev) {
				b.login(ev)
			}
		case EvLogout:
			b.logout(ev)
		case EvCapture:
			if s := b.last(); s.customer == "" && !s.shared && s.address != ev.Who {
				b.push(segment{from: ev.Time, born: s.born, epoch: s.epoch, address: ev.Who})
			}
		}
	}
	return b.tl
}

// splits are the latest by customer.
type splits map[string]int64

func (d *DeviceState) splits() (all splits) {
	for _, ev := range d.Evidence {
		if ev.Kind == EvSplit {
			if all == nil {
				all = splits{}
			}
			all[ev.Who] = ev.Time // evidence stands in order of time
		}
	}
	return all
}

// undo reports whether a later split takes this login back.
func (s splits) undo(login *Evidence) bool {
	at, ok := s[login.Who]
	return ok && at >= login.Time
}

type builder struct {
	d      *DeviceState
	rules  *Rules
	splits splits
	tl     timeline
	signs  []sign // of the customers since the last logout
}

// sign is when a customer was last seen to log in.
type sign struct {
	customer string
	at       int64
}

func (b *builder) last() *segment { return &b.tl.segs[len(b.tl.segs)-1] }

func (b *builder) push(s segment) { b.tl.segs = append(b.tl.segs, s) }

func (b *builder) login(ev *Evidence) {
	s, who := *b.last(), b.d.canonical(ev.Who)
	next := segment{from: ev.Time, born: s.born, epoch: s.epoch, customer: ev.Who}
	switch {
	case len(b.signs) == 0:
		b.push(next)
	case !s.shared && b.d.canonical(s.customer) == who:
	case b.othersGone(who, ev.Time):
		next.born = ev
		b.signs = b.signs[:0]
		b.push(next)
	case b.rules.LastLogin:
		b.push(next)
	case !s.shared:
		next.customer, next.shared, next.born = "", true, ev
		b.push(next)
	}
	b.sign(who, ev.Time)
}

// othersGone: no other customer has logged in there within 30 days before at.
func (b *builder) othersGone(who string, at int64) bool {
	return !slices.ContainsFunc(b.signs, func(s sign) bool {
		return s.customer != who && s.at > at-b.rules.SharedAfter
	})
}

func (b *builder) sign(who string, at int64) {
	for i := range b.signs {
		if b.signs[i].customer == who {
			b.signs[i].at = at
			return
		}
	}
	b.signs = append(b.signs, sign{who, at})
}

func (b *builder) logout(ev *Evidence) {
	s := b.last()
	if s.customer == "" && !s.shared {
		return // law identity.4: nobody is logged in
	}
	b.signs = b.signs[:0]
	b.push(segment{from: ev.Time + 1, born: ev, epoch: s.epoch + 1})
}

// at returns the segment that holds at the event time.
func (t timeline) at(time int64) segment {
	for i := len(t.segs) - 1; i > 0; i-- {
		if t.segs[i].from <= time {
			return t.segs[i]
		}
	}
	return t.segs[0]
}

// who returns whose an event with the anonymous ID alone is, at its event time:
// a customer, an address, or neither, and the anonymous ID to publish under.
func (t timeline) who(time int64) (customer, address, anon string, why Why) {
	s := t.at(time)
	anon = t.anon(s)
	switch {
	case s.shared:
		return "", "", anon, WhyAmbiguous
	case s.customer != "":
		return s.customer, "", anon, WhyLinked
	case s.address != "":
		return "", s.address, anon, WhyEmail
	}
	if first := t.first(s.epoch); first != "" {
		return first, "", anon, WhyLinked
	}
	return "", "", anon, WhyAnonymous
}

// first is the first customer who logged in between two logouts, "" where nobody did.
func (t timeline) first(epoch int) string {
	for _, s := range t.segs {
		if s.epoch == epoch && s.customer != "" {
			return s.customer
		}
	}
	return ""
}

// anon is the anonymous ID of a stretch of time: to publish under where nobody
// is known, and that a login ties.
func (t timeline) anon(s segment) string {
	if s.born == nil {
		return t.id
	}
	return derive(t.id, s.born)
}

// derive is the anonymous ID of a new anonymous person on the device: stable,
// and nobody else's, as it is made of the evidence that began them.
func derive(id string, ev *Evidence) string {
	sum := sha256.Sum256([]byte("anonymous\x00" + id + "\x00" + ev.Origin + "\x00" + ev.ID))
	return "ls-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}
