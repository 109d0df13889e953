package memory

import (
	"context"
	"sync"

	"lockstitch/pkg/engine"
)

// Snapshots is an engine.Snapshots in memory. It is safe for concurrent use.
type Snapshots struct {
	mu   sync.Mutex
	logs map[int32][][]byte
}

var _ engine.Snapshots = (*Snapshots)(nil)

// NewSnapshots returns empty logs.
func NewSnapshots() *Snapshots { return &Snapshots{logs: map[int32][][]byte{}} }

// Write implements engine.Snapshots.
func (s *Snapshots) Write(ctx context.Context, p int32, records [][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range records {
		s.logs[p] = append(s.logs[p], clone(r))
	}
	return ctx.Err()
}

// Bounds implements engine.Snapshots.
func (s *Snapshots) Bounds(_ context.Context, p int32) (start, end int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return 0, int64(len(s.logs[p])), nil
}

// Scan implements engine.Snapshots.
func (s *Snapshots) Scan(_ context.Context, p int32, from int64, f func(offset int64, record []byte) error) error {
	s.mu.Lock()
	log := s.logs[p]
	s.mu.Unlock()
	for i := max(from, 0); i < int64(len(log)); i++ {
		if err := f(i, clone(log[i])); err != nil {
			return err
		}
	}
	return nil
}
