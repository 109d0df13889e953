package engine

import (
	"fmt"
	"math/rand/v2"
	"time"

	"lockstitch/pkg/engine/simshop"
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
		value := simFew.Event(rnd, s, i)
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

var simFew = simshop.Shop{
	Devices: 3, Customers: 4, Emails: 3, Tokens: 3,
	Time: func(rnd *rand.Rand) time.Time {
		return time.Date(2027, 1, 15, 7, 30+rnd.IntN(20), rnd.IntN(60), 0, time.UTC)
	},
	Order: func(rnd *rand.Rand, _ int) string { return fmt.Sprint("o", rnd.IntN(3)) },
}
