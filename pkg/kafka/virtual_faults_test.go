//go:build synctests

package kafka

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/engine/memory"
	"lockstitch/stitch"
)

// upTo is a duration from 0 to d.
func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.rnd.Int64N(int64(d))) }

// fault does one thing to somebody.
func (w *world) fault() {
	p := w.live[w.rnd.IntN(len(w.live))]
	step := steps[w.rnd.IntN(len(steps))]
	pause := 3*time.Second + w.upTo(20*time.Second)
	switch w.rnd.IntN(14) {
	case 0, 1:
		w.count("fault: killed at " + step)
		p.arm(step, p.kill)
		w.replace(p)
	case 2:
		w.count("fault: stopped")
		p.cancel()
		w.replace(p)
	case 3, 4:
		w.count("fault: paused at " + step)
		p.arm(step, func() { p.stall(pause) })
	case 5:
		w.count("fault: cut from the brokers")
		p.part(pause)
	case 6:
		w.count("fault: the state lost its last writes")
		w.lose(1 + w.rnd.IntN(6))
	case 7:
		w.count("fault: the state lost everything")
		w.lose(len(w.past))
	case 8, 9:
		w.cutJournal(int32(w.rnd.IntN(len(w.entries))))
	case 10:
		if len(w.live) < 4 {
			w.count("fault: one process more")
			w.start()
		}
	case 11:
		w.brokerFault()
	case 12, 13:
		w.count("fault: commits answered late in a rebalance")
		for _, q := range w.live {
			q.slowly(12 * time.Second)
		}
		if len(w.live) > 2 {
			p.cancel()
			w.replace(p)
		} else {
			w.start()
		}
	}
}

// replace takes p for gone, and starts another one after a while.
func (w *world) replace(p *process) {
	w.live = slices.DeleteFunc(w.live, func(q *process) bool { return q == p })
	time.Sleep(w.upTo(8 * time.Second))
	w.start()
}

// lose takes the state back by n moments.
func (w *world) lose(n int) {
	w.past = w.past[:max(0, len(w.past)-n)]
	if len(w.past) == 0 {
		w.state.Restore(memory.NewState())
		return
	}
	w.state.Restore(w.past[len(w.past)-1])
}

// cutJournal lets retention take a partition of the journal up to its newest whole
// snapshot, and with it, mostly, what the state has.
func (w *world) cutJournal(p int32) {
	s, ok, err := engine.Find(w.ctx, w.snapshots, p, func(stitch.Meta) bool { return true })
	if err != nil {
		w.fail(err)
	}
	if !ok {
		return
	}
	if err := w.keepJournal(p); err != nil {
		w.fail(err)
		return
	}
	w.count("fault: the journal cut to its newest snapshot")
	if err := w.cluster.DeleteRecords(testTopics.Journal, p, s.Meta.Applied); err != nil {
		w.fail(err)
	}
	if w.rnd.IntN(3) > 0 {
		w.lose(len(w.past))
	}
}

// brokerFault has the brokers refuse, or do and not say so, or move what they lead.
func (w *world) brokerFault() {
	count := 1 + w.rnd.IntN(4)
	keys := func(k ...kmsg.Key) []kmsg.Key { return k }
	refuse := func(what string, keys []kmsg.Key, err *kerr.Error) {
		w.count("fault: " + what)
		w.cluster.Fault(kfake.Fault{Keys: keys, Err: err, Count: count})
	}
	switch w.rnd.IntN(6) {
	case 0:
		refuse("a broker doesn't lead what it leads", keys(kmsg.Produce, kmsg.Fetch), kerr.NotLeaderForPartition)
	case 1:
		refuse("a write times out, and is done", keys(kmsg.Produce), kerr.RequestTimedOut)
	case 2:
		refuse("too few replicas after the append", keys(kmsg.Produce), kerr.NotEnoughReplicasAfterAppend)
	case 3:
		refuse("the coordinator is away", keys(kmsg.OffsetCommit, kmsg.OffsetFetch, kmsg.Heartbeat), kerr.CoordinatorNotAvailable)
	case 4:
		w.count("fault: partitions led by others")
		w.cluster.ShufflePartitionLeaders()
	case 5:
		w.count("fault: groups coordinated by others")
		w.cluster.RehashCoordinators()
	}
}
