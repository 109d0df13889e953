package stitch

// Logic is the version of the fold. Owners of different logic never fold the
// same partition state.
const Logic = 1

// Meta is what a partition's state says of itself, beside its entities.
type Meta struct {
	Applied      int64            `cbor:"1,keyasint"` // the state is the fold of journal[0, Applied)
	Logic        int              `cbor:"2,keyasint"`
	TopicID      string           `cbor:"3,keyasint"`  // of the journal
	Clock        int64            `cbor:"4,keyasint"`  // running maximum of append times, Unix ms
	Watermark    int64            `cbor:"5,keyasint"`  // highest authority watermark
	WatermarkAll int64            `cbor:"6,keyasint"`  // highest watermark of all sources
	Seen         map[string]Place `cbor:"7,keyasint"`  // by sender partition: the highest place
	Rules        Rules            `cbor:"8,keyasint"`  // in force
	Environment  string           `cbor:"9,keyasint"`  // who wrote the state
	Number       int32            `cbor:"10,keyasint"` // the journal partition
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

// Partition is the fold of one journal partition: its meta, its timers, and the
// entities that the caller has loaded. It is not safe for concurrent use.
type Partition struct {
	Meta
	entities map[Key]*Entity
	changed  map[Key]struct{}
	timers   timers
	moved    map[Key]struct{} // entities whose timer changed
	senders  map[sender]string
}

// sender is a partition that sends to this one.
type sender struct {
	topic     string // its ID
	partition int32
}

// NewPartition continues the fold from meta and the partition's timers.
func NewPartition(meta Meta, waiting map[Key]Timer) *Partition {
	p := &Partition{
		Meta: meta, entities: map[Key]*Entity{},
		changed: map[Key]struct{}{}, moved: map[Key]struct{}{},
		timers: timers{at: map[Key]Timer{}}, senders: map[sender]string{},
	}
	if p.Seen == nil {
		p.Seen = map[string]Place{}
	}
	if p.Rules == (Rules{}) {
		p.Rules = DefaultRules()
	}
	for k, t := range waiting {
		p.timers.set(k, t)
	}
	return p
}

// Has reports whether the entity is loaded.
func (p *Partition) Has(k Key) bool { _, ok := p.entities[k]; return ok }

// Put loads an entity as the state has it; nil where the state has none.
func (p *Partition) Put(k Key, e *Entity) {
	if e == nil {
		e = &Entity{}
	}
	p.entities[k] = e
}

// Entity returns a loaded entity, nil where it is not loaded.
func (p *Partition) Entity(k Key) *Entity { return p.entities[k] }

// Drop forgets loaded entities until at most keep are left, never one that was
// changed since the last Settle. Which ones go changes no output.
func (p *Partition) Drop(keep int) {
	for k := range p.entities {
		if len(p.entities) <= keep {
			return
		}
		if _, dirty := p.changed[k]; !dirty {
			delete(p.entities, k)
		}
	}
}

// Changes returns the entities and timers changed since the last Settle, in key order.
func (p *Partition) Changes() (entities []Key, timers []Key) {
	return sortedKeys(p.changed), sortedKeys(p.moved)
}

// Timer returns an entity's timer, zero where it has none.
func (p *Partition) Timer(k Key) Timer { return p.timers.at[k] }

// Timers is the number of timers that wait.
func (p *Partition) Timers() int { return len(p.timers.at) }

// Settle says that the changes are remembered.
func (p *Partition) Settle() {
	clear(p.changed)
	clear(p.moved)
}
