//go:build e2e

package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"lockstitch/chaos/faults"
	"lockstitch/pkg/kafka"
)

// patience is how long a partition may have records and no commit, not counting the
// time in which a fault has Kafka or Redis in its hands: a broker that comes back
// on a busy machine takes half a minute of its own.
const patience = 90 * time.Second

// watch sees to it that every partition goes on, and how long each stood still.
type watch struct {
	w *world

	mu      sync.Mutex
	recent  []string      // the last steps
	active  []string      // kinds of the present step, the pause after it too
	away    int           // faults under way that have Kafka or Redis in their hands
	calm    time.Duration // that there was without such a fault, and the broker answered
	at      map[string]*standing
	longest map[string]pause // of a topic
	byKind  map[string]time.Duration
}

// standing is how far a group is in one partition.
type standing struct {
	committed int64
	since     time.Time // it moved, or had nothing to do
	calm      time.Duration
	active    []string // kinds at that time
}

// pause is how long a partition that had records to do stood still.
type pause struct {
	Partition string        `json:"partition"`
	Took      time.Duration `json:"took_ns"`
	During    []string      `json:"during"`
}

func newWatch(w *world) *watch {
	return &watch{w: w, at: map[string]*standing{}, longest: map[string]pause{}, byKind: map[string]time.Duration{}}
}

// begin says which faults begin now.
func (w *watch) begin(step string, kinds ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recent, w.active = append(w.recent, step), kinds
	if len(w.recent) > 5 {
		w.recent = w.recent[1:]
	}
}

// takes says that a fault takes Kafka or Redis (1), or gives them back (-1).
func (w *watch) takes(f faults.Fault, n int) {
	if f.Kind.Parts&(faults.Broker|faults.Redis) != 0 {
		w.mu.Lock()
		w.away += n
		w.mu.Unlock()
	}
}

// during is what broke last.
func (w *watch) during() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.recent, " → ")
}

// run looks again and again, until ctx ends.
func (w *watch) run(ctx context.Context) {
	monitor, err := kafka.NewMonitor(w.w.conn())
	if err != nil {
		w.w.wrong.add("watching: %v", err)
		return
	}
	defer monitor.Close()
	var scrapes sync.WaitGroup
	defer scrapes.Wait()
	last := time.Now()
	for n := 0; wait(ctx, 250*time.Millisecond) == nil; n++ {
		look, cancel := context.WithTimeout(ctx, 5*time.Second)
		lags, err := monitor.Lag(look, w.w.groups...)
		cancel()
		now := time.Now()
		if err == nil { // a broker that is away tells nothing
			w.judge(lags, now, now.Sub(last))
		}
		last = now
		if n%4 == 0 {
			for _, s := range w.w.slots {
				scrapes.Go(func() { s.scrape(ctx) })
			}
		}
	}
}

// judge notes what moved, and tells what hangs.
func (w *watch) judge(lags []kafka.PartitionLag, now time.Time, passed time.Duration) {
	var hang []string
	w.mu.Lock()
	if w.away == 0 {
		w.calm += passed
	}
	for _, l := range lags {
		name := fmt.Sprintf("%s/%d", l.Topic, l.Partition)
		s := w.at[name]
		if s == nil {
			s = &standing{committed: -2, since: now, calm: w.calm}
			w.at[name] = s
		}
		if l.Committed != s.committed || l.Lag == 0 {
			w.note(l.Topic, pause{name, now.Sub(s.since), s.active})
			*s = standing{l.Committed, now, w.calm, w.active}
		} else if w.calm-s.calm > patience {
			hang = append(hang, fmt.Sprintf("%s, committed %d, %d behind, standing for %v", name, l.Committed, l.Lag, now.Sub(s.since).Round(time.Second)))
			s.calm = w.calm
		}
	}
	w.mu.Unlock()
	if len(hang) > 0 {
		w.w.wrong.add("no progress for %v in: %s; during: %s", patience, strings.Join(hang, "; "), w.during())
	}
}

// note notes a pause; mu is held.
func (w *watch) note(topic string, p pause) {
	if p.Took > w.longest[topic].Took {
		w.longest[topic] = p
	}
	for _, kind := range p.During {
		w.byKind[kind] = max(w.byKind[kind], p.Took)
	}
}
