package stitch

import "testing"

// passed lets d ms pass. Sources are read up to so many ms before now: those of
// authorities, and all.
func (l *lab) passed(d, authorities, all int64) {
	l.now += d
	for p := range l.parts {
		l.fold(p, &Message{Kind: MsgTick, Watermark: l.now - authorities, WatermarkAll: l.now - all})
	}
	l.drain()
}

func orderCopy(origin string, authority bool, time int64, names Names) Event {
	return Event{
		Type: Track, Name: "order_completed", Origin: origin, Time: time,
		Anonymous: names.Anonymous, User: names.User, Attributes: []byte(`{"order_id":"o1"}`),
		Fact: &Fact{Key: "o1", Order: "o1", Arbitrate: true, Authority: authority, Hold: 600_000}, Raw: &Raw{},
	}
}

// TestWhatAHoldWaitsFor: an app's copy for the authorities' topics only, however far
// the others are behind; an authority's that names nobody for every topic that may
// carry the event (law duplicates.3).
func TestWhatAHoldWaitsFor(t *testing.T) {
	const hold, behind = 600_000, 3_600_000
	for _, c := range []struct {
		name             string
		order            Event
		authorities, all int64 // how far behind
		ends             bool
	}{
		{"an app's copy, other sources behind", orderCopy("app", false, 0, Names{User: "c1"}), 0, behind, true},
		{"an app's copy, authorities behind", orderCopy("app", false, 0, Names{User: "c1"}), behind, 0, false},
		{"a nameless authority copy, other sources behind", orderCopy("server", true, 0, Names{}), 0, behind, false},
		{"a nameless authority copy, none behind", orderCopy("server", true, 0, Names{}), 0, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(1)
			source := l.post(c.order)
			l.drain()
			l.passed(hold+1, c.authorities, c.all)
			ended := false
			for _, o := range l.out {
				ended = ended || o.Dead != nil || o.Sink != nil && o.Sink.Source == source
			}
			if ended != c.ends {
				t.Errorf("the hold has ended: %t, want %t: %s", ended, c.ends, asJSON(l.out))
			}
		})
	}
}

// TestAHoldEndsAfterItsTime: an authority's copy that arrives exactly when the hold ends
// is in time (section 7), and a watermark that has merely reached that moment has not
// seen all of it.
func TestAHoldEndsAfterItsTime(t *testing.T) {
	l := newLab(1)
	l.post(orderCopy("app", false, 0, Names{User: "c1"}))
	l.drain()
	l.passed(600_000, 0, 0)
	if sinks := l.sinks(); len(sinks) > 0 {
		t.Errorf("released when the watermark reached the hold's end: %s", asJSON(sinks))
	}
	l.passed(1, 1, 1) // the clock is past it, the watermark isn't
	if sinks := l.sinks(); len(sinks) > 0 {
		t.Errorf("released before the watermark was past the hold's end: %s", asJSON(sinks))
	}
	l.passed(1, 0, 0)
	if sinks := l.sinks(); len(sinks) != 1 {
		t.Errorf("not released behind the hold's end: %s", asJSON(l.out))
	}
}

// TestAnOrdersEventID has the time of the copy that was seen first, whichever is
// published, and of whatever corrects it (law stream.3).
func TestAnOrdersEventID(t *testing.T) {
	l := newLab(1)
	seen := l.now - 7000
	l.post(orderCopy("app", false, seen, Names{User: "c1"}))
	l.drain()
	corrected := orderCopy("server", true, l.now-5000, Names{User: "c1"})
	l.post(corrected)
	l.drain()
	corrected.Time, corrected.Attributes = l.now, []byte(`{"order_id":"o1","revenue":2}`)
	l.post(corrected)
	l.drain()
	sinks := l.sinks()
	if len(sinks) != 2 || sinks[1].Corrects == "" {
		t.Fatalf("want the authority's copy and its correction: %s", asJSON(sinks))
	}
	for _, s := range sinks {
		if at := int64(s.EventID[0])<<40 | int64(s.EventID[1])<<32 | int64(s.EventID[2])<<24 |
			int64(s.EventID[3])<<16 | int64(s.EventID[4])<<8 | int64(s.EventID[5]); at != seen {
			t.Errorf("the event ID's time is %d, want the first copy's %d", at, seen)
		}
		if s.EventID != sinks[0].EventID {
			t.Error("two event IDs of one order")
		}
	}
}
