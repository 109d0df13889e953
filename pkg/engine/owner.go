package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"

	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// Errors that end an owner for good, each with what an operator can do. The
// partition stays unserved, and says so, until that is done.
var (
	// ErrForeignCommit: the group's offset was committed by somebody else.
	ErrForeignCommit = errors.New("the consumer group's offset was not committed by lockstitch in this environment for this journal (a reset by hand? another environment's topics? a topic made anew?): " +
		"stop all processors, delete the group's offsets, and start again; the state knows how far it is")
	// ErrNoHistory: the state is gone and the journal no longer reaches its start.
	ErrNoHistory = errors.New("the state is gone, the journal no longer reaches back to its start, and no whole snapshot reaches into the journal: " +
		"restore Redis from a backup that is not older than the journal (docs/runbook.md)")
	// ErrOtherLogic: the state was written by a newer version of the fold.
	ErrOtherLogic = errors.New("the state or the journal was written by a newer version: going back is refused, run that version (docs/runbook.md)")
	// ErrUnfinished: an older version has published what its state doesn't hold yet.
	ErrUnfinished = errors.New("the state was written by an older version and is behind what that version has committed: " +
		"run the older version until it has caught up, then this one (docs/runbook.md)")
	// ErrOtherEnvironment: the state, or the journal's snapshots where there is no state,
	// belong to another environment.
	ErrOtherEnvironment = errors.New("the state or the snapshots were written by another environment: check the configured prefix and environment")
)

// errAgain says that the state is not where this owner left it: take over again.
var errAgain = errors.New("the state moved")

// Options are what an owner needs beside its ports.
type Options struct {
	Environment string        // written into the state; state of another is refused
	Rules       stitch.Rules  // appended to the journal where others are in force
	Logic       int           // of the fold, 0 for stitch.Logic
	Batch       int           // records of a batch at most
	Cache       int           // entities kept in memory for each partition at most
	Tick        time.Duration // pace of ticks while timers wait
	// SnapshotEvery is the time between two snapshots of a partition; SnapshotRate
	// the bytes that one writes in a second at most. Both go with Snapshots.
	SnapshotEvery time.Duration
	SnapshotRate  int
	Nonce         string // tells this process's ticks and generations from others'
	Now           func() time.Time
	Wait          func(ctx context.Context, d time.Duration) error // after trouble; returns ctx's error
	Observe       Observer
	Go            func(f func()) // runs f beside the owner; nil for a goroutine
}

// Observer hears what happens; it decides nothing. Implementations are safe for
// concurrent use.
type Observer interface {
	// TookOver: the partition continues at from; up to silent its outputs are out already.
	TookOver(p int32, from, silent int64)
	// Rebuilding: the state is gone or unusable, for the reason; it is folded again
	// from offset from on, that of a snapshot or 0, silently up to silent.
	Rebuilding(p int32, reason string, from, silent int64)
	// Promoted: from offset at on, the partition is folded by another logic.
	Promoted(p int32, at int64, from, to int)
	// Snapshot: a snapshot is whole.
	Snapshot(p int32, c Copied)
	// Folded: a batch is out and remembered.
	Folded(p int32, b Batch)
	// Refused: a compare-and-set found the state elsewhere.
	Refused(p int32)
	// Trouble: something failed and is tried again.
	Trouble(p int32, err error)
	// Unreadable: a journal record that is no message of ours was passed over.
	Unreadable(p int32, offset int64)
}

// Batch is what an observer hears of a batch.
type Batch struct {
	Records  int
	Silent   bool // folded again; nothing was published
	Outputs  []stitch.Output
	Next     int64         // the offset after it
	Oldest   int64         // append time of its first record, Unix ms
	Timers   int           // facts and merges that wait
	Earliest int64         // log time of the first of them, 0 for none
	Held     int64         // log time at which the first hold of an order ends, 0 for none
	Read     time.Duration // of the stages
	Fold     time.Duration
	Publish  time.Duration
	Remember time.Duration
	Commit   time.Duration
}

// Owner owns one journal partition for as long as its Log lives.
type Owner struct {
	p         int32
	log       Log
	state     State
	snapshots Snapshots
	sources   Sources
	opt       Options

	part      *stitch.Partition
	pos       Position
	silent    int64 // outputs of records below this offset are out already
	committed int64
	caughtUp  int64 // the end of the log at the take-over
	ruled     bool  // rules in force were compared with ours
	pacing    pacing
	copying   *copying        // the snapshot that is being taken, or nil
	due       time.Time       // of the next one
	outputs   []stitch.Output // of the batch, reused
	published []Published     // these as they are written, reused
	room      wire.Room       // what they are encoded in
	states    wire.Room       // what the batch's states are encoded in
	messages  wire.Decoder
}

