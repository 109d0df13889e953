package kafka

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"lockstitch/pkg/engine"
)

func TestReadStartsAnywhereAndJumps(t *testing.T) {
	c := newCluster(t, 1)
	c.write(t, "journal", 0, values(100)...)
	logs, _ := c.join(t, c.producer(t), "g", nil)
	log := receive(t, logs)
	for _, from := range []int64{40, 90, 0, 99, 10, 10} {
		got := readAll(t, log, from, int(100-from))
		if diff := cmp.Diff(values(100)[from:], strs(got)); diff != "" {
			t.Fatalf("from %d: -want +got\n%s", from, diff)
		}
		if got[0].Offset != from || got[0].Time == 0 || got[0].Size != 4 {
			t.Fatalf("first entry from %d: %+v", from, got[0])
		}
	}
}

func TestReadFollowsTheLog(t *testing.T) {
	c := newCluster(t, 2)
	logs, _ := c.join(t, c.producer(t), "g", nil)
	log, other := receive(t, logs), receive(t, logs)
	if log.p == 1 {
		log, other = other, log
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if got, err := log.Read(short, 0, 10); err != nil || got != nil {
		t.Fatalf("an empty log: %v, %v; want nothing when the context ends", got, err)
	}
	for i, v := range values(5) {
		if err := log.Append(testContext(t), []byte(v)); err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, log, int64(i), 1); string(got[0].Value) != v || got[0].Offset != int64(i) {
			t.Fatalf("record %d: %+v", i, got[0])
		}
	}
	start, end, id, err := log.Bounds(testContext(t))
	if err != nil || start != 0 || end != 5 || len(id) != 22 || strings.Contains(id, "/") {
		t.Fatalf("Bounds: %d, %d, %q, %v", start, end, id, err)
	}
	if _, end, _, err := other.Bounds(testContext(t)); err != nil || end != 0 {
		t.Fatalf("Append went to the other partition as well: end %d, %v", end, err)
	}
}

func TestReadOutsideTheLog(t *testing.T) {
	c := newCluster(t, 1)
	c.write(t, "journal", 0, values(10)...)
	if err := c.DeleteRecords("journal", 0, 4); err != nil {
		t.Fatal(err)
	}
	logs, _ := c.join(t, c.producer(t), "g", nil)
	log := receive(t, logs)
	for _, from := range []int64{-1, 0, 3, 11, 1000} {
		if _, err := log.Read(testContext(t), from, 5); !errors.Is(err, engine.ErrTruncated) {
			t.Errorf("Read from %d of [4, 10): %v", from, err)
		}
		if got := readAll(t, log, 8, 2); string(got[0].Value) != "v008" {
			t.Errorf("after the refusal: %s", got[0].Value)
		}
	}
	if start, end, _, err := log.Bounds(testContext(t)); start != 4 || end != 10 || err != nil {
		t.Errorf("Bounds: %d, %d, %v", start, end, err)
	}
}

func TestCommitIsMarkedAsOurs(t *testing.T) {
	c := newCluster(t, 2)
	c.write(t, "journal", 0, values(10)...)
	logs, stop := c.join(t, c.producer(t), "g", nil)
	log := receive(t, logs)
	ctx := testContext(t)
	if at, ours, err := log.Committed(ctx); at != -1 || !ours || err != nil {
		t.Fatalf("before any commit: %d, %t, %v", at, ours, err)
	}
	if err := log.Commit(ctx, 7); err != nil {
		t.Fatal(err)
	}
	if at, ours, err := log.Committed(ctx); at != 7 || !ours || err != nil {
		t.Fatalf("after Commit(7): %d, %t, %v", at, ours, err)
	}
	stop()
	m, err := NewMonitor(c.conn)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Ours(ctx, "test", "g", "journal"); err != nil {
		t.Errorf("our own journal: %v", err)
	}
	if err := m.Ours(ctx, "other", "g", "journal"); !errors.Is(err, ErrOtherEnvironment) {
		t.Errorf("the journal of another environment: %v", err)
	}

	adm := kadm.NewClient(c.client(t))
	reset := kadm.Offsets{}
	reset.AddOffset("journal", 0, 3, -1)
	reset.AddOffset("journal", 1, 3, -1)
	if err := adm.CommitAllOffsets(ctx, "g", reset); err != nil {
		t.Fatal(err)
	}
	logs, _ = c.join(t, c.producer(t), "g", nil)
	if at, ours, err := receive(t, logs).Committed(ctx); at != 3 || ours || err != nil {
		t.Fatalf("after a reset by somebody else: %d, %t, %v", at, ours, err)
	}
}

