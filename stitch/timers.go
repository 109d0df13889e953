package stitch

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"
)

// timers are a partition's waiting entities, each with one timer. The queues
// may hold entries that no longer stand; at is the truth.
type timers struct {
	at     map[Key]Timer
	queues [WaitAll + 1]queue
}

type entry struct {
	at  int64
	key Key
}

type queue []entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].compare(q[j]) < 0 }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(entry)) }
func (q *queue) Pop() any          { e := (*q)[len(*q)-1]; *q = (*q)[:len(*q)-1]; return e }

func (a entry) compare(b entry) int {
	return cmp.Or(cmp.Compare(a.at, b.at), a.key.compare(b.key))
}

func (k Key) compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Kind, o.Kind), strings.Compare(k.ID, o.ID))
}

func (t *timers) set(k Key, timer Timer) {
	if timer.At == 0 {
		delete(t.at, k)
		return
	}
	t.at[k] = timer
	heap.Push(&t.queues[timer.Wait], entry{timer.At, k})
}

// next returns the first timer due: its time is past, not merely reached, by
// the clock and by the watermark it waits for. Among several the earliest, then
// the lowest key, so that the order is a function of the log.
func (t *timers) next(clock, authorities, all int64) (Key, bool) {
	best := entry{}
	found := false
	for wait, limit := range [...]int64{clock, min(clock, authorities), min(clock, all)} {
		e, ok := t.head(Wait(wait))
		if ok && e.at < limit && (!found || e.compare(best) < 0) {
			best, found = e, true
		}
	}
	return best.key, found
}

// head returns the earliest timer that waits for wait, and drops entries that no
// longer stand.
func (t *timers) head(wait Wait) (entry, bool) {
	q := &t.queues[wait]
	for q.Len() > 0 {
		e := (*q)[0]
		if t.at[e.key] == (Timer{At: e.at, Wait: wait}) {
			return e, true
		}
		heap.Pop(q)
	}
	return entry{}, false
}

// Due returns the entities whose timers fire by the given clock and watermarks,
// in no order: what a batch must have loaded before it is folded.
func (p *Partition) Due(clock, authorities, all int64) []Key {
	clock, authorities, all = max(clock, p.Clock), max(authorities, p.Watermark), max(all, p.WatermarkAll)
	limits := [...]int64{clock, min(clock, authorities), min(clock, all)}
	var due []Key
	for wait := range p.timers.queues {
		if head, ok := p.timers.head(Wait(wait)); !ok || head.at >= limits[wait] {
			continue // mostly nothing is due, and a queue may be long
		}
		for _, e := range p.timers.queues[wait] {
			if e.at < limits[wait] && p.timers.at[e.key] == (Timer{At: e.at, Wait: Wait(wait)}) {
				due = append(due, e.key)
			}
		}
	}
	return due
}

// Waiting returns the earliest timer's time; ok is false where none waits.
// Owners append ticks for it.
func (p *Partition) Waiting() (earliest int64, ok bool) {
	return p.earliest(WaitClock, WaitAuthorities, WaitAll)
}

// Held returns the earliest end of an order's hold; ok is false where none is held.
func (p *Partition) Held() (earliest int64, ok bool) { return p.earliest(WaitAuthorities, WaitAll) }

func (p *Partition) earliest(waits ...Wait) (earliest int64, ok bool) {
	for _, wait := range waits {
		if e, found := p.timers.head(wait); found && (!ok || e.at < earliest) {
			earliest, ok = e.at, true
		}
	}
	return earliest, ok
}

func sortedKeys(set map[Key]struct{}) []Key {
	keys := make([]Key, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, Key.compare)
	return keys
}
