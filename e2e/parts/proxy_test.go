package parts_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lockstitch/e2e/parts"
)

// counter is a server that answers each line with how many it has heard.
type counter struct {
	addr  string
	heard atomic.Int64
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{addr: l.Addr().String()}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() { c.serve(conn) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); work.Wait() })
	return c
}

func (c *counter) serve(conn net.Conn) {
	defer conn.Close()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		fmt.Fprintln(conn, c.heard.Add(1))
	}
}

func newProxy(t *testing.T, to string) *parts.Proxy {
	t.Helper()
	p, err := parts.StartProxy(to, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// caller is a connection through a proxy.
type caller struct {
	net.Conn
	replies *bufio.Reader
}

func dial(t *testing.T, p *parts.Proxy) *caller {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &caller{conn, bufio.NewReader(conn)}
}

func (c *caller) ask() (string, error) {
	if _, err := fmt.Fprintln(c, "?"); err != nil {
		return "", err
	}
	reply, err := c.replies.ReadString('\n')
	return strings.TrimSpace(reply), err
}

func (c *caller) hears(t *testing.T, want string) {
	t.Helper()
	if got, err := c.ask(); got != want || err != nil {
		t.Errorf("heard %q, %v; want %q", got, err, want)
	}
}

func TestProxyPassesDelaysAndCuts(t *testing.T) {
	server := newCounter(t)
	p := newProxy(t, server.addr)
	c := dial(t, p)
	c.hears(t, "1")

	const delay = 30 * time.Millisecond
	p.Set(parts.Fault{Delay: delay})
	began := time.Now()
	c.hears(t, "2")
	if d := time.Since(began); d < delay {
		t.Errorf("a reply came after %v, to be delayed by %v", d, delay)
	}
	p.Set(parts.Fault{Delay: time.Hour})
	go p.Set(parts.Fault{Cut: true}) // a reply that waits doesn't keep it
	if reply, err := c.ask(); err == nil {
		t.Errorf("a connection that was cut answers %q", reply)
	}
	if reply, err := dial(t, p).ask(); err == nil {
		t.Errorf("a new connection answers %q", reply)
	}
	heard := server.heard.Load()
	p.Set(parts.Fault{})
	dial(t, p).hears(t, fmt.Sprint(heard+1))
}

// TestProxyDropsReplies: the server heard what it isn't heard to answer.
func TestProxyDropsReplies(t *testing.T) {
	server := newCounter(t)
	p := newProxy(t, server.addr)
	p.Set(parts.Fault{Drop: 1})
	if reply, err := dial(t, p).ask(); err == nil {
		t.Errorf("a reply that was dropped came: %q", reply)
	}
	if server.heard.Load() != 1 || p.Dropped() != 1 {
		t.Fatalf("the server heard %d requests, %d replies were dropped; want 1 and 1", server.heard.Load(), p.Dropped())
	}

	p.Set(parts.Fault{Drop: 0.5})
	answered := 0
	for range 100 {
		if _, err := dial(t, p).ask(); err == nil {
			answered++
		}
	}
	if dropped := int(p.Dropped()) - 1; answered+dropped != 100 || answered < 25 || dropped < 25 {
		t.Errorf("of 100 replies %d came and %d were dropped, at 0.5", answered, dropped)
	}
	if server.heard.Load() != 101 {
		t.Errorf("the server heard %d requests, want 101", server.heard.Load())
	}
}

// TestProxySilence: nobody is answered, and what was asked arrives afterwards.
func TestProxySilence(t *testing.T) {
	server := newCounter(t)
	p := newProxy(t, server.addr)
	old := dial(t, p)
	old.hears(t, "1")
	p.Set(parts.Fault{Silent: true})
	for _, c := range []*caller{old, dial(t, p)} {
		if err := c.SetDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if reply, err := c.ask(); err == nil {
			t.Errorf("a silent proxy answers %q", reply)
		}
	}
	if n := server.heard.Load(); n != 1 {
		t.Errorf("the server heard %d requests through the silence, want the one before", n)
	}
	p.Set(parts.Fault{})
	if err := old.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if reply, err := old.replies.ReadString('\n'); err != nil {
		t.Errorf("after the silence: %q, %v", reply, err)
	}
}

func TestProxyCloses(t *testing.T) {
	server := newCounter(t)
	p := newProxy(t, server.addr)
	c := dial(t, p)
	c.hears(t, "1")
	p.Set(parts.Fault{Silent: true})
	if _, err := fmt.Fprintln(c, "?"); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if _, err := io.ReadAll(c.replies); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("a closed proxy: %v", err)
	}
	if _, err := net.Dial("tcp", p.Addr()); err == nil {
		t.Error("a closed proxy takes connections")
	}
}
