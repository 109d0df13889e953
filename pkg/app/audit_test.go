package app

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/audit"
	"lockstitch/pkg/config"
	"lockstitch/pkg/embedded"
	"lockstitch/pkg/feed"
	"lockstitch/pkg/kafka"
)

// audited runs the samples through the whole App, to where all is folded.
func audited(t *testing.T, ctx context.Context) (*config.Config, *running) {
	t.Helper()
	c, stopParts := embed(t, ctx, local(), true)
	t.Cleanup(stopParts)
	r := start(t, c)
	if err := produce(ctx, c, sample(t, "shop.jsonl", "clients.jsonl")); err != nil {
		t.Fatal(err)
	}
	r.drain(t, ctx)
	return c, r
}

func auditOf(t *testing.T, ctx context.Context, c *config.Config, opt audit.Options) audit.Report {
	t.Helper()
	report, err := Audit(ctx, c, opt)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// tamperer writes what Lockstitch wouldn't.
func tamperer(t *testing.T, c *config.Config) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func (r *running) kafkaRecords(t *testing.T, ctx context.Context) (sinks, decisions []kafka.Record) {
	t.Helper()
	_, outputs := r.records(t, ctx)
	for _, o := range outputs {
		switch o.Topic {
		case r.topics.Sink:
			sinks = append(sinks, o)
		case r.topics.Decisions:
			decisions = append(decisions, o)
		}
	}
	return sinks, decisions
}

func write(t *testing.T, ctx context.Context, cl *kgo.Client, r kafka.Record) {
	t.Helper()
	rec := &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	if err := cl.ProduceSync(ctx, rec).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func TestAudit(t *testing.T) {
	ctx := deadline(t, 2*time.Minute)
	c, r := audited(t, ctx)
	clean := auditOf(t, ctx, c, audit.Options{})
	if err := clean.Err(); err != nil {
		t.Fatal(err)
	}
	if clean.Records != 739+947 || clean.Outcomes["held"] == 0 || clean.Outcomes["published"] == 0 || clean.Outcomes["quarantined"] == 0 {
		t.Errorf("that is not what the samples hold: %+v", clean)
	}
	sum := clean.Pending
	for _, n := range clean.Outcomes {
		sum += n
	}
	if sum != clean.Records || clean.OutOfRange+clean.Foreign+clean.NotIngested+clean.Unjudged+clean.Doubled+clean.JournalUnknown != 0 {
		t.Errorf("each record counts once, and there is nothing else: %+v", clean)
	}
	if n := clean.Journaled + clean.Outcomes["quarantined"]; n != clean.Records {
		t.Errorf("%d records journaled or quarantined, of %d", n, clean.Records)
	}
	t.Run("of times", func(t *testing.T) {
		all := auditOf(t, ctx, c, audit.Options{From: time.Now().Add(-time.Hour)})
		if err := all.Err(); err != nil || all.Records != clean.Records {
			t.Errorf("%d records of the last hour, %d in all: %v", all.Records, clean.Records, err)
		}
		none := auditOf(t, ctx, c, audit.Options{To: time.Now().Add(-time.Hour)})
		if err := none.Err(); err != nil || none.Records != 0 {
			t.Errorf("%d records from before: %v", none.Records, err)
		}
	})
	t.Run("of offsets", func(t *testing.T) {
		got := auditOf(t, ctx, c, audit.Options{Offsets: []audit.Offsets{{Topic: "events.web", Partition: 0, From: 3, To: 10}}})
		if err := got.Err(); err != nil {
			t.Error(err)
		}
		want := []audit.Range{{Topic: "events.web", Partition: 0, From: 3, To: 10, Records: 7}}
		if diff := cmp.Diff(want, got.Ranges); diff != "" || got.OutOfRange == 0 {
			t.Errorf("ranges (-want +got):\n%s", diff)
		}
	})
	r.stop(t)
	tamper(t, ctx, c, r)
}

// tamper does what Lockstitch never does, one thing after the other.
func tamper(t *testing.T, ctx context.Context, c *config.Config, r *running) {
	cl := tamperer(t, c)
	sinks, decisions := r.kafkaRecords(t, ctx)

	write(t, ctx, cl, sinks[len(sinks)/2]) // a crash would
	got := auditOf(t, ctx, c, audit.Options{})
	if err := got.Err(); err != nil || got.Doubled != 1 {
		t.Errorf("%d repeats, want 1, and no error: %v", got.Doubled, err)
	}

	other := sinks[len(sinks)/3]
	other.Value = append([]byte(" "), other.Value...)
	write(t, ctx, cl, other)
	wantConflict(t, auditOf(t, ctx, c, audit.Options{}), 1, "with other bytes")

	forged := decisions[0]
	forged.Headers = nil
	for _, h := range sinks[0].Headers {
		if h.Key == "ls-source" {
			forged.Value = []byte(`{"kind":"outcome","outcome":"ignored","source":"` + string(h.Value) + `"}`)
		}
		if h.Key == "ls-place" {
			h.Value = append([]byte("somebody-else/"), "0/1/0"...)
		}
		forged.Headers = append(forged.Headers, h)
	}
	write(t, ctx, cl, forged)
	wantConflict(t, auditOf(t, ctx, c, audit.Options{}), 2, "more than one outcome: published, ignored")
}

func wantConflict(t *testing.T, got audit.Report, n int64, what string) {
	t.Helper()
	err := got.Err()
	if err == nil || got.Conflicts != n || got.Missing != 0 || !strings.Contains(err.Error(), what) {
		t.Errorf("want %d conflicts, one of them %q, got %d, %d missing: %v", n, what, got.Conflicts, got.Missing, err)
	}
}

// A sink record that is gone is found: the topics are copied to another cluster,
// all but that record.
func TestAuditFindsLoss(t *testing.T) {
	ctx := deadline(t, 2*time.Minute)
	c, r := audited(t, ctx)
	r.stop(t)
	sinks, _ := r.kafkaRecords(t, ctx)
	lost := onlyOutput(t, sinks)
	copied := copyWithout(t, ctx, c, r, lost)
	got := auditOf(t, ctx, copied, audit.Options{})
	source := sourceOf(lost)
	if got.Missing != 1 || len(got.Listed.Missing) != 1 || got.Listed.Missing[0].Source != source {
		t.Fatalf("want %s missing, got %+v", source, got)
	}
	if f := got.Listed.Missing[0]; !strings.HasPrefix(f.Where, "stitch.journal/") || f.Messages == 0 {
		t.Errorf("it isn't said where it was lost: %+v", f)
	}
	if got.Conflicts != 0 {
		t.Errorf("conflicts: %v", got.Listed.Conflicts)
	}
}

// onlyOutput is a sink record whose source has no other.
func onlyOutput(t *testing.T, sinks []kafka.Record) kafka.Record {
	t.Helper()
	of := map[string]int{}
	for _, s := range sinks {
		of[sourceOf(s)]++
	}
	for _, s := range sinks[len(sinks)/2:] {
		if of[sourceOf(s)] == 1 {
			return s
		}
	}
	t.Fatal("no source has one sink record")
	return kafka.Record{}
}

func sourceOf(r kafka.Record) string {
	for _, h := range r.Headers {
		if h.Key == "ls-source" {
			return string(h.Value)
		}
	}
	return ""
}

// copyWithout copies everything to another cluster, all but one record, which was
// its source's only output.
func copyWithout(t *testing.T, ctx context.Context, c *config.Config, r *running, lost kafka.Record) *config.Config {
	t.Helper()
	parts, err := embedded.Start(ctx, embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(parts.Close)
	copied := *c
	copied.Kafka.Brokers = config.List{parts.Kafka()}
	if err := ApplyTopics(ctx, &copied); err != nil {
		t.Fatal(err)
	}
	cl := tamperer(t, &copied)
	ends := map[string]map[int32]kgo.EpochOffset{}
	var topics []string
	for _, s := range r.sources {
		topics = append(topics, s.Topic)
	}
	for _, topic := range append(topics, r.topics.Journal, r.topics.Sink, r.topics.Decisions, r.topics.DLQ) {
		ends[topic] = map[int32]kgo.EpochOffset{}
		for rec, err := range kafka.Dump(ctx, r.conn, topic) {
			if err != nil {
				t.Fatal(err)
			}
			if rec.Topic == lost.Topic && rec.Partition == lost.Partition && rec.Offset == lost.Offset {
				continue
			}
			write(t, ctx, cl, rec)
			ends[topic][rec.Partition] = kgo.EpochOffset{Epoch: -1, Offset: rec.Offset + 1}
		}
	}
	ingest, process := Groups(c)
	commitAs(t, ctx, &copied, ingest, topics, ends)
	commitAs(t, ctx, &copied, process, []string{r.topics.Journal}, ends)
	return &copied
}

func commitAs(t *testing.T, ctx context.Context, c *config.Config, group string, topics []string, ends map[string]map[int32]kgo.EpochOffset) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Brokers...), kgo.ConsumerGroup(group), kgo.DisableAutoCommit())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	at := map[string]map[int32]kgo.EpochOffset{}
	for _, topic := range topics {
		at[topic] = ends[topic]
	}
	cl.CommitOffsetsSync(ctx, at, nil)
	for topic, ps := range cl.CommittedOffsets() {
		if len(ps) < len(at[topic]) {
			t.Fatalf("committed %v of %s, want %v", ps, topic, at[topic])
		}
	}
}

