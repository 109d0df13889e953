package kafka

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"lockstitch/pkg/engine"
)

func TestSources(t *testing.T) {
	c := newCluster(t, 1)
	c.create(t, 2, "app", "shop", "gone")
	c.write(t, "app", 0, values(3)...)
	c.write(t, "shop", 1, values(4)...)
	c.write(t, "gone", 0, values(5)...)
	if err := c.DeleteRecords("gone", 0, 5); err != nil { // retention took all of it
		t.Fatal(err)
	}
	sources := []Source{{Topic: "app"}, {Topic: "shop", Authority: true}, {Topic: "gone", Authority: true}, {Topic: "not there", Authority: true}}
	s, err := NewSources(c.conn, "ingest", sources, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := testContext(t)
	ends, err := s.Ends(ctx)
	want := engine.Ends{"app": {0: 3, 1: 0}, "shop": {0: 0, 1: 4}, "gone": {0: 5, 1: 0}}
	if diff := cmp.Diff(want, ends); diff != "" || err != nil {
		t.Fatalf("%v\n%s", err, diff)
	}
	adm := kadm.NewClient(c.client(t))
	for _, step := range []struct {
		topic            string
		partition        int32
		at               int64
		authorities, all bool
	}{
		{"app", 0, 2, false, false},
		{"shop", 1, 3, false, false},
		{"shop", 1, 4, true, false},
		{"app", 0, 3, true, true},
		{"shop", 1, 9, true, true},
		{"shop", 1, 1, false, false},
	} {
		at := kadm.Offsets{}
		at.AddOffset(step.topic, step.partition, step.at, -1)
		if err := adm.CommitAllOffsets(ctx, "ingest", at); err != nil {
			t.Fatal(err)
		}
		authorities, all, err := s.Passed(ctx, ends)
		if authorities != step.authorities || all != step.all || err != nil {
			t.Errorf("%s/%d at %d: %t, %t, %v; want %t, %t", step.topic, step.partition, step.at, authorities, all, err, step.authorities, step.all)
		}
	}
}

// TestSourcesAskOnce: all owners of a process share what is committed.
func TestSourcesAskOnce(t *testing.T) {
	c := newCluster(t, 1)
	c.create(t, 1, "app")
	c.write(t, "app", 0, values(3)...)
	s, err := NewSources(c.conn, "ingest", []Source{{Topic: "app"}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var asked atomic.Int64
	c.ControlKey(int16(kmsg.OffsetFetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		asked.Add(1)
		return nil, nil, false
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, all, err := s.Passed(testContext(t), engine.Ends{"app": {0: 3}}); all || err != nil {
				t.Errorf("passed: %t, %v", all, err)
			}
		})
	}
	wg.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("the group was asked for %d times", n)
	}
}

// A committed record behind somebody's open transaction can't be read yet, so the
// end must lie behind it, and not at the last stable offset.
func TestSourcesSeeBehindAnOpenTransaction(t *testing.T) {
	c := newCluster(t, 1)
	c.create(t, 1, "shop")
	open := c.client(t, kgo.TransactionalID("open"))
	if err := open.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := open.ProduceSync(testContext(t), &kgo.Record{Topic: "shop", Value: []byte("?")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	transact(t, c.client(t, kgo.TransactionalID("done")), "shop", kgo.TryCommit, "order")
	sources := []Source{{Topic: "shop", ReadCommitted: true, Authority: true}}
	s, err := NewSources(c.conn, "ingest", sources, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ends, err := s.Ends(testContext(t))
	if diff := cmp.Diff(engine.Ends{"shop": {0: 3}}, ends); diff != "" || err != nil {
		t.Fatalf("%v\n%s", err, diff)
	}
	c.ingest(t, c.producer(t), sources, echo)
	if passed, _, err := s.Passed(testContext(t), ends); passed || err != nil {
		t.Errorf("passed: %t, %v, and the order can't be in the journal", passed, err)
	}
	if err := open.EndTransaction(testContext(t), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the transaction is over, and the order is read", func() bool {
		passed, _, err := s.Passed(testContext(t), ends)
		return passed && err == nil
	})
	if diff := cmp.Diff(map[string]int{"shop/0/1=order": 1}, c.journaled(t)); diff != "" {
		t.Error(diff)
	}
}

func TestLagAndPing(t *testing.T) {
	c := newCluster(t, 1)
	c.create(t, 2, "app")
	c.create(t, 1, "shop")
	c.write(t, "app", 0, values(7)...)
	c.write(t, "shop", 0, values(6)...)
	if err := c.DeleteRecords("shop", 0, 2); err != nil {
		t.Fatal(err)
	}
	ctx := testContext(t)
	at := kadm.Offsets{}
	at.AddOffset("app", 0, 5, -1)
	if err := kadm.NewClient(c.client(t)).CommitAllOffsets(ctx, "ingest", at); err != nil {
		t.Fatal(err)
	}
	m, err := NewMonitor(c.conn)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Ping(ctx); err != nil {
		t.Error(err)
	}
	got, err := m.Lag(ctx, Readings("ingest", []Source{{Topic: "app"}, {Topic: "shop", ReadCommitted: true}, {Topic: "not there"}})...)
	want := []PartitionLag{
		{Group: "ingest", Topic: "app", Partition: 0, Committed: 5, End: 7, Lag: 2},
		{Group: "ingest", Topic: "app", Partition: 1, Committed: -1},
		{Group: "ingest-committed", Topic: "shop", Partition: 0, Committed: -1, End: 6, Lag: 4},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestDump(t *testing.T) {
	c := newCluster(t, 1)
	c.create(t, 3, "out")
	c.create(t, 1, "tx")
	want := map[string]int{}
	for p := range int32(2) { // one partition stays empty
		c.write(t, "out", p, values(20)...)
		for i, v := range values(20) {
			if p != 1 || i >= 5 {
				want[fmt.Sprintf("%d/%d=%s", p, i, v)]++
			}
		}
	}
	if err := c.DeleteRecords("out", 1, 5); err != nil {
		t.Fatal(err)
	}
	tx := c.client(t, kgo.TransactionalID("tx"))
	transact(t, tx, "tx", kgo.TryCommit, "a")
	transact(t, tx, "tx", kgo.TryAbort, "x")
	read := func(topic string) map[string]int {
		got := map[string]int{}
		last := map[int32]int64{}
		for r, err := range Dump(testContext(t), c.conn, topic) {
			if err != nil {
				t.Fatal(err)
			}
			if at, ok := last[r.Partition]; ok && r.Offset <= at {
				t.Errorf("partition %d: %d after %d", r.Partition, r.Offset, at)
			}
			last[r.Partition] = r.Offset
			got[fmt.Sprintf("%d/%d=%s", r.Partition, r.Offset, r.Value)]++
		}
		return got
	}
	if diff := cmp.Diff(want, read("out")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int{"0/0=a": 1}, read("tx")); diff != "" {
		t.Error(diff)
	}
	for _, err := range Dump(testContext(t), c.conn, "out") {
		if err != nil {
			t.Fatal(err)
		}
		break // a reader may stop early
	}
	for _, err := range Dump(testContext(t), c.conn, "not there") {
		if err == nil {
			t.Error("a topic that doesn't exist has a record")
		}
	}
}
