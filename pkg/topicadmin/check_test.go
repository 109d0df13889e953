package topicadmin

import (
	"context"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"lockstitch/topics"
)

// brief is a finding without its text, which must be there.
func brief(t *testing.T, found []Finding) []string {
	t.Helper()
	var all []string
	for _, f := range found {
		if f.Text == "" {
			t.Errorf("%v has no text", f)
		}
		all = append(all, string(f.Severity)+" "+f.Topic+" "+string(f.Code))
	}
	return all
}

func TestCheckFindsWhatWasChanged(t *testing.T) {
	set := func(topic, key, value string) func(*testing.T, context.Context, *kadm.Client) {
		return func(t *testing.T, ctx context.Context, adm *kadm.Client) {
			t.Helper()
			if _, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: key, Value: &value}}, topic); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name   string
		change func(*testing.T, context.Context, *kadm.Client)
		want   []string // none: nothing is found
	}{
		{"journal kept shorter", set("stitch.journal", topics.RetentionMs, "3600000"), []string{"error stitch.journal retention"}},
		{"journal kept longer", set("stitch.journal", topics.RetentionMs, "-1"), []string{"warning stitch.journal retention"}},
		{"journal kept by size", set("stitch.journal", topics.RetentionBytes, "1000000000"), []string{"error stitch.journal retention"}},
		{"messages too small", set("stitch.journal", topics.MaxMessageBytes, "1048588"), []string{"error stitch.journal max_message_bytes"}},
		{"messages larger", set("stitch.journal", topics.MaxMessageBytes, "4194304"), nil},
		{"journal with writers' time", set("stitch.journal", topics.TimestampType, "CreateTime"), []string{"error stitch.journal timestamp_type"}},
		{"decisions with writers' time", set("stitch.decisions", topics.TimestampType, "CreateTime"), []string{"warning stitch.decisions timestamp_type"}},
		{"compaction", set("stitch.snapshots", topics.CleanupPolicy, "compact"), []string{"error stitch.snapshots config"}},
		{"other segments", set("stitch.journal", "segment.ms", "1"), []string{"warning stitch.journal config"}},
		{"more in sync than there are", set("stitch.journal", topics.MinInSync, "2"), []string{"error stitch.journal config"}},
		{"unclean leaders", set("customerio.sink", "unclean.leader.election.enable", "true"), []string{"warning customerio.sink config"}},
		{"a source too large for the DLQ", set("events.app", topics.MaxMessageBytes, "16777216"), []string{"error events.app max_message_bytes"}},
		{"a source kept otherwise", set("events.app", topics.RetentionMs, "1000"), nil},
		{"a topic deleted", func(t *testing.T, ctx context.Context, adm *kadm.Client) {
			if _, err := adm.DeleteTopic(ctx, "events.app"); err != nil {
				t.Fatal(err)
			}
		}, []string{"error events.app missing"}},
		{"other partitions", func(t *testing.T, ctx context.Context, adm *kadm.Client) {
			if _, err := adm.CreatePartitions(ctx, 1, "stitch.journal", "stitch.snapshots", "stitch.dlq", "events.app"); err != nil {
				t.Fatal(err)
			}
		}, []string{"error stitch.journal partitions", "error stitch.snapshots partitions"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := deadline(t)
			want := wanted(t, topics.Options{JournalPartitions: 2, Sources: []topics.Source{{Topic: "events.app"}}})
			cl := applied(t, ctx, want)
			test.change(t, ctx, kadm.NewClient(cl))
			found, err := Check(ctx, cl, want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, brief(t, found)); diff != "" {
				t.Errorf("(-want +got):\n%s\n%v", diff, found)
			}
		})
	}
}

