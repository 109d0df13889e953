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
		q := &t.queues[wait]
		for q.Len() > 0 && t.at[(*q)[0].key] != (Timer{At: (*q)[0].at, Wait: Wait(wait)}) {
			heap.Pop(q)
		}
		if q.Len() > 0 && (*q)[0].at < limit && (!found || (*q)[0].compare(best) < 0) {
			best, found = (*q)[0], true
		}
	}
	return best.key, found
}

// Due returns the entities whose timers fire by the given clock and watermarks,
// in no order: what a batch must have loaded before it is folded.
func (p *Partition) Due(clock, authorities, all int64) []Key {
	clock, authorities, all = max(clock, p.Clock), max(authorities, p.Watermark), max(all, p.WatermarkAll)
	limits := [...]int64{clock, min(clock, authorities), min(clock, all)}
	var due []Key
	for wait := range p.timers.queues {
		for _, e := range p.timers.queues[wait] {
			if e.at < limits[wait] && p.timers.at[e.key] == (Timer{At: e.at, Wait: Wait(wait)}) {
				due = append(due, e.key)
			}
		}
	}
	return due
}

// Waiting returns the earliest timer's time by what it waits for; ok is false
// where none waits. Owners append ticks for it.
func (p *Partition) Waiting() (earliest int64, ok bool) {
	for k, t := range p.timers.at {
		_ = k
		if !ok || t.At < earliest {
			earliest, ok = t.At, true
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
