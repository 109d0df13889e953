//go:build e2e

package e2e

import (
	"context"
	"errors"
	"testing"
	"time"

	"lockstitch/e2e/parts"
)

// TestKafkaClusterLosesBrokers has three brokers, two of which have to acknowledge.
// Under traffic the one that leads a journal partition is killed and comes back, and
// the one that coordinates the processors stands still for ten seconds and wakes up.
// Each time the other two go on, within a minute; nothing is lost, and what stands
// twice is the same bytes.
func TestKafkaClusterLosesBrokers(t *testing.T) {
	const rate = 300
	c, err := parts.StartKafkaCluster(during(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	w := newWorld(t, setup{kafka: c, replicas: 3, committed: true})
	runs := []*process{w.start("run"), w.start("run")}
	for _, p := range runs {
		p.isReady()
	}
	traffic := w.stream(200*rate, rate) // more than the test takes
	w.published(2 * rate)
	w.wholes(c) // a broker that fell behind at the start could be nobody's successor

	leader, err := c.Leader(during(t), w.prefix+"stitch.journal", 0)
	w.without(c, "the leader of a journal partition", leader, err, (*parts.Kafka).Kill, runs)
	w.backs(c, leader)

	coordinator, err := c.Coordinator(during(t), w.prefix+"lockstitch-process")
	paused := traffic.out.Load()
	w.without(c, "the processors' coordinator", coordinator, err, func(b *parts.Kafka) {
		if err := b.Pause(); err != nil {
			t.Fatal(err)
		}
	}, runs)
	until(t, patience, "it stood still for ten seconds", func(context.Context) (bool, error) {
		return traffic.out.Load() >= paused+10*rate, nil
	})
	coordinator.Resume()
	w.goOn(rate, runs...)
	w.wholes(c)

	records := traffic.stops()
	w.settle()
	bounded("at the end", runs...)
	known("kafka", "", runs...)
	w.firsts(w.outputs())
	if counts := w.judge(true); counts.Sources != records {
		t.Errorf("%d records judged, of %d", counts.Sources, records)
	}
}

// without harms a broker, waits until another leads, and wants the processes to go on
// with the other two.
func (w *world) without(c *parts.KafkaCluster, what string, broker *parts.Kafka, err error, harm func(*parts.Kafka), runs []*process) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("without %s", what)
	harm(broker)
	began := time.Now()
	until(w.t, time.Minute, what+" is another", func(ctx context.Context) (bool, error) {
		lost, err := c.Leads(ctx, broker)
		return err == nil && !lost, errors.Join(err, errors.New("it still leads"))
	})
	w.t.Logf("others lead after %v", time.Since(began).Round(time.Millisecond))
	w.goOn(300, runs...)
}

// backs starts a broker again, and waits until it has what it missed.
func (w *world) backs(c *parts.KafkaCluster, broker *parts.Kafka) {
	w.t.Helper()
	w.returns(broker)
	w.wholes(c)
}

// wholes waits until every replica is in sync.
func (w *world) wholes(c *parts.KafkaCluster) {
	w.t.Helper()
	began := time.Now()
	if err := c.Whole(during(w.t)); err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("all replicas are in sync after %v", time.Since(began).Round(time.Millisecond))
}
