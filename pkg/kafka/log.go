package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/engine"
)

// mark is the metadata of the offsets that Lockstitch commits for an environment
// and a journal; anything else was committed by a person, another program, for
// another environment, or for a journal of the same name that is gone: taking
// that offset for ours would skip records.
func mark(environment string, topicID [16]byte) string {
	return marked + environment + "/" + formatTopicID(topicID)
}

const marked = "lockstitch/"

// ErrOtherEnvironment says that another environment's processors fold the journal.
var ErrOtherEnvironment = errors.New("kafka: the journal is another environment's")

// Ours refuses a journal whose offsets the group has committed for another environment
// (contract section 1), with ErrOtherEnvironment. What the group may not be asked for
// is taken for ours: its owners look again.
func (m *Monitor) Ours(ctx context.Context, environment, group, journal string) error {
	at, err := fetchOffsets(ctx, m.client, group)
	if errors.Is(err, kerr.GroupAuthorizationFailed) {
		return nil
	}
	for _, o := range at[journal] {
		rest, ok := strings.CutPrefix(o.Metadata, marked)
		if other, _, _ := strings.Cut(rest, "/"); ok && other != environment {
			return fmt.Errorf("%w: group %s has committed offsets of %s for environment %q, this is %q: configure another prefix or server, or the environment's right name",
				ErrOtherEnvironment, group, journal, other, environment)
		}
	}
	return err
}

// publishGrace is how long a Publish whose context ended still waits for what it
// has handed over, so that an owner that is told to stop finishes its batch.
const publishGrace = 2 * time.Second

// gate is the moment of a revoke: what passes it has happened before, and after
// it is shut nothing passes.
type gate struct {
	mu   sync.RWMutex
	shut bool
}

// pass runs f unless the gate is shut; a nil gate never is.
func (g *gate) pass(f func()) bool {
	if g == nil {
		f()
		return true
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	if !g.shut {
		f()
	}
	return !g.shut
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
}

// partitionLog is engine.Log for one assignment of one journal partition. It
// dies with the assignment.
type partitionLog struct {
	m     *member
	p     int32
	queue *queue
	gate  gate
	ctx   context.Context // ends, with cause engine.ErrLost, when the log dies
	end   context.CancelCauseFunc
}

func newLog(m *member, p int32) *partitionLog {
	l := &partitionLog{m: m, p: p, queue: m.feed.open(p)}
	l.ctx, l.end = context.WithCancelCause(context.Background())
	return l
}

// fence kills the log. When it returns, no method has an effect any more.
func (l *partitionLog) fence() {
	l.gate.close()
	l.end(engine.ErrLost)
	l.m.feed.shut(l.queue)
}

// do runs f with a context that ends with the caller's and with the log's life.
func (l *partitionLog) do(ctx context.Context, f func(context.Context) error) error {
	if l.ctx.Err() != nil {
		return engine.ErrLost
	}
	both, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.ctx, func() { cancel(engine.ErrLost) })()
	err := f(both)
	if l.ctx.Err() != nil {
		return engine.ErrLost
	}
	return err
}

// Bounds implements engine.Log.
func (l *partitionLog) Bounds(ctx context.Context) (start, end int64, topicID string, err error) {
	err = l.do(ctx, func(ctx context.Context) error {
		facts, err := describeOne(ctx, l.m.feed.client, l.m.topic)
		if err != nil {
			return err
		}
		topicID = facts.id
		start, end, err = bounds(ctx, l.m.feed.client, l.m.topic, l.p)
		return err
	})
	return start, end, topicID, err
}

// Committed implements engine.Log.
func (l *partitionLog) Committed(ctx context.Context) (offset int64, ours bool, err error) {
	err = l.do(ctx, func(ctx context.Context) error {
		offset, ours, err = l.m.commits.committed(ctx, l.p)
		return err
	})
	return offset, ours, err
}

// Read implements engine.Log.
func (l *partitionLog) Read(ctx context.Context, from int64, max int) (entries []engine.Entry, err error) {
	err = l.do(ctx, func(ctx context.Context) error {
		entries, err = l.m.feed.read(ctx, l.queue, from, max)
		return err
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// Publish implements engine.Log.
func (l *partitionLog) Publish(ctx context.Context, out []engine.Published) error {
	if len(out) == 0 {
		return nil
	}
	b, size, err := l.m.producer.block(out)
	if err != nil {
		return err
	}
	return l.write(ctx, b, size)
}

// Append implements engine.Log.
func (l *partitionLog) Append(ctx context.Context, value []byte) error {
	size := Size(&engine.Published{Value: value})
	if limit := l.m.producer.Limit(engine.TopicJournal); size > limit {
		return &TooLargeError{Topic: l.m.topic, Size: size, Limit: limit}
	}
	b := &block{records: []kgo.Record{{Topic: l.m.topic, Partition: l.p, Value: value}}}
	return l.write(ctx, b, int64(size))
}

func (l *partitionLog) write(ctx context.Context, b *block, size int64) error {
	if l.ctx.Err() != nil {
		return engine.ErrLost
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	late, cancel := linger(ctx, publishGrace)
	defer cancel()
	return l.do(late, func(ctx context.Context) error {
		return l.m.producer.write(ctx, b, size, &l.gate)
	})
}

// linger is a context that ends a while after its parent.
func linger(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(context.Cause(parent))
		case <-ctx.Done():
		}
	})
	return ctx, func() { stop(); cancel(nil) }
}

// Commit implements engine.Log.
func (l *partitionLog) Commit(ctx context.Context, next int64) error {
	return l.do(ctx, func(ctx context.Context) error {
		return l.m.commits.commit(ctx, l, next)
	})
}
