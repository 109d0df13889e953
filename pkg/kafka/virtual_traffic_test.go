//go:build synctests

package kafka

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"lockstitch/pkg/engine/simshop"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// virtualSources: the last is the authority; the middle one is read by franz-go.
var virtualSources = []Source{{Topic: "s0"}, {Topic: "s1", ReadCommitted: true}, {Topic: "s2", Authority: true}}

const virtualPartitions = 2 // of each source

func virtualRules() stitch.Rules {
	r := stitch.DefaultRules()
	r.MergeDelay = 5000
	return r
}

var virtualIngest = sync.OnceValue(func() *wire.Ingest { return simshop.NewIngest(8 * time.Second) })

// virtualShop has enough people for several partitions.
var virtualShop = simshop.Shop{
	Devices: 9, Customers: 12, Emails: 8, Tokens: 5,
	Time:  func(rnd *rand.Rand) time.Time { return time.Now().Add(-time.Duration(rnd.IntN(600)) * time.Second) },
	Order: func(rnd *rand.Rand, i int) string { return fmt.Sprint("o", i/40, rnd.IntN(6)) },
}
