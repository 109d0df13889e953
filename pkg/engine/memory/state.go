package memory

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

// State is an engine.State in memory. It is safe for concurrent use.
type State struct {
	mu    sync.Mutex
	parts map[int32]*partition
}

// partition is one partition's head and the one generation that it names.
// Values are never changed once they are in, so copies of the maps are enough
// to keep a moment.
type partition struct {
	head     engine.Head
	entities [engine.Pages]map[string][]byte // by page; nil for none
	timers   map[string]stitch.Timer
}

func (part *partition) get(k string) (v []byte, ok bool) {
	v, ok = part.entities[engine.PageOf(k)][k]
	return v, ok
}

func (part *partition) set(k string, v []byte) {
	page := &part.entities[engine.PageOf(k)]
	if *page == nil {
		*page = map[string][]byte{}
	}
	(*page)[k] = v
}

// copied is the partition at this moment.
func (part *partition) copied() *partition {
	c := &partition{head: part.head, timers: maps.Clone(part.timers)}
	for i, page := range part.entities {
		c.entities[i] = maps.Clone(page)
	}
	return c
}

// all are the entities, page by page, each in key order.
func (part *partition) all() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, page := range part.entities {
			for _, k := range slices.Sorted(maps.Keys(page)) {
				if !yield(k, page[k]) {
					return
				}
			}
		}
	}
}

var _ engine.State = (*State)(nil)

// NewState returns a state without any partition.
func NewState() *State { return &State{parts: map[int32]*partition{}} }

// Head implements engine.State.
func (s *State) Head(ctx context.Context, p int32) (engine.Head, bool, error) {
	if err := ctx.Err(); err != nil {
		return engine.Head{}, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	part, ok := s.parts[p]
	if !ok {
		return engine.Head{}, false, nil
	}
	h := part.head
	h.Meta = clone(h.Meta)
	return h, true, nil
}

// Timers implements engine.State.
func (s *State) Timers(ctx context.Context, p int32, gen string) (timers map[string]stitch.Timer, before, after engine.Position, err error) {
	if err := ctx.Err(); err != nil {
		return nil, before, after, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if part := s.parts[p]; part != nil {
		before = part.head.Position
	}
	timers = map[string]stitch.Timer{}
	if part := s.generation(p, gen); part != nil {
		timers = maps.Clone(part.timers)
	}
	return timers, before, before, nil
}

// Read implements engine.State; its one atomic moment makes before equal after.
func (s *State) Read(ctx context.Context, p int32, gen string, keys []string) (values [][]byte, before, after engine.Position, err error) {
	if err := ctx.Err(); err != nil {
		return nil, before, after, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if part := s.parts[p]; part != nil {
		before = part.head.Position
	}
	values = make([][]byte, len(keys))
	if part := s.generation(p, gen); part != nil {
		for i, k := range keys {
			if v, ok := part.get(k); ok {
				values[i] = clone(v)
			}
		}
	}
	return values, before, before, nil
}

// Page implements engine.State.
func (s *State) Page(ctx context.Context, p int32, gen string, first, n int) (entities []engine.KV, before, after engine.Position, err error) {
	if err := ctx.Err(); err != nil {
		return nil, before, after, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if part := s.parts[p]; part != nil {
		before = part.head.Position
	}
	if part := s.generation(p, gen); part != nil {
		for _, page := range part.entities[first : first+n] {
			for _, k := range slices.Sorted(maps.Keys(page)) {
				entities = append(entities, engine.KV{Key: k, Value: clone(page[k])})
			}
		}
	}
	return entities, before, before, nil
}

// Swap implements engine.State.
func (s *State) Swap(ctx context.Context, p int32, d engine.Delta) (moved bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if d.Base.Generation == "" || d.Base.Generation != d.Next.Generation || d.Base.Applied >= d.Next.Applied {
		return false, fmt.Errorf("partition %d: a delta from %v to %v doesn't advance one generation", p, d.Base, d.Next)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	part := s.generation(p, d.Base.Generation)
	switch {
	case part == nil || part.head.Logic != d.Logic:
		return false, nil
	case part.head.Position == d.Next:
		return true, nil
	case part.head.Position != d.Base:
		return false, nil
	}
	part.write(d)
	return true, nil
}

func (part *partition) write(d engine.Delta) {
	part.head.Position, part.head.Meta = d.Next, clone(d.Meta)
	for _, kv := range d.Set {
		part.set(kv.Key, clone(kv.Value))
	}
	for _, k := range d.Delete {
		delete(part.entities[engine.PageOf(k)], k)
	}
	for _, t := range d.Timers {
		if t.Timer.At == 0 {
			delete(part.timers, t.Key)
			continue
		}
		part.timers[t.Key] = t.Timer
	}
}

// Begin implements engine.State. Other generations are gone when it returns.
func (s *State) Begin(ctx context.Context, p int32, old engine.Position, h engine.Head) (begun bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if h.Generation == "" || h.Generation == old.Generation {
		return false, fmt.Errorf("partition %d: a new generation needs a new name, not %q after %q", p, h.Generation, old.Generation)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var at engine.Position
	if part := s.parts[p]; part != nil {
		at = part.head.Position
	}
	if at != old {
		return false, nil
	}
	h.Meta = clone(h.Meta)
	s.parts[p] = &partition{head: h, timers: map[string]stitch.Timer{}}
	return true, nil
}

// Promote implements engine.State.
func (s *State) Promote(ctx context.Context, p int32, at engine.Position, from, to int, meta []byte) (done bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	part := s.parts[p]
	switch {
	case part == nil || part.head.Position != at:
		return false, nil
	case part.head.Logic == from:
		part.head.Logic, part.head.Meta = to, clone(meta)
	}
	return part.head.Logic == to, nil
}

// Check implements engine.State: memory is always fit.
func (s *State) Check(ctx context.Context) error { return ctx.Err() }

// Memory implements engine.State: the bytes of keys and values, nothing else.
func (s *State) Memory(ctx context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int
	for _, part := range s.parts {
		n += len(part.head.Meta)
		for k, v := range part.all() {
			n += len(k) + len(v)
		}
		for k := range part.timers {
			n += len(k) + 9
		}
	}
	return int64(n), ctx.Err()
}

// Clone returns the state as it stands, for Restore.
func (s *State) Clone() *State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &State{parts: copied(s.parts)}
}

// Restore makes the state what it was when from was cloned: a store that lost
// its last seconds, or with NewState everything. What owners hold stays theirs.
func (s *State) Restore(from *State) {
	from.mu.Lock()
	parts := copied(from.parts)
	from.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts = parts
}

// Dump returns copies of all that is known of a partition, to compare runs byte
// for byte; ok is false where there is none.
func (s *State) Dump(p int32) (h engine.Head, entities map[string][]byte, timers map[string]stitch.Timer, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	part, ok := s.parts[p]
	if !ok {
		return engine.Head{}, nil, nil, false
	}
	h = part.head
	h.Meta = clone(h.Meta)
	entities = map[string][]byte{}
	for k, v := range part.all() {
		entities[k] = clone(v)
	}
	return h, entities, maps.Clone(part.timers), true
}

// generation returns the partition if its head names gen.
func (s *State) generation(p int32, gen string) *partition {
	if part := s.parts[p]; part != nil && part.head.Generation == gen {
		return part
	}
	return nil
}

func copied(parts map[int32]*partition) map[int32]*partition {
	out := make(map[int32]*partition, len(parts))
	for p, part := range parts {
		out[p] = part.copied()
	}
	return out
}

// clone copies b; never nil, which would mean absent.
func clone(b []byte) []byte { return append([]byte{}, b...) }
