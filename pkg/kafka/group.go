package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/engine"
)

// Group is the processor's side: it joins the journal's consumer group and runs
// one owner for each partition that it is assigned.
//
// Two clients share the work. One is the member: it joins, beats, and commits, and
// never reads. The other one reads (feed), where owners say. So the place an owner
// reads at, which its state decides, is nobody else's business.
type Group struct {
	Conn     Conn
	Topics   Topics
	ID       string // of the consumer group
	Instance string // static membership: a restart within the session keeps its partitions; "" for none
	// Environment is written into the commits: another one's are not taken for ours.
	Environment string
	Producer    *Producer
	// Owner serves partition p until ctx ends or log says engine.ErrLost. When it
	// returns an error before that, it is called again after a while, 1 to 30 s.
	Owner func(ctx context.Context, p int32, log engine.Log) error
	// Buffer is the bytes that are read ahead for each partition, 0 for 4 MiB; one
	// fetch of a partition (256 KiB compressed) may come on top.
	Buffer int64
	// Drain is how long a revoked owner has, after its context ended, to finish its
	// batch before the fence; 0 for 2 s. What it can't finish is done again by the next.
	Drain time.Duration
	// Watch is how often the journal is looked at; 0 for 5 s. When it isn't the same
	// topic any more, or has more partitions, Run ends with ErrJournalChanged.
	Watch time.Duration
}

// Times of every group (docs/reliability.md has what comes of them).
const (
	// A dead member's partitions move after sessionTimeout: the shortest that brokers
	// allow by default (group.min.session.timeout.ms).
	sessionTimeout = 6 * time.Second
	// A member hears of a rebalance with its next heartbeat, so that partitions stand
	// still for about that long when another member joins or leaves.
	heartbeatInterval = 500 * time.Millisecond
	// Who has not joined again by then is put out of the group. It is longer than
	// revoked partitions have to finish: Drain and stopTimeout.
	rebalanceTimeout = 10 * time.Second
	stopTimeout      = time.Second      // a fenced owner's time to stop before the rebalance goes on without it
	leaveTimeout     = 10 * time.Second // of the last goodbye
)

// member is one run of a Group.
type member struct {
	group    *Group
	topic    string
	log      *slog.Logger
	feed     *feed
	commits  *commits
	producer *Producer
	client   *kgo.Client

	mu    sync.Mutex
	owned map[int32]*owned
}

// owned is one assignment of a partition.
type owned struct {
	log    *partitionLog
	ctx    context.Context // the owner's
	cancel context.CancelFunc
	done   chan struct{} // the owner's goroutine has ended
}

// Run is a member of the group until ctx ends; then owners finish their batch
// (Drain), are fenced, and the member leaves. An error means that it couldn't start,
// or ErrJournalChanged.
func (g *Group) Run(ctx context.Context) (err error) {
	if g.ID == "" || g.Owner == nil || g.Producer == nil {
		return errors.New("kafka: a group needs an ID, an owner and a producer")
	}
	m := &member{group: g, topic: g.Topics.Journal, log: g.Conn.logger(), producer: g.Producer, owned: map[int32]*owned{}}
	buffer := g.Buffer
	if buffer <= 0 {
		buffer = 4 << 20
	}
	if m.feed, err = newFeed(g.Conn, m.topic, buffer, g.Producer.loaded); err != nil {
		return err
	}
	defer m.feed.close()
	facts, ok := m.journal(ctx)
	if !ok {
		return nil
	}
	// Commits outlive ctx: owners finish their batch after it ended.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ready := make(chan struct{}) // the client's callbacks need m whole
	if m.client, err = g.Conn.client(m.options(ready)...); err != nil {
		return err
	}
	m.commits = newCommits(m.client, g, m.topic, facts.raw)
	close(ready)
	var wg sync.WaitGroup
	wg.Go(func() { m.commits.run(running) })
	err = m.watch(ctx, facts)
	m.leave(running)
	stop()
	wg.Wait()
	return err
}

// watch returns when ctx ends, or with an error when the journal is another one.
// No client would notice: franz-go stalls on a topic that was made anew.
func (m *member) watch(ctx context.Context, was topicFacts) error {
	every := m.group.Watch
	if every <= 0 {
		every = 5 * time.Second
	}
	for {
		sleep(ctx, every)
		if ctx.Err() != nil {
			return nil
		}
		facts, err := describe(ctx, m.feed.client, m.topic)
		now, there := facts[m.topic]
		switch {
		case ctx.Err() != nil:
		case err != nil || !there:
			m.log.Warn("kafka: the journal can't be looked up", "topic", m.topic, "err", err)
		case now != was:
			return fmt.Errorf("kafka: topic %s: %w", m.topic, ErrJournalChanged)
		}
	}
}

