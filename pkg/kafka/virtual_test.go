//go:build synctests

package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"runtime/pprof"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/engine/memory"
	"lockstitch/stitch"
)

// TestVirtualTime runs whole processes over a broker in virtual time, under what a seed
// says is done to them. The seed decides what is done, to whom, at which step or
// moment, and each delay's sequence; which goroutine of several goes first it
// doesn't, so a seed that fails may take a few runs to fail again.
func TestVirtualTime(t *testing.T) {
	total := map[string]int{}
	var hours time.Duration
	for seed := *virtualSeed; seed < *virtualSeed+*virtualSeeds; seed++ {
		var w *world
		stop := standstill(seed)
		synctest.Test(t, func(t *testing.T) {
			w = newWorld(t, seed)
			w.run()
		})
		stop()
		if w.err != nil {
			t.Errorf("seed %d: %v\nagain: go test ./pkg/kafka -run '^TestVirtual$' -count=1 -virtual.seed %d -virtual.seeds 1\n%v", seed, w.err, seed, w.counts)
		}
		for k, n := range w.counts {
			total[k] += n
		}
		hours += w.took
	}
	t.Logf("%d seeds, %v of virtual time", *virtualSeeds, hours.Round(time.Second))
	for _, k := range slices.Sorted(maps.Keys(total)) {
		t.Logf("%7d %s", total[k], k)
	}
}

// standsStill is real time; a whole seed takes less.
const standsStill = 20 * time.Second

// moved is when virtual time was last seen.
var moved atomic.Int64

// standstill ends the test where virtual time stands still: somebody waits for a lock
// whose holder waits for time to pass.
func standstill(seed uint64) (stop func()) {
	over := make(chan struct{})
	go func() {
		ticker := time.NewTicker(standsStill)
		defer ticker.Stop()
		for last := int64(-1); ; {
			select {
			case <-over:
				return
			case <-ticker.C:
			}
			now := moved.Load()
			if now == last {
				_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 2)
				panic(fmt.Sprintf("seed %d: virtual time stands still", seed))
			}
			last = now
		}
	}()
	return func() { close(over) }
}

// world is one schedule.
type world struct {
	t       *testing.T
	ctx     context.Context
	rnd     *rand.Rand // of the schedule's own goroutine
	network kfake.VirtualNetwork
	cluster *kfake.Cluster
	conn    Conn // without faults
	state   *memory.State
	past    []*memory.State // earlier ones
	links   sync.WaitGroup

	started   int
	all, live []*process
	client    *kgo.Client
	snapshots *Snapshots
	journal   *JournalReader
	entries   [][]engine.Entry // of the journal, with what was cut
	sent      []string         // source records
	took      time.Duration
	waits     map[string]waiting // by group

	mu     sync.Mutex
	chance *rand.Rand // of everybody
	peace  bool       // nothing breaks any more
	counts map[string]int
	err    error
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, ctx: context.Background(), rnd: rand.New(rand.NewPCG(seed, 7)), chance: rand.New(rand.NewPCG(seed, 11)),
		state: memory.NewState(), counts: map[string]int{}, waits: map[string]waiting{},
	}
	partitions := int32(2 + w.rnd.IntN(2))
	w.entries = make([][]engine.Entry, partitions)
	opts := []kfake.Opt{
		kfake.NumBrokers(2), kfake.Ports(9092, 9093), kfake.ListenFn(w.network.Listen),
		kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}),
		kfake.SeedTopics(partitions, testTopics.Journal, "snapshots"),
		kfake.SeedTopics(2, testTopics.Sink, testTopics.Decisions, testTopics.DLQ),
	}
	for _, s := range virtualSources {
		opts = append(opts, kfake.SeedTopics(virtualPartitions, s.Topic))
	}
	var err error
	if w.cluster, err = kfake.NewCluster(opts...); err != nil {
		t.Fatal(err)
	}
	w.conn = Conn{Brokers: w.cluster.ListenAddrs(), Logger: slog.New(slog.DiscardHandler), dial: w.network.DialContext}
	if w.client, err = w.conn.client(kgo.RecordPartitioner(kgo.ManualPartitioner())); err == nil {
		w.snapshots, err = NewSnapshots(w.conn, "snapshots")
	}
	if err == nil {
		w.journal, err = NewJournalReader(w.conn, testTopics.Journal, "process")
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// run plays the schedule, lets everything come to an end, and judges.
func (w *world) run() {
	began := time.Now()
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { w.watch(over) })
	for range 2 + w.rnd.IntN(2) {
		w.start()
	}
	for range 100 {
		if w.failed() {
			break
		}
		time.Sleep(time.Duration(w.rnd.Int64N(int64(3 * time.Second))))
		w.past = append(w.past, w.state.Clone())
		w.write(1 + w.rnd.IntN(5))
		if w.rnd.IntN(5) == 0 {
			w.fault()
		}
	}
	w.heal()
	w.settle()
	w.took = time.Since(began)
	close(over)
	watching.Wait()
	w.close()
	if w.err == nil && w.left() != "" {
		w.err = errors.New("after the end: " + w.left())
	}
	if w.err == nil {
		w.err = w.judge()
	}
	w.journal.Close()
	w.snapshots.Close()
	w.client.Close()
	w.cluster.Close()
}

