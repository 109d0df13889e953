package traffic

// The shapes of back ends: Segment's Python and Java libraries, and a shop
// platform's webhook that goes through the former.

// appendPython writes microseconds, an offset, and null for what is missing.
func (g *Generator) appendPython(b []byte, m *message) []byte {
	b = append(b, `{"integrations":{}`...)
	if m.anonymous != "" {
		b = appendText(b, "anonymousId", m.anonymous)
	} else {
		b = append(b, `,"anonymousId":null`...)
	}
	b = appendBody(b, m)
	b = append(b, `,"timestamp":"`...)
	b = append(g.clock.append(b, m.at), `000+00:00","context":{"library":{"name":"analytics-python","version":"`...)
	if m.sdk == webhook {
		b = append(b, `2.4.0"}}`...)
	} else {
		b = append(b, `1.1.0"}}`...)
	}
	if m.user != "" {
		b = appendText(b, "userId", m.user)
	}
	b = append(b, `,"messageId":"`...)
	return append(appendUUID(b, m.id), '"', '}')
}

// appendJava has no context: it is the batch's.
func (g *Generator) appendJava(b []byte, m *message) []byte {
	b = append(b, `{"messageId":"`...)
	b = append(appendUUID(b, m.id), '"')
	b = appendBody(b, m)
	b = g.appendTime(b, "timestamp", m.at)
	if m.user != "" {
		b = appendText(b, "userId", m.user)
	}
	if m.anonymous != "" {
		b = appendText(b, "anonymousId", m.anonymous)
	}
	b = append(b, `,"integrations":{}`...)
	return append(g.appendTime(b, "sentAt", m.sent), '}')
}
