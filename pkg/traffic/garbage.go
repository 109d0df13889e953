package traffic

import "bytes"

// spoils decides whether a message has an unusable one beside it.
func (g *Generator) spoils() bool { return g.garbage > 0 && g.rnd.Float64() < g.garbage }

// spoil adds an unusable record; the message itself is left alone, so that what
// people do stays whole. Every one is a case of the contract's "bad input" or a
// break of the tracking plan.
func (g *Generator) spoil(m *message) {
	bad := *m
	bad.id = g.bits()
	line := Line{Topic: m.sdk.topic(), Key: m.key()}
	switch g.rnd.IntN(6) {
	case 0: // cut off
		value := g.build(&bad)
		line.Value = value[:len(value)-1-g.rnd.IntN(len(value)/2)]
	case 1: // no JSON at all
		line.Value = []byte("<html><body>502 Bad Gateway</body></html>")
	case 2: // no object
		line.Value = []byte(`"ping"`)
	case 3: // required properties are missing
		line.Value = g.planned(&bad, "product_viewed", `{"product_id":"sku-1001"}`)
	case 4: // a text where a number must be
		line.Value = g.planned(&bad, "order_completed", `{"order_id":"ord_1","revenue":"12,50","items":1}`)
	case 5: // a type that nobody knows
		line.Value = bytes.Replace(g.build(&bad), []byte(`"type":"`), []byte(`"type":"x`), 1)
	}
	g.deliver(g.now+m.delay, line)
}

func (g *Generator) planned(m *message, event, properties string) []byte {
	m.kind, m.name, m.properties = "track", event, []byte(properties)
	return g.build(m)
}
