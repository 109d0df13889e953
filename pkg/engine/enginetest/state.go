package enginetest

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

// TestState runs the suite of engine.State. open returns a State that holds
// nothing yet; it fails t itself where it can't, and ends the State with t.
func TestState(t *testing.T, open func(t *testing.T) engine.State) {
	for name, test := range map[string]func(*stateTest){
		"a partition without a state":              testAbsent,
		"begin":                                    testBegin,
		"begin only where the head is":             testBeginElsewhere,
		"begin a generation that isn't new":        testBeginOld,
		"a new generation is empty":                testGenerationEmpty,
		"other generations are removed":            testGenerationsRemoved,
		"an old owner's delta in a new generation": testGenerationLeft,
		"swap":                                      testSwap,
		"swap overwrites and deletes":               testSwapAgain,
		"swap only where the head is":               testSwapElsewhere,
		"swap where the head is at next already":    testSwapDone,
		"swap with other logic":                     testSwapLogic,
		"a delta that doesn't advance a generation": testSwapInvalid,
		"an empty delta moves the head":             testSwapNothing,
		"offsets beyond 53 bits":                    testOffsets,
		"partitions are apart":                      testPartitions,
		"timers":                                    testTimers,
		"promote":                                   testPromote,
		"deltas of 5000 keys":                       testMany,
		"any bytes":                                 testBytes,
		"values are copies":                         testCopies,
		"a context that has ended":                  testCancelled,
		"a context that ends meanwhile":             testDeadline,
		"one of many owners moves the head":         testRace,
		"a read between two positions":              testReadRace,
		"check and memory":                          testFit,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			test(&stateTest{T: t, ctx: ctx, s: open(t)})
		})
	}
}

// logic and gen are of no meaning: any number, any name.
const (
	logic = 7
	gen   = "nonce.1-1700000000000000001"
)

// stateTest is one subtest on a fresh state.
type stateTest struct {
	*testing.T
	ctx context.Context
	s   engine.State
}

func at(gen string, applied int64) engine.Position {
	return engine.Position{Generation: gen, Applied: applied}
}

func headAt(gen string, applied int64) engine.Head {
	return engine.Head{Position: at(gen, applied), Logic: logic, Meta: fmt.Appendf(nil, "meta of %s at %d", gen, applied)}
}

// delta goes from base to next in generation gen, setting keys to a value that
// tells next.
func delta(base, next int64, keys ...string) engine.Delta {
	d := engine.Delta{Base: at(gen, base), Next: at(gen, next), Logic: logic, Meta: headAt(gen, next).Meta}
	for _, k := range keys {
		d.Set = append(d.Set, engine.KV{Key: k, Value: valueAt(k, next)})
	}
	return d
}

func valueAt(key string, applied int64) []byte { return fmt.Appendf(nil, "%s at %d", key, applied) }

// begin begins gen in partition 0, at offset 0.
func (t *stateTest) begin() {
	t.Helper()
	t.beginAt(0, engine.Position{}, headAt(gen, 0), true)
}

func (t *stateTest) beginAt(p int32, old engine.Position, h engine.Head, want bool) {
	t.Helper()
	begun, err := t.s.Begin(t.ctx, p, old, h)
	if err != nil || begun != want {
		t.Fatalf("begin %v after %v: begun %v, %v; want %v", h.Position, old, begun, err, want)
	}
}

func (t *stateTest) swap(d engine.Delta, want bool) {
	t.Helper()
	t.swapIn(0, d, want)
}

func (t *stateTest) swapIn(p int32, d engine.Delta, want bool) {
	t.Helper()
	moved, err := t.s.Swap(t.ctx, p, d)
	if err != nil || moved != want {
		t.Fatalf("swap %v to %v: moved %v, %v; want %v", d.Base, d.Next, moved, err, want)
	}
}

// wantHead expects partition p's head; a zero h: none.
func (t *stateTest) wantHead(p int32, h engine.Head) {
	t.Helper()
	got, ok, err := t.s.Head(t.ctx, p)
	if err != nil || ok != (h.Generation != "") {
		t.Fatalf("head: ok %v, %v", ok, err)
	}
	t.same("head", h, got)
}

// want expects what a read of keys in partition 0 gives, with the head at pos;
// a nil value: absent.
func (t *stateTest) want(gen string, pos engine.Position, values map[string][]byte) {
	t.Helper()
	t.wantIn(0, gen, pos, values)
}

func (t *stateTest) wantIn(p int32, gen string, pos engine.Position, values map[string][]byte) {
	t.Helper()
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	read, before, after, err := t.s.Read(t.ctx, p, gen, keys)
	if err != nil || len(read) != len(keys) {
		t.Fatalf("read of %d keys: %d values, %v", len(keys), len(read), err)
	}
	t.same("position before", pos, before)
	t.same("position after", pos, after)
	got := make(map[string][]byte, len(keys))
	for i, k := range keys {
		got[k] = read[i]
	}
	t.same("values", values, got)
}

func (t *stateTest) wantTimers(p int32, gen string, want map[string]stitch.Timer) {
	t.Helper()
	got, before, after, err := t.s.Timers(t.ctx, p, gen)
	if err != nil {
		t.Fatal(err)
	}
	head, _, err := t.s.Head(t.ctx, p)
	if err != nil || before != head.Position || after != head.Position {
		t.Fatalf("timers at %v and %v, the head is at %v, %v", before, after, head.Position, err)
	}
	t.same("timers", want, got, cmpopts.EquateEmpty())
}

func (t *stateTest) same(what string, want, got any, opts ...cmp.Option) {
	t.Helper()
	opts = append(opts, cmp.AllowUnexported(stitch.Timer{}), cmp.Comparer(sameBytes))
	if diff := cmp.Diff(want, got, opts...); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// sameBytes tells absent (nil) from empty; cmp itself is slow over megabytes.
func sameBytes(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

// until waits for a condition.
func (t *stateTest) until(what string, is func() bool) {
	t.Helper()
	waitFor(t.T, t.ctx, what, is)
}

// every is how often a condition that is waited for is looked at.
const every = 5 * time.Millisecond

func waitFor(t *testing.T, ctx context.Context, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
