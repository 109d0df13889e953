package refold

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/engine/memory"
)

// Journal is the port to the journal, from outside of the processors' group.
type Journal interface {
	// Partitions is how many there are.
	Partitions(ctx context.Context) (int32, error)
	// Bounds and Read are engine.Log's.
	Bounds(ctx context.Context, p int32) (start, end int64, topicID string, err error)
	Read(ctx context.Context, p int32, from int64, max int) ([]engine.Entry, error)
	// Committed is the offset that the processors have committed, -1 for none.
	Committed(ctx context.Context, p int32) (int64, error)
}

// Parts are what a refold works on.
type Parts struct {
	Journal     Journal
	State       engine.State // Redis
	Snapshots   engine.Snapshots
	Environment string
	// Progress hears of how far the fold of a partition is; may be nil.
	Progress func(p int32, at, to int64)
}

// fold is one partition's, in memory.
type fold struct {
	Parts
	p      int32
	memory *memory.State
}

func (parts Parts) fold(p int32) *fold {
	return &fold{Parts: parts, p: p, memory: memory.NewState()}
}

// to takes the fold to offset x: from a snapshot or the journal's start at first.
// The owner that does it is a processor's; it only has nothing to publish, as all
// below x counts as published.
func (f *fold) to(ctx context.Context, x int64) error {
	if h, ok, _ := f.memory.Head(ctx, f.p); ok && h.Applied >= x {
		return nil
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watch := &watch{f: f, x: x}
	err := engine.NewOwner(f.p, &log{f: f, x: x, done: stop}, f.memory, readOnly{f.Snapshots}, nil, engine.Options{
		Environment: f.Environment, Batch: 4000, Cache: 20_000, Tick: time.Minute, Nonce: "refold",
		SnapshotEvery: 1000 * time.Hour, SnapshotRate: 1, Now: time.Now, Observe: watch,
		Wait: func(context.Context, time.Duration) error { return errors.New("no second try") },
	}).Run(ctx)
	if err = errors.Join(err, watch.trouble); err != nil {
		return fmt.Errorf("folding journal partition %d: %w", f.p, err)
	}
	h, _, err := f.memory.Head(context.WithoutCancel(ctx), f.p)
	if err == nil && h.Applied != x {
		err = fmt.Errorf("folding journal partition %d: ended at %d instead of %d", f.p, h.Applied, x)
	}
	return err
}

// readOnly are snapshots that a refold doesn't write.
type readOnly struct{ engine.Snapshots }

func (readOnly) Write(context.Context, int32, [][]byte) error { return errReadOnly }

var errReadOnly = errors.New("a refold writes nothing")

// log is engine.Log as if all of [start, x) were published and nothing behind.
type log struct {
	f    *fold
	x    int64
	done func()
}

func (l *log) Bounds(ctx context.Context) (start, end int64, topicID string, err error) {
	start, end, topicID, err = l.f.Journal.Bounds(ctx, l.f.p)
	if err == nil && l.x > end {
		err = fmt.Errorf("the journal ends at %d, before %d", end, l.x)
	}
	return start, l.x, topicID, err
}

func (l *log) Committed(context.Context) (int64, bool, error) { return l.x, true, nil }

func (l *log) Read(ctx context.Context, from int64, limit int) ([]engine.Entry, error) {
	if from >= l.x {
		l.done()
		return nil, nil
	}
	entries, err := l.f.Journal.Read(ctx, l.f.p, from, int(min(int64(limit), l.x-from)))
	for i, e := range entries {
		if e.Offset >= l.x {
			return entries[:i], err
		}
	}
	return entries, err
}

func (l *log) Publish(context.Context, []engine.Published) error { return errReadOnly }
func (l *log) Append(context.Context, []byte) error              { return nil }
func (l *log) Commit(context.Context, int64) error               { return nil }

// watch is engine.Observer: the first trouble ends a refold.
type watch struct {
	f       *fold
	x       int64
	trouble error
}

func (w *watch) Folded(p int32, b engine.Batch) {
	if w.f.Progress != nil {
		w.f.Progress(p, b.Next, w.x)
	}
}
func (w *watch) Trouble(_ int32, err error)             { w.trouble = err }
func (w *watch) Refused(int32)                          { w.trouble = errors.New("the state in memory moved") }
func (w *watch) TookOver(int32, int64, int64)           {}
func (w *watch) Rebuilding(int32, string, int64, int64) {}
func (w *watch) Promoted(int32, int64, int, int)        {}
func (w *watch) Snapshot(int32, engine.Copied)          {}
func (w *watch) Unreadable(int32, int64)                {}
