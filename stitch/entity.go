package stitch

// Entity is the whole state of one device, fact or person. It is a value of the
// fold: only messages to it change it, and its encoding is deterministic.
type Entity struct {
	Touched  int64        `cbor:"1,keyasint,omitempty"` // log time of the last message, Unix ms
	Timer    Timer        `cbor:"2,keyasint"`
	Claims   []byte       `cbor:"3,keyasint,omitempty"` // packed, see claims.go
	Topics   []string     `cbor:"4,keyasint,omitempty"` // source topics that claims refer to
	Collapse []Collapsed  `cbor:"5,keyasint,omitempty"` // in the order of publishing
	Device   *DeviceState `cbor:"6,keyasint,omitempty"`
	Fact     *FactState   `cbor:"7,keyasint,omitempty"`
	Person   *PersonState `cbor:"8,keyasint,omitempty"`
}

// waits reports that a timer or an address is still to be heard of, for records
// whose outcome hangs on it.
func (e *Entity) waits() bool {
	return e.Timer != (Timer{}) || e.Person != nil && e.Person.Waiting != nil
}

// Collapsed is the last published event of a collapse key and content.
type Collapsed struct {
	_       struct{} `cbor:",toarray"`
	Key     string
	Content Hash
	Time    int64 // event time, Unix ms
	Source  Source
}

// DeviceState is what an anonymous ID knows: evidence, and what follows from it.
type DeviceState struct {
	Evidence  []Evidence        `cbor:"1,keyasint,omitempty"` // sorted, each piece once
	Customers []string          `cbor:"2,keyasint,omitempty"` // linked, in order of arrival (law identity.9)
	Same      map[string]string `cbor:"3,keyasint,omitempty"` // customers that were merged: they count as one
	Tied      map[string]string `cbor:"4,keyasint,omitempty"` // anonymous ID → customer that Customer.io was told
	Held      []HeldToken       `cbor:"5,keyasint,omitempty"` // one for each device ID
	Merged    []string          `cbor:"6,keyasint,omitempty"` // provisional customers sent to be merged
}

// HeldToken is a device operation that waits for a customer.
type HeldToken struct {
	_     struct{} `cbor:",toarray"`
	ID    string   // device ID, else token
	Event *Event
}

// EvidenceKind is what a piece of evidence says.
type EvidenceKind uint8

// The kinds of evidence that a device holds; merges are persons' evidence (Edge).
const (
	EvLogin EvidenceKind = iota + 1
	EvCapture
	EvLogout
	EvSplit
)

// Evidence is one immutable piece about a device (contract section 3), known by
// origin and message ID, with its own event time.
type Evidence struct {
	_         struct{} `cbor:",toarray"`
	Time      int64    // event time, Unix ms
	Origin    string
	ID        string // message ID, else source position
	Kind      EvidenceKind
	Who       string // customer; address of a capture; "" of a logout
	Temporary bool   // of a login: a provisional customer
}

// FactState is the arbitration of one fact (law duplicates.3).
type FactState struct {
	Status    FactStatus `cbor:"1,keyasint,omitempty"`
	EventID   ULID       `cbor:"2,keyasint,omitempty"` // of all of its copies
	Held      *Event     `cbor:"3,keyasint,omitempty"`
	Origin    string     `cbor:"4,keyasint,omitempty"` // of the copy last published, and so on
	Authority bool       `cbor:"5,keyasint,omitempty"`
	Content   Hash       `cbor:"6,keyasint,omitempty"` // of what it said
	Time      int64      `cbor:"7,keyasint,omitempty"`
	Source    Source     `cbor:"8,keyasint"`
	Named     Names      `cbor:"9,keyasint"` // whom it named, for a nameless authority's copy
}

// FactStatus says how far a fact's arbitration is.
type FactStatus uint8

// The statuses of a fact.
const (
	FactNew           FactStatus = iota
	FactHeldApp                  // an app copy waits for the authority's
	FactHeldAuthority            // an authority's copy that names nobody waits for the app's
	FactPublished
)

// Names is whom an event names.
type Names struct {
	_         struct{} `cbor:",toarray"`
	Anonymous string
	User      string
	Email     string
}

// PersonState is what a customer or an address knows.
type PersonState struct {
	First   int64                 `cbor:"1,keyasint,omitempty"`  // log time of the first sink record, Unix ms; 0: none yet
	Merges  []Edge                `cbor:"2,keyasint,omitempty"`  // evidence that this customer is another; sorted
	Splits  []Edge                `cbor:"3,keyasint,omitempty"`  // evidence against it (To, Time)
	Told    *Edge                 `cbor:"4,keyasint,omitempty"`  // the merge that Customer.io is told of
	Into    string                `cbor:"5,keyasint,omitempty"`  // who takes over by it
	Owned   map[string]int64      `cbor:"6,keyasint,omitempty"`  // addresses, with the log time of the last claim, Unix ms
	Links   []string              `cbor:"7,keyasint,omitempty"`  // devices, in order of arrival (law identity.9)
	Devices map[string]PushDevice `cbor:"8,keyasint,omitempty"`  // by device ID
	Waiting *Message              `cbor:"9,keyasint,omitempty"`  // an identify that waits for its address
	Queue   []*Message            `cbor:"10,keyasint,omitempty"` // what came after it
	Number  int64                 `cbor:"11,keyasint,omitempty"` // of the last claim
	Pending []Pending             `cbor:"12,keyasint,omitempty"` // merges that wait for their time
	Owner   string                `cbor:"13,keyasint,omitempty"` // of an address: the customer who owns it
}

// PushDevice is what a person's device last said.
type PushDevice struct {
	_     struct{} `cbor:",toarray"`
	Token string   // "" once deleted
	Time  int64    // event time, Unix ms
}

// Pending is a merge that waits until its primary is surely known.
type Pending struct {
	At       int64    `cbor:"1,keyasint"`           // log time, Unix ms
	Customer string   `cbor:"2,keyasint,omitempty"` // the secondary: a customer,
	Address  string   `cbor:"3,keyasint,omitempty"` // or a lead's address
	Cause    *Event   `cbor:"4,keyasint"`           // whose record it is an effect of
	Why      Why      `cbor:"5,keyasint,omitempty"`
	Owes     bool     `cbor:"6,keyasint,omitempty"` // it is that record's only outcome
	Via      []string `cbor:"7,keyasint,omitempty"` // who passed it on, as they were merged meanwhile
}
