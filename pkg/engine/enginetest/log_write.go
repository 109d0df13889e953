package enginetest

import (
	"context"
	"fmt"

	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

func testAppend(t *logTest) {
	before := t.total()
	values := append(numbered("tick", 5), anyBytes())
	for i, v := range values {
		if err := t.Log.Append(t.ctx, v); err != nil {
			t.Fatal(err)
		}
		if _, end, _ := t.bounds(); end != int64(i+1) {
			t.Fatalf("the end is %d after %d records", end, i+1)
		}
	}
	t.wantValues(values, t.read(0, len(values), 100))
	if n := t.total() - before; n != len(values) {
		t.Fatalf("%d records appeared in all topics, want %d", n, len(values))
	}
}

// messages are journal records for entities in all partitions.
func messages(what string, n int) []engine.Published {
	out := make([]engine.Published, n)
	for i := range out {
		out[i] = engine.Published{
			Topic: engine.TopicJournal, Entity: stitch.Key{Kind: stitch.KindCustomer, ID: fmt.Sprint("customer ", i%17)},
			Value: fmt.Appendf(nil, "%s %d", what, i),
		}
	}
	return out
}

// outputs are records of an output topic, of some keys, with headers.
func outputs(topic engine.Topic, what string, n int) []engine.Published {
	out := make([]engine.Published, n)
	for i := range out {
		out[i] = engine.Published{
			Topic: topic, Key: fmt.Appendf(nil, "key %d", i%7), Value: fmt.Appendf(nil, "%s %d", what, i),
			Headers: []stitch.Header{{Key: "ls-place", Value: fmt.Append(nil, i)}, {Key: "any", Value: anyBytes()}},
		}
	}
	return out
}

func testPublishJournal(t *logTest) {
	out := messages("message", 100)
	t.publish(out)
	want := make([][]string, t.Partitions)
	for _, p := range out {
		at := engine.PartitionOf(p.Entity, t.Partitions)
		want[at] = append(want[at], string(p.Value))
	}
	journal := t.Published(engine.TopicJournal)
	if len(journal) != t.Partitions {
		t.Fatalf("the journal has %d partitions, want %d", len(journal), t.Partitions)
	}
	for p, records := range journal {
		if len(want[p]) == 0 {
			t.Fatalf("no entity of the test lives in partition %d", p)
		}
		got := make([][]byte, len(records))
		for i, r := range records {
			got[i] = r.Value
		}
		if fmt.Sprint(texts(got)) != fmt.Sprint(want[p]) {
			t.Fatalf("partition %d holds %q, want %q", p, got, want[p])
		}
	}
	if _, end, _ := t.bounds(); end != int64(len(want[0])) {
		t.Fatalf("the end is %d, want %d", end, len(want[0]))
	}
}

func testPublishOutputs(t *logTest) {
	var out []engine.Published
	topics := []engine.Topic{engine.TopicSink, engine.TopicDecisions, engine.TopicDLQ}
	for _, topic := range topics {
		out = append(out, outputs(topic, fmt.Sprint("topic ", topic), 50)...)
	}
	t.publish(out)
	for i, topic := range topics {
		t.wantTopic(topic, out[i*50:(i+1)*50])
		t.wantByKey(topic)
	}
	if _, end, _ := t.bounds(); end != 0 {
		t.Fatalf("outputs came into the journal: its end is %d", end)
	}
}

// wantByKey expects each key in one partition.
func (t *logTest) wantByKey(topic engine.Topic) {
	t.Helper()
	where := map[string]int{}
	for p, records := range t.Published(topic) {
		for _, r := range records {
			if at, ok := where[string(r.Key)]; ok && at != p {
				t.Fatalf("topic %d: key %q in partitions %d and %d", topic, r.Key, at, p)
			}
			where[string(r.Key)] = p
		}
	}
}

func testPublishKeyless(t *logTest) {
	out := []engine.Published{
		{Topic: engine.TopicDLQ, Value: []byte("no key, no headers")},
		{Topic: engine.TopicDLQ, Key: anyBytes(), Value: anyBytes()},
		{Topic: engine.TopicSink, Key: []byte("key without a value")},
	}
	for i := range out {
		t.publish(out[i : i+1])
	}
	t.wantTopic(engine.TopicDLQ, out[:2])
	t.wantTopic(engine.TopicSink, out[2:])
	t.publish(nil)
	if n := t.total(); n != len(out) {
		t.Fatalf("%d records in all topics, want %d", n, len(out))
	}
}

// testPublishOrder: what Publish returned for lies before all that comes later.
func testPublishOrder(t *logTest) {
	var sink, journal []engine.Published
	for i := range 10 {
		s, m := outputs(engine.TopicSink, fmt.Sprint("batch ", i), 20), messages(fmt.Sprint("batch ", i), 20)
		t.publish(append(s[:len(s):len(s)], m...))
		sink, journal = append(sink, s...), append(journal, m...)
	}
	t.wantTopic(engine.TopicSink, sink)
	t.wantTopic(engine.TopicJournal, journal)
}

// testPublishCancelled: under a context that has ended, what is out is the
// beginning of it, and the next Publish goes on in order. (What was written may
// come twice then; readers know that by its place.)
func testPublishCancelled(t *logTest) {
	first, second := outputs(engine.TopicSink, "first", 30), outputs(engine.TopicSink, "second", 30)
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	if err := t.Log.Publish(ctx, first); err == nil {
		t.Fatal("published under a context that has ended")
	}
	out := 0
	for p, records := range t.Published(engine.TopicSink) {
		out += len(records)
		for i, want := range partitionOf(first, records) {
			if !sameRecord(want, records[i]) {
				t.Fatalf("partition %d: a gap before %q", p, records[i].Value)
			}
		}
	}
	t.publish(second)
	if n := t.inOrder(engine.TopicSink, append(first, second...)); n != out+len(second) {
		t.Fatalf("%d records, want %d and then %d", n, out, len(second))
	}
}

// partitionOf returns the first len(records) of out that have a key of records.
func partitionOf(out []engine.Published, records []Record) (same []engine.Published) {
	keys := map[string]bool{}
	for _, r := range records {
		keys[string(r.Key)] = true
	}
	for _, p := range out {
		if keys[string(p.Key)] && len(same) < len(records) {
			same = append(same, p)
		}
	}
	return same
}

func testLogCopies(t *logTest) {
	out := append(messages("message", 1), outputs(engine.TopicSink, "sink", 1)...)
	t.publish(out)
	value := []byte("tick")
	if err := t.Log.Append(t.ctx, value); err != nil {
		t.Fatal(err)
	}
	clear(value)
	for i := range out {
		clear(out[i].Value)
		clear(out[i].Key)
	}
	t.wantTopic(engine.TopicSink, outputs(engine.TopicSink, "sink", 1))
	_, end, _ := t.bounds()
	entries := t.read(end-1, 1, 1)
	t.wantValues([][]byte{[]byte("tick")}, entries)
}

func testCommit(t *logTest) {
	t.Append(numbered("record", 10)...)
	for _, next := range []int64{3, 7, 10, 5} {
		if err := t.Log.Commit(t.ctx, next); err != nil {
			t.Fatal(err)
		}
		t.wantCommitted(next, true)
	}
	t.Revoke()
	t.Log = t.Again()
	t.wantCommitted(5, true)
	if err := t.Log.Commit(t.ctx, 10); err != nil {
		t.Fatal(err)
	}
	t.wantCommitted(10, true)
}

func testForeign(t *logTest) {
	t.Append(numbered("record", 10)...)
	t.Revoke()
	t.CommitForeign(4)
	t.Log = t.Again()
	t.wantCommitted(4, false)
}

func testLogCancelled(t *logTest) {
	t.Append(numbered("record", 3)...)
	if err := t.Log.Commit(t.ctx, 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	if err := t.Log.Append(ctx, []byte("no")); err == nil {
		t.Fatal("appended under a context that has ended")
	}
	if err := t.Log.Commit(ctx, 3); err == nil {
		t.Fatal("committed under a context that has ended")
	}
	if _, end, _ := t.bounds(); end != 3 {
		t.Fatalf("the end is %d, want 3", end)
	}
	t.wantCommitted(1, true)
}

func testRevoked(t *logTest) {
	t.Append(numbered("record", 3)...)
	t.read(0, 3, 10)
	if err := t.Log.Commit(t.ctx, 1); err != nil {
		t.Fatal(err)
	}
	before := t.total()
	t.Revoke()
	old := t.Log
	t.revokedCalls(old)
	t.Log = t.Again()
	t.revokedCalls(old) // also while the next owner has it
	if n := t.total(); n != before {
		t.Fatalf("%d records in all topics after the revoke, %d before", n, before)
	}
	t.wantCommitted(1, true)
	t.wantValues(numbered("record", 3), t.read(0, 3, 10))
}

func (t *logTest) revokedCalls(l engine.Log) {
	t.Helper()
	_, _, _, err := l.Bounds(t.ctx)
	wantLost(t, "bounds", err)
	_, _, err = l.Committed(t.ctx)
	wantLost(t, "committed", err)
	for from := range int64(4) { // records that it may have fetched, and none
		entries, err := l.Read(t.ctx, from, 10)
		wantLost(t, "read", err)
		if len(entries) > 0 {
			t.Fatal("a revoked partition's read gave records")
		}
	}
	wantLost(t, "publish", l.Publish(t.ctx, append(outputs(engine.TopicSink, "no", 3), messages("no", 3)...)))
	wantLost(t, "append", l.Append(t.ctx, []byte("no")))
	wantLost(t, "commit", l.Commit(t.ctx, 3))
}
