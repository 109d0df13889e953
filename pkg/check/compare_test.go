package check

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// aRun is a run with a record of each topic; change may break the second.
func aRun(t *testing.T, change func(*world)) []Output {
	w := newWorld(t)
	w.seen(w.source(1, viewed), 1)
	w.logsIn(2)
	w.decide(w.source(3, viewed), "ignored")
	w.quarantine(w.source(4, viewed))
	change(w)
	var outs []Output
	for _, o := range w.outs {
		outs = append(outs, *o)
	}
	return outs
}

func TestCompare(t *testing.T) {
	cases := []struct {
		name   string
		change func(*world)
		want   []string // sources that differ
	}{
		{"the same", func(*world) {}, nil},
		{"other places, partitions, log times, topics and order", func(w *world) {
			for i, o := range w.outs {
				o.Headers["ls-place"], o.Topic, o.Partition, o.Offset = "X/1/1/1", "test."+o.Topic, int32(i), 7
			}
			w.edit(w.outs[2], func(v object) { v["at"] = 5 })
			w.outs[0], w.outs[3] = w.outs[3], w.outs[0]
		}, nil},
		{"repeats", func(w *world) { w.outs = append(w.outs, w.outs[0]) }, nil},
		{"another value", func(w *world) { w.edit(w.outs[0], func(v object) { v["name"] = "x" }) }, []string{"events.app/0/0"}},
		{"another key", func(w *world) { w.outs[0].Key = []byte("x") }, []string{"events.app/0/0"}},
		{"another event ID", func(w *world) { w.outs[0].Headers["ls-event"] = "x" }, []string{"events.app/0/0"}},
		{"another outcome", func(w *world) { w.edit(w.outs[2], func(v object) { v["outcome"] = "erased" }) }, []string{"events.app/0/2"}},
		{"another reason in the DLQ", func(w *world) { w.outs[3].Headers["ls-reason"] = "x" }, []string{"events.app/0/3"}},
		{"another dead value", func(w *world) { w.outs[3].Value = []byte("{}") }, []string{"events.app/0/3"}},
		{"lost", func(w *world) { w.outs = w.outs[1:] }, []string{"events.app/0/0"}},
		{"one more", func(w *world) { w.seen("events.app/0/9", 9) }, []string{"events.app/0/9"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a, b := aRun(t, func(*world) {}), aRun(t, c.change)
			for _, diffs := range [][]Difference{Compare(a, b), Compare(b, a)} {
				var got []string
				for _, d := range diffs {
					got = append(got, d.Source)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("sources that differ (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestCompareTellsWhatDiffers(t *testing.T) {
	a := aRun(t, func(*world) {})
	b := aRun(t, func(w *world) { w.edit(w.outs[2], func(v object) { v["outcome"] = "erased" }) })
	want := []Difference{{"events.app/0/2", []string{"outcome/ignored"}, []string{"outcome/erased"}}}
	if diff := cmp.Diff(want, Compare(a, b)); diff != "" {
		t.Error(diff)
	}
}
