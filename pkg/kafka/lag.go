package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Monitor looks at a cluster for health and metrics.
type Monitor struct {
	client *kgo.Client
}

// NewMonitor connects lazily: it is the calls that fail.
func NewMonitor(conn Conn) (*Monitor, error) {
	cl, err := conn.client()
	if err != nil {
		return nil, err
	}
	return &Monitor{cl}, nil
}

// Close closes the connection.
func (m *Monitor) Close() { m.client.Close() }

// Ping returns nil if a broker answers before ctx ends.
func (m *Monitor) Ping(ctx context.Context) error {
	if err := m.client.Ping(ctx); err != nil {
		return fmt.Errorf("kafka: no broker answers: %w", err)
	}
	return nil
}

// Reading is a consumer group and the topics that it reads.
type Reading struct {
	Group  string
	Topics []string
}

// Readings are the groups of ingest group id.
func Readings(id string, sources []Source) []Reading {
	plain, committed := Reading{Group: id}, Reading{Group: CommittedGroup(id)}
	for _, s := range sources {
		if s.ReadCommitted {
			committed.Topics = append(committed.Topics, s.Topic)
		} else {
			plain.Topics = append(plain.Topics, s.Topic)
		}
	}
	return slices.DeleteFunc([]Reading{plain, committed}, func(r Reading) bool { return len(r.Topics) == 0 })
}

// PartitionLag is how far a group is behind in one partition.
type PartitionLag struct {
	Group     string
	Topic     string
	Partition int32
	Committed int64 // -1: never
	End       int64
	Lag       int64 // records that are there and not committed
}

// Lag returns the lag of every partition, by group, topic and partition. Topics
// that don't exist are left out.
func (m *Monitor) Lag(ctx context.Context, readings ...Reading) (lags []PartitionLag, err error) {
	for _, r := range readings {
		facts, err := describe(ctx, m.client, r.Topics...)
		if err != nil {
			return nil, err
		}
		ps := partitionsOf(facts)
		at, err := fetchOffsets(ctx, m.client, r.Group)
		if err != nil {
			return nil, err
		}
		starts, err := listOffsets(ctx, m.client, ps, startOffset)
		if err != nil {
			return nil, err
		}
		ends, err := listOffsets(ctx, m.client, ps, endOffset)
		if err != nil {
			return nil, err
		}
		for _, topic := range slices.Sorted(maps.Keys(ps)) {
			for _, p := range ps[topic] {
				l := PartitionLag{Group: r.Group, Topic: topic, Partition: p, Committed: -1, End: ends[topic][p]}
				if o, ok := at.Lookup(topic, p); ok && o.Err == nil {
					l.Committed = o.At
				}
				l.Lag = max(0, l.End-max(l.Committed, starts[topic][p]))
				lags = append(lags, l)
			}
		}
	}
	return lags, nil
}
