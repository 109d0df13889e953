package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/engine/enginetest"
	"lockstitch/stitch"
)

// The engine's own suite, over this adapter on a broker in this process.
func TestLog(t *testing.T) {
	enginetest.TestLog(t, func(t *testing.T) enginetest.Harness {
		const partitions = 3
		c := newCluster(t, partitions)
		p := c.producer(t)
		var leave func()
		join := func() engine.Log {
			logs, stop := c.join(t, p, "g", nil)
			leave = stop
			for {
				if h := receive(t, logs); h.p == 0 {
					return h.Log
				}
			}
		}
		h := enginetest.Harness{Log: join(), Partitions: partitions, Again: join}
		h.Revoke = func() { leave() }
		h.Append = func(values ...[]byte) {
			t.Helper()
			for _, v := range values {
				c.write(t, "journal", 0, string(v))
			}
		}
		h.Truncate = func(start int64) {
			t.Helper()
			if err := c.DeleteRecords("journal", 0, start); err != nil {
				t.Fatal(err)
			}
		}
		h.CommitForeign = func(offset int64) {
			t.Helper()
			at := kadm.Offsets{}
			at.AddOffset("journal", 0, offset, -1)
			if err := kadm.NewClient(c.client(t)).CommitAllOffsets(testContext(t), "g", at); err != nil {
				t.Fatal(err)
			}
		}
		h.Published = func(topic engine.Topic) [][]enginetest.Record {
			t.Helper()
			return c.published(t, testTopics.Name(topic))
		}
		return h
	})
}

func (c cluster) published(t *testing.T, topic string) [][]enginetest.Record {
	t.Helper()
	out := make([][]enginetest.Record, len(c.PartitionInfos(topic)))
	for _, r := range c.all(t, topic) {
		rec := enginetest.Record{Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			rec.Headers = append(rec.Headers, stitch.Header{Key: h.Key, Value: h.Value})
		}
		out[r.Partition] = append(out[r.Partition], rec)
	}
	return out
}