func TestCheckFindsWhatIsLess(t *testing.T) {
	ctx := deadline(t)
	less := wanted(t, topics.Options{JournalPartitions: 2, Sources: []topics.Source{{Topic: "events.app"}}})
	for i := range less {
		less[i].Partitions = 2
	}
	cl := applied(t, ctx, less)
	want, err := topics.Options{JournalPartitions: 2, Sources: []topics.Source{{Topic: "events.app"}}}.Specs()
	if err != nil {
		t.Fatal(err)
	}
	found, err := Check(ctx, cl, want)
	if err != nil {
		t.Fatal(err)
	}
	var expected []string
	for _, w := range want[:5] {
		if w.Partitions > 2 {
			expected = append(expected, "warning "+w.Name+" partitions")
		}
		expected = append(expected, "warning "+w.Name+" replication", "warning "+w.Name+" config") // min.insync.replicas
	}
	if diff := cmp.Diff(expected, brief(t, found)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheckFindsIgnoredAppendTime(t *testing.T) {
	ctx := deadline(t)
	want := wanted(t, topics.Options{JournalPartitions: 2})
	cl := applied(t, ctx, want)
	produce(t, ctx, cl, "stitch.journal", 1) // the embedded broker keeps the writer's stamp
	found, err := Check(ctx, cl, want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"warning stitch.journal append_time_ignored"}, brief(t, found)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// transaction writes n records in one, and ends it so, or not at all.
func transaction(t *testing.T, ctx context.Context, c *kgo.Client, n int, end *kgo.TransactionEndTry) {
	t.Helper()
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	produce(t, ctx, c, "events.app", n)
	if end == nil {
		return
	}
	if err := c.EndTransaction(ctx, *end); err != nil {
		t.Fatal(err)
	}
}

func TestCheckFindsTransactions(t *testing.T) {
	commit, abort := kgo.TryCommit, kgo.TryAbort
	for _, test := range []struct {
		name     string
		before   int // plain records
		made     bool
		end      *kgo.TransactionEndTry
		after    int // plain records
		want     []string
		isolated topics.Isolation
	}{
		{name: "no records"},
		{name: "plain records", before: 3},
		{name: "committed", made: true, end: &commit, want: []string{"error events.app transactions"}},
		{name: "aborted after plain records", before: 3, made: true, end: &abort, want: []string{"error events.app transactions"}},
		{name: "open", before: 1, made: true, want: []string{"error events.app transactions"}},
		{name: "before plain records", made: true, end: &commit, after: 20, want: []string{"error events.app transactions"}},
		{name: "between plain records", before: 20, made: true, end: &abort, after: 20, want: []string{"error events.app transactions"}},
		{name: "read as it is written", made: true, end: &commit, isolated: topics.ReadCommitted},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := deadline(t)
			want := wanted(t, topics.Options{Sources: []topics.Source{{Topic: "events.app", Isolation: test.isolated}}})
			plainly := applied(t, ctx, want)
			produce(t, ctx, plainly, "events.app", test.before)
			if test.made {
				writer := sibling(t, plainly, kgo.TransactionalID("shop"))
				transaction(t, ctx, writer, 2, test.end)
			}
			produce(t, ctx, plainly, "events.app", test.after)
			found, err := Check(ctx, plainly, want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, brief(t, found)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A consumer goes on undisturbed while its client checks.
func TestCheckLeavesTheClientsConsumerAlone(t *testing.T) {
	ctx := deadline(t)
	want := wanted(t, topics.Options{Sources: []topics.Source{{Topic: "events.app"}}})
	cl := applied(t, ctx, want)
	produce(t, ctx, cl, "events.app", 5)
	reader := sibling(t, cl, kgo.ConsumeTopics("events.app"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if _, err := Check(ctx, reader, want); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < 5; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		n += fetches.NumRecords()
	}
}

// sibling is another client of the same cluster.
func sibling(t *testing.T, cl *kgo.Client, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	seeds := cl.OptValue(kgo.SeedBrokers).([]string)
	all := []kgo.Opt{kgo.SeedBrokers(seeds...), kgo.RecordPartitioner(kgo.ManualPartitioner())}
	other, err := kgo.NewClient(append(all, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	return other
}

// guarded starts a broker where "root" may do all, and "worker" what acls say.
func guarded(t *testing.T, acls ...kfake.ACL) (root, worker *kgo.Client) {
	t.Helper()
	c := cluster(t, kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.Superuser("PLAIN", "root", "r"), kfake.User("PLAIN", "worker", "w", acls...))
	as := func(user, pass string) *kgo.Client {
		return client(t, c, kgo.SASL(plain.Auth{User: user, Pass: pass}.AsMechanism()))
	}
	return as("root", "r"), as("worker", "w")
}

// allow lets somebody do ops with a topic.
func allow(topic string, ops ...kmsg.ACLOperation) []kfake.ACL {
	var all []kfake.ACL
	for _, op := range ops {
		all = append(all, kfake.ACL{
			Resource: kmsg.ACLResourceTypeTopic, Name: topic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: op, Allow: true,
		})
	}
	return all
}

func TestCheckFindsLackingAccess(t *testing.T) {
	const (
		read, write, describe = kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe
		describeConfigs       = kmsg.ACLOperationDescribeConfigs
	)
	ctx := deadline(t)
	root, worker := guarded(t, slices.Concat(
		allow("customerio.sink", write, describeConfigs),
		allow("stitch.decisions", describe, describeConfigs), // lacks write
		allow("stitch.dlq", write),                           // lacks describe configs
		allow("stitch.journal", read, write, describeConfigs),
		// nothing for stitch.snapshots
		allow("events.app", describe, describeConfigs), // lacks read
	)...)
	want := wanted(t, topics.Options{JournalPartitions: 2, Sources: []topics.Source{{Topic: "events.app"}}})
	adm := kadm.NewClient(root)
	changes, err := plan(t, ctx, adm, want)
	if err != nil {
		t.Fatal(err)
	}
	if err := Apply(ctx, adm, changes); err != nil {
		t.Fatal(err)
	}
	produce(t, ctx, root, "events.app", 1)

	found, err := Check(ctx, worker, want)
	if err != nil {
		t.Fatal(err)
	}
	diff := cmp.Diff([]string{
		"error stitch.decisions access",
		"unknown stitch.dlq access",
		"error stitch.snapshots access",
		"error events.app access",
		"unknown events.app unreadable",
	}, brief(t, found))
	if diff != "" {
		t.Errorf("(-want +got):\n%s\n%v", diff, found)
	}

	// What can't be seen can't be planned for either.
	if _, err := Read(ctx, kadm.NewClient(worker), "stitch.snapshots"); err == nil {
		t.Error("read a topic that may not be described")
	}
	have, err := Read(ctx, kadm.NewClient(worker), "stitch.dlq")
	if err != nil {
		t.Fatal(err)
	}
	if len(have) != 1 || have[0].Configs != nil {
		t.Errorf("got %+v, want the topic without configurations", have)
	}
}

// Kafka before 2.3 doesn't tell what a user may do.
func TestCheckSaysThatAccessIsUnknown(t *testing.T) {
	ctx := deadline(t)
	want := wanted(t, topics.Options{Sources: []topics.Source{{Topic: "events.app"}}})
	cl := applied(t, ctx, want)
	old := sibling(t, cl, kgo.MaxVersions(kversion.V2_2_0()))
	produce(t, ctx, cl, "events.app", 1)
	found, err := Check(ctx, old, want)
	if err != nil {
		t.Fatal(err)
	}
	var expected []string
	for _, w := range want {
		expected = append(expected, "unknown "+w.Name+" access")
	}
	if diff := cmp.Diff(expected, brief(t, found)); diff != "" {
		t.Errorf("(-want +got):\n%s\n%v", diff, found)
	}
}

// batch is a record batch's head, as far as a glimpse reads it, and some payload.
func batch(attributes uint16, magic byte) []byte {
	b := make([]byte, 70)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	b[16] = magic
	binary.BigEndian.PutUint16(b[21:], attributes)
	return b
}

func TestGlimpseOfBatches(t *testing.T) {
	const compressed = 4
	cut := batch(attrTransactional, 2)
	nonsense := batch(0, 2)
	binary.BigEndian.PutUint32(nonsense[8:], 0xffffffff)
	for _, test := range []struct {
		name    string
		batches []byte
		want    glimpse
	}{
		{"nothing", nil, glimpse{}},
		{"plain", batch(compressed, 2), glimpse{ownTime: true}},
		{"append time", batch(compressed|attrAppendTime, 2), glimpse{}},
		{"control with own time", batch(attrControl|attrTransactional, 2), glimpse{transactional: true}},
		{"transactional last", slices.Concat(batch(attrAppendTime, 2), batch(attrAppendTime|attrTransactional, 2)), glimpse{transactional: true}},
		{"cut in the body", cut[:40], glimpse{transactional: true, ownTime: true}},
		{"cut in the head", cut[:22], glimpse{}},
		{"old format", batch(attrTransactional, 1), glimpse{}},
		{"a length that is none", slices.Concat(nonsense, cut), glimpse{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var g glimpse
			g.read(test.batches, true)
			if g != test.want {
				t.Errorf("got %+v, want %+v", g, test.want)
			}
		})
	}
}
