package check

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// event is a source record as the laws see it, and what came of it.
type event struct {
	Source
	pos, origin string
	object      bool // the record is a JSON object

	typ, name, message   string
	user, anon, previous string // usable ones; "" otherwise
	badUser, badPrevious bool   // present, and refused
	email                string
	props                map[string]any
	time                 time.Time // the event's own; zero where it can't be told
	content              [32]byte  // law 4.1
	order                string    // law 4.4: the key of an order that has one; "" otherwise
	orderID              string
	sinks, dead          []*output
	held                 int
	decided              []string // the other outcomes of its decisions
	notedConflict        bool     // a potential_duplicate note is about it
}

func position(topic string, partition int32, offset int64) string {
	return fmt.Sprintf("%s/%d/%d", topic, partition, offset)
}

func (r *run) decode(s Source) *event {
	e := &event{Source: s, pos: position(s.Topic, s.Partition, s.Offset), origin: s.Topic}
	if o := r.Rules.Origins[s.Topic]; o != "" {
		e.origin = o
	}
	v, err := decodeObject(s.Value)
	if err != nil {
		return e
	}
	e.object = true
	e.typ, _ = v["type"].(string)
	e.message, _ = text(v["messageId"])
	e.props = asObject(v["properties"])
	e.decodeName(v)
	e.decodeIDs(r.Rules, v)
	e.email = foldAddress(e.traits(v)["email"])
	e.time = eventTime(v, s.Time)
	e.content = e.hashContent(v)
	e.decodeOrder(r.Rules)
	return e
}

// decodeObject keeps numbers as posted. Names are compared exactly; of double
// names the last counts, which is of no matter: such a record is poison.
func decodeObject(b []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if v == nil || len(bytes.TrimSpace(b[d.InputOffset():])) > 0 {
		return nil, errNoObject
	}
	return v, nil
}

// asObject reads PHP's [] as an empty object.
func asObject(v any) map[string]any {
	if list, ok := v.([]any); ok && len(list) == 0 {
		return map[string]any{}
	}
	m, _ := v.(map[string]any)
	return m
}

func (e *event) decodeName(v map[string]any) {
	field := "name"
	if e.typ == "track" {
		field = "event"
	}
	e.name, _ = v[field].(string)
}

func (e *event) decodeIDs(rules Rules, v map[string]any) {
	device := asObject(asObject(v["context"])["device"])
	anon, _ := text(v["anonymousId"])
	if !rules.unstable(anon) {
		e.anon = anon
	}
	own := func(id string) bool {
		return id != "" && (id == anon || id == device["id"] || id == device["token"])
	}
	user, present := text(v["userId"])
	e.badUser = present && (rules.unstable(user) || own(user))
	if present && !e.badUser {
		e.user = user
	}
	previous, present := text(v["previousId"])
	e.badPrevious = present && rules.unstable(previous)
	if present && !e.badPrevious {
		e.previous = previous
	}
}

// traits are an identify's own, else those of its context (where RudderStack
// has them); any other record's are the context's, for the email of a record
// that has no ID at all.
func (e *event) traits(v map[string]any) map[string]any {
	if own := asObject(v["traits"]); e.typ == "identify" && len(own) > 0 {
		return own
	}
	inContext := asObject(asObject(v["context"])["traits"])
	if e.typ == "identify" || e.user == "" && e.anon == "" {
		return inContext
	}
	return nil
}

// timeLayouts cover RFC 3339 and the zone without a colon; fractions parse without being named.
var timeLayouts = []string{time.RFC3339, "2006-01-02T15:04:05Z0700"}

func parseTime(s string) (time.Time, bool) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, strings.ToUpper(trim(s))); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func eventTime(v map[string]any, arrival time.Time) time.Time {
	for _, field := range []string{"timestamp", "originalTimestamp"} {
		if s, ok := v[field].(string); ok && s != "" {
			t, _ := parseTime(s)
			return t
		}
	}
	return arrival
}

// hashContent is what law 4.1 calls content: what stays when an SDK sends again.
func (e *event) hashContent(v map[string]any) [32]byte {
	traits := asObject(v["traits"])
	if e.typ == "identify" {
		traits = e.traits(v)
	}
	content := map[string]any{
		"type": v["type"], "event": v["event"], "name": v["name"], "properties": e.props, "traits": traits,
		"previousId": v["previousId"], "timestamp": v["timestamp"], "originalTimestamp": v["originalTimestamp"],
	}
	if e.typ == "identify" || e.typ == "alias" {
		content["userId"], _ = text(v["userId"])
	}
	if e.name == "Device Created or Updated" || e.name == "Device Deleted" {
		device := asObject(asObject(v["context"])["device"])
		content["device"] = map[string]any{"id": device["id"], "token": device["token"], "type": device["type"]}
	}
	return digest(withoutNulls(content))
}

func digest(v any) [32]byte {
	b, err := json.Marshal(v) // sorted names
	if err != nil {
		panic(err) // it came from JSON
	}
	return sha256.Sum256(b)
}

func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		kept := make(map[string]any, len(v))
		for name, member := range v {
			if m := withoutNulls(member); m != nil {
				kept[name] = m
			}
		}
		return kept
	case []any:
		kept := make([]any, len(v))
		for i := range v {
			kept[i] = withoutNulls(v[i])
		}
		return kept
	}
	return v
}

func (e *event) isOrder(rules Rules) bool {
	return e.typ == "track" && slices.Contains(rules.Orders, e.name)
}

func (e *event) decodeOrder(rules Rules) {
	if !e.isOrder(rules) {
		return
	}
	if e.orderID = digits(e.props["order_id"]); e.orderID == "" {
		return
	}
	shop := digits(e.props["shop_id"])
	if shop == "" {
		shop = rules.Shops[e.Topic]
	}
	e.order = shop + "\x00" + e.orderID
}

// digits is an order's ID: text trimmed, a number as its digits (1e3 and 1000.0 are 1000).
func digits(v any) string {
	n, ok := v.(json.Number)
	if !ok {
		s, _ := text(v)
		return s
	}
	if f, err := n.Float64(); err == nil && !integer.MatchString(n.String()) && f > -1e18 && f < 1e18 {
		if rat, ok := new(big.Rat).SetString(n.String()); ok && rat.IsInt() {
			return rat.Num().String()
		}
	}
	return n.String()
}

func (e *event) authority(rules Rules) bool { return slices.Contains(rules.Authorities, e.Topic) }

// nameless says that the record names nobody at all.
func (e *event) nameless() bool { return e.user == "" && e.anon == "" && e.email == "" }

// login says that the event is evidence that user was on the device anon (law 3.2).
func (e *event) login() bool {
	return e.user != "" && e.anon != "" && len(e.dead) == 0 &&
		(e.typ == "identify" || e.typ == "alias" && e.previous == e.anon)
}

// mergeAlias says that the event asks to merge previous into user (law 3.6).
func (e *event) mergeAlias() bool {
	return e.typ == "alias" && e.user != "" && e.previous != "" && e.previous != e.anon
}

// outcome is the last thing that became of the record; "" where nothing did.
func (e *event) outcome() string {
	switch {
	case len(e.sinks) > 0:
		return "published"
	case len(e.dead) > 0:
		return "quarantined"
	case len(e.decided) > 0:
		return e.decided[0]
	case e.held > 0:
		return "held"
	}
	return ""
}
