package feed_test

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/feed"
	"lockstitch/pkg/traffic"
)

// sources are the topics of the traffic, with partitions of their own number.
var sources = map[string]int32{"events.app": 12, "events.web": 7, "events.server": 3, "events.commerce": 1}

func cluster(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	for topic, partitions := range sources {
		opts = append(opts, kfake.SeedTopics(partitions, topic))
	}
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// made makes lines of traffic, of which some are garbage.
func made(n int) []feed.Line {
	lines := make([]feed.Line, 0, n)
	for line := range traffic.New(traffic.Options{Seed: 1, People: 300, Garbage: 0.01}).All() {
		if lines = append(lines, feed.Line(line)); len(lines) == n {
			break
		}
	}
	return lines
}

// from yields the lines, and then err where there is one.
func from(lines []feed.Line, err error) iter.Seq2[feed.Line, error] {
	return func(yield func(feed.Line, error) bool) {
		for _, line := range lines {
			if !yield(line, nil) {
				return
			}
		}
		if err != nil {
			yield(feed.Line{}, err)
		}
	}
}

// read returns the n records that stand in the topics, by partition.
func read(t testing.TB, c *kfake.Cluster, n int) map[string][]*kgo.Record {
	t.Helper()
	var topics []string
	for topic := range sources {
		topics = append(topics, topic)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...),
		kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx := deadline(t)
	got, count := map[string][]*kgo.Record{}, 0
	for count < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", count, n, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			count++
			p := place(r)
			got[p] = append(got[p], r)
		})
	}
	if stand := standing(c); stand != int64(n) {
		t.Errorf("%d records stand in the topics, want %d", stand, n)
	}
	return got
}

// standing is how many records the topics have.
func standing(c *kfake.Cluster) (n int64) {
	for topic := range sources {
		for _, p := range c.PartitionInfos(topic) {
			n += p.HighWatermark
		}
	}
	return n
}

func place(r *kgo.Record) string { return fmt.Sprintf("%s/%d", r.Topic, r.Partition) }
