package traffic

// The shapes of app SDKs: no userId where nobody is logged in, and the device
// with its push token in the context of every event.

func (g *Generator) appendKotlin(b []byte, m *message) []byte {
	b = append(b, `{"messageId":"`...)
	b = append(appendUUID(b, m.id), '"')
	b = appendBody(b, m)
	if m.kind == "screen" {
		b = append(b, `,"category":""`...)
	}
	b = appendText(b, "anonymousId", m.anonymous)
	if m.user != "" {
		b = appendText(b, "userId", m.user)
	}
	b = append(b, `,"integrations":{},"context":{"library":{"name":"analytics-kotlin","version":"1.27.0"},"device":{"id":"`...)
	b = append(b, m.device.hardware...)
	b = append(b, `","model":"Pixel 9","type":"android"`...)
	b = appendText(b, "token", m.device.token)
	b = append(b, `},"app":{"name":"Shop","version":"`...)
	b = append(b, m.device.version...)
	b = append(b, `"},"os":{"name":"Android"}`...)
	b = append(appendText(b, "locale", m.device.locale), '}')
	b = g.appendTime(b, "timestamp", m.at)
	return append(g.appendTime(b, "sentAt", m.sent), '}')
}

func (g *Generator) appendReactNative(b []byte, m *message) []byte {
	b = append(b, `{"messageId":"`...)
	b = append(appendUUID(b, m.id), '"')
	b = appendBody(b, m)
	b = g.appendTime(b, "timestamp", m.at)
	b = appendText(b, "anonymousId", m.anonymous)
	if m.user != "" {
		b = appendText(b, "userId", m.user)
	}
	b = append(b, `,"integrations":{},"context":{"app":{"name":"Shop","version":"`...)
	b = append(b, m.device.version...)
	b = append(b, `"},"device":{"id":"`...)
	b = append(b, m.device.hardware...)
	b = append(b, `","model":"iPhone17,1","type":"ios"`...)
	b = appendText(b, "token", m.device.token)
	b = append(b, `},"library":{"name":"analytics-react-native","version":"2.21.4"}`...)
	b = appendText(b, "locale", m.device.locale)
	b = append(b, `,"os":{"name":"iOS"},"traits":{}}`...)
	return append(g.appendTime(b, "sentAt", m.sent), '}')
}
