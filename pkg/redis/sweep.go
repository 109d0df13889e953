package redis

import (
	"context"
	"maps"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

const (
	page    = 1000                 // keys that one SCAN looks at
	leisure = 2 * time.Millisecond // between pages, for others
	later   = 30 * time.Second     // until a pass that failed is tried again
)

// sweeper removes what generations leave behind that were given up, in the
// background: one pass over the keys for all partitions that ask for it at the
// same time. What it leaves unfinished stands in the head (field sweep), and the
// next owner's Head asks for it again.
type sweeper struct {
	s      *State
	cancel context.CancelFunc
	done   sync.WaitGroup
	wake   chan struct{} // of one place: something was asked for

	mu   sync.Mutex
	wish map[int32]string // partition → the generation that stays
}

func newSweeper(s *State) *sweeper {
	ctx, cancel := context.WithCancel(context.Background())
	w := &sweeper{s: s, cancel: cancel, wake: make(chan struct{}, 1), wish: map[int32]string{}}
	w.done.Go(func() { w.run(ctx) })
	return w
}

// close ends the sweeper and waits for it.
func (w *sweeper) close() {
	w.cancel()
	w.done.Wait()
}

// request asks for the removal of all generations of p other than gen.
func (w *sweeper) request(p int32, gen string) {
	w.mu.Lock()
	w.wish[p] = gen
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default: // it is awake
	}
}

func (w *sweeper) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		for {
			err := w.pass(ctx)
			if err == nil {
				break
			}
			w.trouble(ctx, err)
			if pause(ctx, later) != nil {
				return
			}
		}
	}
}

func (w *sweeper) trouble(ctx context.Context, err error) {
	if ctx.Err() == nil && w.s.opt.Trouble != nil {
		w.s.opt.Trouble(w.s.failed("removing generations that were given up", err))
	}
}

// pass sweeps for all who have asked. A generation that begins meanwhile is
// safe: removal looks at the head.
func (w *sweeper) pass(ctx context.Context) error {
	w.mu.Lock()
	stays := maps.Clone(w.wish)
	w.mu.Unlock()
	if len(stays) == 0 {
		return nil
	}
	err := w.s.masters(ctx, func(ctx context.Context, c *goredis.Client) error { return w.scan(ctx, c, stays) })
	if err != nil {
		return err
	}
	for p, gen := range stays {
		if err := sweptScript.Run(ctx, w.s.client, []string{w.s.keys.head(p)}, gen).Err(); err != nil {
			return err
		}
		w.granted(p, gen)
	}
	return nil
}

// granted forgets a wish, unless there is another by now.
func (w *sweeper) granted(p int32, gen string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wish[p] == gen {
		delete(w.wish, p)
	}
}

// scan goes over one server's keys. stays is only read: a cluster's masters are
// scanned side by side.
func (w *sweeper) scan(ctx context.Context, c *goredis.Client, stays map[int32]string) error {
	for cursor := uint64(0); ; {
		names, next, err := c.Scan(ctx, cursor, w.s.keys.pattern(), page).Result()
		if err != nil {
			return err
		}
		if err := w.remove(ctx, names, stays); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
		if err := pause(ctx, leisure); err != nil {
			return err
		}
	}
}

// remove removes those of the keys that belong to generations given up.
func (w *sweeper) remove(ctx context.Context, names []string, stays map[int32]string) error {
	old := map[int32][]string{}
	for _, name := range names {
		p, gen, ok := w.s.keys.parse(name)
		if keep, asked := stays[p]; ok && asked && gen != keep {
			old[p] = append(old[p], name)
		}
	}
	for p, names := range old {
		err := removeScript.Run(ctx, w.s.client, append([]string{w.s.keys.head(p)}, names...), stays[p]).Err()
		if err != nil {
			return err
		}
	}
	return nil
}
