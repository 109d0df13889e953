package traffic

import (
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"time"
)

// Defaults of Options.
const (
	DefaultPeople  = 10_000
	DefaultGarbage = 0.002 // what callers set that want a little of it
)

// defaultStart is when the sales week begins.
var defaultStart = time.Date(2026, time.November, 23, 8, 0, 0, 0, time.UTC)

// Options say which traffic to make. The zero value is a valid one.
type Options struct {
	Seed    uint64    // other seeds make other people, IDs and orders
	People  int       // who shop at the same time; 0 means DefaultPeople
	Start   time.Time // of the first visits, to the millisecond; zero: a fixed day
	Shop    string    // shop_id of the orders; "" leaves it out
	Garbage float64   // unusable records for each of a device, 0 to 1; 0 makes none
}

// Line is one source record.
type Line struct {
	Topic string    // events.app, events.web, events.server or events.commerce
	Key   string    // anonymous ID, else user ID; "" where the record names nobody
	Value []byte    // the caller's to keep
	Time  time.Time // arrival, UTC, never before the line before it
}

// Generator makes lines. It isn't safe for concurrent use.
type Generator struct {
	rnd     *rand.Rand
	shop    []byte // as JSON; empty: none
	garbage float64

	now     int64 // Unix ms: arrival of the last line
	visits  queue[*person]
	pending queue[Line] // what arrives later than it was made
	ready   []Line      // what arrives now; the first is taken next
	taken   int         // of ready

	customers uint64 // number of the last customer
	orders    uint64 // number of the last order
	carts     uint64

	clock              clock
	properties, traits []byte // scratch, as value
	value              []byte
}

// New returns a generator at its first line.
func New(opt Options) *Generator {
	if opt.People <= 0 {
		opt.People = DefaultPeople
	}
	if opt.Start.IsZero() {
		opt.Start = defaultStart
	}
	shop := fnv.New64a()
	_, _ = shop.Write([]byte(opt.Shop)) // it can't fail
	g := &Generator{
		rnd:     rand.New(rand.NewPCG(opt.Seed, shop.Sum64())),
		shop:    quote(opt.Shop),
		garbage: opt.Garbage,
		now:     opt.Start.UnixMilli(),
	}
	g.number()
	g.visits.items = make([]due[*person], 0, opt.People)
	for range opt.People {
		g.visits.push(g.now+g.between(0, firstVisits), nil) // born when they come
	}
	return g
}

// number sets where IDs begin. A shop with a name counts its orders from one
// thousand, as every shop does: the name tells them apart. Without a name two
// generators must not have the same orders, and customers never.
func (g *Generator) number() {
	g.customers = 1_000_000 * (1 + g.rnd.Uint64N(900_000))
	g.carts = g.customers
	g.orders = 1000
	if len(g.shop) == 0 {
		g.orders = g.customers
	}
}

// All is Next without an end.
func (g *Generator) All() iter.Seq[Line] {
	return func(yield func(Line) bool) {
		for yield(g.Next()) {
		}
	}
}

// Next makes the next line.
func (g *Generator) Next() Line {
	for g.taken == len(g.ready) {
		g.ready, g.taken = g.ready[:0], 0
		g.step()
	}
	line := g.ready[g.taken]
	g.ready[g.taken] = Line{} // what was handed out isn't ours to keep
	g.taken++
	return line
}

// step lets happen what is due next: a line arrives, or a person does something.
func (g *Generator) step() {
	if len(g.pending.items) > 0 && g.pending.items[0].at <= g.visits.items[0].at {
		next := g.pending.pop()
		g.now = next.at
		g.ready = append(g.ready, next.what)
		return
	}
	visit := g.visits.items[0]
	g.now = visit.at
	p := visit.what
	if p == nil || p.visits == 0 && p.done() {
		p = g.born()
	}
	g.visits.replace(g.now+g.act(p), p)
}

// between draws from low to high, both included.
func (g *Generator) between(low, high int64) int64 { return low + g.rnd.Int64N(high-low+1) }

// chance is true n times in a thousand.
func (g *Generator) chance(n int) bool { return g.rnd.IntN(1000) < n }
