//go:build synctests

package kafka

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// judge compares what was published with a sequential fold of the journal: outputs
// and state are functions of it, so any difference is a loss or a conflict.
func (w *world) judge() error {
	want := map[string]string{}
	id := formatTopicID(w.cluster.TopicInfo(testTopics.Journal).TopicID)
	for p := range int32(len(w.entries)) {
		if err := w.keepJournal(p); err != nil {
			return err
		}
		if err := w.reference(id, p, want); err != nil {
			return err
		}
	}
	got, outcomes := map[string]string{}, outcomes{}
	for _, topic := range []engine.Topic{engine.TopicSink, engine.TopicDecisions, engine.TopicDLQ} {
		for r, err := range Dump(w.ctx, w.conn, testTopics.Name(topic)) {
			if err != nil {
				return err
			}
			at, text := place(r.Headers).String(), asText(topic, r.Key, r.Value, r.Headers)
			old, repeat := got[at]
			if repeat && old != text {
				return fmt.Errorf("conflict at place %s", at)
			}
			if repeat {
				w.count("outputs twice, as the same bytes")
				continue
			}
			got[at] = text
			outcomes.note(topic, &r)
		}
	}
	for at, text := range want {
		if got[at] != text {
			return fmt.Errorf("lost or other: place %s: want %s, got %s", at, text, got[at])
		}
	}
	for at := range got {
		if _, ok := want[at]; !ok && strings.HasPrefix(at, id) {
			return fmt.Errorf("published, but no fold of the journal says so: place %s", at)
		}
	}
	w.counts["source records"], w.counts["outputs"] = len(w.sent), len(got)
	return outcomes.check(w.sent)
}

func asText(topic engine.Topic, key, value []byte, hs []stitch.Header) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %q %q", topic, key, value)
	for _, h := range hs {
		fmt.Fprintf(&b, " %s=%q", h.Key, h.Value)
	}
	return b.String()
}

// reference folds journal partition p from its start, and compares the state.
func (w *world) reference(id string, p int32, want map[string]string) error {
	part := stitch.NewPartition(stitch.Meta{TopicID: id, Logic: stitch.Logic, Environment: "virtual", Number: p}, nil)
	for _, e := range w.entries[p] {
		m, err := wire.DecodeMessage(e.Value)
		if err != nil {
			return err
		}
		if k, ok := stitch.Needs(m); ok && !part.Has(k) {
			part.Put(k, nil)
		}
		for _, o := range part.Fold(stitch.Record{Offset: e.Offset, Time: e.Time, Message: m}, nil) {
			if r := engine.Encode(&o); r.Topic != engine.TopicJournal {
				want[place(r.Headers).String()] = asText(r.Topic, r.Key, r.Value, r.Headers)
			}
		}
	}
	return w.sameState(p, part)
}

func (w *world) sameState(p int32, part *stitch.Partition) error {
	h, entities, timers, _ := w.state.Dump(p)
	keys, _ := part.Changes()
	switch {
	case !bytes.Equal(wire.MarshalState(&part.Meta), h.Meta):
		return fmt.Errorf("partition %d: meta differs", p)
	case len(keys) != len(entities):
		return fmt.Errorf("partition %d: %d entities, want %d", p, len(entities), len(keys))
	case len(timers) != 0 || part.Timers() != 0:
		return fmt.Errorf("partition %d: %d timers, want %d, and there should be none", p, len(timers), part.Timers())
	}
	for _, k := range keys {
		if !bytes.Equal(entities[k.String()], wire.MarshalState(part.Entity(k))) {
			return fmt.Errorf("partition %d: the state of %s differs", p, k)
		}
	}
	return nil
}

// outcomes are what became of source records.
type outcomes map[string]*outcome

type outcome struct{ sink, held, other bool }

func (all outcomes) of(source string) *outcome {
	if all[source] == nil {
		all[source] = &outcome{}
	}
	return all[source]
}

func (all outcomes) note(topic engine.Topic, r *Record) {
	source := ""
	for _, h := range r.Headers {
		if h.Key == "ls-source" {
			source = string(h.Value)
		}
	}
	switch topic {
	case engine.TopicSink:
		all.of(source).sink = true
	case engine.TopicDLQ:
		all.of(source).other = true
	case engine.TopicDecisions:
		var d struct{ Kind, Source, Outcome string }
		if json.Unmarshal(r.Value, &d) != nil || d.Kind != "outcome" {
			return
		}
		if o := all.of(d.Source); d.Outcome == "held" {
			o.held = true
		} else {
			o.other = true
		}
	}
}

// check: each source record is published, or has another outcome, and never both.
func (all outcomes) check(sent []string) error {
	for _, source := range sent {
		switch o := all.of(source); {
		case o.sink && o.other:
			return fmt.Errorf("source record %s is published and has another outcome", source)
		case !o.sink && !o.other && !o.held:
			return fmt.Errorf("source record %s has no outcome: lost", source)
		}
	}
	return nil
}
