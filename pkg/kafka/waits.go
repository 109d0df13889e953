package kafka

import (
	"fmt"
	"sync"
	"time"
)

// lateAfter is how long brokers may take to acknowledge something before it is
// told. A rebalance takes less.
const lateAfter = 10 * time.Second

// waits is what waits for brokers, and since when. Clients wait without an end, and
// a broker that answers a ping may still take nothing: its partitions have no
// leader, too few replicas are in sync, or the group has no coordinator.
type waits struct {
	after time.Duration

	mu    sync.Mutex
	begun map[*wait]struct{}
}

// wait is one thing that waits.
type wait struct {
	what  string
	since time.Time
}

// begin notes that something waits, until end is called.
func (w *waits) begin(what string) (end func()) {
	one := &wait{what, time.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun == nil {
		w.begun = map[*wait]struct{}{}
	}
	w.begun[one] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.begun, one)
	}
}

// longest is what has waited longest, and for how long; "" where nothing is late.
func (w *waits) longest() (what string, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.begun {
		if age := time.Since(one.since); age >= w.after && age >= d {
			what, d = one.what, age
		}
	}
	return what, d
}

// Check returns an error where brokers have not acknowledged records or offsets of
// this process for a while. It asks nobody.
func (p *Producer) Check() error {
	what, d := p.waits.longest()
	if what == "" {
		return nil
	}
	return fmt.Errorf("kafka: %s has waited for %v, and is tried again: see to the brokers, the partitions' leaders and replicas in sync (min.insync.replicas), and the log",
		what, d.Round(time.Second))
}
