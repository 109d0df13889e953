package kafka

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// Without a deadline of its own, kafka-go asks a broker that hangs again and again.
func TestBrokerThatHangsIsGivenUp(t *testing.T) {
	hangs, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hangs.Close()
	dialer := &kafkago.Dialer{DialFunc: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := Conn{}.dialAnswering(ctx, network, address)
		if err == nil {
			c.(*answering).timeout = 50 * time.Millisecond
		}
		return c, err
	}}
	if _, err := dialer.LookupPartition(testContext(t), "tcp", hangs.Addr().String(), "t", 0); !errors.Is(err, errSilent) {
		t.Fatal(err)
	}
	c, err := dialer.DialContext(testContext(t), "tcp", hangs.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	_, err = c.ReadPartitions("t")
	if network, ok := errors.AsType[net.Error](err); !ok || !network.Timeout() {
		t.Fatalf("a deadline of its caller: %v", err)
	}
}
