package stitch

// Output is one record that leaves: exactly one of the pointers is set. Outputs
// of one journal record are in order, and Place.Index counts them from 0.
type Output struct {
	Place    Place
	Message  *Message    // to the journal, to another entity
	Sink     *Sink       // to the sink topic
	Decision *Decision   // to the decisions topic
	Dead     *DeadLetter // to the DLQ
}

// Person names a person to Customer.io; exactly one field is set.
type Person struct {
	ID        string
	Email     string
	Anonymous string
}

// Key is the sink record's key: the customer ID, else the email, else the anonymous ID.
func (p Person) Key() string {
	switch {
	case p.ID != "":
		return p.ID
	case p.Email != "":
		return p.Email
	}
	return p.Anonymous
}

// Action is a person operation of Customer.io's Track API v2.
type Action string

// The actions that Lockstitch sends.
const (
	ActIdentify     Action = "identify"
	ActEvent        Action = "event"
	ActPage         Action = "page"
	ActScreen       Action = "screen"
	ActAddDevice    Action = "add_device"
	ActDeleteDevice Action = "delete_device"
	ActMerge        Action = "merge"
	ActDelete       Action = "delete"
	ActSuppress     Action = "suppress"
	ActUnsuppress   Action = "unsuppress"
)

// Sink is one record of the sink topic. Its value is one person operation.
type Sink struct {
	Person     Person
	Action     Action
	Secondary  Person  // of a merge
	Name       string  // of event, page, screen
	EventID    ULID    // of event, page, screen: value "id" and header ls-event
	Time       int64   // Unix ms, written in whole seconds; 0: no timestamp (device and merge operations have none)
	Attributes []byte  // JSON object or empty
	Email      string  // of an identify: rendered as attributes.email
	Anonymous  string  // of an identify: the anonymous ID it ties, attributes.anonymous_id
	Device     *Device // of device operations; Time is last_used there
	LastUsed   int64   // Unix ms

	Source    Source // ls-source
	MessageID string // ls-message
	Order     string // ls-order
	Why       Why    // ls-why
	Corrects  string // ls-corrects: the source position of the copy it corrects
}

// Decision is one record of the decisions topic.
type Decision struct {
	Key     string // the record's key: person or order
	Kind    string // outcome, identity, note
	Outcome string // duplicate, suppressed, held, ignored, erased; or the name of the identity change or note
	Reason  string // stable code
	Source  Source
	Message string // messageId
	At      int64  // log time, Unix ms
	Other   string // what it lost to, or refers to: a source position, or a person
	Person  string
	Order   string
}

// DeadLetter is one record of the DLQ.
type DeadLetter struct {
	Source  Source
	Raw     Raw
	Rejects []Reject // at least one; the first one's Reason is the record's
}
