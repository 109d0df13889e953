package stitch

import "strconv"

// Kind is what an entity is.
type Kind byte

// The kinds of entity. A customer and an address are both persons; an address
// is a lead until a customer owns it.
const (
	KindDevice   Kind = 'd' // ID: the anonymous ID
	KindFact     Kind = 'f' // ID: event, shop and key of a planned event (an order)
	KindCustomer Kind = 'c' // ID: the customer ID
	KindAddress  Kind = 'a' // ID: the address (an email, trimmed, case folded)
)

// Key names one entity. It is the unit of sharding: all messages to one
// entity land in one journal partition.
type Key struct {
	_    struct{} `cbor:",toarray"`
	Kind Kind
	ID   string
}

// String is the key's form in the journal and in Redis: the kind, a colon, the ID.
func (k Key) String() string { return string(k.Kind) + ":" + k.ID }

// ParseKey is the inverse of String; ok is false for any other text.
func ParseKey(s string) (k Key, ok bool) {
	if len(s) < 3 || s[1] != ':' {
		return Key{}, false
	}
	switch Kind(s[0]) {
	case KindDevice, KindFact, KindCustomer, KindAddress:
		return Key{Kind: Kind(s[0]), ID: s[2:]}, true
	}
	return Key{}, false
}

// Source is the position of a source record.
type Source struct {
	_         struct{} `cbor:",toarray"`
	Topic     string
	Partition int32
	Offset    int64
}

// String is the form of the header ls-source: topic/partition/offset.
func (s Source) String() string { return string(s.Append(make([]byte, 0, 64))) }

// Append appends what String returns.
func (s Source) Append(b []byte) []byte {
	b = strconv.AppendInt(append(append(b, s.Topic...), '/'), int64(s.Partition), 10)
	return strconv.AppendInt(append(b, '/'), s.Offset, 10)
}

// Place says who wrote a record: the sender's partition, the offset of the
// record there that caused it, and its index among that record's outputs
// (PROTOCOL: "Between partitions"). No two records of the output share one.
type Place struct {
	_         struct{} `cbor:",toarray"`
	Sender    string   // topic ID of the sender's partition
	Partition int32
	Offset    int64
	Index     int32
}

// String is the form of the header ls-place: sender/partition/offset/index.
func (p Place) String() string { return string(p.Append(make([]byte, 0, 64))) }

// Append appends what String returns.
func (p Place) Append(b []byte) []byte {
	b = strconv.AppendInt(append(append(b, p.Sender...), '/'), int64(p.Partition), 10)
	b = strconv.AppendInt(append(b, '/'), p.Offset, 10)
	return strconv.AppendInt(append(b, '/'), int64(p.Index), 10)
}

// From is the sender's partition, the key under which receivers keep the
// highest place they have seen.
func (p Place) From() string { return p.Sender + "/" + strconv.Itoa(int(p.Partition)) }

// After reports whether p is higher than q; both are of one sender partition.
func (p Place) After(q Place) bool {
	return p.Offset > q.Offset || p.Offset == q.Offset && p.Index > q.Index
}

// Type is the Segment call of an event.
type Type uint8

// The calls.
const (
	Track Type = iota + 1
	Page
	Screen
	Identify
	Alias
	Group
)

// Op is what an event does besides being one.
type Op uint8

// Device and person operations come as track events with reserved names
// (CUSTOMERIO.md, "What SDKs send"); logouts and splits are named by configuration.
const (
	OpNone Op = iota
	OpDeviceUpdate
	OpDeviceDelete
	OpUserDelete
	OpUserSuppress
	OpUserUnsuppress
	OpLogout
	OpSplit
)

// Hash is a SHA-256 cut to 12 bytes.
type Hash [12]byte

// ULID is an event's ID for Customer.io: 48 bits of event time (ms), 80 bits of
// SHA-256 (law stream.3).
type ULID [16]byte

// Why says how a person was found (header ls-why).
type Why uint8

// The values of ls-why.
const (
	WhyUser Why = iota + 1
	WhyLinked
	WhyEmail
	WhyAnonymous
	WhyAmbiguous
)

func (w Why) String() string {
	return [...]string{"", "user", "linked", "email", "anonymous", "ambiguous"}[w]
}

