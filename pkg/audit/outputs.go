package audit

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"lockstitch/pkg/wire"
)

// outputSpans are what is read of sink, decisions and DLQ.
func (r *run) outputSpans() (all []Span) {
	for _, topic := range r.Topics.outputs() {
		for p, m := range r.marks.Topics[topic] {
			all = append(all, Span{Topic: topic, Partition: int32(p), From: r.begin[topic][p], To: m.End, Committed: true})
		}
	}
	return all
}

// output is an output partition under way.
type output struct {
	number    uint16
	fromStart bool
}

// readOutputs takes in every place and every outcome.
func (r *run) readOutputs(ctx context.Context) error {
	outs := map[string][]output{}
	spans := r.outputSpans()
	for _, s := range spans { // in order of topic and partition
		outs[s.Topic] = append(outs[s.Topic], output{r.places.out(s.Topic, s.Partition), s.From == 0})
	}
	return r.read(ctx, spans, func(rec *Record) error {
		return r.takeOutput(rec, outs[rec.Topic][rec.Partition])
	})
}

func (r *run) takeOutput(rec *Record, out output) error {
	r.report.OutputRecords++
	sender, at, ok := r.places.parse(header(rec, wire.HeaderPlace))
	if !ok {
		r.conflictAt(rec, "ls-place is missing, or isn't sender/partition/offset/index")
		return nil
	}
	passed, err := r.places.take(out.number, rec, sender, at, out.fromStart)
	if err != nil || passed {
		return err
	}
	by := flags(0)
	if r.places.journal[sender] {
		by = byJournal
	}
	switch rec.Topic {
	case r.Topics.Sink:
		return r.takeSink(rec, out.number, by)
	case r.Topics.DLQ:
		r.outcome(rec, header(rec, wire.HeaderSource), quarantined|by)
	default:
		r.takeDecision(rec, by)
	}
	return nil
}

func (r *run) takeSink(rec *Record, out uint16, by flags) error {
	source := header(rec, wire.HeaderSource)
	event := header(rec, wire.HeaderEvent)
	if event != nil {
		by |= counted
	}
	topic, partition, offset, ok := r.outcome(rec, source, published|by)
	if !ok || header(rec, wire.HeaderOrder) == nil || header(rec, wire.HeaderCorrects) != nil || len(event) != ulidSize {
		return nil
	}
	return r.orders.add(orderRow(event, r.places.topic(topic), partition, offset))
}

// ulidSize is a ULID as text; its last 16 characters are its random bits, for an
// order those of the order's key.
const ulidSize = 26

// orderRow is the order's key 16, its source: topic 4, partition 4, offset 8.
func orderRow(event []byte, topic uint32, partition int32, offset int64) (r row) {
	copy(r[:16], event[ulidSize-16:])
	binary.BigEndian.PutUint32(r[16:], topic)
	binary.BigEndian.PutUint32(r[20:], uint32(partition))
	binary.BigEndian.PutUint64(r[24:], uint64(offset))
	return r
}

// decision is what an audit needs of a decision.
type decision struct {
	Kind    string `json:"kind"`
	Outcome string `json:"outcome"`
	Source  string `json:"source"`
}

func (r *run) takeDecision(rec *Record, by flags) {
	var d decision
	if err := json.Unmarshal(rec.Value, &d, jsontext.AllowInvalidUTF8(true)); err != nil {
		r.conflictAt(rec, "a decision that is no JSON object of ours")
		return
	}
	switch {
	case d.Kind == "identity" || d.Kind == "note":
	case d.Kind != "outcome":
		r.conflictAt(rec, "a decision of a kind that the contract doesn't know")
	default:
		f := outcomeFlag(d.Outcome)
		if f == 0 || f == published || f == quarantined {
			r.conflictAt(rec, "a decision with an outcome that the contract doesn't know")
			return
		}
		r.outcome(rec, []byte(d.Source), f|by)
	}
}

// outcome notes an outcome of a source record. Told again under another place it
// is told twice, save for sink records: a source may have several, one of them an event.
func (r *run) outcome(rec *Record, source []byte, f flags) (topic string, partition int32, offset int64, ok bool) {
	topic, partition, offset, ok = r.parseSource(source)
	if !ok {
		r.conflictAt(rec, "an outcome whose source isn't topic/partition/offset")
		return topic, partition, offset, false
	}
	at := r.table.part(topic, partition).at(offset)
	if at == nil {
		r.elsewhere(rec, topic, partition, offset)
		return topic, partition, offset, true
	}
	once := f &^ (byJournal | published)
	if *at&once != 0 {
		*at |= twice
	}
	*at |= f
	return topic, partition, offset, true
}

// elsewhere is an outcome of a record that isn't in the range: that is usual,
// unless there can be no such record.
func (r *run) elsewhere(rec *Record, topic string, partition int32, offset int64) {
	marks := r.marks.Topics[topic]
	switch {
	case !r.isSource(topic):
		r.report.Foreign++
	case marks == nil: // the topic was deleted
		r.report.SourceGone++
	case int(partition) >= len(marks) || offset >= marks[partition].End:
		r.report.conflict(func() Finding {
			return Finding{
				Source: position(topic, partition, offset), Where: position(rec.Topic, rec.Partition, rec.Offset),
				What: "an outcome of a record that isn't there: its partition ends before it (where the topic was made anew, give --from)",
			}
		})
	case offset < marks[partition].Start:
		r.report.SourceGone++
	default:
		r.report.OutOfRange++
	}
}

func (r *run) isSource(topic string) bool {
	for i := range r.Sources {
		if r.Sources[i].Topic == topic {
			return true
		}
	}
	return false
}

func (r *run) conflictAt(rec *Record, what string) {
	where := position(rec.Topic, rec.Partition, rec.Offset)
	r.report.conflict(func() Finding { return Finding{Where: where, What: what} })
}

// parseSource splits topic/partition/offset.
func (r *run) parseSource(text []byte) (topic string, partition int32, offset int64, ok bool) {
	i := bytes.LastIndexByte(text, '/')
	if i < 0 {
		return "", 0, 0, false
	}
	k := bytes.LastIndexByte(text[:i], '/')
	if k <= 0 {
		return "", 0, 0, false
	}
	p, ok1 := number(text[k+1 : i])
	offset, ok2 := number(text[i+1:])
	topic, known := r.topicNames[string(text[:k])]
	if !known {
		topic = string(text[:k])
	}
	return topic, int32(p), offset, ok1 && ok2 && p < 1<<31
}

// header is a header's value, nil where the record lacks it. Of several the last
// counts: a dead letter's own headers stand before ours.
func header(rec *Record, name string) []byte {
	for i := len(rec.Headers) - 1; i >= 0; i-- {
		if rec.Headers[i].Key == name {
			return rec.Headers[i].Value
		}
	}
	return nil
}
