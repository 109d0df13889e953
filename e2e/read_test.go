//go:build e2e

package e2e

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

// read returns what topics hold now, each partition in order, without the records
// of aborted transactions. It is for what the product reads; what it writes, kcat
// reads.
func (w *world) read(topics ...string) (records []*kgo.Record) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	ends, err := w.admin.ListEndOffsets(ctx, topics...)
	if err != nil || ends.Error() != nil {
		w.t.Fatal(err, ends.Error())
	}
	left, from := map[string]map[int32]int64{}, map[string]map[int32]kgo.Offset{}
	for topic, ps := range ends {
		left[topic], from[topic] = map[int32]int64{}, map[int32]kgo.Offset{}
		for p, end := range ps {
			if end.Offset > 0 {
				left[topic][p], from[topic][p] = end.Offset, kgo.NewOffset().AtStart()
			}
		}
	}
	cl := w.connect(kgo.ConsumePartitions(from), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	defer cl.Close()
	for remaining(left) {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			w.t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset+1 >= left[r.Topic][r.Partition] {
				delete(left[r.Topic], r.Partition)
			}
			if !r.Attrs.IsControl() {
				records = append(records, r)
			}
		})
	}
	return records
}

func remaining(left map[string]map[int32]int64) bool {
	for _, ps := range left {
		if len(ps) > 0 {
			return true
		}
	}
	return false
}