// Event is one decoded, valid source record. Ingest makes it, a pure function
// of record and rules; the fold only decides whose it is and whether it counts.
type Event struct {
	Source    Source `cbor:"1,keyasint"`
	Origin    string `cbor:"2,keyasint,omitempty"` // the source's origin: app, web, server, …
	MessageID string `cbor:"3,keyasint,omitempty"` // "" when absent
	Type      Type   `cbor:"4,keyasint,omitempty"`
	Op        Op     `cbor:"5,keyasint,omitempty"`
	Name      string `cbor:"6,keyasint,omitempty"` // of a track, page or screen
	Time      int64  `cbor:"7,keyasint,omitempty"` // event time, Unix ms

	// Whose it may be, normalised: white space cut, integers as digits, "" absent.
	Anonymous string `cbor:"8,keyasint,omitempty"`
	User      string `cbor:"9,keyasint,omitempty"`
	Previous  string `cbor:"10,keyasint,omitempty"` // an alias's previousId
	Email     string `cbor:"11,keyasint,omitempty"` // address in an identify's traits, or in context.traits of a record with no ID at all

	Temporary bool `cbor:"12,keyasint,omitempty"` // User has a configured temporary form: a provisional person
	Trusted   bool `cbor:"13,keyasint,omitempty"` // the origin is trusted for this operation (alias, delete, suppress, split)

	Device  *Device `cbor:"14,keyasint,omitempty"` // of OpDeviceUpdate, OpDeviceDelete
	Content Hash    `cbor:"15,keyasint,omitempty"` // of what law duplicates.1 calls content
	EventID ULID    `cbor:"16,keyasint,omitempty"` // of track, page, screen; zero otherwise

	// Attributes is the sink's "attributes" as one compact JSON object: traits or
	// properties with ISO times as Unix seconds, reserved names and null traits
	// dropped, and without "email" (that is Email, and rendered only where it may be).
	Attributes []byte `cbor:"17,keyasint,omitempty"`

	Fact     *Fact     `cbor:"18,keyasint,omitempty"` // a planned event with a key that counts once
	Collapse *Collapse `cbor:"19,keyasint,omitempty"`
	Notes    []Note    `cbor:"20,keyasint,omitempty"` // what ingest has to say about the record
	Raw      *Raw      `cbor:"21,keyasint,omitempty"` // only where the fold may still quarantine it
	Arrival  int64     `cbor:"22,keyasint,omitempty"` // arrival in the source topic, Unix ms
}

// Device is a push device of a device operation.
type Device struct {
	ID       string `cbor:"1,keyasint,omitempty"`
	Token    string `cbor:"2,keyasint,omitempty"` // "" where it is no token
	Platform string `cbor:"3,keyasint,omitempty"` // "ios" or "android"; "" for any other
	Fields   []byte `cbor:"4,keyasint,omitempty"` // device.attributes as a compact JSON object of strings, or empty
}

// Fact is what arbitration needs of a planned event with an authority or with
// `once` (law duplicates.3).
type Fact struct {
	Key       string `cbor:"1,keyasint,omitempty"` // event, shop and key: the ID of the fact's entity
	Order     string `cbor:"2,keyasint,omitempty"` // the order ID, for ls-order
	Authority bool   `cbor:"3,keyasint,omitempty"` // this copy is from an authority
	Arbitrate bool   `cbor:"4,keyasint,omitempty"` // the plan names an authority
	Hold      int64  `cbor:"5,keyasint,omitempty"` // ms
}

// Collapse is what collapsing repeats needs (law duplicates.5).
type Collapse struct {
	Key     string `cbor:"1,keyasint,omitempty"` // event and key: cart
	Content Hash   `cbor:"2,keyasint,omitempty"` // of the properties
	Window  int64  `cbor:"3,keyasint,omitempty"` // ms of event time
}

// Note is a remark on a record that changes no outcome.
type Note struct {
	_      struct{} `cbor:",toarray"`
	Name   string   // stable: reserved_dropped, unusable_email, unusable_user_id, …
	Detail string   // field names only, never values
}

// Raw is a record as it was posted, for the DLQ.
type Raw struct {
	Key     []byte   `cbor:"1,keyasint,omitempty"`
	Value   []byte   `cbor:"2,keyasint,omitempty"`
	Headers []Header `cbor:"3,keyasint,omitempty"`
}

// Header is a Kafka record header.
type Header struct {
	_     struct{} `cbor:",toarray"`
	Key   string
	Value []byte
}

// Reject is why a record can't be used (contract section 6).
type Reject struct {
	_        struct{} `cbor:",toarray"`
	Reason   string   // stable code
	Sentence string   // says where; no personal data
}

// kept is the event as an entity keeps it: as a copy (Fold).
func (e *Event) kept() *Event {
	c := *e
	return &c
}

// Route is the entity that must see the event first (PROTOCOL: "One log,
// entities, a fold"). ok is false where the record names nobody.
func (e *Event) Route() (k Key, ok bool) {
	if e.Fact != nil {
		return Key{Kind: KindFact, ID: e.Fact.Key}, true
	}
	return e.Person()
}

// Person is the entity that finds out whose the event is, facts aside.
func (e *Event) Person() (k Key, ok bool) {
	switch {
	case e.Type == Alias && e.Trusted && e.User != "" && e.Previous != "" && e.Previous != e.Anonymous:
		return Key{Kind: KindCustomer, ID: e.Previous}, true
	case e.Op == OpSplit && e.Previous != "":
		return Key{Kind: KindCustomer, ID: e.Previous}, true
	case e.Anonymous != "":
		return Key{Kind: KindDevice, ID: e.Anonymous}, true
	case e.User != "":
		return Key{Kind: KindCustomer, ID: e.User}, true
	case e.Email != "":
		return Key{Kind: KindAddress, ID: e.Email}, true
	}
	return Key{}, false
}