// journal describes the journal, waiting for brokers that are away; false where ctx
// ended before.
func (m *member) journal(ctx context.Context) (topicFacts, bool) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		facts, err := describeOne(ctx, m.feed.client, m.topic)
		if err == nil || ctx.Err() != nil {
			return facts, err == nil
		}
		m.log.Warn("kafka: the journal can't be seen, trying again", "topic", m.topic, "err", err)
		sleep(ctx, wait)
	}
}

func (m *member) options(ready <-chan struct{}) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.ConsumerGroup(m.group.ID),
		kgo.ConsumeTopics(m.topic),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.DisableAutoCommit(),
		kgo.SessionTimeout(sessionTimeout),
		kgo.HeartbeatInterval(heartbeatInterval),
		kgo.RebalanceTimeout(rebalanceTimeout),
		kgo.WithHooks(groupTrouble{m.log, m.group.ID}),
		kgo.OnPartitionsAssigned(func(_ context.Context, cl *kgo.Client, ps map[string][]int32) {
			<-ready
			// The member reads nothing: what it is assigned stays paused.
			cl.PauseFetchTopics(m.topic)
			m.assigned(ps[m.topic])
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, ps map[string][]int32) {
			<-ready
			m.revoked(ps[m.topic], m.drain())
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, ps map[string][]int32) {
			<-ready
			m.revoked(ps[m.topic], 0)
		}),
	}
	if m.group.Instance != "" {
		opts = append(opts, kgo.InstanceID(m.group.Instance))
	}
	return opts
}

// groupTrouble logs what keeps the member out of its group.
type groupTrouble struct {
	log   *slog.Logger
	group string
}

func (t groupTrouble) OnGroupManageError(err error) {
	t.log.Warn("kafka: not in the consumer group, trying again", "group", t.group, "err", err)
}

func (m *member) drain() time.Duration {
	if m.group.Drain > 0 {
		return m.group.Drain
	}
	return 2 * time.Second
}

func (m *member) assigned(ps []int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range ps {
		before := m.owned[p]
		o := &owned{log: newLog(m, p), done: make(chan struct{})}
		o.ctx, o.cancel = context.WithCancel(o.log.ctx)
		m.owned[p] = o
		go m.own(o, before)
	}
}

// own runs the owner, again when it gives up, until the assignment ends. One
// that is still stopping after an earlier assignment is waited for.
func (m *member) own(o, before *owned) {
	defer close(o.done)
	if before != nil {
		select {
		case <-before.done:
		case <-o.ctx.Done():
			return
		}
	}
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		err := m.group.Owner(o.ctx, o.log.p, o.log)
		if o.ctx.Err() != nil {
			return
		}
		m.log.Error("kafka: the owner of a journal partition stopped, it is started again", "partition", o.log.p, "wait", wait, "err", err)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-o.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// revoked ends owners: they are told, have drain to finish, are fenced, and are
// waited for a while. Only when it returns does the rebalance go on.
func (m *member) revoked(ps []int32, drain time.Duration) {
	m.mu.Lock()
	var ending []*owned
	for _, p := range ps {
		if o := m.owned[p]; o != nil {
			ending = append(ending, o)
		}
	}
	m.mu.Unlock()
	for _, o := range ending {
		o.cancel()
	}
	if drain > 0 {
		stopped(ending, drain)
	}
	for _, o := range ending {
		o.log.fence()
	}
	if n := stopped(ending, stopTimeout); n > 0 {
		m.log.Warn("kafka: owners of revoked partitions have not stopped yet; they are fenced and can do no harm", "owners", n)
	}
}

// stopped waits for owners to stop, for at most d together, and returns how many have not.
func stopped(ending []*owned, d time.Duration) (left int) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for i, o := range ending {
		select {
		case <-o.done:
		case <-timer.C:
			for _, o := range ending[i:] {
				select {
				case <-o.done:
				default:
					left++
				}
			}
			return left
		}
	}
	return 0
}

// leave says goodbye, which revokes everything first, and closes.
func (m *member) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	if err := m.client.LeaveGroupContext(ctx); err != nil {
		m.log.Warn("kafka: leaving the group failed, its partitions move when the session ends", "err", err)
	}
	m.mu.Lock()
	var ps []int32
	for p := range m.owned {
		ps = append(ps, p)
	}
	m.mu.Unlock()
	m.revoked(ps, 0)
	m.client.Close()
}
