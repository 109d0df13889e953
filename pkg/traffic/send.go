package traffic

import (
	"bytes"
	"time"
)

// What the network does to a message, in a thousand.
const (
	repeats     = 40 // arrives, but isn't answered: its SDK sends it again
	waits       = 4  // browser: can't be sent until the next visit
	fillsLater  = 80 // anonymous browser events before a login: sent again after it
	namedByHand = 3  // events with an unusable user ID
)

// send gives a device's message to the network.
func (g *Generator) send(p *person, m *message) {
	if m.kind == "track" && g.chance(namedByHand) {
		m.user = unusable[g.rnd.IntN(len(unusable))]
	}
	g.late(p, m)
	g.arrive(m)
	if g.spoils() {
		g.spoil(m)
	}
	if !m.sdk.resends() {
		return
	}
	if m.sdk.fills() && m.user == "" && m.kind != "identify" && p.unsent == nil && g.chance(fillsLater) && p.loginAhead() {
		p.unsent = keep(m)
		return
	}
	g.repeat(m)
}

// late is a phone without a network, or a browser that was closed too early.
// Kotlin's sentAt is when its file was closed, the others' when it was sent.
func (g *Generator) late(p *person, m *message) {
	arrival := g.now + m.delay
	closed := arrival
	switch {
	case m.sdk.isApp() && p.offline > g.now:
		arrival = p.offline + m.delay
		if m.sdk == kotlin {
			arrival += g.between(0, 60) // its files come in any order
		}
	case m.sdk.isWeb() && m.sdk.resends() && g.chance(waits):
		arrival += g.between(hour, 20*hour)
	}
	m.delay = arrival - g.now
	m.sent = arrival - 5
	if m.sdk == kotlin {
		m.sent = closed - 5
	}
}

// arrive builds the message; it becomes a line when it arrives.
func (g *Generator) arrive(m *message) {
	g.deliver(g.now+m.delay, Line{Topic: m.sdk.topic(), Key: m.key(), Value: g.build(m)})
}

func (g *Generator) deliver(arrival int64, line Line) {
	line.Time = time.UnixMilli(arrival).UTC()
	if arrival <= g.now {
		g.ready = append(g.ready, line)
		return
	}
	g.pending.push(arrival, line)
}

// repeat sends the message again, if its SDK believes that it has to.
func (g *Generator) repeat(m *message) {
	if !g.chance(repeats) {
		return
	}
	again := *m
	again.delay += g.between(200, 90*second)
	if m.sdk != kotlin && m.sdk != java { // they keep sentAt
		again.sent = g.now + again.delay - 5
	}
	g.arrive(&again)
}

// keep is a copy of a message that outlives the scratch buffers.
func keep(m *message) *message {
	kept := *m
	kept.properties = bytes.Clone(m.properties)
	return &kept
}

// sendAgain is what a browser does after a login with what it couldn't send: it
// is the message of before, with the user of now.
func (g *Generator) sendAgain(p *person) {
	m := p.unsent
	if m == nil || p.on.user == nil {
		return
	}
	p.unsent = nil
	m.user = p.on.user.id
	m.delay = g.between(100, 5*second)
	m.sent = g.now + m.delay - 5
	g.arrive(m)
}
