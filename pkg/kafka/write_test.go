package kafka

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/stitch"
)

// What people write for a try lands where any other producer would put it, in order.
func TestWriter(t *testing.T) {
	c := newCluster(t, 1)
	c.create(t, 5, "app", "reference")
	w, err := NewWriter(c.conn)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	reference := c.client(t, kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	want := map[string]int32{}
	var recs []Record
	for i := range 100 {
		key := fmt.Appendf(nil, "key %d", i%20)
		recs = append(recs, Record{Topic: "app", Key: key, Value: fmt.Append(nil, i), Time: int64(1_700_000_000_000 + i),
			Headers: []stitch.Header{{Key: "h", Value: []byte("v")}}})
		r, err := reference.ProduceSync(testContext(t), &kgo.Record{Topic: "reference", Key: key}).First()
		if err != nil {
			t.Fatal(err)
		}
		want[string(key)] = r.Partition
	}
	if err := w.Write(testContext(t), recs...); err != nil {
		t.Fatal(err)
	}
	last := map[int32]int{}
	n := 0
	for r, err := range Dump(testContext(t), c.conn, "app") {
		if err != nil {
			t.Fatal(err)
		}
		var i int
		if _, err := fmt.Sscan(string(r.Value), &i); err != nil {
			t.Fatal(err)
		}
		if r.Partition != want[string(r.Key)] || r.Time != recs[i].Time || len(r.Headers) != 1 {
			t.Errorf("record %d: partition %d, time %d, headers %v", i, r.Partition, r.Time, r.Headers)
		}
		if at, ok := last[r.Partition]; ok && i <= at {
			t.Errorf("record %d after %d", i, at)
		}
		last[r.Partition] = i
		n++
	}
	if n != len(recs) {
		t.Errorf("%d records, want %d", n, len(recs))
	}
}
