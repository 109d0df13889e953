package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/engine/enginetest"
)

// embedded are the options of a state on m.
func embedded(m *miniredis.Miniredis) Options {
	return Options{Addresses: []string{m.Addr()}, Prefix: "ls", Environment: "test", Embedded: true}
}

func open(t testing.TB, o Options) *State {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestState(t *testing.T) {
	enginetest.TestState(t, func(t *testing.T) engine.State { return open(t, embedded(miniredis.RunT(t))) })
}

func pos(gen string, applied int64) engine.Position {
	return engine.Position{Generation: gen, Applied: applied}
}

func begin(t testing.TB, s *State, p int32, old engine.Position, gen string) {
	t.Helper()
	begun, err := s.Begin(t.Context(), p, old, engine.Head{Position: pos(gen, 0), Logic: 1})
	if err != nil || !begun {
		t.Fatalf("begun %v, %v", begun, err)
	}
}

// step is a delta from base to the next offset that sets some keys.
func step(gen string, base int64, keys ...string) engine.Delta {
	d := engine.Delta{Base: pos(gen, base), Next: pos(gen, base+1), Logic: 1, Meta: []byte("meta")}
	for _, k := range keys {
		d.Set = append(d.Set, engine.KV{Key: k, Value: fmt.Append(nil, k, base)})
	}
	return d
}

func swap(t testing.TB, s *State, p int32, d engine.Delta) {
	t.Helper()
	if moved, err := s.Swap(t.Context(), p, d); err != nil || !moved {
		t.Fatalf("moved %v, %v", moved, err)
	}
}

// until waits for a condition.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !is() {
		if pause(ctx, 2*time.Millisecond) != nil {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestKeys(t *testing.T) {
	k := keys{"ls"}
	for key, want := range map[string]string{
		k.timers(3, "g-1"):                 "3 g-1 true",
		k.page(12, "g-1", 7):               "12 g-1 true",
		k.page(12, "g", 1023):              "12 g true",
		k.head(3):                          "0  false",
		k.environment():                    "0  false",
		"other:{3}:g:t":                    "0  false",
		"ls2:{3}:g:t":                      "0  false",
		"ls:{x}:g:t":                       "0  false",
		"ls:{3}:g:x":                       "0  false",
		"ls:{3}:g":                         "0  false",
		"ls:{99999999999}:g:t":             "0  false",
		"":                                 "0  false",
		"ls:{3":                            "0  false",
		k.page(12, "g-1", 0):               "12 g-1 true",
		k.page(1, "head", 1):               "1 head true",
		k.timers(1, "head"):                "1 head true",
		k.partition(1) + "head:e:\x00\xff": "1 head true",
	} {
		p, gen, ok := k.parse(key)
		if got := fmt.Sprint(p, " ", gen, " ", ok); got != want {
			t.Errorf("%q: %s, want %s", key, got, want)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{
		{},
		{Prefix: "ls", Environment: "test"},
		{Addresses: []string{"127.0.0.1:1"}, Environment: "test"},
		{Addresses: []string{"127.0.0.1:1"}, Prefix: "ls"},
		{Addresses: []string{"127.0.0.1:1"}, Prefix: "{ls}", Environment: "test"},
		{Addresses: []string{"127.0.0.1:1"}, Prefix: "l*", Environment: "test"},
		{Addresses: []string{"127.0.0.1:1"}, Prefix: "a:b", Environment: "test"},
	} {
		if o.validate() == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	if err := (Options{Addresses: []string{"127.0.0.1:1"}, Prefix: "ls.prod_2-x", Environment: "test"}).validate(); err != nil {
		t.Error(err)
	}
}

func TestEnvironment(t *testing.T) {
	m := miniredis.RunT(t)
	prod := embedded(m)
	prod.Environment = "production"
	open(t, prod)
	if s, err := Open(t.Context(), embedded(m)); !errors.Is(err, ErrEnvironment) || !strings.Contains(err.Error(), `"production"`) {
		t.Fatalf("another environment's state was opened: %v, %v", s, err)
	}
	open(t, prod)
	other := embedded(m)
	other.Prefix = "other"
	open(t, other)
}

// answers makes m answer commands that it doesn't know, or would answer otherwise.
func answers(m *miniredis.Miniredis, with func(c *server.Peer, cmd string, args ...string) bool) {
	m.Server().SetPreHook(with)
}

func TestPolicy(t *testing.T) {
	const noperm = "NOPERM this user has no permissions to run the 'config|get' command"
	config := func(policy string) func(*server.Peer) {
		return func(c *server.Peer) { c.WriteStrings([]string{"maxmemory-policy", policy}) }
	}
	info := func(policy string) func(*server.Peer) {
		return func(c *server.Peer) {
			c.WriteBulk("# Memory\r\nused_memory:123\r\nmaxmemory_policy:" + policy + "\r\n")
		}
	}
	fails := func(reply string) func(*server.Peer) { return func(c *server.Peer) { c.WriteError(reply) } }
	for name, tc := range map[string]struct {
		config, info func(*server.Peer)
		want         error
		text         string
	}{
		"fit":                         {config: config("noeviction"), info: fails("ERR not asked")},
		"evicts":                      {config: config("allkeys-lru"), info: fails("ERR not asked"), want: ErrEviction, text: "allkeys-lru"},
		"evicts what has a TTL":       {config: config("volatile-ttl"), info: fails("ERR not asked"), want: ErrEviction, text: "volatile-ttl"},
		"CONFIG forbidden, fit":       {config: fails(noperm), info: info("noeviction")},
		"CONFIG forbidden, evicts":    {config: fails(noperm), info: info("allkeys-lfu"), want: ErrEviction, text: "allkeys-lfu"},
		"CONFIG unknown, fit":         {config: fails("ERR unknown command"), info: info("noeviction")},
		"nobody says":                 {config: func(c *server.Peer) { c.WriteLen(0) }, info: func(c *server.Peer) { c.WriteBulk("# Memory\r\n") }, want: ErrEviction, text: "allow the user"},
		"both forbidden: an error":    {config: fails(noperm), info: fails("NOPERM info"), text: "allow the user"},
		"the server is still loading": {config: fails("LOADING"), info: fails("LOADING Redis is loading"), text: "wait"},
	} {
		t.Run(name, func(t *testing.T) {
			m := miniredis.RunT(t)
			answers(m, func(c *server.Peer, cmd string, _ ...string) bool {
				switch cmd {
				case "CONFIG":
					tc.config(c)
				case "INFO":
					tc.info(c)
				default:
					return false
				}
				return true
			})
			o := embedded(m)
			o.Embedded = false
			s, err := Open(t.Context(), o)
			if err == nil {
				defer s.Close()
			}
			if fit := tc.want == nil && tc.text == ""; fit != (err == nil) {
				t.Fatalf("open: %v", err)
			}
			if tc.want != nil && !errors.Is(err, tc.want) || err != nil && !strings.Contains(err.Error(), tc.text) {
				t.Fatalf("open: %v, want %v and %q", err, tc.want, tc.text)
			}
		})
	}
}

// TestScriptsForgotten: a server that was restarted knows no scripts.
func TestScriptsForgotten(t *testing.T) {
	s := open(t, embedded(miniredis.RunT(t)))
	forget := func() {
		t.Helper()
		if err := s.client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	forget()
	begin(t, s, 0, engine.Position{}, "g")
	forget()
	swap(t, s, 0, step("g", 0, "c:a"))
}

// TestErrors: an error says where and what to do, and names no entity.
func TestErrors(t *testing.T) {
	m := miniredis.RunT(t)
	s := open(t, embedded(m))
	begin(t, s, 0, engine.Position{}, "g")
	const id = "c:jane@example.org"
	for reply, want := range map[string]string{
		"OOM command not allowed when used memory > 'maxmemory'.":                                      "raise maxmemory",
		"READONLY You can't write against a read only replica.":                                        "replica",
		"WRONGTYPE Operation against a key":                                                            "another prefix",
		"ERR unknown command 'HMGET', with args beginning with: 'ls:{0}:g:e:c:jane@example.org' ":      "unknown command",
		"NOPERM No permissions to access a key ls:{0}:g:e:c:jane@example.org":                          "allow the user",
		"ERR unknown command, with args beginning with: 'abc' '2' 'other' 'c:jane@example.org' 'more'": "unknown command",
	} {
		answers(m, func(c *server.Peer, cmd string, _ ...string) bool {
			if cmd == "EVALSHA" || cmd == "HMGET" {
				c.WriteError(reply)
				return true
			}
			return false
		})
		_, swapped := s.Swap(t.Context(), 0, step("g", 0, id))
		_, _, _, read := s.Read(t.Context(), 0, "g", []string{id})
		for _, err := range []error{swapped, read} {
			if err == nil || strings.Contains(err.Error(), "jane") || !strings.Contains(err.Error(), want) ||
				!strings.Contains(err.Error(), m.Addr()) || !strings.Contains(err.Error(), "partition 0") {
				t.Errorf("%q became: %v", reply, err)
			}
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("%v is a %T", err, err)
			}
		}
	}
	answers(m, nil)
	swap(t, s, 0, step("g", 0, id))
}

// TestAnswered: what Redis refuses is not asked again; that is the owner's to do.
func TestAnswered(t *testing.T) {
	m := miniredis.RunT(t)
	s := open(t, embedded(m))
	begin(t, s, 0, engine.Position{}, "g")
	s.sweep.close() // it calls scripts too
	calls := 0
	answers(m, func(c *server.Peer, cmd string, _ ...string) bool {
		if cmd != "EVALSHA" {
			return false
		}
		calls++
		c.WriteError("LOADING Redis is loading the dataset in memory")
		return true
	})
	if moved, err := s.Swap(t.Context(), 0, step("g", 0)); moved || err == nil {
		t.Fatal(moved, err)
	}
	answers(m, nil)
	if calls != 1 {
		t.Fatalf("asked %d times", calls)
	}
}

func TestDamaged(t *testing.T) {
	for name, fields := range map[string][]string{
		"no number":      {"gen", "g", "applied", "x", "logic", "1", "layout", layout},
		"no position":    {"gen", "g", "logic", "1", "layout", layout},
		"no generation":  {"applied", "1", "logic", "1", "layout", layout},
		"no logic":       {"gen", "g", "applied", "1", "layout", layout},
		"another layout": {"gen", "g", "applied", "1", "logic", "1"},
	} {
		m := miniredis.RunT(t)
		s := open(t, embedded(m))
		m.HSet(s.keys.head(0), fields...)
		if h, ok, err := s.Head(t.Context(), 0); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: head %v, %v, %v", name, h, ok, err)
		}
	}
	m := miniredis.RunT(t)
	s := open(t, embedded(m))
	for _, text := range []string{"", "1", ":1", "x:1", "1:x", "1:256", "1:1:1"} {
		m.HSet(s.keys.timers(0, "g"), "f:o", text)
		if timers, _, _, err := s.Timers(t.Context(), 0, "g"); !errors.Is(err, ErrDamaged) {
			t.Errorf("timer %q: %v, %v", text, timers, err)
		}
	}
}
