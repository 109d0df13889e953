package kafka

import (
	"errors"
	"testing"

	"lockstitch/pkg/engine"
)

// TestGateShutsInTheMiddle: the moment of a revoke is the gate's. A write or a
// commit that has looked whether its log lives, and was slow since, has no effect
// any more once the gate is shut, though nothing has told its context yet.
func TestGateShutsInTheMiddle(t *testing.T) {
	c := newCluster(t, 1)
	p := c.producer(t)
	logs, _ := c.join(t, p, "g", nil)
	h := receive(t, logs)
	ctx := testContext(t)
	if err := h.Commit(ctx, 1); err != nil {
		t.Fatal(err)
	}
	l, ok := h.Log.(*partitionLog)
	if !ok {
		t.Fatalf("a log of type %T", h.Log)
	}
	l.gate.close()
	if err := h.Publish(ctx, []engine.Published{{Topic: engine.TopicSink, Value: []byte("late")}}); !errors.Is(err, engine.ErrLost) {
		t.Errorf("publishing: %v, want ErrLost", err)
	}
	if err := h.Append(ctx, []byte("late")); !errors.Is(err, engine.ErrLost) {
		t.Errorf("appending: %v, want ErrLost", err)
	}
	if err := h.Commit(ctx, 2); !errors.Is(err, engine.ErrLost) {
		t.Errorf("committing: %v, want ErrLost", err)
	}
	if offset, _, err := h.Committed(ctx); err != nil || offset != 1 {
		t.Errorf("committed %d, %v; want 1", offset, err)
	}
	for _, records := range c.published(t, testTopics.Sink) {
		if len(records) > 0 {
			t.Error("a late record was written")
		}
	}
}
