//go:build e2e

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// The bare copies' topics have the partitions of what stands there in the job:
// the sink is the last one, the journal the one between.
const (
	sinkPartitions    = 12
	journalPartitions = 32
)

// copy copies the sources' records as they are, in one hop or in two, as fast as
// one process with franz-go does: acks=all, idempotent, snappy, keys by murmur2,
// both hops at the same time.
func (w *world) copy(ctx context.Context, name string, hops int) (m measured, err error) {
	target, between := fmt.Sprintf("bench.%s.%d", name, hops), fmt.Sprintf("bench.%s.between", name)
	path := [][]string{sources, {target}}
	if hops == 2 {
		path = [][]string{sources, {between}, {target}}
		if err := w.topic(ctx, between, journalPartitions); err != nil {
			return m, err
		}
	}
	if err := w.topic(ctx, target, sinkPartitions); err != nil {
		return m, err
	}
	if m.records, err = w.held(ctx, sources); err != nil {
		return m, err
	}
	if err := w.quiet(ctx); err != nil {
		return m, err
	}
	before, err := cpu(w.copying())
	if err != nil {
		return m, err
	}
	began := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	for i := range hops {
		g.Go(func() error { return w.hop(gctx, path[i], path[i+1][0], m.records) })
	}
	if err := g.Wait(); err != nil {
		return m, err
	}
	if m.cpu, err = spent(w.copying(), before); err != nil {
		return m, err
	}
	if m.took, err = w.span(ctx, began, path[hops]); err != nil {
		return m, err
	}
	if n, err := w.held(ctx, path[hops]); err != nil || n != m.records {
		return m, errors.Join(err, fmt.Errorf("%d of %d records arrived", n, m.records))
	}
	topics := []string{target}
	if hops == 2 {
		topics = append(topics, between)
	}
	return m, w.forget(ctx, topics...)
}

// copying are the processes of a bare copy; this one is the copier.
func (w *world) copying() map[string]int {
	return map[string]int{"copier": os.Getpid(), "kafka": w.kafka.PID()}
}

// held is how many records topics hold; nothing here is written in transactions.
func (w *world) held(ctx context.Context, topics []string) (n int64, err error) {
	ends, err := w.ends(ctx, topics...)
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n, err
}

func (w *world) topic(ctx context.Context, name string, partitions int32) error {
	size, stamp := "16777216", "LogAppendTime"
	_, err := w.admin.CreateTopic(ctx, partitions, 1, map[string]*string{
		"max.message.bytes": &size, "message.timestamp.type": &stamp,
	}, name)
	if err != nil {
		return err
	}
	return w.led(ctx, name)
}

// hop copies n records.
func (w *world) hop(ctx context.Context, from []string, to string, n int64) error {
	ends, err := w.ends(ctx, from...)
	if err != nil {
		return err
	}
	at := map[string]map[int32]kgo.Offset{}
	ends.Each(func(o kadm.ListedOffset) {
		if at[o.Topic] == nil {
			at[o.Topic] = map[int32]kgo.Offset{}
		}
		at[o.Topic][o.Partition] = kgo.NewOffset().AtStart()
	})
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(w.kafka.Addr()), kgo.ConsumePartitions(at), kgo.FetchMaxWait(100*time.Millisecond), kgo.MetadataMinAge(100*time.Millisecond),
		kgo.MaxBufferedRecords(100_000), kgo.ProducerBatchMaxBytes(4<<20), kgo.ProducerLinger(5*time.Millisecond),
	)
	if err != nil {
		return err
	}
	defer cl.Close()
	var failed atomic.Pointer[error]
	var wait sync.WaitGroup
	for n > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			n--
			wait.Add(1)
			cl.Produce(ctx, &kgo.Record{Topic: to, Key: r.Key, Value: r.Value, Headers: r.Headers}, func(_ *kgo.Record, err error) {
				if err != nil {
					failed.CompareAndSwap(nil, &err)
				}
				wait.Done()
			})
		})
		if err := failed.Load(); err != nil {
			return *err
		}
	}
	wait.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
