package engine

import (
	"context"
	"errors"
	"slices"

	"lockstitch/stitch"
)

// Errors that ports return and owners act on; anything else is trouble of the
// parts themselves, to be waited out.
var (
	// ErrLost says that this owner no longer has the partition (revoked, closed).
	// The owner ends at once and commits nothing.
	ErrLost = errors.New("partition was revoked")
	// ErrTruncated says that a read was asked for an offset the log no longer has.
	ErrTruncated = errors.New("offset is out of the log's range")
)

// State is the port to what is remembered of journal partitions (Redis). One
// partition's keys share a slot. Values are opaque bytes. State of a partition
// lives in a generation: entity keys are named by it, so a rebuild writes a new
// generation that nothing else can see until Begin names it.
type State interface {
	// Head returns the partition's head, or ok=false where there is none.
	Head(ctx context.Context, p int32) (h Head, ok bool, err error)
	// Timers returns all of the partition's timers in generation gen, entity key →
	// timer, and before and after as Read does.
	Timers(ctx context.Context, p int32, gen string) (timers map[string]stitch.Timer, before, after Position, err error)
	// Read returns the values of keys (nil for absent) in generation gen, and the
	// head's Applied and Generation as they stood in the same atomic moment or, over
	// several calls, before the first and after the last read.
	Read(ctx context.Context, p int32, gen string, keys []string) (values [][]byte, before, after Position, err error)
	// Page returns the entities of pages [first, first+n) in generation gen, each
	// page in key order, and before and after as Read does.
	Page(ctx context.Context, p int32, gen string, first, n int) (entities []KV, before, after Position, err error)
	// Swap writes the delta and moves the head from d.Base to d.Next, only if the
	// head stands at d.Base with the same logic. A head already at d.Next counts as
	// done (the reply of an earlier try was lost). moved=false: somebody else has it.
	// The delta is the caller's again when it returns.
	Swap(ctx context.Context, p int32, d Delta) (moved bool, err error)
	// Begin starts a new, empty generation at h.Position, only if the head is still
	// at old (zero Position: there is no head). It then removes other generations'
	// keys, at leisure.
	Begin(ctx context.Context, p int32, old Position, h Head) (begun bool, err error)
	// Promote gives the state at position to another logic, without any other
	// change: only if the head is there, with logic from. A head that is there with
	// logic to counts as done.
	Promote(ctx context.Context, p int32, at Position, from, to int, meta []byte) (done bool, err error)
	// Check says whether the store is fit: reachable, eviction policy noeviction.
	Check(ctx context.Context) error
	// Memory is the bytes the store uses.
	Memory(ctx context.Context) (int64, error)
}

// Position is where a partition's state stands.
type Position struct {
	Generation string // "" with Applied 0: no state
	Applied    int64  // the state is the fold of journal[0, Applied)
}

// Head is a partition's position with what the fold says of itself (stitch.Meta,
// encoded) and the logic that wrote it.
type Head struct {
	Position
	Logic int
	Meta  []byte
}

// Delta is one batch's change of a partition's state.
type Delta struct {
	Base, Next Position // same generation
	Logic      int
	Meta       []byte
	Set        []KV     // entities, in key order
	Delete     []string // entities that are no more
	Timers     []TimerChange
}

// KV is one entity: its key and its encoded state.
type KV struct {
	Key   string
	Value []byte
}

// TimerChange sets an entity's timer; a zero Timer.At removes it.
type TimerChange struct {
	Key   string
	Timer stitch.Timer
}

// Snapshots is the port to the copies of partitions' states: a log for each
// partition, which nothing fences, as a snapshot is right or not whole.
type Snapshots interface {
	// Write appends records to the log of partition p, in order, and returns when
	// all are acknowledged.
	Write(ctx context.Context, p int32, records [][]byte) error
	// Bounds returns the offsets that the log holds, [start, end).
	Bounds(ctx context.Context, p int32) (start, end int64, err error)
	// Scan calls f for the records of partition p from offset from on, in order, up
	// to the end as it stood at the call. f's error ends it.
	Scan(ctx context.Context, p int32, from int64, f func(offset int64, record []byte) error) error
}

// Log is the port to one journal partition as its owner sees it, and to the
// topics it publishes to. It dies with the assignment: after a revoke every
// method returns ErrLost and has no effect.
type Log interface {
	// Bounds returns the offsets that the partition holds, [start, end), and the
	// journal's topic ID.
	Bounds(ctx context.Context) (start, end int64, topicID string, err error)
	// Committed returns the group's committed offset; ours is false where somebody
	// else committed it (no metadata of ours). No commit yet: offset -1, ours true.
	Committed(ctx context.Context) (offset int64, ours bool, err error)
	// Read returns records from offset from on, in order, with their append times,
	// waiting until there is one or ctx ends (then none and nil error). It returns
	// at most max records. Offsets may have gaps. The slice is the log's again at the
	// next Read.
	Read(ctx context.Context, from int64, max int) ([]Entry, error)
	// Publish writes the records, in order for each output partition and without
	// gaps, and returns when all are acknowledged. After an error nothing later of
	// this owner is written until Publish is called again. out is the caller's again
	// when it returns, and after a success all that it refers to.
	Publish(ctx context.Context, out []Published) error
	// Append adds a tick or rules to this very partition.
	Append(ctx context.Context, value []byte) error
	// Commit commits next as the group's offset, marked as ours.
	Commit(ctx context.Context, next int64) error
}

// Entry is one record of the journal.
type Entry struct {
	Offset int64
	Time   int64 // append time, Unix ms
	Value  []byte
	Size   int // bytes
}

// Topic is which of the output topics a record goes to.
type Topic uint8

// The output topics.
const (
	TopicJournal Topic = iota
	TopicSink
	TopicDecisions
	TopicDLQ
)

// Published is one record to write. A journal record goes to the partition of
// its entity key; any other by the usual hash of its Kafka key.
type Published struct {
	Topic   Topic
	Entity  stitch.Key // of journal records
	Key     []byte
	Value   []byte
	Headers []stitch.Header
}

// Clone is a copy that shares nothing. It keeps nil apart from empty: a record
// without key or value is another.
func (p Published) Clone() Published {
	p.Key, p.Value, p.Headers = slices.Clone(p.Key), slices.Clone(p.Value), slices.Clone(p.Headers)
	for i, h := range p.Headers {
		p.Headers[i] = stitch.Header{Key: h.Key, Value: slices.Clone(h.Value)}
	}
	return p
}

// Sources is the port to how far the sources are in the journal. A round of the
// authority watermark (PROTOCOL) is: Ends, then Passed until true.
type Sources interface {
	// Ends returns the present end offsets of the source partitions.
	Ends(ctx context.Context) (Ends, error)
	// Passed reports whether ingest has committed past ends, for the authority
	// topics and for all sources.
	Passed(ctx context.Context, e Ends) (authorities, all bool, err error)
}

// Ends are end offsets by topic and partition.
type Ends map[string]map[int32]int64
