package stitch

// MessageKind is what a message asks of the entity it goes to.
type MessageKind uint8

// The kinds of message. Event comes from ingest or is sent on by an entity; the
// rest only entities send.
const (
	MsgEvent    MessageKind = iota + 1 // an event: decide whose it is, or publish it
	MsgClaim                           // customer → address: Customer says the address is theirs
	MsgClaimed                         // address → customer: the answer to a claim
	MsgOwner                           // customer → address: the owner was merged into Customer
	MsgMerge                           // device → provisional customer: merge along Merge
	MsgOffer                           // customer → customer: Customer would take over along Merge, with Pending
	MsgMerged                          // customer → customer or device: Merge.From counts as Merge.To, or as nobody else any more where both are one; with what From had
	MsgTakeOver                        // customer → customer: a lead or customer to be merged, passed on by one who was merged
	MsgUnlink                          // customer → device: the link to Customer is refused
	MsgTick                            // to the partition: time passes; may carry watermarks
	MsgRules                           // to the partition: rules in force from here
)

// Message is the value of one journal record: a message to one entity, or to
// the partition itself (ticks and rules).
type Message struct {
	Kind  MessageKind `cbor:"1,keyasint"`
	To    Key         `cbor:"2,keyasint"`
	Place Place       `cbor:"3,keyasint"` // who sent it; zero for ticks and rules
	Event *Event      `cbor:"4,keyasint,omitempty"`

	Why      Why      `cbor:"5,keyasint,omitempty"`  // of an event that was sent on: how its person was found
	Hop      bool     `cbor:"6,keyasint,omitempty"`  // sent on by an entity: claimed already
	Void     []Edge   `cbor:"7,keyasint,omitempty"`  // merges that are void for this message
	Path     []Edge   `cbor:"8,keyasint,omitempty"`  // merges that it followed
	Tie      string   `cbor:"9,keyasint,omitempty"`  // of a login: the anonymous ID that it ties
	Link     string   `cbor:"10,keyasint,omitempty"` // of a login: the device that it links
	Merge    *Edge    `cbor:"11,keyasint,omitempty"` // of MsgMerge, MsgMerged, and of an alias sent on: the edge
	Customer string   `cbor:"12,keyasint,omitempty"` // of claims
	Granted  bool     `cbor:"14,keyasint,omitempty"`
	Lead     bool     `cbor:"15,keyasint,omitempty"` // the address has sink records of its own
	Estate   *Estate  `cbor:"16,keyasint,omitempty"` // of MsgMerged to a customer: what From had
	Corrects string   `cbor:"18,keyasint,omitempty"` // of a fact's correction: source of the copy it corrects
	Number   int64    `cbor:"19,keyasint,omitempty"` // claims: the claim's number, echoed by the answer
	Ask      bool     `cbor:"24,keyasint,omitempty"` // claims: asks whose the address is, claims nothing
	Pending  *Pending `cbor:"25,keyasint,omitempty"` // of MsgOffer, MsgMerged, MsgTakeOver

	// Of a tick: how far sources are surely in the journal, as log time, and who
	// wrote it, so that its writer knows it again.
	Watermark    int64  `cbor:"20,keyasint,omitempty"` // authority topics
	WatermarkAll int64  `cbor:"21,keyasint,omitempty"` // every source topic
	Nonce        string `cbor:"22,keyasint,omitempty"`
	Rules        *Rules `cbor:"23,keyasint,omitempty"`
}

// Estate is what goes with a customer who is merged.
type Estate struct {
	Addresses []string              `cbor:"1,keyasint,omitempty"` // owned
	Links     []string              `cbor:"2,keyasint,omitempty"` // devices logged in on
	Devices   map[string]PushDevice `cbor:"3,keyasint,omitempty"` // push devices, by device ID
}

// Edge is one merge: From into To, known by its event time, origin and message.
type Edge struct {
	_      struct{} `cbor:",toarray"`
	From   string
	To     string
	Time   int64
	Origin string
	ID     string // message ID, else source position
}

// Record is a message with its position in the journal partition.
type Record struct {
	Offset  int64
	Time    int64 // append time (LogAppendTime), Unix ms
	Message *Message
}

// kept is the message as an entity keeps it: as a copy (Fold).
func (m *Message) kept() *Message {
	c := *m
	c.Event = m.Event.kept()
	return &c
}
