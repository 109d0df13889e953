//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"lockstitch/e2e/parts"
)

// TestSentinelFailsOver has sentinels replace the master three times under traffic:
// one that is killed, by a replica that has everything; one that stands still, and
// wakes up as a master that nobody asks any more; one that is killed, by a replica
// that lacks the last seconds. The processors go on by themselves: what was lost
// they fold again silently, and nothing is published again that was committed.
func TestSentinelFailsOver(t *testing.T) {
	s, err := parts.StartSentinel(during(t), t.TempDir(), 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	f := newFailovers(t, setup{redis: s, sentinel: parts.SentinelMaster})
	master := func() (*parts.Redis, error) { return s.Master(t.Context()) }

	first := f.now("the master is killed", master, (*parts.Redis).Kill)
	still := f.now("the master stands still", master, f.pause)
	still.Resume()
	f.comeBack(s.Whole, first)
	f.goOn(perSecond, f.runs...)
	caughtUp := f.catchUps()
	f.now("the master is killed, and its replicas lag", master, func(m *parts.Redis) {
		f.lagging(m, slices.DeleteFunc(slices.Clone(s.Nodes), func(r *parts.Redis) bool { return r == m })...)
	})
	if f.catchUps() == caughtUp {
		t.Error("a replica without the last seconds became the master, and nobody caught up")
	}
	f.finish()
}

// TestRedisClusterFailsOver kills two masters of three under traffic, one whose
// replica has everything and one whose replica lacks the last seconds, brings them
// back as replicas, and has one of them take over again.
func TestRedisClusterFailsOver(t *testing.T) {
	c, err := parts.StartRedisCluster(during(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	f := newFailovers(t, setup{redis: c})
	masterOf := func(partition int) func() (*parts.Redis, error) {
		key := fmt.Sprintf("%slockstitch:{%d}:head", f.prefix, partition)
		return func() (*parts.Redis, error) { return c.MasterOf(during(t), key) }
	}
	replicaOf := func(m *parts.Redis) *parts.Redis {
		return f.is(func() (*parts.Redis, error) { return c.ReplicaOf(t.Context(), m) })
	}

	first := f.now("a master is killed", masterOf(0), (*parts.Redis).Kill)
	caughtUp := f.catchUps()
	second := f.now("a master is killed, and its replica lags", masterOf(1), func(m *parts.Redis) { f.lagging(m, replicaOf(m)) })
	if f.catchUps() == caughtUp {
		t.Error("a replica without the last seconds became the master, and nobody caught up")
	}
	f.comeBack(c.Whole, first, second)
	f.now("the one that was killed takes over again", masterOf(0), func(*parts.Redis) { f.promote(first, masterOf(0)) })
	f.finish()
}

// promote has a replica take over from a master that runs. It tries for five seconds,
// and may have to be told again.
func (f *failovers) promote(replica *parts.Redis, master func() (*parts.Redis, error)) {
	f.t.Helper()
	var told time.Time
	until(f.t, time.Minute, "the replica takes over", func(ctx context.Context) (_ bool, err error) {
		if is, err := master(); err != nil || is == replica {
			return err == nil, err
		}
		if time.Since(told) > 6*time.Second {
			told, err = time.Now(), replica.Do(ctx, "cluster", "failover")
		}
		return false, err
	})
}

// failovers are a world under traffic with two processes, whose Redis gets another
// master again and again.
type failovers struct {
	*world
	runs    []*process
	traffic *stream
	marks   map[string]mark
}

func newFailovers(t *testing.T, s setup) *failovers {
	t.Helper()
	f := &failovers{world: newWorld(t, s), marks: map[string]mark{}}
	f.runs = []*process{f.start("run"), f.start("run", "--only", "process")}
	for _, p := range f.runs {
		p.isReady()
	}
	f.traffic = f.stream(200*perSecond, perSecond) // more than the test takes
	f.published(2 * perSecond)
	return f
}

// during is a context for what takes seconds.
func during(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// is waits until one node can be told.
func (f *failovers) is(who func() (*parts.Redis, error)) (node *parts.Redis) {
	f.t.Helper()
	until(f.t, patience, "a node can be told", func(context.Context) (_ bool, err error) {
		node, err = who()
		return err == nil, err
	})
	return node
}

// now harms the master, waits until another is it, and wants the processes to go on
// by themselves; it returns the one that was it.
func (f *failovers) now(what string, master func() (*parts.Redis, error), harm func(*parts.Redis)) *parts.Redis {
	f.t.Helper()
	was := f.is(master)
	f.marks[what] = f.mark()
	harm(was)
	began := time.Now()
	until(f.t, time.Minute, what+": another is the master", func(context.Context) (bool, error) {
		is, err := master()
		return err == nil && is != was, errors.Join(err, errors.New("it is the same"))
	})
	f.t.Logf("%s: another is after %v", what, time.Since(began).Round(time.Millisecond))
	f.goOn(perSecond, f.runs...)
	return was
}

// lagging cuts a master's replicas off, lets traffic pass that they never hear of,
// and kills the master.
func (f *failovers) lagging(master *parts.Redis, replicas ...*parts.Redis) {
	f.t.Helper()
	for _, r := range replicas {
		f.pause(r) // so that it can't connect again
	}
	if err := master.Do(f.t.Context(), "client", "kill", "type", "replica"); err != nil {
		f.t.Fatal(err)
	}
	f.published(f.ends("customerio.sink") + 2*perSecond)
	master.Kill()
	for _, r := range replicas {
		r.Resume()
	}
}

func (f *failovers) pause(r *parts.Redis) {
	f.t.Helper()
	if err := r.Pause(); err != nil {
		f.t.Fatal(err)
	}
}

// comeBack starts nodes again, and returns when all is as it should be.
func (f *failovers) comeBack(whole func(context.Context) error, nodes ...*parts.Redis) {
	f.t.Helper()
	began := time.Now()
	for _, node := range nodes {
		restart(f.t, node)
	}
	if err := whole(during(f.t)); err != nil {
		f.t.Fatal(err)
	}
	f.t.Logf("all nodes are in sync again after %v", time.Since(began).Round(time.Millisecond))
}

// catchUps is how often somebody noticed that Redis has lost something.
func (f *failovers) catchUps() (n float64) {
	f.t.Helper()
	for _, p := range f.runs {
		n += p.metric("lockstitch_catchup_silent_total") + p.metric("lockstitch_rebuilds_total")
	}
	return n
}

// finish ends the traffic and judges what came of it all.
func (f *failovers) finish() {
	f.t.Helper()
	records := f.traffic.stops()
	f.settle()
	f.t.Logf("%v silent catch-ups or rebuilds", f.catchUps())
	bounded("at the end", f.runs...)
	known("redis", "", f.runs...)
	outputs := f.outputs()
	f.firsts(outputs)
	for what, m := range f.marks {
		if n := m.again(f.world, outputs); n > 0 {
			f.t.Errorf("%s: %d records were published again, though committed before", what, n)
		}
	}
	if counts := f.judge(true); counts.Sources != records {
		f.t.Errorf("%d records judged, of %d", counts.Sources, records)
	}
}
