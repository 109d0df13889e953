// Package simshop is the shop that the simulators make up: few people on few
// devices, so that everything meets everything.
package simshop

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"lockstitch/pkg/wire"
	"lockstitch/stitch/plan"
)

// Authority is the source of the shop's server, which is the authority of orders.
// The sources s0, s1 and s2 have an app's, a web shop's and the server's events.
const Authority = 2

// NewIngest decodes the shop's events; orders are held for hold.
func NewIngest(hold time.Duration) *wire.Ingest {
	p, err := plan.Parse(fmt.Appendf(nil, `
events:
  order_completed:
    properties: {order_id: {type: id, required: true}}
    key: order_id
    authority: [server]
    hold: %s
`, hold))
	if err != nil {
		panic(err)
	}
	in, err := wire.NewIngest(wire.IngestOptions{Plan: p, Sources: map[string]wire.SourceRule{
		"s0": {Origin: "app"}, "s1": {Origin: "web"},
		"s2": {Origin: "server", Trust: wire.Trust{Alias: true, Delete: true, Suppress: true, Split: true}},
	}})
	if err != nil {
		panic(err)
	}
	return in
}

// Shop says how many there are of each; fewer meet more often.
type Shop struct {
	Devices, Customers, Emails, Tokens int
	// Time is when an event has happened.
	Time func(*rand.Rand) time.Time
	// Order is an order's ID, for an event's number.
	Order func(rnd *rand.Rand, i int) string
}

// Event is number i of source s: logins, shared devices, logouts, captures, merges
// in chains and circles, orders in both copies.
func (c Shop) Event(rnd *rand.Rand, s, i int) []byte {
	device, customer := fmt.Sprint("d", rnd.IntN(c.Devices)), fmt.Sprint("c", rnd.IntN(c.Customers))
	email := map[string]any{"email": fmt.Sprintf("e%d@x.example", rnd.IntN(c.Emails))}
	ev := map[string]any{
		"messageId": fmt.Sprint("m", s, "-", i),
		"timestamp": c.Time(rnd).UTC().Format(time.RFC3339),
	}
	track := func(name string, properties map[string]any) {
		ev["type"], ev["event"], ev["properties"] = "track", name, properties
	}
	switch n := rnd.IntN(12); {
	case n < 3:
		track("looked", nil)
		ev["anonymousId"] = device
	case n < 5:
		ev["type"], ev["anonymousId"], ev["userId"], ev["traits"] = "identify", device, customer, email
	case n < 6:
		track("user_logged_out", nil)
		ev["anonymousId"] = device
	case n < 7:
		ev["type"], ev["anonymousId"], ev["traits"] = "identify", device, email
	case n < 8:
		ev["type"], ev["userId"], ev["previousId"] = "alias", customer, fmt.Sprint("c", rnd.IntN(c.Customers))
	case n < 9:
		track("looked", nil)
		ev["userId"] = customer
	case n < 10 && s != Authority:
		track("Device Created or Updated", nil)
		ev["anonymousId"] = device
		ev["context"] = map[string]any{"device": map[string]any{"id": "p" + device, "token": fmt.Sprint("t", rnd.IntN(c.Tokens)), "type": "ios"}}
	default:
		track("order_completed", map[string]any{"order_id": c.Order(rnd, i)})
		if ev["anonymousId"] = device; s == Authority {
			delete(ev, "anonymousId")
			if rnd.IntN(4) > 0 {
				ev["userId"] = customer
			}
		}
	}
	b, err := json.Marshal(ev)
	if err != nil {
		panic(err)
	}
	return b
}
