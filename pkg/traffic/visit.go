package traffic

import "slices"

// step is one thing that a person does, and all records that it makes.
type step uint8

const (
	stepOpen step = iota
	stepRegister
	stepRotate
	stepAsk
	stepView
	stepAdd
	stepCapture
	stepLogin
	stepOther
	stepCheckout
	stepBuy
	stepLogout
)

// Chances, in a thousand.
const (
	sharesDevices = 120 // of people
	onPhone       = 450 // of visits
	phoneOffline  = 30  // of a phone's visits
	tokenRefresh  = 250 // of a phone's visits, the first apart
	tokenRotates  = 40
	asksAgain     = 60
	captures      = 120 // of a browser's anonymous visits
	logsIn        = 350 // of anonymous visits
	othersTurn    = 300 // of visits to a shared device
	noLogout      = 500 // of those
	fillsCart     = 550 // of visits
	checksOut     = 550 // of those
	buys          = 700 // of those
	logsOut       = 120 // of visits with a login
	addsTwice     = 30  // of all that is added: a double click
	wrongCaller   = 10  // of logins: an identify with an unusable ID comes first
)

// Spans of time, in ms.
const (
	firstVisits = 60 * minute // all begin within it
	second      = 1000
	minute      = 60 * second
	hour        = 60 * minute
)

// act lets a person do the next thing, and says how many ms later the one after
// it comes.
func (g *Generator) act(p *person) int64 {
	if p.at == p.end {
		g.plan(p)
	}
	next := p.script[p.at]
	p.at++
	g.do(p, next)
	if p.at < p.end {
		return g.between(2*second, 25*second)
	}
	p.visits--
	if g.chance(100) {
		return g.between(2*hour, 8*hour)
	}
	return g.between(3*minute, 90*minute)
}

func (g *Generator) do(p *person, s step) {
	switch s {
	case stepOpen:
		g.open(p)
	case stepRegister:
		g.register(p)
	case stepRotate:
		g.rotate(p)
	case stepAsk:
		g.ask(p)
	case stepView:
		g.view(p)
	case stepAdd:
		g.add(p)
	case stepCapture:
		g.capture(p)
	case stepLogin:
		g.login(p, &p.customers[0])
	case stepOther:
		g.login(p, p.other(p.on))
	case stepCheckout:
		g.checkout(p)
	case stepBuy:
		g.buy(p)
	case stepLogout:
		g.logout(p)
	}
}

// plan writes the script of a visit.
func (g *Generator) plan(p *person) {
	p.at, p.end, p.offline, p.unsent = 0, 0, 0, nil
	p.on = &p.browser
	phone := g.chance(onPhone)
	if phone {
		p.on = &p.phone
		if g.chance(phoneOffline) {
			p.offline = g.now + 30*minute + g.between(0, 8*hour)
		}
	}
	p.then(stepOpen)
	if phone {
		g.planToken(p)
	}
	user := p.on.user != nil
	g.planLooking(p, 3)
	if !phone && !user && g.chance(captures) {
		p.then(stepCapture)
		g.planLooking(p, 2)
	}
	if !user && g.chance(logsIn) {
		user = true
		p.then(stepLogin)
		g.planLooking(p, 2)
	}
	g.planBuying(p)
	if user && p.customers[1].id != "" && g.chance(othersTurn) {
		g.planOther(p)
	} else if user && g.chance(logsOut) {
		p.then(stepLogout)
		g.planLooking(p, 1)
	}
}

// planToken is what a phone's SDK does by itself when the app is opened.
func (g *Generator) planToken(p *person) {
	switch {
	case !p.on.registered || g.chance(tokenRefresh):
		p.then(stepRegister)
	case g.chance(tokenRotates):
		p.then(stepRotate)
	}
	if !p.on.asked || g.chance(asksAgain) {
		p.then(stepAsk)
	}
}

func (g *Generator) planLooking(p *person, most int64) {
	for range g.between(1, most) {
		p.then(stepView)
	}
}

func (g *Generator) planBuying(p *person) {
	if !g.chance(fillsCart) {
		return
	}
	for range g.between(1, 3) {
		p.then(stepView, stepAdd)
	}
	if g.chance(checksOut) {
		p.then(stepCheckout)
		if g.chance(buys) {
			p.then(stepBuy)
		}
	}
}

// planOther is a second customer on a device where the first is logged in.
func (g *Generator) planOther(p *person) {
	if !g.chance(noLogout) {
		p.then(stepLogout)
	}
	g.planLooking(p, 2)
	p.then(stepOther)
	g.planLooking(p, 2)
	g.planBuying(p)
}

func (p *person) then(steps ...step) {
	p.end += copy(p.script[p.end:], steps)
}

// loginAhead is true when this visit still has a login of the first customer.
func (p *person) loginAhead() bool {
	return slices.Contains(p.script[p.at:p.end], stepLogin)
}
