package stitch

// Logic is the version of the fold. Owners of different logic never fold the
// same partition state.
const Logic = 1

// Meta is what a partition's state says of itself, beside its entities.
type Meta struct {
	Applied      int64            `cbor:"1,keyasint"` // the state is the fold of journal[0, Applied)
	Logic        int              `cbor:"2,keyasint"`
	TopicID      string           `cbor:"3,keyasint"` // of the journal
	Clock        int64            `cbor:"4,keyasint"` // running maximum of append times, Unix ms
	Watermark    int64            `cbor:"5,keyasint"` // highest authority watermark
	WatermarkAll int64            `cbor:"6,keyasint"` // highest watermark of all sources
	Seen         map[string]Place `cbor:"7,keyasint"` // by sender partition: the highest place
	Rules        Rules            `cbor:"8,keyasint"` // in force
	Environment  string           `cbor:"9,keyasint"` // who wrote the state
}

// Wait says what a timer waits for to have passed its time.
type Wait uint8

// What timers wait for: the partition's clock, and a watermark with it.
const (
	WaitClock       Wait = iota // the clock alone
	WaitAuthorities             // the clock and the authority watermark
	WaitAll                     // the clock and the watermark of all sources
)

// Timer is an entity's one timer; zero At means none.
type Timer struct {
	_    struct{} `cbor:",toarray"`
	At   int64    // Unix ms of log time; fires when what it waits for is past it
	Wait Wait
}
