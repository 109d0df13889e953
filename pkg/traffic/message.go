package traffic

import "bytes"

// sdk is who made a record, and so its shape.
type sdk uint8

const (
	segmentWeb sdk = iota
	customerWeb
	rudder
	jitsu
	kotlin
	reactNative
	python // the back end
	webhook
	java
)

// Repeated ones are used more.
var (
	webSDKs = [...]sdk{segmentWeb, segmentWeb, segmentWeb, customerWeb, customerWeb, rudder, jitsu}
	appSDKs = [...]sdk{kotlin, kotlin, reactNative}
)

func (s sdk) isApp() bool { return s == kotlin || s == reactNative }
func (s sdk) isWeb() bool { return s <= jitsu }

// renews is true of SDKs that take a new anonymous ID when somebody else logs in.
func (s sdk) renews() bool { return s == segmentWeb || s == customerWeb }

// resends is true of SDKs that keep what they couldn't send.
func (s sdk) resends() bool { return s != jitsu }

// fills is true of SDKs that put the user who is logged in when they send again
// into events that have none.
func (s sdk) fills() bool { return s == segmentWeb || s == customerWeb }

func (s sdk) topic() string {
	switch s {
	case kotlin, reactNative:
		return "events.app"
	case python, java:
		return "events.server"
	case webhook:
		return "events.commerce"
	}
	return "events.web"
}

// message is a record before it has a shape.
type message struct {
	sdk        sdk
	kind       string // track, identify, page or screen
	name       string // of the event, page or screen
	id         uuid
	at, sent   int64 // Unix ms
	delay      int64 // ms that it arrives later than now
	anonymous  string
	user       string
	known      string // address among the traits that the SDK keeps
	device     *device
	page       *page // where the browser is; nil: the cart
	properties []byte
	traits     []byte
}

// message begins a record of the person's device.
func (g *Generator) message(p *person, kind, name string) message {
	lag := int64(400)
	if p.on.sdk.isApp() {
		lag = 1900
	}
	return message{
		sdk: p.on.sdk, kind: kind, name: name, id: g.bits(),
		at:        g.moment(p, lag),
		anonymous: p.on.anonymous, user: p.on.userID(), known: p.on.known(),
		device: p.on, page: &checkout,
	}
}

// build gives a message its shape. The result is a slice of its own.
func (g *Generator) build(m *message) []byte {
	b := g.value[:0]
	switch m.sdk {
	case rudder:
		b = g.appendRudder(b, m)
	case jitsu:
		b = g.appendJitsu(b, m)
	case kotlin:
		b = g.appendKotlin(b, m)
	case reactNative:
		b = g.appendReactNative(b, m)
	case python, webhook:
		b = g.appendPython(b, m)
	case java:
		b = g.appendJava(b, m)
	default:
		b = g.appendBrowser(b, m)
	}
	g.value = b
	return bytes.Clone(b)
}

// key is the record's key in Kafka.
func (m *message) key() string {
	if m.anonymous != "" {
		return m.anonymous
	}
	return m.user
}
