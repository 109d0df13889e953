package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

// Harness is a fresh journal with a Log of its partition 0, and what a test does
// to it from outside. Its functions fail the test themselves where they can't.
type Harness struct {
	Log        engine.Log
	Partitions int // of the journal, at least 2

	// Append adds records to partition 0, one for each value, as another client.
	Append func(values ...[]byte)
	// Revoke takes partition 0 away and returns when that is done.
	Revoke func()
	// Again gives a Log of partition 0 to the same group once more, after a Revoke.
	Again func() engine.Log
	// Published reads a topic's records back, all that is there now: for each
	// partition in order. The journal's are those of all its partitions.
	Published func(topic engine.Topic) [][]Record
	// Truncate cuts what lies before start in partition 0, as retention does.
	Truncate func(start int64)
	// CommitForeign commits an offset of partition 0 in the group, by hand.
	CommitForeign func(offset int64)
}

// Record is a record as it was published. A journal record's key is the
// adapter's business.
type Record struct {
	Key, Value []byte
	Headers    []stitch.Header
}

// TestLog runs the suite of engine.Log. open returns a fresh journal; it fails t
// itself where it can't, and ends everything with t.
func TestLog(t *testing.T, open func(t *testing.T) Harness) {
	for name, test := range map[string]func(*logTest){
		"an empty partition":           testEmpty,
		"bounds":                       testBounds,
		"truncated":                    testTruncated,
		"read":                         testRead,
		"read waits":                   testReadWaits,
		"read until the context ends":  testReadEnds,
		"append":                       testAppend,
		"publish to the journal":       testPublishJournal,
		"publish to the outputs":       testPublishOutputs,
		"publish without a key":        testPublishKeyless,
		"publish in order":             testPublishOrder,
		"publish under an ended ctx":   testPublishCancelled,
		"values are copies":            testLogCopies,
		"commit":                       testCommit,
		"an offset committed by hand":  testForeign,
		"an ended ctx has no effect":   testLogCancelled,
		"after a revoke":               testRevoked,
		"a revoke ends a waiting read": testRevokedRead,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			test(&logTest{T: t, ctx: ctx, Harness: open(t)})
		})
	}
}

// logTest is one subtest on a fresh journal.
type logTest struct {
	*testing.T
	Harness
	ctx context.Context
}

func numbered(what string, n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = fmt.Appendf(nil, "%s %d", what, i)
	}
	return out
}

// read reads n records from offset from on, at most max at once.
func (t *logTest) read(from int64, n, max int) []engine.Entry {
	t.Helper()
	var all []engine.Entry
	waitFor(t.T, t.ctx, fmt.Sprintf("%d records from %d on", n, from), func() bool {
		some, err := t.Log.Read(t.ctx, from, max)
		if err != nil || len(some) > max {
			t.Fatalf("read from %d: %d records, %v; want at most %d", from, len(some), err, max)
		}
		for _, e := range some {
			if e.Offset < from {
				t.Fatalf("a record at %d where %d was the next", e.Offset, from)
			}
			from = e.Offset + 1
		}
		all = append(all, some...)
		return len(all) >= n
	})
	return all
}

func (t *logTest) bounds() (start, end int64, topicID string) {
	t.Helper()
	start, end, topicID, err := t.Log.Bounds(t.ctx)
	if err != nil || topicID == "" || start > end {
		t.Fatalf("bounds [%d, %d) of topic %q: %v", start, end, topicID, err)
	}
	return start, end, topicID
}

func (t *logTest) wantCommitted(offset int64, ours bool) {
	t.Helper()
	gotOffset, gotOurs, err := t.Log.Committed(t.ctx)
	if err != nil || gotOffset != offset || gotOurs != ours {
		t.Fatalf("committed %d, ours %v, %v; want %d, ours %v", gotOffset, gotOurs, err, offset, ours)
	}
}

func (t *logTest) publish(out []engine.Published) {
	t.Helper()
	if err := t.Log.Publish(t.ctx, out); err != nil {
		t.Fatal(err)
	}
}

// wantValues expects the values of entries.
func (t *logTest) wantValues(want [][]byte, got []engine.Entry) {
	t.Helper()
	values := make([][]byte, len(got))
	for i, e := range got {
		values[i] = e.Value
	}
	if diff := cmp.Diff(texts(want), texts(values)); diff != "" {
		t.Fatalf("values (-want +got):\n%s", diff)
	}
}

func texts(values [][]byte) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// wantTopic expects all records of an output topic, in the order of want for
// each partition.
func (t *logTest) wantTopic(topic engine.Topic, want []engine.Published) {
	t.Helper()
	if n := t.inOrder(topic, want); n != len(want) {
		t.Fatalf("topic %d holds %d records, want %d", topic, n, len(want))
	}
}

// inOrder expects that each partition holds some of want in its order, and
// returns how many records that are.
func (t *logTest) inOrder(topic engine.Topic, want []engine.Published) (count int) {
	t.Helper()
	for p, records := range t.Published(topic) {
		at := 0
		for _, r := range records {
			for at < len(want) && !sameRecord(want[at], r) {
				at++
			}
			if at == len(want) {
				t.Fatalf("topic %d, partition %d: %q is out of order, changed, or nothing we published", topic, p, r.Value)
			}
			at++
			count++
		}
	}
	return count
}

func sameRecord(p engine.Published, r Record) bool {
	if !bytes.Equal(p.Value, r.Value) || len(p.Headers) != len(r.Headers) {
		return false
	}
	for i, h := range p.Headers {
		if h.Key != r.Headers[i].Key || !bytes.Equal(h.Value, r.Headers[i].Value) {
			return false
		}
	}
	return p.Topic == engine.TopicJournal || bytes.Equal(p.Key, r.Key)
}

// total is how many records all topics hold.
func (t *logTest) total() (n int) {
	t.Helper()
	for _, topic := range []engine.Topic{engine.TopicJournal, engine.TopicSink, engine.TopicDecisions, engine.TopicDLQ} {
		for _, records := range t.Published(topic) {
			n += len(records)
		}
	}
	return n
}

func wantLost(t *logTest, what string, err error) {
	t.Helper()
	if !errors.Is(err, engine.ErrLost) {
		t.Fatalf("%s of a revoked partition: %v, want ErrLost", what, err)
	}
}