// NewOwner makes an owner of journal partition p; Run starts it. Without
// snapshots, which may be nil, a rebuild needs the journal from its start.
func NewOwner(p int32, log Log, state State, snapshots Snapshots, sources Sources, opt Options) *Owner {
	o := &Owner{p: p, log: log, state: state, snapshots: snapshots, sources: sources, opt: opt}
	if o.opt.Go == nil {
		o.opt.Go = func(f func()) { go f() }
	}
	if o.opt.Logic == 0 {
		o.opt.Logic = stitch.Logic
	}
	// Partitions take turns: each begins with another part of the interval.
	turn := xxhash.Sum64String(fmt.Sprint(opt.Nonce, p)) % 1000
	o.due = opt.Now().Add(opt.SnapshotEvery / 1000 * time.Duration(turn))
	return o
}

// Run takes the partition over and processes it until ctx ends or the partition
// is revoked (nil), or until it can't be served (an error for an operator).
// Trouble of Kafka or Redis is waited out: effects are repeated as the same
// bytes or not at all, so starting over is always right.
func (o *Owner) Run(ctx context.Context) error {
	for wait := time.Duration(0); ; {
		before := o.pos
		err := o.own(ctx)
		refused := errors.Is(err, errAgain)
		if refused {
			o.opt.Observe.Refused(o.p) // also where the partition is lost by now: one that was paused tells
		}
		switch {
		case ctx.Err() != nil, errors.Is(err, ErrLost):
			return nil
		case final(err):
			return fmt.Errorf("journal partition %d: %w", o.p, err)
		case !refused:
			o.opt.Observe.Trouble(o.p, err)
		}
		if o.pos != before {
			wait = 0
		}
		wait = min(max(2*wait, 50*time.Millisecond), 5*time.Second)
		if err := o.opt.Wait(ctx, wait); err != nil {
			return nil
		}
	}
}

