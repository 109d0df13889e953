package memory

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"

	"lockstitch/pkg/engine"
)

// Journal is a journal topic of some partitions, the consumer group's offsets in
// it, and the topics that owners publish to. It is safe for concurrent use.
type Journal struct {
	mu      sync.Mutex
	now     func() int64
	life    int // how often the topic was recreated
	parts   []journalPartition
	outputs [engine.TopicDLQ + 1][]engine.Published // none of TopicJournal
}

type journalPartition struct {
	entries    []engine.Entry // in offset order, maybe with gaps
	start, end int64
	committed  int64
	foreign    bool   // somebody else committed
	logs       []*log // alive
}

// NewJournal returns an empty journal. now is the append time of what comes in,
// Unix ms.
func NewJournal(partitions int, now func() int64) *Journal {
	j := &Journal{now: now, parts: make([]journalPartition, partitions)}
	for p := range j.parts {
		j.parts[p].committed = -1
	}
	return j
}

// Partitions is the number of the journal's partitions.
func (j *Journal) Partitions() int { return len(j.parts) }

// Log returns partition p as a new owner of it sees it. Earlier owners are not
// revoked by it: a paused one doesn't know yet.
func (j *Journal) Log(p int32) engine.Log {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := &log{j: j, p: p}
	j.parts[p].logs = append(j.parts[p].logs, l)
	return l
}

// Revoke ends every Log of the partition that was handed out so far.
func (j *Journal) Revoke(p int32) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range j.parts[p].logs {
		l.lost = true
	}
	j.parts[p].logs = nil
}

// Append adds a record to partition p, as anybody may, and returns its offset.
func (j *Journal) Append(p int32, value []byte) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.append(p, value)
}

func (j *Journal) append(p int32, value []byte) int64 {
	part := &j.parts[p]
	e := engine.Entry{Offset: part.end, Time: j.now(), Value: clone(value), Size: len(value)}
	part.entries = append(part.entries, e)
	part.end++
	return e.Offset
}

// Publish writes records as ingest does, which owns no partition.
func (j *Journal) Publish(out []engine.Published) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.publish(out)
}

func (j *Journal) publish(out []engine.Published) {
	for i := range out {
		if out[i].Topic == engine.TopicJournal {
			j.append(engine.PartitionOf(out[i].Entity, len(j.parts)), out[i].Value)
			continue
		}
		j.outputs[out[i].Topic] = append(j.outputs[out[i].Topic], out[i].Clone())
	}
}

// Published returns what was published to an output topic, in order.
func (j *Journal) Published(t engine.Topic) []engine.Published {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.outputs[t])
}

// Entries returns the records that partition p holds, in order.
func (j *Journal) Entries(p int32) []engine.Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.parts[p].entries)
}

// Truncate cuts what lies before start, as retention does. An earlier start, or
// one past the end, changes as much as can be cut.
func (j *Journal) Truncate(p int32, start int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	part := &j.parts[p]
	part.start = min(max(start, part.start), part.end)
	part.entries = part.entries[part.index(part.start):]
}

// Gap leaves out the next n offsets of partition p, as control records do.
func (j *Journal) Gap(p int32, n int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.parts[p].end += n
}

// Recreate empties the topic and gives it another ID. Committed offsets stay, but
// they are the old topic's, so they are nobody's of the new one.
func (j *Journal) Recreate() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.life++
	for p := range j.parts {
		part := &j.parts[p]
		part.entries, part.start, part.end, part.foreign = nil, 0, 0, part.committed >= 0
	}
}

// Committed returns the group's committed offset of partition p; -1 for none.
func (j *Journal) Committed(p int32) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.parts[p].committed
}

// CommitForeign commits an offset as somebody else, by hand for one.
func (j *Journal) CommitForeign(p int32, offset int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.parts[p].committed, j.parts[p].foreign = offset, true
}

func (j *Journal) topicID() string { return fmt.Sprintf("journal-%d", j.life) }

// index returns where the first entry of offset from or higher is.
func (part *journalPartition) index(from int64) int {
	return sort.Search(len(part.entries), func(i int) bool { return part.entries[i].Offset >= from })
}

// log is one owner's partition.
type log struct {
	j    *Journal
	p    int32
	lost bool // guarded by j.mu
}

var _ engine.Log = (*log)(nil)

// do runs f on the partition unless it was revoked, which wins, or ctx has ended.
func (l *log) do(ctx context.Context, f func(*journalPartition) error) error {
	l.j.mu.Lock()
	defer l.j.mu.Unlock()
	if l.lost {
		return engine.ErrLost
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return f(&l.j.parts[l.p])
}

func (l *log) Bounds(ctx context.Context) (start, end int64, topicID string, err error) {
	err = l.do(ctx, func(part *journalPartition) error {
		start, end, topicID = part.start, part.end, l.j.topicID()
		return nil
	})
	return start, end, topicID, err
}

func (l *log) Committed(ctx context.Context) (offset int64, ours bool, err error) {
	err = l.do(ctx, func(part *journalPartition) error {
		offset, ours = part.committed, !part.foreign
		return nil
	})
	return offset, ours, err
}

// Read never waits. A ctx that has ended is no error to it, as to any Log.
func (l *log) Read(ctx context.Context, from int64, max int) (out []engine.Entry, err error) {
	err = l.do(context.WithoutCancel(ctx), func(part *journalPartition) error {
		if from < part.start || from > part.end {
			return engine.ErrTruncated
		}
		at := part.index(from)
		out = slices.Clone(part.entries[at:min(at+max, len(part.entries))])
		return nil
	})
	return out, err
}

func (l *log) Publish(ctx context.Context, out []engine.Published) error {
	return l.do(ctx, func(*journalPartition) error {
		l.j.publish(out)
		return nil
	})
}

func (l *log) Append(ctx context.Context, value []byte) error {
	return l.do(ctx, func(*journalPartition) error {
		l.j.append(l.p, value)
		return nil
	})
}

func (l *log) Commit(ctx context.Context, next int64) error {
	return l.do(ctx, func(part *journalPartition) error {
		part.committed, part.foreign = next, false
		return nil
	})
}
