//go:build e2e

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"lockstitch/chaos/ledger"
	"lockstitch/pkg/app"
	"lockstitch/pkg/audit"
	"lockstitch/pkg/engine"
	"lockstitch/pkg/kafka"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// judge looks at all that stands in Kafka and Redis.
func (w *world) judge(ctx context.Context, r *result) error {
	from := time.Now()
	j := &judging{world: w, r: r, ledger: ledger.New()}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"audit", j.audit},
		{"reading journal and outputs", j.read},
		{"ingest again", j.ingest},
		{"a sequential fold", j.foldAll},
		{"a refold of the state", j.refold},
	} {
		say("judging: %s …", step.what)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	for _, sender := range j.ledger.Left() {
		w.wrong.add("records of a sender that there isn't: %s", sender)
	}
	r.Outputs = r.Different.Same - r.JournalMessages
	if !r.Different.Clean() {
		w.wrong.add("not what a sequential fold says: %d lost, %d too many, %d with other bytes:\n%s",
			r.Different.Lost, r.Different.Extra, r.Different.Conflicts, strings.Join(r.Different.Places, "\n"))
	}
	r.Judged = time.Since(from)
	return nil
}

// judging is what a run is compared with.
type judging struct {
	*world
	r      *result
	ledger *ledger.Ledger
	ends   [partitions]int64
	id     string // of the journal
}

// audit is the product's own.
func (j *judging) audit(ctx context.Context) error {
	report, err := app.Audit(ctx, j.cfg, audit.Options{List: 100})
	if err != nil {
		return err
	}
	j.r.Records, j.r.Doubled, j.r.Outcomes = report.Records, report.Doubled, report.Outcomes
	if err := report.Err(); err != nil {
		j.wrong.add("%v", err)
	}
	for what, n := range map[string]int64{
		"pending": report.Pending, "unjudged": report.Unjudged, "not ingested": report.NotIngested,
		"out of range": report.OutOfRange, "of other topics": report.Foreign, "without their source": report.SourceGone, "not ours in the journal": report.JournalUnknown,
	} {
		if n != 0 {
			j.wrong.add("audit: %d %s", n, what)
		}
	}
	if acked := j.feed.acked.Load(); report.Records < acked {
		j.wrong.add("%d source records were acknowledged, and only %d are there", acked, report.Records)
	}
	return nil
}

// sumOfMessage is the checksum of a message in the journal, which belongs into one
// partition.
func sumOfMessage(p int32, value []byte) uint64 {
	return ledger.Sum([]byte("journal"), strconv.AppendInt(nil, int64(p), 10), value)
}

