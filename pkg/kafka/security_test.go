package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"lockstitch/pkg/engine"
)

// certificate is one for 127.0.0.1, and who trusts it.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: roots}
}

// TLS with each SASL mechanism, through both client libraries; a wrong password
// reaches nobody.
func TestSecured(t *testing.T) {
	for _, mechanism := range []Mechanism{"plain", "scram-sha-256", "scram-sha-512"} {
		t.Run(string(mechanism), func(t *testing.T) {
			server, client := certificate(t)
			c := newCluster(t, 1, kfake.TLS(server), kfake.EnableSASL(), kfake.Superuser(strings.ToUpper(string(mechanism)), "u", "right"))
			c.conn.Security = Security{TLS: client, Mechanism: mechanism, User: "u", Password: "right"}
			ctx := testContext(t)
			p := c.producer(t)
			if err := p.Publish(ctx, []engine.Published{{Topic: engine.TopicSink, Key: []byte("k"), Value: []byte("by franz-go")}}); err != nil {
				t.Fatal(err)
			}
			kafkaGoReaches(ctx, t, c.conn)
			c.conn.Security.Password = "wrong"
			dialer, err := c.conn.Dialer()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := dialer.DialContext(ctx, "tcp", c.conn.Brokers[0]); err == nil || strings.Contains(err.Error(), "wrong") {
				t.Fatalf("with a wrong password: %v", err)
			}
		})
	}
}

func kafkaGoReaches(ctx context.Context, t *testing.T, conn Conn) {
	t.Helper()
	dialer, err := conn.Dialer()
	if err != nil {
		t.Fatal(err)
	}
	r := kafkago.NewReader(kafkago.ReaderConfig{Brokers: conn.Brokers, Topic: testTopics.Sink, Partition: sinkPartition(ctx, t, conn), Dialer: dialer, MaxWait: 250 * time.Millisecond})
	defer r.Close()
	m, err := r.ReadMessage(ctx)
	if err != nil || string(m.Value) != "by franz-go" {
		t.Fatalf("kafka-go read %q, %v", m.Value, err)
	}
}

// sinkPartition is where the one sink record landed.
func sinkPartition(ctx context.Context, t *testing.T, conn Conn) int {
	t.Helper()
	for r, err := range Dump(ctx, conn, testTopics.Sink) {
		if err != nil {
			t.Fatal(err)
		}
		return int(r.Partition)
	}
	t.Fatal("no record")
	return 0
}
