//go:build e2e

package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"lockstitch/e2e/parts"
	"lockstitch/pkg/engine"
	"lockstitch/pkg/engine/enginetest"
	"lockstitch/stitch"
)

// A test on a real Redis never skips: where there is none, it fails.

// start starts a server for t alone.
func start(t testing.TB, o parts.RedisOptions) *parts.Redis {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := parts.StartRedis(ctx, t.TempDir(), o)
	if err != nil {
		t.Fatalf("the test needs Redis 7 (redis-server on the PATH, or LOCKSTITCH_TEST_REDIS=host:port): %v", err)
	}
	t.Cleanup(r.Close)
	return r
}

// address is the server that LOCKSTITCH_TEST_REDIS names, or a new one.
func address(t testing.TB) string {
	if addr := os.Getenv("LOCKSTITCH_TEST_REDIS"); addr != "" {
		return addr
	}
	return start(t, parts.RedisOptions{}).Addr()
}

var prefixes atomic.Int64

// real are the options of a state of its own on a server that others may share.
func real(addrs ...string) Options {
	prefix := fmt.Sprintf("lockstitch-test.%d-%d", time.Now().UnixNano(), prefixes.Add(1))
	return Options{Addresses: addrs, Prefix: prefix, Environment: "test"}
}

// openReal opens a state whose keys are gone with t.
func openReal(t testing.TB, o Options) *State {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := s.masters(context.Background(), func(ctx context.Context, c *goredis.Client) error {
			for it := c.Scan(ctx, 0, o.Prefix+":*", page).Iterator(); it.Next(ctx); {
				if err := c.Unlink(ctx, it.Val()).Err(); err != nil {
					return err
				}
			}
			return nil
		})
		if err := errors.Join(err, s.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestRealState(t *testing.T) {
	addr := address(t)
	enginetest.TestState(t, func(t *testing.T) engine.State { return openReal(t, real(addr)) })
}

func TestRealPolicy(t *testing.T) {
	r := start(t, parts.RedisOptions{Policy: "allkeys-lru"})
	if _, err := Open(t.Context(), real(r.Addr())); !errors.Is(err, ErrEviction) {
		t.Fatalf("a server that evicts: %v", err)
	}
	admin := goredis.NewClient(&goredis.Options{Addr: r.Addr()})
	defer admin.Close()
	const name, secret = "lockstitch", "secret"
	err := admin.Do(t.Context(), "ACL", "SETUSER", name, "on", ">"+secret, "~lockstitch-test*", "+@all", "-config").Err()
	if err != nil {
		t.Fatal(err)
	}
	o := real(r.Addr())
	o.Username, o.Password = name, secret
	if _, err := Open(t.Context(), o); !errors.Is(err, ErrEviction) {
		t.Fatalf("a server that evicts and forbids CONFIG: %v", err)
	}
	if err := admin.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err(); err != nil {
		t.Fatal(err)
	}
	s := openReal(t, o) // all keys lie under the prefix, all commands go by ACL
	begin(t, s, 0, engine.Position{}, "g")
	swap(t, s, 0, step("g", 0, "c:a"))

	o.Password = "wrong"
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "check its user name and password") {
		t.Fatalf("a wrong password: %v", err)
	}
}

// unchanged expects that the state is at position at with one key and one timer.
func unchanged(t *testing.T, s *State, want engine.Position) {
	t.Helper()
	values, before, after, err := s.Read(t.Context(), 0, "g", []string{"c:a", "c:new"})
	if err != nil || before != want || after != want || string(values[0]) != "c:a0" || values[1] != nil {
		t.Fatalf("read %q at %v, %v: %v", values, before, after, err)
	}
	timers, _, _, err := s.Timers(t.Context(), 0, "g")
	if err != nil || len(timers) != 1 || timers["f:o"].At != 1 {
		t.Fatalf("timers %v, %v", timers, err)
	}
}

// TestRealFull: a server without memory refuses a delta as a whole, whatever it
// begins with.
func TestRealFull(t *testing.T) {
	r := start(t, parts.RedisOptions{})
	s := openReal(t, real(r.Addr()))
	begin(t, s, 0, engine.Position{}, "g")
	d := step("g", 0, "c:a")
	d.Timers = []engine.TimerChange{{Key: "f:o", Timer: stitch.Timer{At: 1}}}
	swap(t, s, 0, d)
	admin := goredis.NewClient(&goredis.Options{Addr: r.Addr()})
	defer admin.Close()
	limit := func(bytes string) {
		t.Helper()
		if err := admin.ConfigSet(t.Context(), "maxmemory", bytes).Err(); err != nil {
			t.Fatal(err)
		}
	}
	full := step("g", 1, "c:new")
	full.Delete = []string{"c:a"}
	full.Timers = []engine.TimerChange{{Key: "f:o"}, {Key: "f:new", Timer: stitch.Timer{At: 1}}}
	only := step("g", 1)
	only.Delete, only.Timers = full.Delete, full.Timers[:1]
	limit("1")
	for _, d := range []engine.Delta{full, only} {
		moved, err := s.Swap(t.Context(), 0, d)
		if moved || err == nil || !strings.Contains(err.Error(), "raise maxmemory") {
			t.Fatalf("without memory: moved %v, %v", moved, err)
		}
		unchanged(t, s, pos("g", 1))
	}
	if begun, err := s.Begin(t.Context(), 0, pos("g", 1), engine.Head{Position: pos("other", 0)}); begun || err == nil {
		t.Fatalf("without memory: begun %v, %v", begun, err)
	}
	limit("0")
	swap(t, s, 0, full)
}

// TestRealKilled: a server that comes back knows no scripts, and the client's
// connections are dead.
func TestRealKilled(t *testing.T) {
	r := start(t, parts.RedisOptions{Fsync: "always"})
	s := openReal(t, real(r.Addr()))
	begin(t, s, 0, engine.Position{}, "g")
	d := step("g", 0, "c:a")
	d.Timers = []engine.TimerChange{{Key: "f:o", Timer: stitch.Timer{At: 1}}}
	swap(t, s, 0, d)
	r.Kill()
	next := step("g", 1, "c:new")
	if moved, err := s.Swap(t.Context(), 0, next); moved || err == nil {
		t.Fatalf("a dead server: moved %v, %v", moved, err)
	}
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	unchanged(t, s, pos("g", 1))
	swap(t, s, 0, next)
}

// TestRealPaused: the call is given up, and the server carries it out later.
func TestRealPaused(t *testing.T) {
	r := start(t, parts.RedisOptions{})
	s := openReal(t, real(r.Addr()))
	begin(t, s, 0, engine.Position{}, "g")
	swap(t, s, 0, step("g", 0, "c:a"))
	if err := r.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	d := step("g", 1, "c:a")
	if moved, err := s.Swap(ctx, 0, d); moved || err == nil {
		t.Fatalf("a paused server: moved %v, %v", moved, err)
	}
	r.Resume()
	swap(t, s, 0, d)
	values, before, _, err := s.Read(t.Context(), 0, "g", []string{"c:a"})
	if err != nil || before != d.Next || string(values[0]) != "c:a1" {
		t.Fatalf("read %q at %v, %v", values, before, err)
	}
}

func BenchmarkReal(b *testing.B) { benchmark(b, openReal(b, real(address(b)))) }