// read enters journal and outputs into the ledger.
func (j *judging) read(ctx context.Context) error {
	for p := range int32(partitions) {
		_, end, id, err := j.parts.Journal.Bounds(ctx, p)
		if err != nil {
			return err
		}
		j.ends[p], j.id = end, id
		err = j.archive.all(ctx, p, end, func(e engine.Entry) error {
			j.r.JournalRecords++
			m, err := wire.DecodeMessage(e.Value)
			if err != nil {
				return fmt.Errorf("journal partition %d, offset %d: %w", p, e.Offset, err)
			}
			if m.Place.Sender != "" { // else a tick, or rules
				j.ledger.Add(m.Place.From(), m.Place.Offset, m.Place.Index, sumOfMessage(p, e.Value))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	names := j.cfg.TopicNames()
	for _, topic := range []string{names.Sink, names.Decisions, names.DLQ} {
		for rec, err := range kafka.Dump(ctx, j.conn(), topic) {
			if err != nil {
				return err
			}
			if err := j.enter(topic, rec); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j *judging) enter(topic string, rec kafka.Record) error {
	j.r.OutputRecords++
	for _, h := range rec.Headers {
		if h.Key == wire.HeaderPlace {
			from, offset, index, err := ledger.Parse(string(h.Value))
			if err == nil {
				j.ledger.Add(from, offset, index, ledger.SumRecord(topic, rec.Key, rec.Value, rec.Headers))
			}
			return err
		}
	}
	return fmt.Errorf("%s/%d/%d has no place", topic, rec.Partition, rec.Offset)
}

// want is what a published record should be in the ledger.
func (j *judging) want(c *ledger.Comparison, place stitch.Place, p engine.Published) {
	names := j.cfg.TopicNames()
	e := ledger.Entry{Offset: place.Offset, Index: place.Index}
	switch p.Topic {
	case engine.TopicJournal:
		j.r.JournalMessages++
		e.Sum = sumOfMessage(engine.PartitionOf(p.Entity, partitions), p.Value)
	case engine.TopicSink:
		e.Sum = ledger.SumRecord(names.Sink, p.Key, p.Value, p.Headers)
	case engine.TopicDecisions:
		e.Sum = ledger.SumRecord(names.Decisions, p.Key, p.Value, p.Headers)
	default:
		e.Sum = ledger.SumRecord(names.DLQ, p.Key, p.Value, p.Headers)
	}
	c.Want(e)
}

// ingest decodes every source record again: it is a pure function of record and plan.
func (j *judging) ingest(ctx context.Context) error {
	in, err := app.Ingest(j.cfg, j.plan)
	if err != nil {
		return err
	}
	decode := engine.Journal{Ingest: in}
	details, err := j.admin.ListTopics(ctx, j.sources()...)
	if err = errors.Join(err, details.Error()); err != nil {
		return err
	}
	for _, topic := range j.sources() {
		id := details[topic].ID
		sender := base64.RawURLEncoding.EncodeToString(id[:])
		open := map[int32]*ledger.Comparison{}
		for p := range int32(len(details[topic].Partitions)) {
			open[p] = j.ledger.Compare(stitch.Place{Sender: sender, Partition: p}.From())
		}
		for rec, err := range kafka.Dump(ctx, j.conn(), topic) {
			if err != nil {
				return err
			}
			place := stitch.Place{Sender: sender, Partition: rec.Partition, Offset: rec.Offset}
			for _, p := range decode.Records(sender, []wire.Record{{
				Source: stitch.Source{Topic: topic, Partition: rec.Partition, Offset: rec.Offset},
				Key:    rec.Key, Value: rec.Value, Headers: rec.Headers, Arrival: rec.Time, CheckAhead: true,
			}}) {
				j.want(open[rec.Partition], place, p)
			}
		}
		for _, c := range open {
			j.r.Different.Add(c.End())
		}
	}
	return nil
}

// foldAll folds each journal partition from its start, one record after the other.
func (j *judging) foldAll(ctx context.Context) error {
	for p := range int32(partitions) {
		if err := j.fold(ctx, p); err != nil {
			return fmt.Errorf("journal partition %d: %w", p, err)
		}
	}
	return nil
}

func (j *judging) fold(ctx context.Context, p int32) error {
	part := stitch.NewPartition(stitch.Meta{Logic: stitch.Logic, TopicID: j.id, Environment: j.cfg.Environment, Number: p}, nil)
	c := j.ledger.Compare(stitch.Place{Sender: j.id, Partition: p}.From())
	var out []stitch.Output
	err := j.archive.all(ctx, p, j.ends[p], func(e engine.Entry) error {
		m, err := wire.DecodeMessage(e.Value)
		if err != nil {
			return err
		}
		if k, ok := stitch.Needs(m); ok && !part.Has(k) {
			part.Put(k, nil)
		}
		out = part.Fold(stitch.Record{Offset: e.Offset, Time: e.Time, Message: m}, out[:0])
		for i := range out {
			j.want(c, out[i].Place, engine.Encode(&out[i]))
		}
		return nil
	})
	if err != nil {
		return err
	}
	j.r.Different.Add(c.End())
	return j.sameState(ctx, p, part)
}

// sameState compares Redis with the fold, byte for byte.
func (j *judging) sameState(ctx context.Context, p int32, part *stitch.Partition) error {
	head, ok, err := j.parts.State.Head(ctx, p)
	if err != nil {
		return err
	}
	if want := wire.MarshalState(&part.Meta); j.ends[p] > 0 && (!ok || !bytes.Equal(want, head.Meta)) {
		j.wrong.add("journal partition %d: what the state says of itself isn't what the fold does (there is one: %v)", p, ok)
	}
	const stride = 32
	entities, other := 0, 0
	for first := 0; first < engine.Pages; first += stride {
		got, _, _, err := j.parts.State.Page(ctx, p, head.Generation, first, stride)
		if err != nil {
			return err
		}
		entities += len(got)
		for _, kv := range got {
			k, ok := stitch.ParseKey(kv.Key)
			if e := part.Entity(k); !ok || e == nil || !bytes.Equal(kv.Value, wire.MarshalState(e)) {
				other++
			}
		}
	}
	want, _ := part.Changes()
	if entities != len(want) || other > 0 {
		j.wrong.add("journal partition %d: the state has %d entities, %d of them not as the fold has them, which has %d", p, entities, other, len(want))
	}
	j.r.Entities += int64(entities)
	return nil
}

// refold is what `lockstitch state check` does, from the newest snapshot where the
// journal was cut.
func (j *judging) refold(ctx context.Context) error {
	for p := range int32(partitions) {
		res, err := j.parts.Check(ctx, p)
		if err != nil {
			return err
		}
		if res.Count > 0 {
			j.wrong.add("journal partition %d: state check finds %d differences: %v", p, res.Count, res.Differ)
		}
	}
	return nil
}
