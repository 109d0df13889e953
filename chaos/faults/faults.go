package faults

import (
	"iter"
	"math/rand/v2"
	"time"
)

// Parts are what a fault takes away. Two faults go together where they share none.
type Parts uint8

// The parts.
const (
	Processors Parts = 1 << iota
	Redis
	Broker
	Feed
)

// Kind is one way in which things break.
type Kind struct {
	Name  string
	Parts Parts
	Cards int // how many times it comes in each deck
}

// Kinds are all there are.
var Kinds = []Kind{
	{"processor killed", Processors, 3},
	{"processor killed while it starts", Processors, 1},
	{"two processors killed at once", Processors, 1},
	{"all processors killed", Processors, 1},
	{"processor stopped and started", Processors, 2},
	{"rolling restart", Processors, 1},
	{"processor with other rules", Processors, 1},
	{"processor paused", Processors, 2},
	{"processor paused beyond its session", Processors, 2},
	{"fourth processor joins and is killed", Processors, 1},

	{"redis killed", Redis, 2},
	{"redis killed while it rewrites its file", Redis, 1},
	{"redis file cut", Redis, 2},
	{"redis flushed", Redis, 1},
	{"redis paused", Redis, 1},
	{"redis slow", Redis, 1},
	{"redis replies dropped", Redis, 1},
	{"redis cut off", Redis, 1},
	{"redis silent", Redis, 1},
	{"redis full", Redis, 1},
	{"redis read-only", Redis, 1},
	{"redis scripts flushed", Redis, 1},
	{"redis connections killed", Redis, 1},

	{"broker killed", Broker, 2},
	{"broker paused", Broker, 1},
	{"journal cut and redis flushed", Broker | Redis, 2},

	{"transaction aborted at a source's end", Broker, 1},
	{"sources quiet", Feed, 1},
	{"sources in a burst", Feed, 1},
}

// Outages are in no deck: a run has each of them once, in this order, with as much
// time before, between and after.
var Outages = []Kind{
	{"redis gone for long", Redis, 0},
	{"broker gone for long", Broker, 0},
}

// Fault is one fault. A, B and C are its figures, each from 0 to 1: what they
// decide is the kind's business.
type Fault struct {
	Kind    Kind
	A, B, C float64
}

// Step is what happens next: a fault, maybe a second one at the same time, and
// then a pause.
type Step struct {
	Faults []Fault
	Pause  time.Duration
}

// Limits of a plan.
const (
	together   = 0.4 // the share of steps that take the next fault along, where it can be
	shortest   = 300 * time.Millisecond
	longest    = 3 * time.Second
	everySixth = 6 // steps have a pause in which all can come to rest
	rest       = 6 * time.Second
)

// Plan gives steps without an end. All kinds come, as often as they have cards,
// before the deck is shuffled again.
func Plan(seed uint64) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		d := dealer{rnd: rand.New(rand.NewPCG(seed, 0x6c73))}
		for n := 1; yield(d.step(n)); n++ {
		}
	}
}

type dealer struct {
	rnd  *rand.Rand
	deck []Fault
}

func (d *dealer) step(n int) Step {
	first := d.deal()
	s := Step{Faults: []Fault{first}, Pause: shortest + time.Duration(d.rnd.Float64()*float64(longest-shortest))}
	if d.rnd.Float64() < together && d.next().Kind.Parts&first.Kind.Parts == 0 {
		s.Faults = append(s.Faults, d.deal())
	}
	if n%everySixth == 0 {
		s.Pause = rest
	}
	return s
}

// next is the fault on top of the deck.
func (d *dealer) next() Fault {
	if len(d.deck) == 0 {
		for _, k := range Kinds {
			for range k.Cards {
				d.deck = append(d.deck, Fault{Kind: k, A: d.rnd.Float64(), B: d.rnd.Float64(), C: d.rnd.Float64()})
			}
		}
		d.rnd.Shuffle(len(d.deck), func(i, k int) { d.deck[i], d.deck[k] = d.deck[k], d.deck[i] })
	}
	return d.deck[0]
}

func (d *dealer) deal() Fault {
	f := d.next()
	d.deck = d.deck[1:]
	return f
}

// Between is the duration at x, 0 to 1, of the way from low to high.
func Between(low, high time.Duration, x float64) time.Duration {
	return low + time.Duration(x*float64(high-low))
}

// Pick is one of n, 0 to n-1, by x from 0 to 1.
func Pick(n int, x float64) int { return min(int(x*float64(n)), n-1) }