func final(err error) bool {
	for _, e := range []error{ErrForeignCommit, ErrNoHistory, ErrOtherLogic, ErrUnfinished, ErrOtherEnvironment} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (o *Owner) own(ctx context.Context) error {
	if err := o.takeOver(ctx); err != nil {
		return err
	}
	for {
		if err := o.turn(ctx); err != nil {
			return err
		}
	}
}

// idle is how long a partition without records or timers waits before it looks
// whether Redis still has its state.
const idle = 5 * time.Second

// copyPause is how long it waits between two parts of a snapshot.
const copyPause = 10 * time.Millisecond

// turn handles one batch, or an idle moment.
func (o *Owner) turn(ctx context.Context) error {
	wait := idle
	switch {
	case o.copying != nil:
		wait = copyPause
	case o.part.Timers() > 0 || !o.ruled:
		wait = o.opt.Tick
	}
	rctx, cancel := context.WithTimeout(ctx, wait)
	entries, err := o.log.Read(rctx, o.pos.Applied, o.opt.Batch)
	cancel()
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(entries) > 0 {
		if err := o.batch(ctx, entries); err != nil {
			return err
		}
	} else if err := o.recheck(ctx); err != nil {
		return err
	}
	if err := o.snapshot(ctx); err != nil {
		return err
	}
	return o.pace(ctx)
}

// takeOver finds where the state stands and continues there (PROTOCOL, "Take over").
func (o *Owner) takeOver(ctx context.Context) error {
	start, end, topicID, err := o.log.Bounds(ctx)
	if err != nil {
		return err
	}
	c, ours, err := o.log.Committed(ctx)
	if err != nil {
		return err
	}
	if !ours || c > end {
		return ErrForeignCommit
	}
	head, ok, err := o.state.Head(ctx, o.p)
	if err != nil {
		return err
	}
	meta, reason, err := o.judge(head, ok, start, end, topicID)
	if err != nil {
		return err
	}
	if reason != "" {
		if head.Position, meta, err = o.rebuild(ctx, head, reason, span{start, end, c}, topicID); err != nil {
			return err
		}
	}
	if meta.Logic != o.opt.Logic {
		if err := o.promote(ctx, head.Position, &meta, c); err != nil {
			return err
		}
	}
	timers, before, after, err := o.state.Timers(ctx, o.p, head.Generation)
	if err != nil {
		return err
	}
	if before != head.Position || after != head.Position {
		return errAgain
	}
	waiting := make(map[stitch.Key]stitch.Timer, len(timers))
	for k, t := range timers {
		if key, ok := stitch.ParseKey(k); ok {
			waiting[key] = t
		}
	}
	o.part, o.pos = stitch.NewPartition(meta, waiting), head.Position
	o.silent, o.committed, o.caughtUp, o.ruled = c, c, end, false
	o.pacing, o.copying = pacing{}, nil
	o.opt.Observe.TookOver(o.p, o.pos.Applied, max(c, o.pos.Applied))
	return o.commit(ctx) // the owner before may have died between remembering and committing
}

// judge says whether the state can be continued: reason is why not, err why
// nobody may touch it.
func (o *Owner) judge(h Head, ok bool, start, end int64, topicID string) (m stitch.Meta, reason string, err error) {
	if !ok {
		return m, "no state", nil
	}
	if h.Logic > o.opt.Logic {
		return m, "", ErrOtherLogic
	}
	if err := wire.UnmarshalState(h.Meta, &m); err != nil {
		return m, "", fmt.Errorf("state of the partition: %w", err)
	}
	switch {
	case m.Environment != o.opt.Environment:
		return m, "", ErrOtherEnvironment
	case m.TopicID != topicID:
		return m, "another journal", nil
	case h.Applied < 0:
		return m, "a rebuild was cut short", nil
	case h.Applied < start:
		return m, "older than the journal reaches", nil
	case h.Applied > end:
		return m, "ahead of the journal", nil
	}
	return m, "", nil
}

// promote takes a state of an older logic over at the offset where it stands:
// what lies below was folded by the older one, all above is by ours. It is done
// before anything is folded, so that an owner of the older logic can't any more.
// What the older one has published and not remembered only it can fold.
func (o *Owner) promote(ctx context.Context, at Position, m *stitch.Meta, c int64) error {
	if at.Applied < c {
		return ErrUnfinished
	}
	from := m.Logic
	m.Logic = o.opt.Logic
	done, err := o.state.Promote(ctx, o.p, at, from, m.Logic, wire.MarshalState(m))
	if err == nil && !done {
		err = errAgain
	}
	if err == nil {
		o.due = o.opt.Now() // the snapshots that there are begin with the older logic
		o.opt.Observe.Promoted(o.p, at.Applied, from, m.Logic)
	}
	return err
}

// span is where a journal partition is: it holds [start, end), and c is committed.
type span struct{ start, end, c int64 }

// rebuild begins a new generation of the state, with the newest whole snapshot in
// it, or empty, to be folded from the journal's start. Nothing sees it half done:
// what was published below the committed offset is folded silently, and the rest
// goes on as always.
func (o *Owner) rebuild(ctx context.Context, old Head, reason string, at span, topicID string) (Position, stitch.Meta, error) {
	w, found, err := o.newest(ctx, at, topicID)
	if err != nil {
		return Position{}, w.Meta, err
	}
	h := Head{
		Position: Position{Generation: o.opt.Nonce + "-" + fmt.Sprint(o.opt.Now().UnixNano())},
		Logic:    o.opt.Logic,
	}
	switch {
	case found:
		h.Applied = -w.Parts - 1
	case at.start > 0:
		return Position{}, w.Meta, ErrNoHistory
	default:
		w.Meta = stitch.NewPartition(stitch.Meta{Logic: o.opt.Logic, TopicID: topicID, Environment: o.opt.Environment, Number: o.p}, nil).Meta
	}
	h.Meta = wire.MarshalState(&w.Meta)
	if at.c > 0 || old.Generation != "" {
		o.opt.Observe.Rebuilding(o.p, reason, w.Meta.Applied, at.c)
	}
	begun, err := o.state.Begin(ctx, o.p, old.Position, h)
	if err == nil && !begun {
		err = errAgain
	}
	if err == nil && found {
		h.Position, err = o.restore(ctx, w, h.Position)
	}
	return h.Position, w.Meta, err
}

// newest returns the newest snapshot that a rebuild can start from. Snapshots of this
// journal that only another environment wrote say whose it is, where Redis is empty and
// the group a new one.
func (o *Owner) newest(ctx context.Context, at span, topicID string) (w Whole, ok bool, err error) {
	if o.snapshots == nil || at.end == 0 {
		return w, false, nil
	}
	others := false
	fits := Fits(o.opt.Logic, o.opt.Environment, topicID, at.start, at.end)
	w, ok, err = Find(ctx, o.snapshots, o.p, func(m stitch.Meta) bool {
		others = others || m.TopicID == topicID && m.Environment != o.opt.Environment
		return fits(m)
	})
	if err == nil && !ok && others {
		err = ErrOtherEnvironment
	}
	return w, ok, err
}

// recheck compares, in an idle moment, where the state stands with where we
// left it: a failover may have lost its last seconds.
func (o *Owner) recheck(ctx context.Context) error {
	h, ok, err := o.state.Head(ctx, o.p)
	if err != nil {
		return err
	}
	if !ok || h.Position != o.pos {
		return errAgain
	}
	return nil
}
