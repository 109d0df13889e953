package kafka

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/engine"
)

// waitingWrites begins writes one after the other, and returns when all of them
// wait to be handed over. Until free is called none is.
func waitingWrites(t *testing.T, p *Producer, gates ...*gate) (results []chan error, free func()) {
	t.Helper()
	p.handing.Lock()
	for i, g := range gates {
		b := &block{records: []kgo.Record{{Topic: testTopics.Journal, Value: []byte{byte('0' + i)}}}}
		result := make(chan error, 1)
		results = append(results, result)
		ctx := testContext(t)
		go func() { result <- p.write(ctx, b, 1, g) }()
		for p.waitingNow() <= i {
			runtime.Gosched()
		}
	}
	return results, p.handing.Unlock
}

func (p *Producer) waitingNow() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting)
}

// TestAWaitingWriteIsFenced: a write that still waits when its partition is
// revoked is never written; those before and after it are, in order.
func TestAWaitingWriteIsFenced(t *testing.T) {
	c := newCluster(t, 1)
	p := c.producer(t)
	revoked := &gate{}
	results, free := waitingWrites(t, p, nil, revoked, nil)
	revoked.close()
	free()
	if err := errors.Join(<-results[0], <-results[2]); err != nil {
		t.Error(err)
	}
	if err := <-results[1]; !errors.Is(err, engine.ErrLost) {
		t.Errorf("of the revoked partition: %v, want ErrLost", err)
	}
	var got strings.Builder
	for _, r := range c.all(t, testTopics.Journal) {
		got.WriteString(string(r.Value))
	}
	if got.String() != "02" {
		t.Errorf("written: %q, want 0 and 2", got.String())
	}
}

// TestAWaitingWriteFailsWithItsClient: after a failure nothing is written of what
// waited behind it, until it is published again.
func TestAWaitingWriteFailsWithItsClient(t *testing.T) {
	c := newCluster(t, 1)
	p := c.producer(t)
	results, free := waitingWrites(t, p, nil, nil)
	cl, err := p.current()
	if err != nil {
		t.Fatal(err)
	}
	p.retire(cl)
	free()
	for i, r := range results {
		if err := <-r; !errors.Is(err, errFailed) {
			t.Errorf("write %d: %v, want that one before has failed", i, err)
		}
	}
	if n := len(c.all(t, testTopics.Journal)); n != 0 {
		t.Errorf("%d records were written", n)
	}
	if err := p.Publish(testContext(t), []engine.Published{{Topic: engine.TopicJournal, Value: []byte("again")}}); err != nil {
		t.Error(err)
	}
}

// TestWritesWaitWhileManyAreUnderWay: they are handed over when few are left, and
// where none is acknowledged, after a while.
func TestWritesWaitWhileManyAreUnderWay(t *testing.T) {
	c := newCluster(t, 1)
	p := c.producer(t)
	const many = few + 2
	p.underWay.Add(many)
	ctx := testContext(t)
	publish := func(value string) chan error {
		done := make(chan error, 1)
		go func() { done <- p.Publish(ctx, []engine.Published{{Topic: engine.TopicJournal, Value: []byte(value)}}) }()
		return done
	}
	if err := <-publish("late"); err != nil { // nothing but lateAt lets it go
		t.Fatal(err)
	}
	p.mu.Lock()
	p.late = time.AfterFunc(time.Hour, func() {}) // and nothing but an acknowledgement this one
	p.mu.Unlock()
	first := publish("first")
	for p.waitingNow() < 1 {
		runtime.Gosched()
	}
	p.acknowledged() // few and one are left: it still waits
	if n := p.waitingNow(); n != 1 {
		t.Errorf("%d writes wait while more than few records are under way", n)
	}
	p.acknowledged()
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if p.underWay.Add(-few) != 0 {
		t.Errorf("%d records are under way at the end", p.underWay.Load())
	}
}

// TestCloseWritesWhatWaits: a producer that is closed has nothing left to hand over.
func TestCloseWritesWhatWaits(t *testing.T) {
	c := newCluster(t, 1)
	p, err := NewProducer(testContext(t), c.conn, testTopics, ProducerOptions{Linger: -1})
	if err != nil {
		t.Fatal(err)
	}
	results, free := waitingWrites(t, p, nil)
	closed := make(chan error, 1)
	go func() { closed <- p.Close(context.Background()) }()
	free()
	if err := errors.Join(<-closed, <-results[0]); err != nil {
		t.Error(err)
	}
	if n := len(c.all(t, testTopics.Journal)); n != 1 {
		t.Errorf("%d records were written, want 1", n)
	}
}
