package traffic

import "strconv"

// The steps of a visit. Each builds messages and hands them to send.

// open is the first page of a browser, the first screen of an app.
func (g *Generator) open(p *person) {
	if p.on.sdk.isApp() {
		if p.on.sdk == reactNative {
			g.track(p, "Application Opened", append(g.properties[:0], `{"from_background":false,"version":"`+p.on.version+`"}`...))
		}
		g.screen(p, "Home")
		return
	}
	g.page(p, &home)
}

func (g *Generator) page(p *person, at *page) {
	m := g.message(p, "page", at.name)
	m.page = at
	m.properties = appendPage(g.properties[:0], at)
	g.properties = m.properties
	g.send(p, &m)
}

func (g *Generator) screen(p *person, name string) {
	m := g.message(p, "screen", name)
	m.properties = append(g.properties[:0], `{}`...)
	g.properties = m.properties
	g.send(p, &m)
}

// track sends an event; properties were appended to g.properties[:0].
func (g *Generator) track(p *person, name string, properties []byte) {
	m := g.message(p, "track", name)
	m.properties, g.properties = properties, properties
	g.send(p, &m)
}

// register tells the device's token, as the SDK does by itself.
func (g *Generator) register(p *person) {
	p.on.registered = true
	b := append(g.properties[:0], `{"app_version":"`...)
	b = append(b, p.on.version...)
	b = append(b, `","push_enabled":"true"}`...)
	g.track(p, "Device Created or Updated", b)
}

// rotate replaces the token: the old one is deleted, then the new one is told.
func (g *Generator) rotate(p *person) {
	g.unregister(p)
	p.on.token = g.token()
	g.register(p)
}

func (g *Generator) unregister(p *person) {
	p.on.registered = false
	g.track(p, "Device Deleted", append(g.properties[:0], `{}`...))
}

var permissions = [...]string{"granted", "granted", "denied", "not_determined"}

// ask is the question whether the shop may push.
func (g *Generator) ask(p *person) {
	name := "push_permission_prompted"
	if p.on.asked {
		name = "push_permission_changed"
	}
	p.on.asked = true
	b := append(g.properties[:0], `{"push_permission_status":"`...)
	b = append(b, permissions[g.rnd.IntN(len(permissions))]...)
	g.track(p, name, append(b, `"}`...))
}

// view looks at a product.
func (g *Generator) view(p *person) {
	product := &products[g.rnd.IntN(len(products))]
	p.cart.adds = product.cents
	if !p.on.sdk.isApp() {
		g.page(p, &product.page)
	} else if g.chance(150) {
		g.screen(p, "Product")
	}
	m := g.message(p, "track", "product_viewed")
	m.page, m.properties = &product.page, product.properties
	g.send(p, &m)
}

// add puts what was looked at last into the cart, at times with a double click.
func (g *Generator) add(p *person) {
	if p.cart.id == 0 {
		g.carts++
		p.cart.id = g.carts
	}
	p.cart.items++
	p.cart.cents += p.cart.adds
	b := append(g.properties[:0], `{"cart_id":"cart_`...)
	b = strconv.AppendUint(b, p.cart.id, 10)
	b = append(b, `","items":`...)
	b = strconv.AppendInt(b, int64(p.cart.items), 10)
	b = append(b, `,"value":`...)
	b = append(appendCents(b, p.cart.cents), '}')
	g.track(p, "added_to_cart", b)
	if g.chance(addsTwice) {
		g.track(p, "added_to_cart", b)
	}
}

// capture is an address that somebody leaves without logging in: the newsletter.
func (g *Generator) capture(p *person) {
	p.on.email = p.customers[0].email
	m := g.message(p, "identify", "")
	m.page = &newsletter
	b := append(g.traits[:0], `{"email":"`...)
	if g.chance(100) {
		b = append(append(b, 'P'), p.on.email[1:]...) // as people type it
	} else {
		b = append(b, p.on.email...)
	}
	m.traits = append(b, `"}`...)
	g.traits = m.traits
	g.send(p, &m)
}

// login says who is at the device. The Segment and Customer.io browser SDKs take
// a new anonymous ID where another customer was logged in; the others keep it.
func (g *Generator) login(p *person, who *customer) {
	if g.chance(wrongCaller) {
		m := g.message(p, "identify", "")
		m.user, m.page = unusable[g.rnd.IntN(len(unusable))], &account
		g.identify(p, &m, who)
	}
	if p.on.user != nil && p.on.user != who && p.on.sdk.renews() {
		p.on.anonymous = g.uuid()
	}
	p.on.user, p.on.email = who, ""
	m := g.message(p, "identify", "")
	m.page = &account
	g.identify(p, &m, who)
	if p.on.sdk.isApp() {
		g.register(p) // the token goes with the customer
	}
	g.sendAgain(p)
}

func (g *Generator) identify(p *person, m *message, who *customer) {
	b := append(g.traits[:0], `{"email":"`...)
	b = append(b, who.email...)
	b = append(b, `","phone":"`...)
	b = append(b, who.phone...)
	b = append(b, `","loyalty_tier":"`...)
	b = append(b, who.tier...)
	m.traits = append(b, `"}`...)
	g.traits = m.traits
	g.send(p, m)
}

func (g *Generator) checkout(p *person) {
	b := append(g.properties[:0], `{"cart_id":"cart_`...)
	b = strconv.AppendUint(b, p.cart.id, 10)
	b = append(b, `","value":`...)
	b = appendCents(b, p.cart.cents)
	if g.chance(600) {
		b = append(b, `,"shipping_option":"standard"`...)
	}
	g.track(p, "checkout_started", append(b, '}'))
}

// logout ends the login. Kotlin's track and reset race, so that the event can
// carry the new anonymous ID; RudderStack's reset keeps the old one.
func (g *Generator) logout(p *person) {
	d := p.on
	if d.sdk.isApp() {
		g.unregister(p)
	}
	m := g.message(p, "track", "user_logged_out")
	m.properties = append(g.properties[:0], `{}`...)
	g.properties = m.properties
	if d.sdk != rudder {
		d.anonymous = g.uuid()
	}
	if d.sdk == kotlin && g.chance(200) {
		m.anonymous = d.anonymous
	}
	d.before, d.user, d.email = d.user, nil, ""
	p.cart = cart{}
	g.send(p, &m)
}
