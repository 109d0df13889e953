package traffic

import "strconv"

// order is one that was paid. Its copies are made at once and arrive when they do.
type order struct {
	number   uint64
	cents    int64
	items    int
	cart     uint64
	discount bool
}

// Shares of orders, in a thousand.
const (
	serverFirst  = 200
	serverSoon   = 520 // within ten minutes after the device's copy
	serverLate   = 120 // later than that
	serverNever  = 80
	serverOnly   = 80 // the rest
	byCommerce   = 300
	bothBackEnds = 80
	corrected    = 15 // the shop changes it an hour later
	nameless     = 20 // of guests' orders: the back end names nobody
	twice        = 10 // the device tells it twice
	withProfile  = 150
)

// buy makes an order and its copies.
func (g *Generator) buy(p *person) {
	g.orders++
	o := order{number: g.orders, cents: p.cart.cents, items: p.cart.items, cart: p.cart.id, discount: g.chance(250)}
	p.cart = cart{}
	switch n := g.rnd.IntN(1000); {
	case n < serverFirst:
		g.backEnd(p, &o, 0)
		g.fromDevice(p, &o, g.between(2*second, 40*second))
	case n < serverFirst+serverSoon:
		g.fromDevice(p, &o, 0)
		g.backEnd(p, &o, g.between(second, 9*minute))
	case n < serverFirst+serverSoon+serverLate:
		g.fromDevice(p, &o, 0)
		g.backEnd(p, &o, g.between(11*minute, 3*hour))
	case n < serverFirst+serverSoon+serverLate+serverNever:
		g.fromDevice(p, &o, 0)
	default:
		g.backEnd(p, &o, g.between(0, minute))
	}
}

func (g *Generator) fromDevice(p *person, o *order, delay int64) {
	times := 1
	if p.on.sdk.isApp() && g.chance(twice) {
		times = 2
	}
	for range times {
		m := g.message(p, "track", "order_completed")
		m.delay = delay
		m.properties = append(g.appendOrder(g.properties[:0], o), '}')
		g.properties = m.properties
		g.send(p, &m)
	}
}

// appendOrder writes an order's properties, still open.
func (g *Generator) appendOrder(b []byte, o *order) []byte {
	b = append(b, `{"order_id":"ord_`...)
	b = strconv.AppendUint(b, o.number, 10)
	b = append(b, `","revenue":`...)
	b = appendCents(b, o.cents)
	b = append(b, `,"items":`...)
	b = strconv.AppendInt(b, int64(o.items), 10)
	if o.discount {
		b = append(b, `,"discount_code":"WELCOME10"`...)
	} else {
		b = append(b, `,"discount_code":null`...)
	}
	b = append(b, `,"cart_id":"cart_`...)
	b = append(strconv.AppendUint(b, o.cart, 10), '"')
	if len(g.shop) > 0 {
		b = appendRaw(b, "shop_id", g.shop)
	}
	return b
}

var backEnds = [...]sdk{python, python, java}

// backEnd sends the authority's copies, and at times the customer's profile.
func (g *Generator) backEnd(p *person, o *order, delay int64) {
	from := backEnds[g.rnd.IntN(len(backEnds))]
	other := webhook
	if g.chance(byCommerce) {
		from, other = other, from
	}
	at := g.now - 100
	m := g.authority(p, o, from, at, delay)
	if g.chance(bothBackEnds) {
		g.authority(p, o, other, at, delay+g.between(second, 5*minute))
	}
	if g.chance(corrected) {
		o.cents -= o.cents / 4 // something is sent back
		g.authority(p, o, from, at+hour, delay+hour+2*second)
	}
	if m.user != "" && from != webhook && g.chance(withProfile) {
		g.profile(m, p.on.user)
	}
}

// authority sends one copy. It is named as the device's: by customer, or by
// anonymous ID for a guest.
func (g *Generator) authority(p *person, o *order, from sdk, at, delay int64) message {
	m := message{
		sdk: from, kind: "track", name: "order_completed", id: g.bits(),
		at: at, sent: g.now + delay - 20, delay: delay,
		user: p.on.userID(),
	}
	if m.user == "" && !g.chance(nameless) {
		m.anonymous = p.on.anonymous
	}
	b := g.appendOrder(g.properties[:0], o)
	if from == webhook {
		b = append(b, `,"source":"webhook"`...)
	}
	m.properties = append(b, '}')
	g.properties = m.properties
	g.arrive(&m)
	g.repeat(&m)
	return m
}

func (g *Generator) profile(m message, who *customer) {
	m.kind, m.id = "identify", g.bits()
	b := append(g.traits[:0], `{"email":"`...)
	b = append(b, who.email...)
	b = append(b, `","last_order_date":`...)
	m.traits = append(strconv.AppendInt(b, m.at/second, 10), '}')
	g.traits = m.traits
	g.arrive(&m)
}
