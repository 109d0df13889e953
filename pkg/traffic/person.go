package traffic

import "strconv"

// person is somebody who shops, with a browser and a phone.
type person struct {
	customers [2]customer // the second one shares the devices; without an ID there is none
	browser   device
	phone     device

	visits  int      // still to come
	on      *device  // of this visit
	script  [48]step // what is left of this visit
	at, end int      // in script
	offline int64    // Unix ms when this visit's records leave the phone; 0: at once

	acted, last int64 // Unix ms: arrival of the last step, and its last event's time

	cart   cart
	unsent *message // what the browser sends again, with a user ID, after the login
}

// customer is who a person is to the shop, once logged in.
type customer struct {
	id, email, phone, tier string
}

// device is a browser or an installed app.
type device struct {
	sdk       sdk
	anonymous string
	user      *customer // logged in here; nil: nobody
	before    *customer // who was, before the last logout
	email     string    // that was said here without a login; ""

	locale   string
	agent    string // of a browser
	hardware string // of a phone: its ID, token and app version
	token    string
	version  string

	registered bool // the token was told
	asked      bool // for permission to push
}

// cart is what a person is about to buy.
type cart struct {
	id    uint64 // 0: there is none
	items int
	cents int64
	adds  int64 // price of the product added last
}

var tiers = [...]string{"bronze", "silver", "gold"}

// born makes a person with new IDs.
func (g *Generator) born() *person {
	p := &person{visits: int(g.between(2, 7)), browser: g.newBrowser(), phone: g.newPhone()}
	p.customers[0] = g.newCustomer()
	if g.chance(sharesDevices) {
		p.customers[1] = g.newCustomer()
	}
	return p
}

// done is true when the last visit is over.
func (p *person) done() bool { return p.at == p.end }

func (g *Generator) newCustomer() customer {
	g.customers++
	number := strconv.FormatUint(g.customers, 10)
	phone := 100 + g.customers%100
	return customer{
		id:    "cus_" + number,
		email: "person" + number + "@example.com",
		phone: "+120255501" + strconv.FormatUint(phone, 10)[1:], // fiction has these numbers
		tier:  tiers[g.rnd.IntN(len(tiers))],
	}
}

func (g *Generator) newBrowser() device {
	return device{
		sdk:       webSDKs[g.rnd.IntN(len(webSDKs))],
		anonymous: g.uuid(),
		agent:     agents[g.rnd.IntN(len(agents))],
		locale:    locales[g.rnd.IntN(len(locales))],
	}
}

func (g *Generator) newPhone() device {
	return device{
		sdk:       appSDKs[g.rnd.IntN(len(appSDKs))],
		anonymous: g.uuid(),
		hardware:  g.uuid(),
		token:     g.token(),
		version:   versions[g.rnd.IntN(len(versions))],
		locale:    locales[g.rnd.IntN(len(locales))],
	}
}

// userID is what the device's SDK puts into an event; "" where nobody is logged in.
func (d *device) userID() string {
	if d.user == nil {
		return ""
	}
	return d.user.id
}

// known is the address that the device's SDK keeps among the traits.
func (d *device) known() string {
	if d.user != nil {
		return d.user.email
	}
	return d.email
}

// other is the customer who wasn't the last to be logged in on the device.
func (p *person) other(d *device) *customer {
	last := d.user
	if last == nil {
		last = d.before
	}
	if last == &p.customers[0] && p.customers[1].id != "" {
		return &p.customers[1]
	}
	return &p.customers[0]
}

// moment is the time of the person's next event: a little before it arrives, and
// after the event before it.
func (g *Generator) moment(p *person, lag int64) int64 {
	if p.acted == g.now {
		p.last += g.between(1, 7)
	} else {
		p.acted, p.last = g.now, g.now-g.between(40, lag)
	}
	return p.last
}
