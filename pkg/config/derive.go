package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"time"

	"lockstitch/stitch"
)

// IsEmbedded reports whether Kafka and Redis are the embedded ones.
func (c *Config) IsEmbedded() bool { return len(c.Kafka.Brokers) == 0 && len(c.Redis.Addresses) == 0 }

// Prefixed is a name as it stands in Kafka and Redis.
func (c *Config) Prefixed(name string) string { return c.Prefix + name }

// GroupName is the consumer group with the prefix.
func (c *Config) GroupName() string { return c.Prefixed(c.Kafka.Group) }

// TopicNames are the names of our own topics with the prefix.
func (c *Config) TopicNames() Topics {
	t := c.Topics
	return Topics{
		Journal: c.Prefixed(t.Journal), Sink: c.Prefixed(t.Sink), Decisions: c.Prefixed(t.Decisions),
		DLQ: c.Prefixed(t.DLQ), Snapshots: c.Prefixed(t.Snapshots),
	}
}

// PrefixedSources are the sources, their topics with the prefix.
func (c *Config) PrefixedSources() []Source {
	sources := make([]Source, len(c.Sources))
	for i, s := range c.Sources {
		s.Topic = c.Prefixed(s.Topic)
		sources[i] = s
	}
	return sources
}

// JournalCount is the number of journal partitions, defaults resolved.
func (c *Config) JournalCount() int { return resolved(c.JournalPartitions, c.IsEmbedded(), 8, 32) }

// Replicas is the number of replicas of a topic, defaults resolved.
func (c *Config) Replicas() int { return resolved(c.Replication, c.IsEmbedded(), 1, 3) }

func resolved(n int, embedded bool, small, large int) int {
	switch {
	case n != 0:
		return n
	case embedded:
		return small
	}
	return large
}

// Rules are the rules as the fold knows them.
func (c *Config) Rules() stitch.Rules { return c.Fold.stitch() }

func (r Rules) stitch() stitch.Rules {
	ms := func(d Duration) int64 { return time.Duration(d).Milliseconds() }
	return stitch.Rules{
		DuplicateWindow: ms(r.DuplicateWindow),
		MaxCustomers:    r.MaxCustomersPerAnonymousID,
		MaxDevices:      r.MaxAnonymousIDsPerCustomer,
		LastLogin:       r.SharedDevice == LastLogin,
		SharedAfter:     ms(r.SharedDeviceEnds),
		MergeDelay:      ms(r.TakeOverDelay),
		KeepPerson:      ms(r.KeepPersons),
		KeepFact:        ms(r.KeepOrders),
	}
}

// byField yields each retention with its field's name, in order.
func (r Retention) byField() iter.Seq2[string, Duration] {
	return func(yield func(string, Duration) bool) {
		_ = yield("journal", r.Journal) && yield("sink", r.Sink) && yield("decisions", r.Decisions) &&
			yield("dlq", r.DLQ) && yield("snapshots", r.Snapshots)
	}
}

// Client is the configuration of a TLS client, nil where TLS is off. It reads the
// PEM files; errors name the file.
func (t TLS) Client() (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: %s holds no certificate: it must be PEM", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file and key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Logger writes log lines as configured, to w.
func (l Log) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.Level)) // Validate has refused others
	opt := &slog.HandlerOptions{Level: level}
	if l.Format == FormatJSON {
		return slog.New(slog.NewJSONHandler(w, opt))
	}
	return slog.New(slog.NewTextHandler(w, opt))
}
