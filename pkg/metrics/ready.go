package metrics

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Check is something that must answer for the process to be ready.
type Check struct {
	Name string // kafka, redis, …
	Run  func(ctx context.Context) error
}

// Reason is why the process is not ready.
type Reason struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// answer is what /ready says.
type answer struct {
	Ready   bool     `json:"ready"`
	Reasons []Reason `json:"reasons,omitempty"`
}

const (
	checkTimeout = 2 * time.Second  // of one check
	settled      = 15 * time.Second // without trouble after a take-over; owners try again within 5 s
)

// failure is a partition that can't be served.
type failure struct{ reason string }

// Serve runs an owner of partition p (run), which ends with its assignment's ctx.
// When it ends, the partition's gauges go. An error says that the partition can't
// be served: /ready tells until it is taken over again or ctx ends. The error is
// returned as it is.
func (m *Metrics) Serve(ctx context.Context, p int32, run func() error) error {
	err := run()
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.parts, p)
	delete(m.unserved, p)
	if err == nil {
		return nil
	}
	f := &failure{strings.TrimPrefix(err.Error(), fmt.Sprintf("journal partition %d: ", p))}
	m.unserved[p] = f
	context.AfterFunc(ctx, func() { m.forget(p, f) })
	return err
}

// forget takes a failure back, unless a later assignment has failed since.
func (m *Metrics) forget(p int32, f *failure) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unserved[p] == f {
		delete(m.unserved, p)
	}
}

// Ready returns why the process isn't ready, in a fixed order; none: it is.
// Checks run side by side.
func (m *Metrics) Ready(ctx context.Context, checks []Check) []Reason {
	found := make([]Reason, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, checkTimeout)
			defer cancel()
			if err := c.Run(ctx); err != nil {
				found[i] = Reason{c.Name, err.Error()}
			}
		})
	}
	wg.Wait()
	found = slices.DeleteFunc(found, func(r Reason) bool { return r == Reason{} })
	return append(found, m.partitionReasons()...)
}

// partitionReasons are the partitions that wait or can't be served, those with
// the same reason together.
func (m *Metrics) partitionReasons() []Reason {
	m.mu.Lock()
	defer m.mu.Unlock()
	numbers := map[string][]int32{}
	for p, f := range m.unserved {
		numbers["can't be served: "+f.reason] = append(numbers["can't be served: "+f.reason], p)
	}
	now := m.now()
	for p, part := range m.parts {
		if part.trouble != (trouble{}) && !(part.retried && now.Sub(part.at) >= settled) {
			why := "waiting for " + part.trouble.String()
			numbers[why] = append(numbers[why], p)
		}
	}
	var reasons []Reason
	for _, why := range slices.Sorted(maps.Keys(numbers)) {
		slices.Sort(numbers[why])
		list := strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers[why]), " ", ", "), "[]")
		reasons = append(reasons, Reason{"partitions", "journal partitions " + list + " " + why})
	}
	return reasons
}

func (m *Metrics) serveReady(checks []Check) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a := answer{Reasons: m.Ready(r.Context(), checks)}
		a.Ready = len(a.Reasons) == 0
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !a.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(a) // the caller may be gone
	}
}
