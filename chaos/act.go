//go:build e2e

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"lockstitch/chaos/faults"
	"lockstitch/e2e/parts"
)

// action carries a fault out, and mends what it broke before it returns. An error
// says that the world itself didn't come back.
type action func(*world, context.Context, faults.Fault) error

var actions = map[string]action{
	"processor killed": func(w *world, ctx context.Context, f faults.Fault) error {
		return w.killed(ctx, f, faults.Pick(w.opt.processes, f.A))
	},
	"processor killed while it starts": (*world).killedWhileItStarts,
	"two processors killed at once": func(w *world, ctx context.Context, f faults.Fault) error {
		first := faults.Pick(w.opt.processes, f.A)
		return w.killed(ctx, f, first, (first+1)%w.opt.processes)
	},
	"all processors killed": func(w *world, ctx context.Context, f faults.Fault) error {
		return w.killed(ctx, f, upTo(w.opt.processes)...)
	},
	"processor stopped and started": func(w *world, ctx context.Context, f faults.Fault) error {
		s := w.picked(f)
		s.stop()
		_ = wait(ctx, faults.Between(0, 2*time.Second, f.B))
		return s.start()
	},
	"rolling restart": (*world).rolled,
	"processor with other rules": func(w *world, _ context.Context, f faults.Fault) error {
		s := w.picked(f)
		s.stop()
		s.rules++
		return s.start()
	},
	"processor paused": func(w *world, ctx context.Context, f faults.Fault) error {
		w.picked(f).pause(ctx, faults.Between(time.Second, 5*time.Second, f.B))
		return nil
	},
	"processor paused beyond its session": func(w *world, ctx context.Context, f faults.Fault) error {
		w.picked(f).pause(ctx, faults.Between(8*time.Second, 30*time.Second, f.B))
		return nil
	},
	"fourth processor joins and is killed": func(w *world, ctx context.Context, f faults.Fault) error {
		s := w.slots[w.opt.processes]
		if err := s.start(); err != nil {
			return err
		}
		_ = wait(ctx, faults.Between(500*time.Millisecond, 6*time.Second, f.B))
		s.kill()
		return nil
	},

	"redis killed": (*world).redisKilled,
	"redis killed while it rewrites its file": (*world).redisKilledRewriting,
	"redis file cut": (*world).redisCut,
	"redis flushed":  func(w *world, ctx context.Context, _ faults.Fault) error { return w.direct.FlushAll(ctx).Err() },
	"redis paused": func(w *world, ctx context.Context, f faults.Fault) error {
		return stood(ctx, w.redis, faults.Between(time.Second, 8*time.Second, f.B))
	},
	"redis slow":            network(func(faults.Fault) parts.Fault { return parts.Fault{Delay: 200 * time.Millisecond} }, 3*time.Second, 6*time.Second),
	"redis replies dropped": network(func(f faults.Fault) parts.Fault { return parts.Fault{Drop: 0.05 + f.A/4} }, 3*time.Second, 6*time.Second),
	"redis cut off":         network(func(faults.Fault) parts.Fault { return parts.Fault{Cut: true} }, time.Second, 6*time.Second),
	"redis silent":          network(func(faults.Fault) parts.Fault { return parts.Fault{Silent: true} }, time.Second, 8*time.Second),
	"redis full": func(w *world, ctx context.Context, f faults.Fault) error {
		return w.redisSays(ctx, f, []any{"CONFIG", "SET", "maxmemory", "1mb"}, []any{"CONFIG", "SET", "maxmemory", "0"})
	},
	"redis read-only": func(w *world, ctx context.Context, f faults.Fault) error {
		return w.redisSays(ctx, f, []any{"REPLICAOF", "127.0.0.1", "1"}, []any{"REPLICAOF", "NO", "ONE"})
	},
	"redis gone for long": func(w *world, ctx context.Context, _ faults.Fault) error {
		w.redis.Kill()
		_ = wait(ctx, min(5*time.Minute, w.opt.lasts/10))
		return again(ctx, w.redis)
	},
	"redis scripts flushed": func(w *world, ctx context.Context, _ faults.Fault) error { return w.direct.ScriptFlush(ctx).Err() },
	"redis connections killed": func(w *world, ctx context.Context, _ faults.Fault) error {
		return w.direct.Do(ctx, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err()
	},

	"broker killed": func(w *world, ctx context.Context, f faults.Fault) error {
		w.kafka.Kill()
		_ = wait(ctx, faults.Between(0, 3*time.Second, f.B))
		return again(ctx, w.kafka)
	},
	"broker gone for long": func(w *world, ctx context.Context, _ faults.Fault) error {
		w.kafka.Kill()
		_ = wait(ctx, min(2*time.Minute, w.opt.lasts/20))
		return again(ctx, w.kafka)
	},
	"broker paused": func(w *world, ctx context.Context, f faults.Fault) error {
		return stood(ctx, w.kafka, faults.Between(time.Second, 8*time.Second, f.B))
	},
	"journal cut and redis flushed":         (*world).journalCut,
	"transaction aborted at a source's end": (*world).transacted,
	"sources quiet": func(w *world, ctx context.Context, f faults.Fault) error {
		w.fed(ctx, 0, faults.Between(2*time.Second, 6*time.Second, f.B))
		return nil
	},
	"sources in a burst": func(w *world, ctx context.Context, f faults.Fault) error {
		w.fed(ctx, 4, faults.Between(time.Second, 3*time.Second, f.B))
		return nil
	},
}

func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

func (w *world) picked(f faults.Fault) *slot { return w.slots[faults.Pick(w.opt.processes, f.A)] }

// killed kills processes at once, and starts them after a moment.
func (w *world) killed(ctx context.Context, f faults.Fault, numbers ...int) error {
	var all sync.WaitGroup
	for _, n := range numbers {
		all.Go(w.slots[n].kill)
	}
	all.Wait()
	_ = wait(ctx, faults.Between(0, 2*time.Second, f.B))
	for _, n := range numbers {
		if err := w.slots[n].start(); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) killedWhileItStarts(ctx context.Context, f faults.Fault) error {
	s := w.picked(f)
	s.kill()
	if err := s.start(); err != nil {
		return err
	}
	_ = wait(ctx, faults.Between(30*time.Millisecond, 1200*time.Millisecond, f.B))
	s.kill()
	return s.start()
}

// rolled restarts one after the other, as the runbook has it: the next when the
// one before is ready, or isn't for a while because something else broke.
func (w *world) rolled(ctx context.Context, _ faults.Fault) error {
	for _, s := range w.slots[:w.opt.processes] {
		s.stop()
		if err := s.start(); err != nil {
			return err
		}
		_ = until(ctx, 10*time.Second, s.name()+" is ready", func(ctx context.Context) (bool, error) {
			l := s.now()
			if l == nil {
				return true, nil
			}
			_, err := l.get(ctx, "/ready")
			return err == nil, err
		})
	}
	return nil
}

// part is a part's process.
type part interface {
	Kill()
	Restart(context.Context) error
	Pause() error
	Resume()
}

// again starts a part again, also when the run is to end.
func again(ctx context.Context, p part) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return p.Restart(ctx)
}

// stood has a part stand still for a while.
func stood(ctx context.Context, p part, d time.Duration) error {
	if err := p.Pause(); err != nil {
		return err
	}
	defer p.Resume()
	_ = wait(ctx, d)
	return nil
}

// redisKilled kills Redis at one of its three ways to keep its file.
func (w *world) redisKilled(ctx context.Context, f faults.Fault) error {
	if err := w.fsync(ctx, f); err != nil {
		return err
	}
	w.redis.Kill()
	_ = wait(ctx, faults.Between(0, 3*time.Second, f.B))
	return again(ctx, w.redis)
}

func (w *world) fsync(ctx context.Context, f faults.Fault) error {
	how := []string{"always", "everysec", "no"}[faults.Pick(3, f.C)]
	if err := w.direct.ConfigSet(ctx, "appendfsync", how).Err(); err != nil {
		return err
	}
	return wait(ctx, 300*time.Millisecond) // some writes in this way
}

func (w *world) redisKilledRewriting(ctx context.Context, f faults.Fault) error {
	if err := w.direct.BgRewriteAOF(ctx).Err(); err != nil && !strings.Contains(err.Error(), "already in progress") {
		return err
	}
	_ = wait(ctx, faults.Between(0, 300*time.Millisecond, f.B))
	w.redis.Kill()
	return again(ctx, w.redis)
}

// redisCut kills Redis and cuts the file that it appends to at any byte.
func (w *world) redisCut(ctx context.Context, f faults.Fault) error {
	if err := w.fsync(ctx, f); err != nil {
		return err
	}
	w.redis.Kill()
	name, size, err := w.appended()
	if err != nil {
		return err
	}
	if err := os.Truncate(name, int64(f.A*float64(size))); err != nil {
		return err
	}
	_ = wait(ctx, faults.Between(0, time.Second, f.B))
	return again(ctx, w.redis)
}

// appended is the file that Redis appends to: the last one, where it has rewritten.
func (w *world) appended() (name string, size int64, err error) {
	files, err := filepath.Glob(filepath.Join(w.redis.Dir(), "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) == 0 {
		return "", 0, fmt.Errorf("redis has no append-only file: %w", errors.Join(err, os.ErrNotExist))
	}
	number := func(name string) int {
		fields := strings.Split(filepath.Base(name), ".")
		n, _ := strconv.Atoi(fields[max(0, len(fields)-3)])
		return n
	}
	name = slices.MaxFunc(files, func(a, b string) int { return number(a) - number(b) })
	stat, err := os.Stat(name)
	if err != nil {
		return "", 0, err
	}
	return name, stat.Size(), nil
}

// network is a fault between Redis and one process, or all.
func network(fault func(faults.Fault) parts.Fault, shortest, longest time.Duration) action {
	return func(w *world, ctx context.Context, f faults.Fault) error {
		hit := w.proxies
		if f.C < 0.5 {
			n := faults.Pick(w.opt.processes, f.C*2)
			hit = hit[n : n+1]
		}
		for _, p := range hit {
			p.Set(fault(f))
			defer p.Set(parts.Fault{})
		}
		_ = wait(ctx, faults.Between(shortest, longest, f.B))
		return nil
	}
}

// redisSays gives Redis an order that hurts, and after a while one that heals.
func (w *world) redisSays(ctx context.Context, f faults.Fault, hurts, heals []any) error {
	err := w.direct.Do(ctx, hurts...).Err()
	_ = wait(ctx, faults.Between(time.Second, 5*time.Second, f.B))
	return errors.Join(err, w.direct.Do(context.WithoutCancel(ctx), heals...).Err())
}

// fed changes the sources' pace for a while.
func (w *world) fed(ctx context.Context, times float64, d time.Duration) {
	w.feed.times(times)
	defer w.feed.times(1)
	_ = wait(ctx, d)
}
