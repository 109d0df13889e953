package engine

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// simTraffic is a few people on a few devices: logins, shared devices, logouts,
// captures, merges in chains and circles, orders in both copies, re-sends.
func simTraffic(rnd *rand.Rand, limit int) [][]wire.Record {
	sources := make([][]wire.Record, 3)
	var sent [3][][]byte
	orders := rnd.IntN(4) == 0 // almost nothing else
	for i := range min(12+rnd.IntN(20), limit) {
		s := rnd.IntN(3)
		value := simEvent(rnd, s, i)
		if orders && rnd.IntN(4) > 0 {
			value = simPurchase(rnd, s, i)
		}
		if n := len(sent[s]); n > 0 && rnd.IntN(6) == 0 {
			value = sent[s][rnd.IntN(n)] // the SDK sends it again
		}
		sent[s] = append(sent[s], value)
		sources[s] = append(sources[s], wire.Record{
			Source: stitch.Source{Topic: fmt.Sprint("s", s), Partition: int32(s), Offset: int64(len(sources[s]))},
			Value:  value, Arrival: 1_800_000_000_000,
		})
	}
	return sources
}

// simPurchase is one of many orders' copy that names somebody.
func simPurchase(rnd *rand.Rand, s, i int) []byte {
	return fmt.Appendf(nil, `{"messageId":"m%d-%d","type":"track","event":"order_completed","userId":"c%d","timestamp":"2027-01-15T07:40:00Z","properties":{"order_id":"p%d"}}`,
		s, i, rnd.IntN(4), rnd.IntN(8))
}

func simEvent(rnd *rand.Rand, s, i int) []byte {
	device, customer := fmt.Sprint("d", rnd.IntN(3)), fmt.Sprint("c", rnd.IntN(4))
	email := fmt.Sprintf("e%d@x.example", rnd.IntN(3))
	ev := map[string]any{
		"messageId": fmt.Sprint("m", s, "-", i),
		"timestamp": fmt.Sprintf("2027-01-15T07:%02d:%02dZ", 30+rnd.IntN(20), rnd.IntN(60)),
	}
	track := func(name string, properties map[string]any) {
		ev["type"], ev["event"], ev["properties"] = "track", name, properties
	}
	switch n := rnd.IntN(12); {
	case n < 3:
		track("looked", nil)
		ev["anonymousId"] = device
	case n < 5:
		ev["type"], ev["anonymousId"], ev["userId"] = "identify", device, customer
		ev["traits"] = map[string]any{"email": email}
	case n < 6:
		track("user_logged_out", nil)
		ev["anonymousId"] = device
	case n < 7:
		ev["type"], ev["anonymousId"], ev["traits"] = "identify", device, map[string]any{"email": email}
	case n < 8:
		ev["type"], ev["userId"], ev["previousId"] = "alias", customer, fmt.Sprint("c", rnd.IntN(4))
	case n < 9:
		track("looked", nil)
		ev["userId"] = customer
	case n < 10 && s != simServer:
		track("Device Created or Updated", nil)
		ev["anonymousId"] = device
		ev["context"] = map[string]any{"device": map[string]any{"id": "p" + device, "token": fmt.Sprint("t", rnd.IntN(3)), "type": "ios"}}
	default:
		track("order_completed", map[string]any{"order_id": fmt.Sprint("o", rnd.IntN(3))})
		if ev["anonymousId"] = device; s == simServer {
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
