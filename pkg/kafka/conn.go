package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	kafkagosasl "github.com/segmentio/kafka-go/sasl"
	kafkagoplain "github.com/segmentio/kafka-go/sasl/plain"
	kafkagoscram "github.com/segmentio/kafka-go/sasl/scram"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Mechanism is how a client says who it is (SASL); "" is no SASL.
type Mechanism string

// The mechanisms. kafka-go has OAuthBearer through an adapter, good for short
// connections only (bearer.go).
const (
	Plain       Mechanism = "plain"
	ScramSHA256 Mechanism = "scram-sha-256"
	ScramSHA512 Mechanism = "scram-sha-512"
	OAuthBearer Mechanism = "oauthbearer"
)

// Security is how connections are encrypted and authenticated.
type Security struct {
	TLS       *tls.Config // nil: no TLS
	Mechanism Mechanism
	User      string
	Password  string
	Tokens    Tokens // of OAuthBearer, which has no user and password
}

// Validate reports a mechanism that isn't known or lacks its user or tokens.
func (s Security) Validate() error {
	switch s.Mechanism {
	case "":
		if s.User != "" || s.Password != "" {
			return errors.New("kafka: a user or password without a SASL mechanism: set it to plain, scram-sha-256 or scram-sha-512")
		}
		return nil
	case Plain, ScramSHA256, ScramSHA512:
		if s.User == "" || s.Password == "" {
			return fmt.Errorf("kafka: SASL mechanism %s needs a user and a password", s.Mechanism)
		}
		return nil
	case OAuthBearer:
		if s.Tokens == nil {
			return errors.New("kafka: SASL mechanism oauthbearer needs a file or an endpoint for its tokens")
		}
		return nil
	}
	return fmt.Errorf("kafka: SASL mechanism %q is not known: use plain, scram-sha-256, scram-sha-512 or oauthbearer", s.Mechanism)
}

// franz is the mechanism for franz-go.
func (s Security) franz() sasl.Mechanism {
	switch s.Mechanism {
	case Plain:
		return plain.Auth{User: s.User, Pass: s.Password}.AsMechanism()
	case ScramSHA256:
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha256Mechanism()
	case ScramSHA512:
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha512Mechanism()
	case OAuthBearer:
		return newBearer(s.Tokens)
	}
	return nil
}

// segment is the mechanism for kafka-go.
func (s Security) segment() (kafkagosasl.Mechanism, error) {
	switch s.Mechanism {
	case Plain:
		return kafkagoplain.Mechanism{Username: s.User, Password: s.Password}, nil
	case ScramSHA256:
		return kafkagoscram.Mechanism(kafkagoscram.SHA256, s.User, s.Password)
	case ScramSHA512:
		return kafkagoscram.Mechanism(kafkagoscram.SHA512, s.User, s.Password)
	case OAuthBearer:
		return segmentBearer{newBearer(s.Tokens)}, nil
	}
	return nil, nil
}

// Conn says how to reach a cluster; every client of this package is made of it.
type Conn struct {
	Brokers  []string // host:port, at least one
	ClientID string   // shown in brokers' logs and quotas; "" for lockstitch
	Security Security
	Logger   *slog.Logger // hears the clients' warnings; nil for slog.Default

	dial dialFunc // of tests without a network; nil for net.Dialer
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// How long a broker that hangs is waited for. It lets clients connect for a while,
// and says nothing: that the others have put it out, only their metadata tell.
const (
	dialTimeout    = 5 * time.Second  // one attempt to connect
	requestTimeout = 5 * time.Second  // on top of what the request itself may take
	metadataAge    = 10 * time.Second // brokers that are gone by then are asked nothing more
)

// Validate reports what makes a Conn unusable.
func (c Conn) Validate() error {
	if len(c.Brokers) == 0 {
		return errors.New("kafka: no broker address is configured")
	}
	return c.Security.Validate()
}

func (c Conn) id() string {
	if c.ClientID == "" {
		return "lockstitch"
	}
	return c.ClientID
}

func (c Conn) logger() *slog.Logger {
	if c.Logger == nil {
		return slog.Default()
	}
	return c.Logger
}

// Client makes a franz-go client for administration (package topicadmin). Close
// it when done.
func (c Conn) Client() (*kgo.Client, error) { return c.client() }

// client makes a franz-go client. Metadata may be asked for again soon, so that
// a moved leader or a new topic is noticed within a second.
func (c Conn) client(opts ...kgo.Opt) (*kgo.Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	all := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(c.id()),
		kgo.DialTimeout(dialTimeout),
		kgo.RequestTimeoutOverhead(requestTimeout),
		kgo.MetadataMinAge(500 * time.Millisecond),
		kgo.MetadataMaxAge(metadataAge),
		kgo.WithLogger(newFranzLogger(c.logger())),
	}
	if c.dial != nil {
		all = append(all, kgo.Dialer(c.dial))
	} else if c.Security.TLS != nil {
		all = append(all, kgo.DialTLSConfig(c.Security.TLS.Clone()))
	}
	if m := c.Security.franz(); m != nil {
		all = append(all, kgo.SASL(m))
	}
	cl, err := kgo.NewClient(append(all, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: client of %v: %w", c.Brokers, err)
	}
	return cl, nil
}

// Dialer is how kafka-go's readers and consumer groups connect.
func (c Conn) Dialer() (*kafkago.Dialer, error) {
	m, err := c.mechanism()
	if err != nil {
		return nil, err
	}
	return &kafkago.Dialer{
		ClientID: c.id(), Timeout: dialTimeout, DualStack: true, DialFunc: c.dialAnswering,
		TLS: c.Security.TLS.Clone(), SASLMechanism: m,
	}, nil
}

// Transport is how kafka-go's writers connect. Close its idle connections when done.
func (c Conn) Transport() (*kafkago.Transport, error) {
	m, err := c.mechanism()
	if err != nil {
		return nil, err
	}
	return &kafkago.Transport{
		ClientID: c.id(), DialTimeout: dialTimeout, Dial: c.dial,
		TLS: c.Security.TLS.Clone(), SASL: m,
	}, nil
}

func (c Conn) mechanism() (kafkagosasl.Mechanism, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m, err := c.Security.segment()
	if err != nil {
		return nil, fmt.Errorf("kafka: SASL %s: %w", c.Security.Mechanism, err)
	}
	return m, nil
}
