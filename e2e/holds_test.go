//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/check"
)

const fastTicks = "process: {tick: 200ms}"

// TestHoldOutlastsPausedIngest pauses ingest past the hold of an order that waits
// for its authority. The authority's copy is in its topic meanwhile, unread: so
// nothing is released, however much time passes in the journal.
func TestHoldOutlastsPausedIngest(t *testing.T) {
	w := newWorld(t, setup{hold: 5 * time.Second, more: fastTicks})
	ingest := w.start("run", "--only", "ingest")
	w.start("run", "--only", "process").isReady()
	app, server := w.prefix+"events.app/0/0", w.prefix+"events.server/0/0"

	w.produce(w.pinned(), order(w.prefix+"events.app", "o1", "m-app"))
	ends := w.held(app).Add(w.hold)
	ingest.pause()
	w.produce(w.pinned(), order(w.prefix+"events.server", "o1", "m-server"))
	if at := w.read(w.prefix + "events.server")[0].Timestamp; at.After(ends) {
		t.Fatalf("this machine is too slow: the authority's copy came %v after the hold's end", at.Sub(ends))
	}
	w.foldedPast(ends.Add(time.Second)) // five ticks more
	for _, o := range w.outputs() {
		if outcome(o) != "outcome held" {
			t.Errorf("while the authority's ingest stands still: %s of %s", outcome(o), o.Headers["ls-source"])
		}
	}

	if t.Failed() {
		return
	}

	ingest.resume()
	w.comes("published event", server)
	w.comes("outcome suppressed", app)
	w.settle()
	if counts := w.judge(false); counts.Published != 1 || counts.Suppressed != 1 {
		t.Errorf("got %+v, want one order, the authority's, and the app's copy suppressed", counts)
	}
}

// TestHoldEndsBehindAbortedTransaction: an authority's topic that is idle, and
// ends in a transaction that was aborted, is read to its end all the same. The
// order that waits for it is released, and what was aborted counts for nothing.
func TestHoldEndsBehindAbortedTransaction(t *testing.T) {
	w := newWorld(t, setup{hold: 2 * time.Second, committed: true, more: fastTicks})
	w.start("run").isReady()
	app, server := w.prefix+"events.app", w.prefix+"events.server"
	writer := w.connect(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID(w.prefix+"shop"))

	w.transact(writer, kgo.TryCommit, order(server, "o1", "m-server-1"))
	w.produce(w.pinned(), order(app, "o1", "m-app-1"))
	w.comes("published event", server+"/0/0")
	w.comes("outcome suppressed", app+"/0/0")

	w.transact(writer, kgo.TryAbort, order(server, "o2", "m-server-2"))
	w.produce(w.pinned(), order(app, "o2", "m-app-2"))
	w.held(app + "/0/1")
	w.comes("published event", app+"/0/1")
	w.settle()
	if counts := w.judge(false); counts.Sources != 3 || counts.Published != 2 {
		t.Errorf("got %+v, want three records, the aborted one not among them, and two orders", counts)
	}
}

// pinned writes to the partitions that records name.
func (w *world) pinned() *kgo.Client {
	w.t.Helper()
	return w.connect(kgo.RecordPartitioner(kgo.ManualPartitioner()))
}

// order is a copy of an order, for partition 0.
func order(topic, id, message string) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: []byte("cus_1"), Value: fmt.Appendf(nil, `{"type":"track","event":"order_completed","messageId":%q,`+
		`"anonymousId":"device-1","userId":"cus_1","timestamp":"2026-11-20T10:00:00Z","properties":{"order_id":%q,"revenue":9.5,"items":1}}`, message, id)}
}

func (w *world) transact(cl *kgo.Client, how kgo.TransactionEndTry, records ...*kgo.Record) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := cl.BeginTransaction(); err != nil {
		w.t.Fatal(err)
	}
	w.produce(cl, records...)
	if err := cl.EndTransaction(ctx, how); err != nil {
		w.t.Fatal(err)
	}
}

// outcome says what an output is: the action of a sink record, the kind and name
// of a decision, the reason of a dead letter.
func outcome(o check.Output) string {
	var v struct{ Action, Kind, Outcome string }
	_ = json.Unmarshal(o.Value, &v)
	switch {
	case o.Headers["ls-reason"] != "":
		return "quarantined " + o.Headers["ls-reason"]
	case v.Kind != "":
		return v.Kind + " " + v.Outcome
	}
	return "published " + v.Action
}

// comes waits for a sink record or an outcome of a source record, and returns it.
func (w *world) comes(what, source string) (found check.Output) {
	w.t.Helper()
	topic := w.prefix + "customerio.sink"
	if strings.HasPrefix(what, "outcome") {
		topic = w.prefix + "stitch.decisions"
	}
	until(w.t, patience, what+" of "+source, func(context.Context) (bool, error) {
		for _, o := range w.output(topic) {
			if o.Headers["ls-source"] == source && outcome(o) == what {
				found = o
				return true, nil
			}
		}
		return false, nil
	})
	return found
}

// held waits until a record is held, and returns since when, in log time.
func (w *world) held(source string) time.Time {
	w.t.Helper()
	var decision struct{ At time.Time }
	if err := json.Unmarshal(w.comes("outcome held", source).Value, &decision); err != nil {
		w.t.Fatal(err)
	}
	return decision.At
}

// foldedPast waits until a processor has folded, and committed, a journal record
// that was appended after at: in that partition time has passed. It ends as well
// when something is published: with nothing held any more, no tick comes.
func (w *world) foldedPast(at time.Time) {
	w.t.Helper()
	journal := w.prefix + "stitch.journal"
	until(w.t, patience, "the journal is folded past "+at.String(), func(ctx context.Context) (bool, error) {
		released, err1 := w.count(ctx, "customerio.sink")
		commits, err2 := w.commits(ctx, w.prefix+"lockstitch-process")
		if err := errors.Join(err1, err2); err != nil || released > 0 {
			return err == nil, err
		}
		for _, r := range w.read(journal) {
			if o, ok := commits.Lookup(journal, r.Partition); ok && r.Timestamp.After(at) && o.At > r.Offset {
				return true, nil
			}
		}
		return false, nil
	})
}
