package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"lockstitch/pkg/engine"
)

// commits commits offsets for all owners of this process, those that wait while
// one request is under way together in the next.
//
// The fence: a request is made of logs that are alive, and of the generation that
// holds at the same moment, both under their gates. A revoke shuts the gates
// before this member joins the next generation, so a request that is still under
// way names a generation in which the partition was ours, and the broker refuses
// it once another member has it. Without that, the generation alone wouldn't stop
// a late commit: a broker takes any partition from any current member.
type commits struct {
	client   *kgo.Client
	group    string
	mark     string // metadata of our commits
	instance *string
	topic    string
	topicID  [16]byte

	mu      sync.Mutex
	waiting map[int32]*pending
	signal  chan struct{}
}

// pending is one commit that waits to be sent. Its result is err once done closes.
type pending struct {
	log  *partitionLog
	next int64
	done chan struct{}
	err  error
}

func newCommits(cl *kgo.Client, g *Group, topic string, topicID [16]byte) *commits {
	c := &commits{
		client: cl, group: g.ID, mark: mark(g.Environment, topicID), topic: topic, topicID: topicID,
		waiting: map[int32]*pending{}, signal: make(chan struct{}, 1),
	}
	if g.Instance != "" {
		c.instance = &g.Instance
	}
	return c
}

// retryCommit is how long after a refusal that may pass a commit is tried again.
const retryCommit = 100 * time.Millisecond

// commit commits next for l and waits for it, trying again while the group moves.
func (c *commits) commit(ctx context.Context, l *partitionLog, next int64) error {
	defer l.m.producer.waits.begin("committing")()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := c.try(ctx, l, next)
		if !passes(err) {
			return err
		}
		timer := time.NewTimer(retryCommit)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// passes tells refusals that end by themselves: the group is between two
// generations, or has just entered one. Whoever lost the partition hears of the
// revoke meanwhile.
func passes(err error) bool {
	for _, e := range []error{kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID,
		kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.NotCoordinator} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (c *commits) try(ctx context.Context, l *partitionLog, next int64) error {
	w := &pending{log: l, next: next, done: make(chan struct{})}
	c.mu.Lock()
	if old := c.waiting[l.p]; old != nil {
		old.finish(engine.ErrLost) // of a dead log, or given up by its caller
	}
	c.waiting[l.p] = w
	c.mu.Unlock()
	select {
	case c.signal <- struct{}{}:
	default:
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *pending) finish(err error) {
	p.err = err
	close(p.done)
}

// run sends what waits until ctx ends.
func (c *commits) run(ctx context.Context) {
	for {
		select {
		case <-c.signal:
		case <-ctx.Done():
			return
		}
		if batch, req := c.next(); len(batch) > 0 {
			c.send(ctx, batch, req)
		}
	}
}

// next makes one request of everything that waits and is alive.
func (c *commits) next() ([]*pending, *kmsg.OffsetCommitRequest) {
	c.mu.Lock()
	waiting := c.waiting
	c.waiting = map[int32]*pending{}
	c.mu.Unlock()

	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic, topic.TopicID = c.topic, c.topicID
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.InstanceID = c.group, c.instance
	var batch []*pending
	for p, w := range waiting {
		// Gates stay open until the generation is known: none can shut in between.
		w.log.gate.mu.RLock()
		defer w.log.gate.mu.RUnlock()
		if w.log.gate.shut {
			w.finish(engine.ErrLost)
			continue
		}
		metadata := c.mark
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset, rp.Metadata = p, w.next, &metadata
		topic.Partitions = append(topic.Partitions, rp)
		batch = append(batch, w)
	}
	req.Topics = append(req.Topics, topic)
	req.MemberID, req.Generation = c.client.GroupMetadata()
	return batch, req
}

func (c *commits) send(ctx context.Context, batch []*pending, req *kmsg.OffsetCommitRequest) {
	resp, err := req.RequestWith(ctx, c.client)
	results := map[int32]error{}
	if err == nil {
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				results[p.Partition] = kerr.ErrorForCode(p.ErrorCode)
			}
		}
	}
	for _, w := range batch {
		result, ok := results[w.log.p]
		switch {
		case err != nil:
			result = err
		case !ok:
			result = errors.New("the answer lacks the partition")
		}
		if result != nil {
			result = fmt.Errorf("kafka: committing %s partition %d of group %s: %w", c.topic, w.log.p, c.group, result)
		}
		w.finish(result)
	}
}

// committed is the group's committed offset of partition p; -1 and ours where
// there is none.
func (c *commits) committed(ctx context.Context, p int32) (offset int64, ours bool, err error) {
	resp, err := fetchOffsets(ctx, c.client, c.group)
	if err != nil {
		return 0, false, err
	}
	o, ok := resp.Lookup(c.topic, p)
	switch {
	case !ok || o.Err == nil && o.At < 0:
		return -1, true, nil
	case o.Err != nil:
		return 0, false, fmt.Errorf("kafka: committed offset of %s partition %d in group %s: %w", c.topic, p, c.group, o.Err)
	}
	return o.At, o.Metadata == c.mark, nil
}
