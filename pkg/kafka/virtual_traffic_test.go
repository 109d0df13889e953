//go:build synctests

package kafka

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"lockstitch/pkg/wire"
	"lockstitch/stitch"
	"lockstitch/stitch/plan"
)

// virtualSources: the last is the authority; the middle one is read by franz-go.
var virtualSources = []Source{{Topic: "s0"}, {Topic: "s1", ReadCommitted: true}, {Topic: "s2", Authority: true}}

const (
	virtualServer     = 2
	virtualPartitions = 2 // of each source
)

const virtualPlan = `
events:
  order_completed:
    properties: {order_id: {type: id, required: true}}
    key: order_id
    authority: [server]
    hold: 8s
`

func virtualRules() stitch.Rules {
	r := stitch.DefaultRules()
	r.MergeDelay = 5000
	return r
}

var virtualIngest = sync.OnceValue(func() *wire.Ingest {
	p, err := plan.Parse([]byte(virtualPlan))
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
})

// sourceEvent is what few people do on few devices: logins, shared devices, logouts,
// captures, merges in chains and circles, orders in both copies.
func sourceEvent(rnd *rand.Rand, s, i int, now time.Time) []byte {
	device, customer := fmt.Sprint("d", rnd.IntN(9)), fmt.Sprint("c", rnd.IntN(12))
	ev := map[string]any{
		"messageId": fmt.Sprint("m", s, "-", i),
		"timestamp": now.Add(-time.Duration(rnd.IntN(600)) * time.Second).UTC().Format(time.RFC3339),
	}
	email := map[string]any{"email": fmt.Sprintf("e%d@x.example", rnd.IntN(8))}
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
		ev["type"], ev["userId"], ev["previousId"] = "alias", customer, fmt.Sprint("c", rnd.IntN(12))
	case n < 9:
		track("looked", nil)
		ev["userId"] = customer
	case n < 10 && s != virtualServer:
		track("Device Created or Updated", nil)
		ev["anonymousId"] = device
		ev["context"] = map[string]any{"device": map[string]any{"id": "p" + device, "token": fmt.Sprint("t", rnd.IntN(5)), "type": "ios"}}
	default:
		track("order_completed", map[string]any{"order_id": fmt.Sprint("o", i/40, rnd.IntN(6))})
		if ev["anonymousId"] = device; s == virtualServer {
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
