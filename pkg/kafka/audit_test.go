package kafka

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/audit"
)

func (c cluster) audit(t *testing.T) *Audit {
	t.Helper()
	a, err := NewAudit(c.conn, testTopics, "ingest", "process", []Source{{Topic: "app"}, {Topic: "shop", ReadCommitted: true}, {Topic: "away"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func auditValues(t *testing.T, a *Audit, spans ...audit.Span) (got []string) {
	t.Helper()
	err := a.Read(testContext(t), spans, func(r *audit.Record) error {
		got = append(got, r.Topic+"="+string(r.Value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// A source written in transactions is read without what was aborted, up to its
// end, which is a control record; a plain one as ingest reads it.
func TestAuditReads(t *testing.T) {
	c := newCluster(t, 1)
	c.create(t, 1, "app", "shop")
	for _, topic := range []string{"app", "shop"} {
		tx := c.client(t, kgo.TransactionalID("tx-"+topic))
		transact(t, tx, topic, kgo.TryCommit, "a", "b") // 0, 1, and a marker
		transact(t, tx, topic, kgo.TryAbort, "x")       // 3
		transact(t, tx, topic, kgo.TryCommit, "c")      // 5
		transact(t, tx, topic, kgo.TryAbort, "z")       // 7, 8 is the marker
	}
	a := c.audit(t)
	cases := []struct {
		name  string
		spans []audit.Span
		want  []string
	}{
		{"committed", []audit.Span{{Topic: "shop", To: 9, Committed: true}}, []string{"shop=a", "shop=b", "shop=c"}},
		{"plain", []audit.Span{{Topic: "app", To: 9}}, []string{"app=a", "app=b", "app=x", "app=c", "app=z"}},
		{"a part", []audit.Span{{Topic: "shop", From: 1, To: 6, Committed: true}}, []string{"shop=b", "shop=c"}},
		{"to within what was aborted", []audit.Span{{Topic: "shop", From: 1, To: 4, Committed: true}}, []string{"shop=b"}},
		{"both", []audit.Span{{Topic: "shop", To: 1, Committed: true}, {Topic: "app", To: 1}}, []string{"app=a", "shop=a"}},
		{"nothing", []audit.Span{{Topic: "shop", From: 3, To: 3, Committed: true}}, nil},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			if diff := cmp.Diff(x.want, auditValues(t, a, x.spans...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	enough := errors.New("enough")
	n := 0
	err := a.Read(testContext(t), []audit.Span{{Topic: "app", To: 9}}, func(*audit.Record) error { n++; return enough })
	if !errors.Is(err, enough) || n != 1 {
		t.Errorf("an error of f ends it: %v after %d", err, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Read(ctx, []audit.Span{{Topic: "app", To: 99}}, func(*audit.Record) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("the end of its context: %v", err)
	}
}

// Marks are what is there, what is committed, and what retention left.
func TestAuditMarks(t *testing.T) {
	c := newCluster(t, 1)
	c.create(t, 1, "app", "shop")
	c.write(t, "app", 0, "a", "b", "c")
	c.write(t, testTopics.Journal, 0, "a", "b")
	c.write(t, testTopics.Sink, 1, "a", "b", "c", "d")
	admin := kadm.NewClient(c.client(t))
	ctx := testContext(t)
	commit := func(group, topic string, at int64) {
		var o kadm.Offsets
		o.AddOffset(topic, 0, at, -1)
		if err := admin.CommitAllOffsets(ctx, group, o); err != nil {
			t.Fatal(err)
		}
	}
	commit("ingest", "app", 2)
	commit("process", testTopics.Journal, 1)
	var cut kadm.Offsets
	cut.AddOffset(testTopics.Sink, 1, 3, -1)
	if _, err := admin.DeleteRecords(ctx, cut); err != nil {
		t.Fatal(err)
	}
	week := "604800000"
	if _, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &week}}, testTopics.Sink); err != nil {
		t.Fatal(err)
	}
	size := "1000000"
	if _, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.bytes", Value: &size}}, testTopics.DLQ); err != nil {
		t.Fatal(err)
	}

	a := c.audit(t)
	m, err := a.Marks(ctx)
	if err != nil {
		t.Fatal(err)
	}
	none := audit.Mark{Committed: -1}
	want := map[string][]audit.Mark{
		"app": {{End: 3, Committed: 2}}, "shop": {none},
		testTopics.Journal: {{End: 2, Committed: 1}}, testTopics.Sink: {none, {Start: 3, End: 4, Committed: -1}},
		testTopics.Decisions: {none, none}, testTopics.DLQ: {none, none},
	}
	if diff := cmp.Diff(want, m.Topics); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	facts, err := describeOne(ctx, a.client, testTopics.Journal)
	if err != nil || m.JournalID != facts.id {
		t.Errorf("journal %q, want %q: %v", m.JournalID, facts.id, err)
	}
	if _, known := m.Kept[testTopics.DLQ]; m.Kept[testTopics.Sink] != 7*24*time.Hour || known {
		t.Errorf("kept: %v", m.Kept)
	}
	at, err := a.At(ctx, []string{"app", "shop"}, time.Now().Add(time.Hour))
	if diff := cmp.Diff(map[string][]int64{"app": {3}, "shop": {0}}, at); err != nil || diff != "" {
		t.Errorf("beyond the end: %v\n%s", err, diff)
	}
	at, err = a.At(ctx, []string{"app"}, time.Now().Add(-time.Hour))
	if diff := cmp.Diff(map[string][]int64{"app": {0}}, at); err != nil || diff != "" {
		t.Errorf("before the start: %v\n%s", err, diff)
	}
	if got := auditValues(t, a, audit.Span{Topic: testTopics.Sink, Partition: 1, From: 0, To: 4, Committed: true}); len(got) != 1 {
		t.Errorf("what retention left: %v", got)
	}
}