// A revoked log has no effect any more, while the member that lost it is still in
// the group and its generation is current: the case that a broker lets through.
func TestRevokeFencesTheLog(t *testing.T) {
	c := newCluster(t, 4)
	p := c.producer(t)
	first, _ := c.join(t, p, "g", nil)
	mine := map[int32]handle{}
	for range 4 {
		h := receive(t, first)
		mine[h.p] = h
	}
	second, stop := c.join(t, c.producer(t), "g", nil)
	taken := receive(t, second)
	old := mine[taken.p]
	ctx := testContext(t)
	if err := taken.Commit(ctx, 4); err != nil {
		t.Fatal(err)
	}
	if old.ctx.Err() == nil {
		t.Error("the old owner's context has not ended, and the partition has a new owner")
	}
	_, err := old.Read(ctx, 0, 1)
	_, _, _, berr := old.Bounds(ctx)
	_, _, cerr := old.Committed(ctx)
	for name, err := range map[string]error{
		"Commit": old.Commit(ctx, 2), "Append": old.Append(ctx, []byte("late")), "Read": err, "Bounds": berr, "Committed": cerr,
		"Publish": old.Publish(ctx, []engine.Published{{Topic: engine.TopicSink, Key: []byte("k")}}),
	} {
		if !errors.Is(err, engine.ErrLost) {
			t.Errorf("%s after the revoke: %v", name, err)
		}
	}
	if at, _, err := taken.Committed(ctx); at != 4 || err != nil {
		t.Errorf("committed is %d, %v; the old owner moved it", at, err)
	}
	if _, end, _, err := taken.Bounds(ctx); end != 0 || err != nil {
		t.Errorf("the journal ends at %d, %v; the old owner wrote", end, err)
	}
	for q, h := range mine { // what stays goes on, under the new generation
		if h.ctx.Err() == nil {
			if err := h.Commit(ctx, int64(q)+1); err != nil {
				t.Errorf("partition %d stayed: %v", q, err)
			}
		}
	}
	stop()
	if back := receive(t, first); back.p != taken.p && back.ctx.Err() != nil {
		t.Errorf("after the second left: partition %d", back.p)
	}
}

// An owner that is in the middle of a batch when its partition is revoked may finish.
func TestRevokeLetsTheBatchFinish(t *testing.T) {
	c := newCluster(t, 2)
	finished := make(chan error, 2)
	busy := make(chan struct{}, 2)
	_, stop := c.join(t, c.producer(t), "g", func(g *Group) {
		g.Owner = func(ctx context.Context, _ int32, log engine.Log) error {
			busy <- struct{}{}
			<-ctx.Done()
			ctx = context.WithoutCancel(ctx)
			finished <- errors.Join(log.Publish(ctx, []engine.Published{{Topic: engine.TopicSink, Key: []byte("k")}}), log.Commit(ctx, 1))
			return nil
		}
	})
	receive(t, busy)
	receive(t, busy)
	stop()
	for range 2 {
		if err := receive(t, finished); err != nil {
			t.Error(err)
		}
	}
	at, err := fetchOffsets(testContext(t), c.client(t), "g")
	if err != nil {
		t.Fatal(err)
	}
	for p := range int32(2) {
		if o, _ := at.Lookup("journal", p); o.At != 1 {
			t.Errorf("partition %d is committed at %d", p, o.At)
		}
	}
}