// close stops all processes.
func (w *world) close() {
	for _, p := range w.all {
		p.cancel()
	}
	for _, p := range w.all {
		<-p.done
	}
	w.links.Wait()
}

// watch sees that no group's offset ever falls.
func (w *world) watch(over <-chan struct{}) {
	last := map[string]int64{}
	for {
		select {
		case <-over:
			return
		case <-time.After(50 * time.Millisecond):
		}
		moved.Store(time.Now().UnixNano())
		for _, group := range []string{"process", "ingest", CommittedGroup("ingest")} {
			for topic, ps := range w.commits(group) {
				for p, c := range ps {
					key := fmt.Sprintf("%s of %s/%d", group, topic, p)
					switch {
					case c.Offset >= last[key]:
					case group == "process":
						w.fail(fmt.Errorf("the offset of group %s fell from %d to %d", key, last[key], c.Offset))
					default:
						w.count("offsets of ingest that fell")
					}
					last[key] = c.Offset
				}
			}
		}
	}
}

func (w *world) commits(group string) map[string]map[int32]kfake.GroupCommit {
	if info := w.cluster.GroupInfo(group); info != nil {
		return info.Commits
	}
	return nil
}

func (w *world) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

func (w *world) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err != nil
}

func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

// unlucky is one time in n, until there is peace.
func (w *world) unlucky(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.peace && w.chance.IntN(n) == 0
}

// sleep is up to d.
func (w *world) sleep(d time.Duration) {
	w.mu.Lock()
	d = time.Duration(w.chance.Int64N(int64(d)))
	w.mu.Unlock()
	time.Sleep(d)
}

// write writes n source records, some of them again.
func (w *world) write(n int) {
	for range n {
		s := w.rnd.IntN(len(virtualSources))
		value := virtualShop.Event(w.rnd, s, len(w.sent))
		r := &kgo.Record{Topic: virtualSources[s].Topic, Partition: int32(w.rnd.IntN(virtualPartitions)), Value: value}
		again := w.rnd.IntN(6) == 0
		for range 2 {
			if err := w.client.ProduceSync(w.ctx, r).FirstErr(); err != nil {
				w.fail(err)
				return
			}
			w.sent = append(w.sent, stitch.Source{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}.String())
			if !again {
				break
			}
			r = &kgo.Record{Topic: r.Topic, Partition: r.Partition, Value: value}
		}
	}
}