// On a live system an audit finds nothing wrong at any moment: what is on its way
// is pending, and becomes an outcome.
func TestAuditLive(t *testing.T) {
	ctx := deadline(t, 2*time.Minute)
	c, stopParts := embed(t, ctx, local(), true)
	defer stopParts()
	r := start(t, c)
	produced := make(chan error, 1)
	const records = 10_000
	go func() {
		_, err := feed.Produce(ctx, generated(records), feed.Options{Brokers: c.Kafka.Brokers, MaxBytes: 12 << 20, Rate: 5000})
		produced <- err
	}()
	audits, pending := 0, int64(0)
	look := func() {
		t.Helper()
		report := auditOf(t, ctx, c, audit.Options{})
		if err := report.Err(); err != nil {
			t.Fatalf("audit %d: %v", audits, err)
		}
		audits++
		pending += report.Pending + report.NotIngested
	}
	for open := true; open; look() {
		select {
		case err := <-produced:
			if err != nil {
				t.Fatal(err)
			}
			open = false
		default:
		}
	}
	look()
	r.drain(t, ctx)
	r.stop(t)
	last := auditOf(t, ctx, c, audit.Options{})
	if err := last.Err(); err != nil || last.Records != records {
		t.Errorf("at the end: %d records, %v", last.Records, err)
	}
	t.Logf("%d audits, %d records under way in them; at the end %d, %d held", audits, pending, last.Pending, last.Outcomes["held"])
	if pending == 0 {
		t.Error("nothing was under way in any audit: is this test blind?")
	}
}
