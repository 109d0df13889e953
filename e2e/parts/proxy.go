package parts

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is what a Proxy does to those who connect through it. The zero value does
// nothing.
type Fault struct {
	Delay time.Duration // before each reply
	Drop  float64       // the share of replies, 0 to 1, that are swallowed, and their connections cut: the request took effect
	Cut   bool          // every connection is closed, new ones as well
	// Silent: connections are taken, and nothing passes. What was sent meanwhile
	// arrives when this ends, wherever its sender is by then.
	Silent bool
}

// Proxy stands between clients and a part on the loopback address, and does to
// them what a network can do. A reply is what the server begins to send after the
// client has sent something; so it fits protocols of requests and replies.
type Proxy struct {
	to       string
	listener net.Listener
	lost     atomic.Int64

	mu      sync.Mutex
	chance  *rand.Rand
	fault   Fault
	changed chan struct{} // closed by the next Set or Close
	closed  bool
	conns   map[net.Conn]struct{}
	work    sync.WaitGroup
}

// StartProxy listens on a free loopback port and passes everything on to the
// address to, until Set. The seed decides which replies are dropped.
func StartProxy(to string, seed uint64) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{to: to, listener: l, chance: rand.New(rand.NewPCG(seed, 0)), changed: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	p.work.Go(p.accept)
	return p, nil
}

// Addr is the host:port to connect to instead of the part's.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Dropped is how many replies were swallowed so far.
func (p *Proxy) Dropped() int64 { return p.lost.Load() }

// Set has the proxy do this from now on, to connections that are there too.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.fault = f
	p.look()
}

// look wakes who waits for a change, and closes connections where none may be;
// mu is held.
func (p *Proxy) look() {
	close(p.changed)
	p.changed = make(chan struct{})
	if p.fault.Cut || p.closed {
		for c := range p.conns {
			_ = c.Close() // it may be closed already
		}
	}
}

// Close closes every connection and returns when nothing runs any more.
func (p *Proxy) Close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		_ = p.listener.Close() // it listens for nobody else
		p.look()
	}
	p.mu.Unlock()
	p.work.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			p.work.Go(func() { p.serve(client) })
		}
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer p.drop(client)
	if !p.keep(client) {
		return
	}
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer p.drop(server)
	if !p.keep(server) {
		return
	}
	var asked atomic.Bool // since the last reply began
	var both sync.WaitGroup
	both.Go(func() { p.forward(server, client, func() bool { asked.Store(true); return p.heard() }) })
	both.Go(func() {
		p.forward(client, server, func() bool { return p.heard() && (!asked.Swap(false) || p.reply()) })
	})
	both.Wait()
}

// keep notes a connection, unless none may be.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = struct{}{}
	return !p.fault.Cut && !p.closed
}

func (p *Proxy) drop(c net.Conn) {
	_ = c.Close() // its peer may have closed it
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// forward copies until one side ends or pass says no, and then ends both.
func (p *Proxy) forward(to io.WriteCloser, from io.ReadCloser, pass func() bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !pass() {
			return
		}
		if _, failed := to.Write(buf[:n]); err != nil || failed != nil {
			return
		}
	}
}

// heard waits while the proxy is silent; false where it was closed.
func (p *Proxy) heard() bool {
	for {
		p.mu.Lock()
		silent, closed, changed := p.fault.Silent, p.closed, p.changed
		p.mu.Unlock()
		if !silent || closed {
			return !closed
		}
		<-changed
	}
}

// reply does to a reply what is to be done to it, and reports whether it goes on.
func (p *Proxy) reply() bool {
	p.mu.Lock()
	f, changed := p.fault, p.changed
	lost := f.Drop > 0 && p.chance.Float64() < f.Drop
	p.mu.Unlock()
	if lost {
		p.lost.Add(1)
		return false
	}
	if f.Delay > 0 {
		late := time.NewTimer(f.Delay)
		defer late.Stop()
		select {
		case <-late.C:
		case <-changed:
		}
	}
	return true
}