// keepJournal reads what the journal's copy lacks.
func (w *world) keepJournal(p int32) error {
	from := int64(len(w.entries[p]))
	for end := w.end(testTopics.Journal, p); from < end; {
		entries, err := w.journal.Read(w.ctx, p, from, 1000)
		if err != nil { // after a change of leaders, kfake says that records were lost
			w.count("reads of the copy, again")
			sleep(w.ctx, time.Second)
			continue
		}
		for _, e := range entries {
			if e.Offset != from {
				return fmt.Errorf("journal partition %d: offset %d after %d", p, e.Offset, from-1)
			}
			w.entries[p] = append(w.entries[p], e)
			from++
		}
	}
	return nil
}

func (w *world) end(topic string, p int32) int64 {
	return w.cluster.PartitionInfo(topic, p).HighWatermark
}

// heal ends all faults; at least one process is alive.
func (w *world) heal() {
	w.mu.Lock()
	w.peace = true
	w.mu.Unlock()
	for _, p := range w.all {
		p.arm("", nil)
		p.setApart(false)
	}
}

// settle waits until nothing is left to do, and nobody who was paused comes with more.
func (w *world) settle() {
	deadline := time.Now().Add(30 * time.Minute)
	for quiet := time.Now(); time.Since(quiet) < time.Minute && !w.failed(); time.Sleep(time.Second) {
		left := w.left()
		if left != "" {
			quiet = time.Now()
		}
		w.unstick()
		if time.Now().After(deadline) {
			w.fail(fmt.Errorf("something hangs: %s; groups: %s", left, w.states()))
		}
	}
}

// unstick helps a group of kfake's that waits without an end for members who are
// gone: kfake begins the wait anew with each member that joins (Kafka doesn't), and
// who waits for too long joins again. When nobody joins for a while, it ends.
func (w *world) unstick() {
	for _, group := range []string{"process", "ingest", CommittedGroup("ingest")} {
		info := w.cluster.GroupInfo(group)
		if info == nil || info.State != "PreparingRebalance" || info.Epoch != w.waits[group].epoch {
			w.waits[group] = waiting{since: time.Now()}
			if info != nil {
				w.waits[group] = waiting{info.Epoch, time.Now()}
			}
			continue
		}
		if time.Since(w.waits[group].since) > 2*time.Minute {
			w.count("groups that kfake would have kept waiting")
			for _, p := range w.all {
				p.part(30 * time.Second)
			}
			w.waits[group] = waiting{info.Epoch, time.Now()}
		}
	}
}

// waiting is since when a group waits for its members.
type waiting struct {
	epoch int32
	since time.Time
}

// states are those of the groups.
func (w *world) states() (all string) {
	for _, group := range []string{"process", "ingest", CommittedGroup("ingest")} {
		if info := w.cluster.GroupInfo(group); info != nil {
			all += fmt.Sprintf("%s is %s at %d with %d members; ", group, info.State, info.Epoch, len(info.Members))
		}
	}
	return all
}

// left says what is left to do.
func (w *world) left() string {
	for _, s := range virtualSources {
		group := "ingest"
		if s.ReadCommitted {
			group = CommittedGroup(group)
		}
		at := w.commits(group)
		for p := range int32(virtualPartitions) {
			if end := w.end(s.Topic, p); end > 0 && at[s.Topic][p].Offset != end {
				return fmt.Sprintf("source %s/%d at %d of %d", s.Topic, p, at[s.Topic][p].Offset, end)
			}
		}
	}
	at := w.commits("process")
	for p := range int32(len(w.entries)) {
		h, _, timers, _ := w.state.Dump(p)
		end := w.end(testTopics.Journal, p)
		if c := at[testTopics.Journal][p].Offset; h.Applied != end || c != end || len(timers) > 0 {
			return fmt.Sprintf("partition %d at %d of %d, committed %d, %d timers", p, h.Applied, end, c, len(timers))
		}
	}
	return ""
}
