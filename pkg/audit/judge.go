package audit

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"lockstitch/stitch"
)

// judge gives the verdict on each source record, each place and each order.
func (r *run) judge(context.Context) error {
	for _, p := range r.table.parts() {
		counts := r.report.addRange(p)
		p.each(func(offset int64, f flags) { r.judgeRecord(p, offset, f, counts) })
	}
	if r.shrunk != "" && r.report.Missing+r.report.Conflicts > 0 {
		return fmt.Errorf("retention cut topic %s while it was read, so what seems to be missing may be gone: run it again, with a later --from", r.shrunk)
	}
	if err := r.places.judge(r.report); err != nil {
		return err
	}
	return r.judgeOrders()
}

// judgeRecord judges one source position of which something is known.
func (r *run) judgeRecord(p *part, offset int64, f flags, counts *Range) {
	said := f & (ends | held)
	if f&exists == 0 {
		switch {
		case said == 0:
		case offset < p.mark.Start:
			r.report.SourceGone++
		default:
			r.conflictOf(p, offset, "an outcome ("+names(said)+") of an offset that holds no record")
		}
		return
	}
	r.report.Records++
	if f&journaled != 0 {
		r.report.Journaled++
	}
	r.conflicts(p, offset, f)
	switch end := f & ends; {
	case end != 0:
		r.report.Outcomes[lastOf(end)]++
		if f&held != 0 {
			r.report.Held++
		}
	case f&held != 0 && (f&sentOn == 0 || f&(underWay|cutOutputs) != 0):
		r.report.Outcomes["held"]++
		r.report.Held++
	case f&underWay != 0:
		r.report.Pending++
		counts.Pending++
	case f&cutOutputs != 0:
		r.report.Unjudged++
	default:
		counts.Missing++
		r.missing(p, offset, f)
	}
}

// conflicts are what can't all be true of one record.
func (r *run) conflicts(p *part, offset int64, f flags) {
	end := f & ends
	if f&twice != 0 {
		r.conflictOf(p, offset, "the same outcome twice, under two places: "+names(f&(ends|held)))
	}
	switch {
	case end&(end-1) != 0:
		r.conflictOf(p, offset, "more than one outcome: "+names(f&(ends|held)))
	case f&held != 0 && end&^(published|suppressed|quarantined) != 0:
		r.conflictOf(p, offset, "held, then "+names(end)+": only published, suppressed and quarantined may follow")
	}
	if f&byJournal != 0 && f&(journaled|cutJournal) == 0 {
		r.conflictOf(p, offset, "an outcome ("+names(f&(ends|held))+") told by the fold, and no message of it in the journal")
	}
}

func (r *run) conflictOf(p *part, offset int64, what string) {
	r.report.conflict(func() Finding { return Finding{Source: p.position(offset), What: what} })
}

func (r *run) missing(p *part, offset int64, f flags) {
	r.report.missing(func() Finding {
		out := Finding{
			Source: p.position(offset), source: stitch.Source{Topic: p.source.Topic, Partition: p.partition, Offset: offset},
			wasJournaled: f&journaled != 0,
		}
		switch {
		case f&held != 0:
			out.What = "it was held and then sent on, and has no outcome after that; its last journal message is folded"
		case f&journaled != 0:
			out.What = "its journal messages are folded, and there is no outcome"
		case f&cutJournal != 0:
			out.What = "there is no outcome; whether it was journaled can't be told, as the journal was cut"
		default:
			out.What = "ingest has committed past it, and the journal holds no message of it"
		}
		return out
	})
}

// lastOf is the outcome that a record counts under; of several in conflict, one.
func lastOf(end flags) string {
	for _, o := range outcomeNames {
		if end&o.flag != 0 {
			return o.name
		}
	}
	return ""
}

func names(f flags) string {
	var all []string
	for _, o := range outcomeNames {
		if f&o.flag != 0 {
			all = append(all, o.name)
		}
	}
	return strings.Join(all, ", ")
}

// judgeOrders finds orders that are visible twice: two source records of one
// order with a sink record each, neither of them a correction.
func (r *run) judgeOrders() error {
	var first row
	any := false
	return r.orders.each(func(x *row) {
		switch {
		case !any || string(x[:16]) != string(first[:16]):
			any, first = true, *x
		case *x != first:
			a, b := r.orderSource(&first), r.orderSource(x)
			r.report.conflict(func() Finding {
				return Finding{Source: b, What: "its order is visible twice: " + a + " was published too, and neither corrects the other"}
			})
		}
	})
}

func (r *run) orderSource(x *row) string {
	topic := r.places.topics[binary.BigEndian.Uint32(x[16:])]
	return position(topic, int32(binary.BigEndian.Uint32(x[20:])), int64(binary.BigEndian.Uint64(x[24:])))
}
