//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/e2e/parts"
	"lockstitch/pkg/feed"
)

// TestKafkaGone kills the only broker under traffic and leaves it away. The
// processes say so on /ready, keep to their memory, and go on by themselves:
// nothing is lost, and what stands twice is the same bytes.
func TestKafkaGone(t *testing.T) {
	const records, rate = 9000, 400
	w, broker := brokered(t)
	runs := []*process{w.start("run"), w.start("run", "--only", "process")}
	for _, p := range runs {
		p.isReady()
	}
	traffic := w.stream(records, rate)
	w.published(rate)

	broker.Kill()
	for _, p := range runs {
		p.says(`"kafka"`, "no broker answers")
	}
	away := traffic.out.Load() + 15*rate
	until(t, patience, "the broker was away for a while", func(ctx context.Context) (bool, error) {
		for _, p := range runs {
			p.alive()
			if reasons, err := p.ready(ctx); err == nil && !strings.Contains(reasons, `"kafka"`) {
				t.Errorf("/ready of %s says %q, with no broker there", p.name, reasons)
			}
		}
		return traffic.out.Load() >= away, nil
	})
	bounded("while it was away", runs...)
	w.returns(broker)
	w.goOn(rate, runs...)

	traffic.ends()
	w.settle()
	bounded("at the end", runs...)
	known("kafka", "", runs...)
	w.firsts(w.outputs())
	if counts := w.judge(true); counts.Sources != records {
		t.Errorf("%d records judged, of %d", counts.Sources, records)
	}
}

// TestBrokerKilledAgainAndAgain: each time there is progress again within a minute.
func TestBrokerKilledAgainAndAgain(t *testing.T) {
	const records, rate = 10_000, 400
	w, broker := brokered(t)
	runs := []*process{w.start("run"), w.start("run", "--only", "process")}
	for _, p := range runs {
		p.isReady()
	}
	traffic := w.stream(records, rate)
	w.published(rate)
	for range 3 {
		broker.Kill()
		w.returns(broker)
		w.goOn(rate/2, runs...)
	}
	traffic.ends()
	w.settle()
	bounded("at the end", runs...)
	known("kafka", "", runs...)
	w.firsts(w.outputs())
	if counts := w.judge(true); counts.Sources != records {
		t.Errorf("%d records judged, of %d", counts.Sources, records)
	}
}

// brokered is a world with a broker of its own.
func brokered(t *testing.T) (*world, *parts.Kafka) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// On a busy machine one second isn't enough to be taken for alive.
	broker, err := parts.StartKafka(ctx, t.TempDir(), "broker.session.timeout.ms=5000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return newWorld(t, setup{kafka: broker}), broker
}

func (w *world) returns(broker *parts.Kafka) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	began := time.Now()
	if err := broker.Restart(ctx); err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("the broker answers again, %v after its start", time.Since(began).Round(time.Millisecond))
}

// stream is traffic that outlasts brokers: `produce` gives up after half a minute,
// and what it tries again may stand twice.
type stream struct {
	t    *testing.T
	out  atomic.Int64  // records handed to the client
	halt chan struct{} // closed: no more
	done chan error
}

// stream produces generated records, rate a second, until all n are acknowledged.
func (w *world) stream(n, rate int) *stream {
	w.t.Helper()
	text := w.command("generate", "--print", "--count", fmt.Sprint(n), "--people", fmt.Sprint(n/20))
	cl := w.connect(kgo.MaxBufferedRecords(n))
	s := &stream{t: w.t, halt: make(chan struct{}), done: make(chan error, 1)}
	go func() { s.done <- s.run(w.t.Context(), cl, w.prefix, text, rate) }()
	return s
}

func (s *stream) run(ctx context.Context, cl *kgo.Client, prefix, text string, rate int) (failed error) {
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for line, err := range feed.Lines("generated", strings.NewReader(text)) {
		if err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-s.halt:
			return errors.Join(cl.Flush(ctx), failed)
		case <-ctx.Done():
			return ctx.Err()
		}
		record := &kgo.Record{Topic: prefix + line.Topic, Key: []byte(line.Key), Value: append([]byte(nil), line.Value...)}
		cl.Produce(ctx, record, func(_ *kgo.Record, err error) { failed = errors.Join(failed, err) }) // one call at a time
		s.out.Add(1)
	}
	return errors.Join(cl.Flush(ctx), failed)
}

// ends waits until all is acknowledged.
func (s *stream) ends() {
	s.t.Helper()
	select {
	case err := <-s.done:
		if err != nil {
			s.t.Fatal(err)
		}
	case <-time.After(patience):
		s.t.Fatalf("the traffic of %d records doesn't end", s.out.Load())
	}
}

// stops has it produce no more, waits until all is acknowledged, and returns how
// many there were.
func (s *stream) stops() int {
	s.t.Helper()
	close(s.halt)
	s.ends()
	return int(s.out.Load())
}
