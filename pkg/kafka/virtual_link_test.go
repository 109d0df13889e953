//go:build synctests

package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// link is one connection of a process to a broker, request by request: with
// latency, and with what the schedule does to it.
type link struct {
	p     *process
	plain bool // kafka-go's, see stall
	a, b  net.Conn

	mu   sync.Mutex
	keys map[int32]int16 // request keys by correlation ID

	once sync.Once
	dead chan struct{}
}

var errCut = errors.New("the network is cut")

// dialer is how the clients of a process connect; plain for kafka-go's.
func (p *process) dialer(plain bool) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if err := p.passable(ctx); err != nil {
			return nil, err
		}
		b, err := p.w.network.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		client, a := net.Pipe()
		l := &link{p: p, plain: plain, a: a, b: b, keys: map[int32]int16{}, dead: make(chan struct{})}
		if !p.add(l) {
			l.cut()
			return nil, errCut
		}
		p.w.links.Go(func() { l.pump(l.b, l.a, l.request); l.b.Close() })
		p.w.links.Go(func() { l.pump(l.a, l.b, l.answer); l.cut(); p.remove(l) })
		return client, nil
	}
}

// cut ends the connection at once: what is under way is gone.
func (l *link) cut() {
	l.once.Do(func() { close(l.dead) })
	l.a.Close()
	l.b.Close()
}

// pump carries frames from one end to the other. One that it has taken arrives even
// where the sender has hung up meanwhile.
func (l *link) pump(to io.Writer, from io.Reader, pass func(frame []byte) bool) {
	for {
		var size [4]byte
		if _, err := io.ReadFull(from, size[:]); err != nil {
			return
		}
		frame := make([]byte, 4+binary.BigEndian.Uint32(size[:]))
		copy(frame, size[:])
		if _, err := io.ReadFull(from, frame[4:]); err != nil {
			return
		}
		if !pass(frame) {
			return
		}
		if _, err := to.Write(frame); err != nil {
			return
		}
	}
}

// A client waits for a producer ID under a lock, kafka-go for any answer. Time
// stands still in a bubble where somebody waits for a lock, so these answers take
// none.
func (l *link) instant(key int16) bool {
	return key == int16(kmsg.InitProducerID) || l.plain && key != int16(kmsg.Fetch)
}

func (l *link) request(frame []byte) bool {
	key, id := int16(binary.BigEndian.Uint16(frame[4:])), int32(binary.BigEndian.Uint32(frame[8:]))
	l.mu.Lock()
	l.keys[id] = key
	l.mu.Unlock()
	l.p.at(asked[key])
	return l.travel(key)
}

func (l *link) answer(frame []byte) bool {
	id := int32(binary.BigEndian.Uint32(frame[4:]))
	l.mu.Lock()
	key := l.keys[id]
	delete(l.keys, id)
	l.mu.Unlock()
	l.p.at(answered[key])
	if key == int16(kmsg.OffsetCommit) && !l.plain && l.p.slow() {
		l.p.w.sleep(5 * time.Second)
	}
	if answered[key] != "" && l.p.w.unlucky(150) {
		l.p.w.count("an answer lost")
		return false // it took effect
	}
	return l.travel(key)
}

// travel takes a while, and is stopped by a cut.
func (l *link) travel(key int16) bool {
	if !l.instant(key) {
		l.p.w.sleep(5 * time.Millisecond)
		l.p.hold(l.dead)
	}
	select {
	case <-l.dead:
		return false
	default:
		return true
	}
}

// Steps of a process at which the schedule may stop it.
var (
	asked    = map[int16]string{int16(kmsg.Produce): "produce", int16(kmsg.OffsetCommit): "commit"}
	answered = map[int16]string{int16(kmsg.Produce): "produced", int16(kmsg.OffsetCommit): "committed"}
	steps    = []string{"produce", "produced", "produced", "commit", "committed", "swap", "swapped", "swapped", "begun", "page", "snapshot"}
)

// passable waits while the process is paused.
func (p *process) passable(ctx context.Context) error {
	p.hold(ctx.Done())
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead || p.apart {
		return errCut
	}
	return ctx.Err()
}

// hold waits until the process isn't paused, or end.
func (p *process) hold(end <-chan struct{}) {
	for {
		p.mu.Lock()
		paused := p.paused
		p.mu.Unlock()
		if paused == nil {
			return
		}
		select {
		case <-paused:
		case <-end:
			return
		}
	}
}

func (p *process) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead || p.apart {
		return false
	}
	p.open[l] = true
	return true
}

func (p *process) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, l)
}

func (p *process) links(plain bool) (all []*link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.open {
		if l.plain || !plain {
			all = append(all, l)
		}
	}
	return all
}

// kill ends the process without a word: nothing of it has an effect any more.
func (p *process) kill() {
	p.mu.Lock()
	p.dead = true
	p.resumed()
	p.mu.Unlock()
	p.cut(false)
	p.cancel()
}

func (p *process) cut(plain bool) {
	for _, l := range p.links(plain) {
		l.cut()
	}
}

// stall pauses the process for d: what it has sent and what it is sent stands
// still, and arrives after that. kafka-go's connections are cut instead.
func (p *process) stall(d time.Duration) {
	p.mu.Lock()
	if p.dead || p.paused != nil {
		p.mu.Unlock()
		return
	}
	paused := make(chan struct{})
	p.paused = paused
	p.mu.Unlock()
	p.cut(true)
	time.AfterFunc(d, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.paused == paused {
			p.resumed()
		}
	})
}

func (p *process) resumed() {
	if p.paused != nil {
		close(p.paused)
		p.paused = nil
	}
}

// part cuts the process from the brokers for d; the state it still reaches.
func (p *process) part(d time.Duration) {
	p.setApart(true)
	p.cut(false)
	time.AfterFunc(d, func() { p.setApart(false) })
}

func (p *process) setApart(apart bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.apart = apart
}

// slowly has commits' answers come late for d, as from a busy coordinator.
func (p *process) slowly(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slowTo = time.Now().Add(d)
}

func (p *process) slow() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.slowTo)
}

// arm has the schedule act when the process comes to a step.
func (p *process) arm(step string, act func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.step, p.act = step, act
}

func (p *process) at(step string) {
	p.mu.Lock()
	act := p.act
	if step == "" || step != p.step || act == nil {
		p.mu.Unlock()
		return
	}
	p.act = nil
	p.mu.Unlock()
	act()
}
