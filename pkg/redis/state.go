package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

// Head implements engine.State. Where a Begin's removal of other generations was
// cut short, whoever asks for the head goes on with it.
func (s *State) Head(ctx context.Context, p int32) (engine.Head, bool, error) {
	fields, err := s.client.HMGet(ctx, s.keys.head(p), "gen", "applied", "logic", "meta", "sweep", "layout").Result()
	if err != nil {
		return engine.Head{}, false, s.failedIn("reading the head", p, err)
	}
	position, err := position(fields)
	if err != nil {
		return engine.Head{}, false, s.failedIn("reading the head", p, err)
	}
	if position.Generation == "" {
		return engine.Head{}, false, nil
	}
	if fields[5] != layout {
		return engine.Head{}, false, s.failedIn("reading the head", p, damaged("laid out by another build"))
	}
	logic, _ := fields[2].(string)
	meta, _ := fields[3].(string)
	n, err := strconv.Atoi(logic)
	if err != nil {
		return engine.Head{}, false, s.failedIn("reading the head", p, damaged("logic"))
	}
	if fields[4] != nil {
		s.sweep.request(p, position.Generation)
	}
	return engine.Head{Position: position, Logic: n, Meta: []byte(meta)}, true, nil
}

// position is what HMGET of gen and applied says; zero where there is no head.
func position(fields []any) (engine.Position, error) {
	if fields[0] == nil && fields[1] == nil {
		return engine.Position{}, nil
	}
	gen, _ := fields[0].(string)
	text, _ := fields[1].(string)
	applied, err := strconv.ParseInt(text, 10, 64)
	if gen == "" || err != nil {
		return engine.Position{}, damaged("position")
	}
	return engine.Position{Generation: gen, Applied: applied}, nil
}

func damaged(what string) error {
	return fmt.Errorf("%w: %s: delete the partition's head (the key ends in :head), and the state is rebuilt from the journal", ErrDamaged, what)
}

// Timers implements engine.State, as Read does.
func (s *State) Timers(ctx context.Context, p int32, gen string) (timers map[string]stitch.Timer, before, after engine.Position, err error) {
	var texts map[string]string
	before, after, err = s.between(ctx, p, func(pipe goredis.Pipeliner) (collect func()) {
		reply := pipe.HGetAll(ctx, s.keys.timers(p, gen))
		return func() { texts = reply.Val() }
	})
	timers = make(map[string]stitch.Timer, len(texts))
	for key, text := range texts {
		t, bad := parseTimer(text)
		err = errors.Join(err, bad)
		timers[key] = t
	}
	return timers, before, after, s.failedIn("reading timers", p, err)
}

func formatTimer(t stitch.Timer) string {
	return strconv.FormatInt(t.At, 10) + ":" + strconv.Itoa(int(t.Wait))
}

func parseTimer(text string) (t stitch.Timer, err error) {
	at, wait, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(wait, 10, 8)
	if err == nil {
		t.Wait = stitch.Wait(n)
		t.At, err = strconv.ParseInt(at, 10, 64)
	}
	if err != nil {
		return stitch.Timer{}, damaged("a timer")
	}
	return t, nil
}

// Read implements engine.State, in one round trip: the head, the values, the
// head again. The server serves others in between, so before and after count.
func (s *State) Read(ctx context.Context, p int32, gen string, keys []string) (values [][]byte, before, after engine.Position, err error) {
	pages := map[int][]int{} // page → indices of keys
	for i, k := range keys {
		page := engine.PageOf(k)
		pages[page] = append(pages[page], i)
	}
	values = make([][]byte, len(keys))
	read := func(pipe goredis.Pipeliner) (collect func()) {
		replies := make(map[int]*goredis.SliceCmd, len(pages))
		for page, of := range pages {
			fields := make([]string, len(of))
			for i, k := range of {
				fields[i] = keys[k]
			}
			replies[page] = pipe.HMGet(ctx, s.keys.page(p, gen, page), fields...)
		}
		return func() {
			for page, reply := range replies {
				for i, v := range reply.Val() {
					if text, ok := v.(string); ok {
						values[pages[page][i]] = []byte(text)
					}
				}
			}
		}
	}
	before, after, err = s.between(ctx, p, read)
	return values, before, after, s.failedIn("reading entities", p, err)
}

