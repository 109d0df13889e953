package kafka

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// answering is a connection for kafka-go, which waits for some answers without end,
// and takes a time-out for something that passes by itself. So it would stay with a
// broker that lets it connect and then hangs, though there are others.
type answering struct {
	net.Conn
	timeout time.Duration
	ours    atomic.Bool // the deadline is ours
}

// answerTimeout is the time for answers that kafka-go sets no deadline for.
const answerTimeout = 2 * requestTimeout

var errSilent = errors.New("the broker doesn't answer")

func (c Conn) dialAnswering(ctx context.Context, network, address string) (net.Conn, error) {
	dial := c.dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &answering{Conn: conn, timeout: answerTimeout}, nil
}

// SetDeadline is SetReadDeadline, for writes too.
func (c *answering) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline sets a deadline where there would be none. kafka-go calls it before
// each answer.
func (c *answering) SetReadDeadline(t time.Time) error {
	c.ours.Store(t.IsZero())
	if t.IsZero() {
		t = time.Now().Add(c.timeout)
	}
	return c.Conn.SetReadDeadline(t)
}

// Read fails for good where the deadline is ours.
func (c *answering) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) && c.ours.Load() {
		err = errSilent
	}
	return n, err
}
