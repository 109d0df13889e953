//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/e2e/parts"
)

// TestTakeOver measures how long partitions stand still when a process dies, stops,
// joins, and when all are restarted one after the other. It wants only that
// everything goes on and nothing is lost; the figures are logged
// (docs/reliability.md has some).
func TestTakeOver(t *testing.T) {
	w := newWorld(t, setup{committed: true})
	first, second := w.start("run"), w.start("run")
	first.isReady()
	second.isReady()
	traffic := w.trickle()
	p := &phases{w: w, started: map[string]time.Time{}}
	w.goesOn()

	p.measure("nothing happens", func() {})
	p.measure("one of two dies (SIGKILL)", second.kill)
	p.measure("another joins", func() { second = w.start("run"); second.isReady() })
	p.measure("one of two stops (SIGTERM)", func() { w.stops(second) })
	p.measure("one dies while it joins", func() { second = w.start("run"); w.joins(2); second.kill() })
	p.measure("another joins again", func() { second = w.start("run"); second.isReady() })
	p.measure("rolling restart of both", func() {
		w.stops(first)
		first = w.start("run")
		first.isReady()
		w.goesOn()
		w.stops(second)
		second = w.start("run")
		second.isReady()
	})

	written := traffic()
	w.settle()
	p.report()
	if counts := w.judge(true); counts.Sources != written {
		t.Errorf("%d records judged, of %d", counts.Sources, written)
	}
}

// stops ends a run as an orchestrator does.
func (w *world) stops(p *process) {
	w.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.exit(patience); code != 0 {
		w.t.Errorf("%s ended with %d", p.name, code)
	}
}

// joins waits until one of the groups has so many members, joined or on their way.
func (w *world) joins(n int) {
	w.t.Helper()
	until(w.t, patience, fmt.Sprintf("%d members are in a group", n), func(ctx context.Context) (bool, error) {
		for _, r := range w.reads {
			groups, err := w.admin.DescribeGroups(ctx, r.group)
			if err != nil || len(groups[r.group].Members) >= n {
				return err == nil, err
			}
		}
		return false, nil
	})
}

// trickle writes a record to each partition of a plain and of a read_committed
// topic, ten times a second, for customers of every journal partition. The returned
// function ends it and says how many it wrote.
func (w *world) trickle() func() int {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan int, 1)
	cl := w.pinned()
	go func() {
		n := 0
		defer func() { done <- n }()
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			for topic, partitions := range map[string]int32{"events.app": 12, "events.server": 6} {
				for p := range partitions {
					n++
					r := &kgo.Record{Topic: w.prefix + topic, Partition: p, Value: fmt.Appendf(nil,
						`{"type":"track","event":"trickled","messageId":"m-%d","userId":"cus_%d","timestamp":"2026-11-20T10:00:00Z","properties":{"n":%d}}`, n, n%101, n)}
					cl.Produce(w.t.Context(), r, func(_ *kgo.Record, err error) {
						if err != nil {
							w.t.Errorf("producing: %v", err)
						}
					})
				}
			}
		}
	}()
	return func() int {
		w.t.Helper()
		cancel()
		n := <-done
		if err := cl.Flush(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		return n
	}
}

// goesOn waits until every partition of the journal, and of the sources that have
// traffic, is committed further than it was.
func (w *world) goesOn() {
	w.t.Helper()
	before := map[string]int64{}
	until(w.t, patience, "commits are known", func(ctx context.Context) (_ bool, err error) {
		before, err = w.standing(ctx)
		return err == nil, err
	})
	until(w.t, patience, "every partition goes on", func(ctx context.Context) (bool, error) {
		now, err := w.standing(ctx)
		for p, at := range now {
			if at <= before[p] {
				return false, fmt.Errorf("%s stands at %d", p, at)
			}
		}
		return err == nil, err
	})
}

// standing are the committed offsets of the partitions that have traffic.
func (w *world) standing(ctx context.Context) (map[string]int64, error) {
	at := map[string]int64{}
	for _, r := range w.reads {
		commits, err := w.commits(ctx, r.group)
		if err != nil {
			return nil, err
		}
		for topic, n := range map[string]int32{"events.app": 12, "events.server": 6, "stitch.journal": 8} {
			topic = w.prefix + topic
			if !slices.Contains(r.topics, topic) {
				continue
			}
			for p := range n {
				o, _ := commits.Lookup(topic, p)
				at[fmt.Sprintf("%s/%d", topic, p)] = max(0, o.At)
			}
		}
	}
	return at, nil
}

// phases are what happened, one after the other.
type phases struct {
	w       *world
	names   []string
	started map[string]time.Time
}

// measure does something, and waits until everything goes on after it, twice: what
// a rebalance has still under way then shows in the same phase.
func (p *phases) measure(name string, do func()) {
	p.w.t.Helper()
	p.names = append(p.names, name)
	p.started[name] = time.Now()
	do()
	for range 2 {
		n := p.w.ends("customerio.sink")
		p.w.goesOn()
		p.w.published(n + 500)
	}
}

// report logs, for each phase, the longest time in which nothing came out of one
// partition: of the journal (the sink record's place), and of each source.
func (p *phases) report() {
	t := p.w.t
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	records, err := parts.Kcat(ctx, p.w.kafka.Addr(), p.w.prefix+"customerio.sink", "-X", "fetch.wait.max.ms=10")
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]map[string][]int64{"journal": {}, "events.app": {}, "events.server": {}}
	for _, r := range records {
		place := strings.Split(r.Headers.Get("ls-place"), "/")
		source := strings.Split(strings.TrimPrefix(r.Headers.Get("ls-source"), p.w.prefix), "/")
		if len(place) != 4 || len(source) != 3 {
			t.Fatalf("a sink record's headers: %q", r.Headers)
		}
		times["journal"][place[1]] = append(times["journal"][place[1]], r.Time)
		times[source[0]][source[1]] = append(times[source[0]][source[1]], r.Time)
	}
	t.Logf("the longest pause of a partition, by LogAppendTime of its sink records:")
	for i, name := range p.names {
		from, to := p.started[name].UnixMilli(), records[len(records)-1].Time+1
		if i+1 < len(p.names) {
			to = p.started[p.names[i+1]].UnixMilli()
		}
		var text strings.Builder
		for _, kind := range slices.Sorted(maps.Keys(times)) {
			d, which := pause(times[kind], from, to)
			fmt.Fprintf(&text, "  %s %.2f s (%s)", kind, d.Seconds(), which)
		}
		t.Logf("%-28s%s", name, text.String())
	}
}

// pause is the longest gap in one partition that ends in [from, to).
func pause(times map[string][]int64, from, to int64) (longest time.Duration, which string) {
	for p, ts := range times {
		slices.Sort(ts)
		for i := 1; i < len(ts); i++ {
			if d := time.Duration(ts[i]-ts[i-1]) * time.Millisecond; from <= ts[i] && ts[i] < to && d > longest {
				longest, which = d, p
			}
		}
	}
	return longest, which
}
