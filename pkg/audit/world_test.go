package audit

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

const (
	day       = int64(1_764_000_000_000) // Unix ms
	sourceID  = "SRC"
	journalID = "JRN"
)

var topicNames = Topics{Journal: "journal", Sink: "sink", Decisions: "decisions", DLQ: "dlq"}

// world is a cluster in memory: topics of two partitions each.
type world struct {
	logs      map[string][][]Record
	committed map[string][]int64 // by topic and partition; absent: to the end
	starts    map[string][]int64
	now       int64 // Unix ms; moves a second with each record
	reads     int   // records handed out
	kept      map[string]time.Duration
	options   Options
}

func newWorld() *world {
	w := &world{logs: map[string][][]Record{}, committed: map[string][]int64{}, starts: map[string][]int64{}, now: day, kept: map[string]time.Duration{}}
	for _, topic := range append(topicNames.outputs(), topicNames.Journal, "events.app", "events.server") {
		w.logs[topic], w.starts[topic] = make([][]Record, 2), make([]int64, 2)
	}
	w.options = Options{
		Sources: []Source{{Topic: "events.app"}, {Topic: "events.server", Committed: true}},
		Topics:  topicNames, MergeDelay: time.Minute,
	}
	return w
}

func (w *world) put(topic string, p int32, r Record) *Record {
	log := &w.logs[topic][p]
	r.Topic, r.Partition, r.Time = topic, p, w.now
	if n := len(*log); n > 0 {
		r.Offset = (*log)[n-1].Offset + 1
	}
	w.now += 1000
	*log = append(*log, r)
	return &(*log)[len(*log)-1]
}

// source puts a record into a source.
func (w *world) source(topic string) stitch.Source {
	r := w.put(topic, 0, Record{Value: []byte("{}")})
	return stitch.Source{Topic: topic, Partition: 0, Offset: r.Offset}
}

// journals puts a message about a source record into journal partition p.
func (w *world) journals(p int32, of stitch.Source, m stitch.Message) stitch.Place {
	if m.Kind == 0 {
		m.Kind = stitch.MsgEvent
	}
	if m.To == (stitch.Key{}) {
		m.To = stitch.Key{Kind: stitch.KindDevice, ID: "d1"}
	}
	if m.Kind != stitch.MsgClaimed {
		m.Event = &stitch.Event{Source: of, Origin: "app", Attributes: []byte(`{"a":1}`)}
	}
	r := w.put(topicNames.Journal, p, Record{Value: wire.EncodeMessage(&m)})
	return stitch.Place{Sender: journalID, Partition: p, Offset: r.Offset}
}

func headers(pairs ...string) (all []stitch.Header) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, stitch.Header{Key: pairs[i], Value: []byte(pairs[i+1])})
	}
	return all
}

func (w *world) publish(of stitch.Source, at stitch.Place) *Record {
	return w.put(topicNames.Sink, 0, Record{
		Key: []byte("u1"), Value: []byte(`{"action":"identify"}`), Headers: headers("ls-source", of.String(), "ls-place", at.String()),
	})
}

// event publishes an event, an order's where order is its ls-event.
func (w *world) event(of stitch.Source, at stitch.Place, id, order string) *Record {
	r := w.publish(of, at)
	r.Headers = append(r.Headers, headers("ls-event", id)...)
	if order != "" {
		r.Headers = append(r.Headers, headers("ls-order", order)...)
	}
	return r
}

func (w *world) decide(of stitch.Source, at stitch.Place, outcome string) *Record {
	return w.put(topicNames.Decisions, 0, Record{
		Value:   fmt.Appendf(nil, `{"kind":"outcome","outcome":%q,"source":%q,"at":"2026-11-25T00:00:00.000Z"}`, outcome, of.String()),
		Headers: headers("ls-source", of.String(), "ls-place", at.String()),
	})
}

func (w *world) quarantine(of stitch.Source, at stitch.Place) *Record {
	return w.put(topicNames.DLQ, 0, Record{
		Value: []byte("{"), Headers: headers("ls-place", "forged/0/0/0", "ls-source", of.String(), "ls-place", at.String(), "ls-reason", "no_json"),
	})
}

// ingestPlace is a place of ingest's.
func ingestPlace(of stitch.Source) stitch.Place {
	return stitch.Place{Sender: sourceID, Partition: of.Partition, Offset: of.Offset}
}

// next is the place after another of the same journal record.
func next(p stitch.Place) stitch.Place { p.Index++; return p }

// seen is a record that was journaled and published.
func (w *world) seen() (stitch.Source, stitch.Place) {
	of := w.source("events.app")
	at := w.journals(0, of, stitch.Message{})
	w.publish(of, at)
	return of, at
}

func (w *world) Marks(context.Context) (*Marks, error) {
	m := &Marks{JournalID: journalID, Topics: map[string][]Mark{}, Kept: w.kept}
	for topic, logs := range w.logs {
		for p, log := range logs {
			end := w.starts[topic][p]
			if n := len(log); n > 0 {
				end = log[n-1].Offset + 1
			}
			mark := Mark{Start: w.starts[topic][p], End: end, Committed: end}
			if at := w.committed[topic]; at != nil {
				mark.Committed = at[p]
			}
			m.Topics[topic] = append(m.Topics[topic], mark)
		}
	}
	return m, nil
}

func (w *world) At(ctx context.Context, topics []string, t time.Time) (map[string][]int64, error) {
	marks, _ := w.Marks(ctx)
	all := map[string][]int64{}
	for _, topic := range topics {
		for p, log := range w.logs[topic] {
			at := marks.Topics[topic][p].End
			for i := len(log) - 1; i >= 0; i-- {
				if log[i].Time >= t.UnixMilli() {
					at = log[i].Offset
				}
			}
			all[topic] = append(all[topic], at)
		}
	}
	return all, nil
}

func (w *world) Read(_ context.Context, spans []Span, f func(*Record) error) error {
	for _, s := range spans {
		for i := range w.logs[s.Topic][s.Partition] {
			r := w.logs[s.Topic][s.Partition][i]
			if r.Offset < max(s.From, w.starts[s.Topic][s.Partition]) || r.Offset >= s.To {
				continue
			}
			w.reads++
			if err := f(&r); err != nil {
				return err
			}
		}
	}
	return nil
}

// cut is retention: what lies before an offset is gone.
func (w *world) cut(topic string, p int32, before int64) {
	w.starts[topic][p] = before
	log := &w.logs[topic][p]
	for len(*log) > 0 && (*log)[0].Offset < before {
		*log = (*log)[1:]
	}
}

// drop takes one record out, as if it had never been there.
func (w *world) drop(topic string, p int32, offset int64) {
	log := w.logs[topic][p]
	for i := range log {
		if log[i].Offset == offset {
			w.logs[topic][p] = append(append([]Record{}, log[:i]...), log[i+1:]...)
			return
		}
	}
	panic("no such record")
}

func (w *world) audit(t *testing.T) Report {
	t.Helper()
	w.options.Now = time.UnixMilli(w.now)
	w.options.Dir = t.TempDir()
	report, err := Run(t.Context(), w, w.options)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func said(findings []Finding) string {
	var all []string
	for _, f := range findings {
		all = append(all, f.String())
	}
	return strings.Join(all, "\n")
}
