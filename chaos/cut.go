//go:build e2e

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/chaos/faults"
	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

// journalCut cuts some journal partitions as far as may be, to their newest whole
// snapshots, and has Redis forget everything: these are rebuilt from their
// snapshots, the others from theirs or the journal's start.
func (w *world) journalCut(ctx context.Context, f faults.Fault) error {
	first, n := faults.Pick(partitions, f.A), 1+faults.Pick(4, f.B)
	for i := range n {
		p := int32((first + i) % partitions)
		what := fmt.Sprintf("journal partition %d is cut", p) // the broker may still be coming back from the fault before
		err := until(ctx, 2*time.Minute, what, func(ctx context.Context) (bool, error) {
			err := w.cut(ctx, p)
			return err == nil, err
		})
		if err != nil {
			return err
		}
	}
	return w.direct.FlushAll(ctx).Err()
}

func (w *world) cut(ctx context.Context, p int32) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	start, end, topicID, err := w.parts.Journal.Bounds(ctx, p)
	if err != nil {
		return err
	}
	newest, ok, err := engine.Find(ctx, w.parts.Snapshots, p, engine.Fits(stitch.Logic, w.cfg.Environment, topicID, start, end))
	if err != nil {
		return err
	}
	if !ok {
		say("          journal partition %d has no snapshot yet and isn't cut", p)
		return nil
	}
	say("          journal partition %d is cut at %d of [%d, %d)", p, newest.Meta.Applied, start, end)
	return w.archive.cut(ctx, p, newest.Meta.Applied)
}

// transacted commits a transaction in the authority's topic and aborts another,
// which then stands at the ends of its partitions. App copies of both orders wait
// for what they say.
func (w *world) transacted(ctx context.Context, f faults.Fault) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	id := fmt.Sprintf("chaos-%d", int64(f.A*1e12))
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Addr()), kgo.TransactionalID(id))
	if err != nil {
		return err
	}
	defer cl.Close()
	for _, how := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		var server, app []*kgo.Record
		for i := range 12 {
			order := fmt.Sprintf("%s-%v-%d", id, bool(how), i)
			server, app = append(server, copyOf("events.server", order)), append(app, copyOf("events.app", order))
		}
		if err := w.client.ProduceSync(ctx, app...).FirstErr(); err != nil {
			return err
		}
		w.feed.acked.Add(int64(len(app)))
		if err := transact(ctx, cl, how, server); err != nil {
			return err
		}
		if how == kgo.TryCommit {
			w.feed.acked.Add(int64(len(server)))
		}
	}
	return w.resolved(ctx)
}

func copyOf(topic, order string) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: []byte("cus_" + order), Value: fmt.Appendf(nil,
		`{"type":"track","event":"order_completed","messageId":"%[1]s-%[2]s","anonymousId":"dev-%[2]s","userId":"cus_%[2]s",`+
			`"timestamp":%[3]q,"properties":{"order_id":%[2]q,"revenue":9.5,"items":1}}`, topic, order, time.Now().UTC().Format(time.RFC3339))}
}

func transact(ctx context.Context, cl *kgo.Client, how kgo.TransactionEndTry, records []*kgo.Record) error {
	if err := cl.BeginTransaction(); err != nil {
		return err
	}
	return errors.Join(cl.ProduceSync(ctx, records...).FirstErr(), cl.EndTransaction(ctx, how))
}

// resolved waits until no transaction is open: one broker, killed between a
// transaction's end and its markers, never finishes it (KAFKA-20734).
func (w *world) resolved(ctx context.Context) error {
	return until(ctx, time.Minute, "no transaction is open", func(ctx context.Context) (bool, error) {
		ends, err := w.admin.ListEndOffsets(ctx, "events.server")
		if err = errors.Join(err, ends.Error()); err != nil {
			return false, err
		}
		stable, err := w.admin.ListCommittedOffsets(ctx, "events.server")
		if err = errors.Join(err, stable.Error()); err != nil {
			return false, err
		}
		done := true
		for p, end := range ends["events.server"] {
			done = done && stable["events.server"][p].Offset >= end.Offset
		}
		return done, nil
	})
}
