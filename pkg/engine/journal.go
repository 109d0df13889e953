package engine

import (
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// Journal turns source records into what ingest publishes: each one message to
// the entity that must see it first, or one DLQ record. It is a pure function,
// so a record read twice is journaled twice as the same bytes, and folded once.
type Journal struct {
	Ingest *wire.Ingest
	// Decoded hears of every record: its DLQ record or nil. May be nil.
	Decoded func(rec *wire.Record, dead *stitch.DeadLetter)
	// Unplanned hears of events that the tracking plan doesn't name. May be nil.
	Unplanned func(topic string)
}

// maxReserve bounds the memory that messages share, and so what one of them keeps alive.
const maxReserve = 32 << 10

// Records handles records of one source partition, in order. sender is the
// source topic's ID, for places.
func (j *Journal) Records(sender string, recs []wire.Record) []Published {
	out := make([]Published, 0, len(recs))
	var room wire.Room
	var ev stitch.Event // this and m are one record's after the other's: each is encoded at once
	var m stitch.Message
	for i := range recs {
		place := stitch.Place{Sender: sender, Partition: recs[i].Source.Partition, Offset: recs[i].Source.Offset}
		dead := j.Ingest.DecodeInto(recs[i], &ev)
		if j.Decoded != nil {
			j.Decoded(&recs[i], dead)
		}
		o := stitch.Output{Place: place, Dead: dead}
		if dead == nil {
			m = message(&ev, place)
			o.Message = &m
			j.count(&ev)
		}
		n := len(recs[i].Value) // its message is hardly ever longer
		room.Reserve(n, min(n*(len(recs)-i), maxReserve))
		out = append(out, encode(&room, &o))
	}
	return out
}

func (j *Journal) count(ev *stitch.Event) {
	if j.Unplanned != nil && j.Ingest.Unplanned(ev) {
		j.Unplanned(ev.Source.Topic)
	}
}

// message is the event as a message to the entity that must see it first. An
// authority's copy that names nobody goes to its fact, which always is an entity.
func message(ev *stitch.Event, place stitch.Place) stitch.Message {
	to, _ := ev.Route()
	return stitch.Message{Kind: stitch.MsgEvent, To: to, Place: place, Event: ev}
}
