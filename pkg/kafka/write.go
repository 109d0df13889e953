package kafka

import (
	"context"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// Writer writes source records for people who try things out: traffic from a file
// or a generator. It is kafka-go's, neither idempotent nor exact; what Lockstitch
// itself publishes goes through Producer. Keys land where every Kafka client puts
// them (murmur2).
type Writer struct {
	writer    *kafkago.Writer
	transport *kafkago.Transport
}

// NewWriter connects lazily: it is the writes that fail.
func NewWriter(conn Conn) (*Writer, error) {
	transport, err := conn.Transport()
	if err != nil {
		return nil, err
	}
	return &Writer{transport: transport, writer: &kafkago.Writer{
		Addr: kafkago.TCP(conn.Brokers...), Transport: transport,
		Balancer:     kafkago.Murmur2Balancer{},
		RequiredAcks: kafkago.RequireAll, Compression: kafkago.Snappy,
		BatchSize: 1000, BatchTimeout: 5 * time.Millisecond,
	}}, nil
}

// Write writes records and waits for all of them. Topic, Key, Value and Headers
// count, and Time where it isn't 0. Records of one partition keep their order.
func (w *Writer) Write(ctx context.Context, recs ...Record) error {
	msgs := make([]kafkago.Message, len(recs))
	for i, r := range recs {
		m := &msgs[i]
		m.Topic, m.Key, m.Value = r.Topic, r.Key, r.Value
		if r.Time != 0 {
			m.Time = time.UnixMilli(r.Time)
		}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, kafkago.Header{Key: h.Key, Value: h.Value})
		}
	}
	if err := w.writer.WriteMessages(ctx, msgs...); err != nil {
		return fmt.Errorf("kafka: writing source records: %w", err)
	}
	return nil
}

// Close closes the connections.
func (w *Writer) Close() error {
	defer w.transport.CloseIdleConnections()
	return w.writer.Close()
}
