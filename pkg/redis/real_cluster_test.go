//go:build e2e

package redis

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"lockstitch/e2e/parts"
	"lockstitch/pkg/engine"
	"lockstitch/pkg/engine/enginetest"
)

// minimal are the rights that docs/runbook.md asks for, on one server.
var minimal = []any{
	"-@all", "+get", "+set", "+setnx", "+hmget", "+hgetall", "+mget", "+evalsha", "+eval", "+script|load", "+scan",
	"+hset", "+mset", "+hget", "+hlen", "+hdel", "+del", "+unlink", "+info",
}

// allow makes a user with rights on a server.
func allow(t *testing.T, node *parts.Redis, rights ...any) {
	t.Helper()
	if err := node.Do(t.Context(), append([]any{"acl", "setuser", "lockstitch", "on", ">secret"}, rights...)...); err != nil {
		t.Fatal(err)
	}
}

func TestRealCluster(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := parts.StartRedisCluster(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	addrs := strings.Split(c.Addr(), ",")
	enginetest.TestState(t, func(t *testing.T) engine.State { return openReal(t, real(addrs...)) })
	for _, node := range c.Nodes {
		allow(t, node, append(minimal, "~lockstitch*", "+cluster|slots")...)
	}
	t.Run("one address, and a user with few rights", func(t *testing.T) {
		o := real(addrs[0])
		o.Cluster, o.Username, o.Password = true, "lockstitch", "secret"
		s := openReal(t, o)
		for p := range int32(16) { // in all nodes, most likely
			begin(t, s, p, engine.Position{}, "g")
			swap(t, s, p, step("g", 0, "c:a"))
		}
		if n, err := s.Memory(t.Context()); err != nil || n < 3<<19 {
			t.Fatalf("memory of three nodes: %d, %v", n, err)
		}
	})
}

func TestRealSentinel(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	watched, err := parts.StartSentinel(ctx, t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watched.Close)
	opt := func() Options {
		o := real(strings.Split(watched.Addr(), ",")...)
		o.Master = parts.SentinelMaster
		return o
	}
	enginetest.TestState(t, func(t *testing.T) engine.State { return openReal(t, opt()) })

	t.Run("users with few rights", func(t *testing.T) {
		for _, node := range watched.Nodes {
			allow(t, node, append(minimal, "~lockstitch*")...)
		}
		for _, sentinel := range watched.Sentinels {
			allow(t, sentinel, "-@all", "+sentinel|get-master-addr-by-name", "+sentinel|sentinels", "+subscribe", "+ping", "&+switch-master")
		}
		o := opt()
		o.Username, o.Password, o.SentinelUsername, o.SentinelPassword = "lockstitch", "secret", "lockstitch", "secret"
		s := openReal(t, o)
		begin(t, s, 0, engine.Position{}, "g")
		swap(t, s, 0, step("g", 0, "c:a"))
		if n, err := s.Memory(t.Context()); err != nil || n == 0 {
			t.Fatalf("memory of the master: %d, %v", n, err)
		}
		o.SentinelPassword = "wrong-password"
		if _, err := Open(t.Context(), o); err == nil || strings.Contains(err.Error(), o.SentinelPassword) {
			t.Fatalf("a wrong password at the sentinels: %v", err)
		}
	})
	t.Run("a master that they don't know", func(t *testing.T) {
		o := opt()
		o.Master = "other"
		if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "check redis.sentinel.master") {
			t.Fatal(err)
		}
	})
	t.Run("no sentinel", func(t *testing.T) {
		o := opt()
		o.Addresses = []string{"127.0.0.1:1", "127.0.0.1:2"}
		_, err := Open(t.Context(), o)
		if _, ok := errors.AsType[*net.OpError](err); !ok || !strings.Contains(err.Error(), "check that it runs") {
			t.Fatal(err)
		}
	})
	t.Run("a master that evicts", func(t *testing.T) {
		master, err := watched.Master(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := master.Do(t.Context(), "config", "set", "maxmemory-policy", "allkeys-lru"); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), opt()); !errors.Is(err, ErrEviction) || !strings.Contains(err.Error(), parts.SentinelMaster) {
			t.Fatal(err)
		}
		if err := master.Do(t.Context(), "config", "set", "maxmemory-policy", "noeviction"); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a replica that lost the last delta", func(t *testing.T) { lagging(t, watched, openReal(t, opt())) })
}

// lagging has a replica become the master that never heard of the last delta: the
// next one finds the head elsewhere, and so does who reads.
func lagging(t *testing.T, watched *parts.Sentinel, s *State) {
	master, err := watched.Master(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	begin(t, s, 0, engine.Position{}, "g")
	swap(t, s, 0, step("g", 0, "c:a"))
	synced := goredis.NewClient(&goredis.Options{Addr: master.Addr()})
	defer synced.Close()
	if n, err := synced.Wait(t.Context(), 1, 10*time.Second).Result(); n != 1 {
		t.Fatalf("%d replicas have the first delta: %v", n, err)
	}
	for _, node := range watched.Nodes {
		if node != master {
			if err := node.Pause(); err != nil {
				t.Fatal(err)
			}
			defer node.Resume()
		}
	}
	if err := master.Do(t.Context(), "client", "kill", "type", "replica"); err != nil {
		t.Fatal(err)
	}
	swap(t, s, 0, step("g", 1, "c:a"))
	master.Kill()
	for _, node := range watched.Nodes {
		node.Resume()
	}
	until(t, "another is the master", func() bool {
		_, before, after, err := s.Read(t.Context(), 0, "g", []string{"c:a"})
		return err == nil && before == pos("g", 1) && after == before
	})
	until(t, "it takes writes", func() bool {
		moved, err := s.Swap(t.Context(), 0, step("g", 2, "c:a"))
		if moved {
			t.Fatal("a delta was put upon a state that it isn't of")
		}
		return err == nil
	})
	swap(t, s, 0, step("g", 1, "c:a")) // as a silent catch-up does
}
