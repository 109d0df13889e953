package kafka

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestGathers: after a small read nobody waits, unless the process has much to
// write; then, as after a large read, until a whole batch is there, or for as long as
// gatherFor.
func TestGathers(t *testing.T) {
	for name, c := range map[string]struct {
		many, loaded bool
		more         int // records that come after a moment
		want         time.Duration
	}{
		"low load":                {want: 0},
		"loaded":                  {loaded: true, want: gatherFor},
		"loaded, a batch comes":   {loaded: true, more: 10, want: gatherFor / 2},
		"after many":              {many: true, want: gatherFor},
		"after many, few come":    {many: true, more: 1, want: gatherFor},
		"after many, batch comes": {many: true, more: 10, want: gatherFor / 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			q := &queue{ready: make(chan struct{}, 1), last: began, many: c.many}
			records := make([]*kgo.Record, 10)
			for i := range records {
				records[i] = &kgo.Record{Offset: int64(i), Timestamp: began}
			}
			put := func(n int) {
				q.put(kgo.FetchTopicPartition{FetchPartition: kgo.FetchPartition{Records: records[:n]}}, 1<<20, func(int32) {})
			}
			put(2)
			<-q.ready
			if c.more > 0 {
				time.AfterFunc(gatherFor/2, func() { put(c.more) })
			}
			for q.gathers(t.Context(), 10, c.loaded) {
			}
			if took := time.Since(began); took != c.want {
				t.Errorf("%s: waited %v, want %v", name, took, c.want)
			}
		})
	}
}