// A slow owner holds a bounded part of its partition, and holds up nobody else.
func TestBackPressure(t *testing.T) {
	const n, size, buffer = 400, 10_000, 100_000
	c := newCluster(t, 2)
	big := values(n)
	for i := range big {
		big[i] += strings.Repeat("x", size)
	}
	c.write(t, "journal", 0, big...)
	feed, err := newFeed(c.conn, "journal", buffer, func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	defer feed.close()
	feed.client.UpdateFetchMaxBytes(50_000, 50_000) // kfake knows only the limit of a whole answer
	slow, fast := feed.open(0), feed.open(1)
	ctx := testContext(t)
	if got, err := feed.read(ctx, slow, 0, 1); len(got) != 1 || err != nil {
		t.Fatalf("%d, %v", len(got), err)
	}
	held := func() int64 {
		slow.mu.Lock()
		defer slow.mu.Unlock()
		return slow.bytes
	}
	for { // until it is paused
		slow.mu.Lock()
		paused := slow.paused
		slow.mu.Unlock()
		if paused {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("the partition never pauses")
		}
		time.Sleep(time.Millisecond)
	}
	for i, v := range values(20) { // others go on; each of these is a poll at least
		c.write(t, "journal", 1, v)
		got, err := feed.read(ctx, fast, int64(i), 1)
		if err != nil || len(got) != 1 || string(got[0].Value) != v {
			t.Fatalf("the other partition: %v, %v", got, err)
		}
	}
	if b := held(); b > buffer+60_000 {
		t.Errorf("%d bytes wait for the slow owner, more than the buffer and one fetch", b)
	}
	for from := int64(1); from < n; { // and the slow one gets all of it, in order
		got, err := feed.read(ctx, slow, from, 7)
		if err != nil || len(got) == 0 {
			t.Fatalf("at %d: %v, %v", from, got, err)
		}
		for _, e := range got {
			if e.Offset != from || string(e.Value) != big[from] {
				t.Fatalf("offset %d where %d was due", e.Offset, from)
			}
			from++
		}
		if b := held(); b > buffer+60_000 {
			t.Fatalf("%d bytes wait", b)
		}
	}
}

// A member that the group has put out (a paused process, say) finds its logs dead,
// joins again, and owns under logs of their own.
func TestLostMembership(t *testing.T) {
	c := newCluster(t, 1)
	c.write(t, "journal", 0, values(3)...)
	logs, _ := c.join(t, c.producer(t), "g", nil)
	old := receive(t, logs)
	ctx := testContext(t)
	if err := old.Commit(ctx, 2); err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrLeaveGroupRequest()
	member := kmsg.NewLeaveGroupRequestMember()
	member.MemberID = c.GroupInfo("g").Members[0].MemberID
	req.Group, req.Members = "g", append(req.Members, member)
	if resp, err := req.RequestWith(ctx, c.client(t)); err != nil || resp.ErrorCode != 0 {
		t.Fatalf("%v, %v", resp, err)
	}
	// The broker knows the member no more; the commit is tried again until the log dies.
	if err := old.Commit(ctx, 1); !errors.Is(err, engine.ErrLost) {
		t.Errorf("a commit after the loss: %v", err)
	}
	again := receive(t, logs)
	if at, ours, err := again.Committed(ctx); at != 2 || !ours || err != nil {
		t.Errorf("committed: %d, %t, %v", at, ours, err)
	}
	if err := errors.Join(again.Commit(ctx, 3), old.Commit(ctx, 1)); !errors.Is(err, engine.ErrLost) {
		t.Errorf("the old log's commit: %v", err)
	}
	if at, _, err := again.Committed(ctx); at != 3 || err != nil {
		t.Errorf("committed: %d, %v", at, err)
	}
}

// An owner that gives up is started again, with the same log.
func TestOwnerIsStartedAgain(t *testing.T) {
	c := newCluster(t, 1)
	started := make(chan engine.Log, 10)
	c.join(t, c.producer(t), "g", func(g *Group) {
		first := true
		g.Owner = func(ctx context.Context, _ int32, log engine.Log) error {
			started <- log
			if first {
				first = false
				return errors.New("can't serve it yet")
			}
			<-ctx.Done()
			return nil
		}
	})
	if a, b := receive(t, started), receive(t, started); a != b {
		t.Error("another log")
	}
}

// A journal that was made anew under a running process ends it: neither where it
// reads nor its state belong to the new one.
func TestJournalMadeAnew(t *testing.T) {
	c := newCluster(t, 1)
	owning := make(chan struct{}, 1)
	g := &Group{Conn: c.conn, Topics: testTopics, ID: "g", Producer: c.producer(t), Watch: 20 * time.Millisecond,
		Owner: func(ctx context.Context, _ int32, _ engine.Log) error {
			owning <- struct{}{}
			<-ctx.Done()
			return nil
		}}
	done := make(chan error, 1)
	go func() { done <- g.Run(testContext(t)) }()
	receive(t, owning)
	if err := c.DeleteTopic("journal"); err != nil {
		t.Fatal(err)
	}
	c.create(t, 2, "journal")
	if err := receive(t, done); !errors.Is(err, ErrJournalChanged) {
		t.Errorf("%v", err)
	}
	out := []engine.Published{{Topic: engine.TopicJournal, Entity: device(1), Value: []byte("v")}}
	eventually(t, "the producer refuses the new journal", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return errors.Is(g.Producer.Publish(ctx, out), ErrJournalChanged)
	})
}