// Page implements engine.State, as Read does.
func (s *State) Page(ctx context.Context, p int32, gen string, first, n int) (entities []engine.KV, before, after engine.Position, err error) {
	read := func(pipe goredis.Pipeliner) (collect func()) {
		replies := make([]*goredis.MapStringStringCmd, n)
		for i := range n {
			replies[i] = pipe.HGetAll(ctx, s.keys.page(p, gen, first+i))
		}
		return func() {
			for _, reply := range replies {
				page := reply.Val()
				for _, k := range slices.Sorted(maps.Keys(page)) {
					entities = append(entities, engine.KV{Key: k, Value: []byte(page[k])})
				}
			}
		}
	}
	before, after, err = s.between(ctx, p, read)
	return entities, before, after, s.failedIn("reading pages", p, err)
}

// between runs what read adds to a pipeline, with the head read before and after it.
func (s *State) between(ctx context.Context, p int32, read func(goredis.Pipeliner) (collect func())) (before, after engine.Position, err error) {
	c, err := s.node(ctx, p)
	if err != nil {
		return before, after, err
	}
	pipe := c.Pipeline()
	first := pipe.HMGet(ctx, s.keys.head(p), "gen", "applied")
	collect := read(pipe)
	last := pipe.HMGet(ctx, s.keys.head(p), "gen", "applied")
	if _, err := pipe.Exec(ctx); err != nil {
		s.moved(ctx, err)
		return before, after, err
	}
	collect()
	before, err1 := position(first.Val())
	after, err2 := position(last.Val())
	return before, after, errors.Join(err1, err2)
}

// node returns the server that holds the partition. A cluster's client would
// repeat single commands of a pipeline elsewhere when slots move, and so read
// values after the head that must be read last.
func (s *State) node(ctx context.Context, p int32) (goredis.Cmdable, error) {
	if c, ok := s.client.(*goredis.ClusterClient); ok {
		return c.MasterForKey(ctx, s.keys.head(p))
	}
	return s.client, nil
}

// moved has a cluster's slots looked up again where one was not where we asked.
func (s *State) moved(ctx context.Context, err error) {
	if c, ok := s.client.(*goredis.ClusterClient); ok {
		if _, moved := goredis.IsMovedError(err); moved || silent(ctx, err) {
			c.ReloadState(ctx)
		}
	}
}

// tries is how often Swap asks, with growing pauses, until it leaves the
// waiting to its owner, who tells others that there is trouble.
const tries = 4

// Swap implements engine.State. Where no answer comes it asks again: the same
// delta twice is the delta once.
func (s *State) Swap(ctx context.Context, p int32, d engine.Delta) (moved bool, err error) {
	if !isGeneration(d.Base.Generation) || d.Base.Generation != d.Next.Generation || d.Base.Applied >= d.Next.Applied {
		return false, fmt.Errorf("redis: journal partition %d: a delta from %v to %v doesn't advance one generation", p, d.Base, d.Next)
	}
	names, args := swapCall(s.keys, p, d)
	var done int
	for try := range tries {
		done, err = swapScript.Run(ctx, s.client, names, args...).Int()
		if !silent(ctx, err) || try == tries-1 || pause(ctx, 25*time.Millisecond<<try) != nil {
			break
		}
	}
	return done > 0, s.failedIn("compare-and-set", p, err)
}

// pause waits for d, or returns ctx's error where that ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Promote implements engine.State.
func (s *State) Promote(ctx context.Context, p int32, at engine.Position, from, to int, meta []byte) (done bool, err error) {
	n, err := promoteScript.Run(ctx, s.client, []string{s.keys.head(p)}, at.Generation, at.Applied, from, to, meta).Int()
	return n == 1, s.failedIn("giving the state to another version", p, err)
}

// Begin implements engine.State. The new generation is empty because its name
// is new; it has no colon.
func (s *State) Begin(ctx context.Context, p int32, old engine.Position, h engine.Head) (begun bool, err error) {
	if !isGeneration(h.Generation) || h.Generation == old.Generation {
		return false, fmt.Errorf("redis: journal partition %d: a new generation needs a new name without a colon, not %q after %q",
			p, h.Generation, old.Generation)
	}
	done, err := beginScript.Run(ctx, s.client, []string{s.keys.head(p)},
		old.Generation, old.Applied, h.Generation, h.Applied, h.Logic, h.Meta, layout).Int()
	if err != nil {
		return false, s.failedIn("beginning a generation", p, err)
	}
	if done == 1 {
		s.sweep.request(p, h.Generation)
	}
	return done == 1, nil
}
