package kafka

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"lockstitch/pkg/engine"
)

// Brokers that answer and acknowledge nothing are told while they do.
func TestCheckTellsWhatWaits(t *testing.T) {
	for _, tt := range []struct {
		name string
		key  kmsg.Key
		no   func(kmsg.Request) kmsg.Response
		do   func(context.Context, *Producer, engine.Log) error
		says string
	}{
		{"too few replicas", kmsg.Produce, func(r kmsg.Request) kmsg.Response {
			return refusal(r.(*kmsg.ProduceRequest), kerr.NotEnoughReplicas.Code)
		}, func(ctx context.Context, p *Producer, _ engine.Log) error {
			return p.Publish(ctx, []engine.Published{{Topic: engine.TopicSink, Key: []byte("k")}})
		}, "publishing"},
		{"no coordinator", kmsg.OffsetCommit, func(r kmsg.Request) kmsg.Response {
			return refusedCommit(r.(*kmsg.OffsetCommitRequest), kerr.CoordinatorNotAvailable.Code)
		}, func(ctx context.Context, _ *Producer, log engine.Log) error { return log.Commit(ctx, 1) }, "committing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCluster(t, 1)
			p := c.producer(t)
			logs, _ := c.join(t, p, "g", nil)
			log := receive(t, logs)
			p.waits.after = time.Nanosecond
			ctx := testContext(t)
			heals := make(chan struct{})
			c.ControlKey(int16(tt.key), func(r kmsg.Request) (kmsg.Response, error, bool) {
				select {
				case <-heals:
					return nil, nil, false
				default:
					c.KeepControl()
					return tt.no(r), nil, true
				}
			})
			done := make(chan error, 1)
			go func() { done <- tt.do(ctx, p, log) }()
			for p.Check() == nil {
				if ctx.Err() != nil {
					t.Fatal("nothing was told")
				}
				sleep(ctx, time.Millisecond)
			}
			if err := p.Check(); err == nil || !strings.HasPrefix(err.Error(), "kafka: "+tt.says) {
				t.Errorf("%v, want that %s waits", err, tt.says)
			}
			close(heals)
			if err := receive(t, done); err != nil {
				t.Error(err)
			}
			if err := p.Check(); err != nil {
				t.Errorf("when all is well: %v", err)
			}
			p.waits.after = lateAfter
			defer p.waits.begin("something")()
			if err := p.Check(); err != nil {
				t.Errorf("what has only begun: %v", err)
			}
		})
	}
}

// refusedCommit answers a commit with a code for every partition.
func refusedCommit(req *kmsg.OffsetCommitRequest, code int16) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewOffsetCommitResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewOffsetCommitResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}
