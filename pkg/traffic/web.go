package traffic

import "strconv"

// The shapes of browser SDKs. Texts are written as they are: none of them has a
// character that JSON escapes.

const site = "https://shop.example"

// appendText writes `,"name":"text"`.
func appendText(b []byte, name, text string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':', '"')
	b = append(b, text...)
	return append(b, '"')
}

// appendTime writes `,"name":"time"`.
func (g *Generator) appendTime(b []byte, name string, ms int64) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':', '"')
	return append(g.clock.append(b, ms), 'Z', '"')
}

// appendRaw writes `,"name":value`.
func appendRaw(b []byte, name string, value []byte) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return append(b, value...)
}

// appendPage writes a page's properties.
func appendPage(b []byte, p *page) []byte {
	b = append(b, `{"name":"`...)
	b = append(b, p.name...)
	b = appendText(append(b, '"'), "title", p.title)
	return append(appendPlace(b, p), '}')
}

func appendPlace(b []byte, p *page) []byte {
	b = appendText(b, "path", p.path)
	b = append(b, `,"url":"`...)
	b = append(b, site...)
	b = append(b, p.path...)
	return append(b, '"')
}

// appendBody writes what kind of record it is, and what it says.
func appendBody(b []byte, m *message) []byte {
	b = appendText(b, "type", m.kind)
	switch m.kind {
	case "track":
		b = appendText(b, "event", m.name)
	case "page", "screen":
		b = appendText(b, "name", m.name)
	case "identify":
		if m.sdk == rudder {
			return b // it has traits in the context alone
		}
		return appendRaw(b, "traits", m.traits)
	}
	return appendRaw(b, "properties", m.properties)
}

// appendBrowser is Segment's browser SDK, and Customer.io's, which is made of it.
func (g *Generator) appendBrowser(b []byte, m *message) []byte {
	segment := m.sdk == segmentWeb
	b = append(b, `{"timestamp":"`...)
	b = append(g.clock.append(b, m.at), `Z","integrations":{}`...)
	b = appendBody(b, m)
	b = append(b, `,"context":{"page":{"referrer":""`...)
	b = appendPlace(b, m.page)
	b = append(b, '}')
	b = appendText(b, "userAgent", m.device.agent)
	b = appendText(b, "locale", m.device.locale)
	if segment {
		b = append(b, `,"library":{"name":"analytics.js","version":"npm:next-1.84.3"}},"messageId":"ajs-next-`...)
		b = append(strconv.AppendInt(b, m.at, 10), '-')
		b = appendUUID(b, m.id)
	} else {
		b = append(b, `,"library":{"name":"analytics.js","version":"npm:next-0.5.11"}},"messageId":"ajs-next-`...)
		b = appendHex(b, m.id)
	}
	b = append(b, '"')
	b = appendText(b, "anonymousId", m.anonymous)
	b = append(b, `,"writeKey":"web"`...)
	if m.user != "" {
		b = appendText(b, "userId", m.user)
	} else if m.kind != "identify" {
		b = append(b, `,"userId":null`...)
	}
	return append(g.appendTime(b, "sentAt", m.sent), '}')
}

// appendKnown writes the traits that the SDK keeps.
func appendKnown(b []byte, m *message) []byte {
	switch {
	case m.kind == "identify":
		b = append(b, `"traits":`...)
		return append(b, m.traits...)
	case m.known != "":
		b = append(b, `"traits":{"email":"`...)
		b = append(b, m.known...)
		return append(b, '"', '}')
	}
	return append(b, `"traits":{}`...)
}

// appendRudder is RudderStack's: "" for nobody, originalTimestamp, and traits in
// the context of every event.
func (g *Generator) appendRudder(b []byte, m *message) []byte {
	b = append(b, `{"channel":"web"`...)
	b = appendBody(b, m)
	b = append(b, `,"context":{`...)
	b = appendKnown(b, m)
	b = append(b, `,"library":{"name":"RudderLabs JavaScript SDK","version":"3.34.1"}`...)
	b = appendText(b, "userAgent", m.device.agent)
	b = appendText(b, "locale", m.device.locale)
	b = append(b, `,"campaign":{},"page":{"referrer":"$direct"`...)
	b = appendPlace(b, m.page)
	b = append(b, '}', '}')
	b = g.appendTime(b, "originalTimestamp", m.at)
	b = append(b, `,"messageId":"`...)
	b = append(appendUUID(b, m.id), '"')
	b = appendText(b, "userId", m.user)
	b = appendText(b, "anonymousId", m.anonymous)
	b = append(b, `,"integrations":{"All":true}`...)
	return append(g.appendTime(b, "sentAt", m.sent), '}')
}

// appendJitsu is Jitsu's: the time is when it was sent, a page has no name.
func (g *Generator) appendJitsu(b []byte, m *message) []byte {
	b = append(b, `{"writeKey":"web"`...)
	if m.kind == "page" {
		b = append(b, `,"type":"page"`...)
		b = appendRaw(b, "properties", m.properties)
	} else {
		b = appendBody(b, m)
	}
	if m.user != "" {
		b = appendText(b, "userId", m.user)
	} else {
		b = append(b, `,"userId":null`...)
	}
	b = appendText(b, "anonymousId", m.anonymous)
	b = g.appendTime(b, "timestamp", m.at)
	b = g.appendTime(b, "sentAt", m.at)
	b = append(b, `,"messageId":"`...)
	b = strconv.AppendUint(b, m.id.high>>1|1<<62, 36) // twenty-odd of base 36
	b = strconv.AppendUint(b, m.id.low>>24|1<<39, 36)
	b = append(b, `","context":{"library":{"name":"@jitsu/js","version":"1.11.0","env":"browser"}`...)
	b = appendText(b, "userAgent", m.device.agent)
	b = appendText(b, "locale", m.device.locale)
	b = append(b, `,"page":{"host":"shop.example"`...)
	b = append(appendPlace(b, m.page), '}', ',')
	b = appendKnown(b, m)
	return append(b, `,"clientIds":{},"campaign":{}}}`...)
}
