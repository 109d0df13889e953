package metrics

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
)

// trouble is a kind of failure, in words of ours.
type trouble struct {
	part string // kafka, redis, other
	kind string
}

func (t trouble) String() string { return t.part + ": " + t.kind }

// replies are the first words of Redis's error replies that tell an operator
// what to do.
var replies = []string{
	"OOM", "READONLY", "LOADING", "MISCONF", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS",
	"NOSCRIPT", "BUSY", "NOAUTH", "NOPERM", "WRONGPASS",
}

// classify sorts a failure by what the adapters' errors begin with and by their
// types, so that there is a small, fixed set of kinds.
func classify(err error) trouble {
	t := trouble{part: "other", kind: "failed"}
	for _, part := range []string{"kafka", "redis"} {
		if name, _, _ := strings.Cut(err.Error(), ":"); name == part || strings.HasPrefix(name, part+" ") {
			t.part = part
		}
	}
	if reply, ok := errors.AsType[redisReply](err); ok {
		t.part = "redis"
		if word, _, _ := strings.Cut(reply.Error(), " "); slices.Contains(replies, word) {
			t.kind = strings.ToLower(word)
		}
		return t
	}
	network, isNetwork := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), isNetwork && network.Timeout():
		t.kind = "timeout"
	case isNetwork, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		t.kind = "network"
	}
	return t
}

// redisReply is how clients mark an error that Redis itself answered.
type redisReply interface {
	error
	RedisError()
}

// Trouble counts a failure, logs it at a bounded rate, and has /ready say so
// until the partition goes on.
func (m *Metrics) Trouble(p int32, err error) {
	if err == nil {
		return
	}
	t := classify(err)
	m.trouble.WithLabelValues(t.part, t.kind).Inc()
	m.mu.Lock()
	part := m.part(p)
	part.trouble, part.at, part.retried = t, m.now(), false
	m.mu.Unlock()
	if skipped, ok := m.said.Say(t, m.now()); ok {
		m.log.Warn("a journal partition waits, trying again",
			"partition", p, "part", t.part, "kind", t.kind, "err", err, "not_logged", skipped)
	}
}

// IngestTrouble counts a failure of ingest, which logs it itself.
func (m *Metrics) IngestTrouble(err error) {
	t := classify(err)
	m.trouble.WithLabelValues(t.part, t.kind).Inc()
}
