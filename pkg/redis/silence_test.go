package redis

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"lockstitch/pkg/engine"
)

// wire is a network to Redis that can lose what comes back.
type wire struct {
	l      net.Listener
	to     string
	deaf   atomic.Int64 // how many replies to EVALSHA are lost from now on, with their connections
	lost   atomic.Int64 // how many were
	heard  func()       // called before a reply is lost; may be nil
	mu     sync.Mutex
	conns  []net.Conn
	copies sync.WaitGroup
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{l: l, to: to}
	w.copies.Go(w.accept)
	t.Cleanup(w.close)
	return w
}

func (w *wire) close() {
	w.l.Close()
	w.mu.Lock()
	for _, c := range w.conns {
		c.Close()
	}
	w.mu.Unlock()
	w.copies.Wait()
}

func (w *wire) accept() {
	for {
		client, err := w.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", w.to)
		if err != nil {
			client.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, client, server)
		w.mu.Unlock()
		var asked atomic.Bool
		w.copies.Go(func() { w.forward(server, client, func(b []byte) bool { w.asks(b, &asked); return true }) })
		w.copies.Go(func() { w.forward(client, server, func([]byte) bool { return !w.loses(&asked) }) })
	}
}

func (w *wire) asks(b []byte, asked *atomic.Bool) {
	if bytes.Contains(bytes.ToLower(b), []byte("evalsha")) {
		asked.Store(true)
	}
}

func (w *wire) loses(asked *atomic.Bool) bool {
	if !asked.Swap(false) || w.deaf.Load() == 0 {
		return false
	}
	w.deaf.Add(-1)
	w.lost.Add(1)
	if w.heard != nil {
		w.heard()
	}
	return true
}

// forward copies until pass says no, and then cuts the connection.
func (w *wire) forward(to io.WriteCloser, from io.ReadCloser, pass func([]byte) bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !pass(buf[:n]) {
			return
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

func TestReplyLost(t *testing.T) {
	m := miniredis.RunT(t)
	w := newWire(t, m.Addr())
	o := embedded(m)
	o.Addresses = []string{w.l.Addr().String()}
	s := open(t, o)
	s.sweep.close() // it calls scripts too
	begin(t, s, 0, engine.Position{}, "g")

	w.deaf.Store(2)
	swap(t, s, 0, step("g", 0, "c:a"))
	if w.lost.Load() != 2 {
		t.Fatalf("%d replies were lost, want 2", w.lost.Load())
	}

	w.deaf.Store(1000)
	d := step("g", 1, "c:a")
	if moved, err := s.Swap(t.Context(), 0, d); moved || err == nil {
		t.Fatalf("without any reply: moved %v, %v", moved, err)
	}
	if n := w.lost.Load(); n != 2+tries {
		t.Fatalf("%d replies were lost, want %d", n, 2+tries)
	}
	w.deaf.Store(0)
	if h, _, err := s.Head(t.Context(), 0); err != nil || h.Position != d.Next {
		t.Fatalf("head %v, %v", h.Position, err)
	}
	swap(t, s, 0, d) // the owner starts over, or tries again
}

// TestSilenceEnds: asking again ends with the context.
func TestSilenceEnds(t *testing.T) {
	m := miniredis.RunT(t)
	w := newWire(t, m.Addr())
	o := embedded(m)
	o.Addresses = []string{w.l.Addr().String()}
	s := open(t, o)
	s.sweep.close() // it calls scripts too
	begin(t, s, 0, engine.Position{}, "g")
	ctx, cancel := context.WithCancel(t.Context())
	w.heard = cancel
	w.deaf.Store(1000)
	if moved, err := s.Swap(ctx, 0, step("g", 0)); moved || err == nil {
		t.Fatal(moved, err)
	}
	if n := w.lost.Load(); n != 1 {
		t.Fatalf("asked %d times, though the context ended with the first", n)
	}
}

func TestUnreachable(t *testing.T) {
	m := miniredis.RunT(t)
	o := embedded(m)
	s := open(t, o)
	m.Close()
	_, _, err := s.Head(t.Context(), 0)
	if e, ok := errors.AsType[*Error](err); !ok || e.Hint == "" {
		t.Fatalf("head of a server that is gone: %v", err)
	}
	if err := s.Check(t.Context()); err == nil {
		t.Fatal("a server that is gone is fit")
	}
	if _, err := Open(t.Context(), o); err == nil || errors.Is(err, ErrEnvironment) || errors.Is(err, ErrEviction) {
		t.Fatalf("open of a server that is gone: %v", err)
	}
}
