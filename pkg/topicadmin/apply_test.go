package topicadmin

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"lockstitch/topics"
)

func TestApplyGivesWhatIsWanted(t *testing.T) {
	ctx := deadline(t)
	want := wanted(t, topics.Options{Prefix: "p.", JournalPartitions: 8})
	cl := applied(t, ctx, want)
	adm := kadm.NewClient(cl)

	have, err := Read(ctx, adm, topics.Names(want)...)
	if err != nil {
		t.Fatal(err)
	}
	if len(have) != len(want) {
		t.Fatalf("%d topics exist, want %d", len(have), len(want))
	}
	for i, w := range want {
		if have[i].Name != w.Name || have[i].Partitions != w.Partitions || have[i].Replication != w.Replication {
			t.Errorf("got %s with %d partitions and %d replicas, want %s with %d and %d",
				have[i].Name, have[i].Partitions, have[i].Replication, w.Name, w.Partitions, w.Replication)
		}
		for key, value := range w.Configs {
			if have[i].Configs[key] != value {
				t.Errorf("%s: %s is %q, want %q", w.Name, key, have[i].Configs[key], value)
			}
		}
	}
	if again, err := plan(t, ctx, adm, want); len(again) != 0 || err != nil {
		t.Errorf("planning again gives\n%s%v", again, err)
	}
	if found, err := Check(ctx, cl, want); len(found) != 0 || err != nil {
		t.Errorf("checking finds %v, %v", found, err)
	}
}

func TestApplyAltersTopics(t *testing.T) {
	ctx := deadline(t)
	small := wanted(t, topics.Options{JournalPartitions: 2})
	adm := kadm.NewClient(applied(t, ctx, small))
	lower := "1048588"
	if _, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: topics.MaxMessageBytes, Value: &lower}}, "stitch.dlq", "events.app"); err != nil {
		t.Fatal(err)
	}
	want := wanted(t, topics.Options{JournalPartitions: 4})
	changes, err := plan(t, ctx, adm, want)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, c := range changes {
		kinds = append(kinds, c.Topic+" "+c.Setting)
	}
	// The source stays as its owner has it.
	if diff := cmp.Diff([]string{"stitch.dlq max.message.bytes", "stitch.journal partitions", "stitch.snapshots partitions"}, kinds); diff != "" {
		t.Fatalf("changes (-want +got):\n%s", diff)
	}
	if err := Apply(ctx, adm, changes); err != nil {
		t.Fatal(err)
	}
	if again, err := plan(t, ctx, adm, want); len(again) != 0 || err != nil {
		t.Errorf("planning again gives\n%s%v", again, err)
	}
}

func TestApplyDoesNothingOfARefusedPlan(t *testing.T) {
	ctx := deadline(t)
	cl := applied(t, ctx, wanted(t, topics.Options{JournalPartitions: 2}))
	adm := kadm.NewClient(cl)
	produce(t, ctx, cl, "stitch.journal", 1)
	want := wanted(t, topics.Options{JournalPartitions: 4, Sources: []topics.Source{{Topic: "events.new"}}})
	changes, refused := plan(t, ctx, adm, want)
	if refused == nil {
		t.Fatalf("not refused:\n%s", changes)
	}
	if _, ok := errors.AsType[*topics.RefusedError](Apply(ctx, adm, changes)); !ok {
		t.Error("applied a refused plan")
	}
	have, err := Read(ctx, adm, topics.Names(want)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range have {
		if s.Name == "events.new" || s.Name == "stitch.snapshots" && s.Partitions != 2 {
			t.Errorf("something was applied: %+v", s)
		}
	}
}

func TestApplySaysWhatFailed(t *testing.T) {
	ctx := deadline(t)
	adm := kadm.NewClient(client(t, cluster(t)))
	want, err := topics.Options{Replication: 3}.Specs() // more than there are brokers
	if err != nil {
		t.Fatal(err)
	}
	changes, err := plan(t, ctx, adm, want)
	if err != nil {
		t.Fatal(err)
	}
	if err := Apply(ctx, adm, changes); !errors.Is(err, kerr.InvalidReplicationFactor) {
		t.Errorf("got %v, want %v", err, kerr.InvalidReplicationFactor)
	}
}

func TestLive(t *testing.T) {
	ctx := deadline(t)
	want := wanted(t, topics.Options{JournalPartitions: 2, Sources: []topics.Source{{Topic: "events.app"}}})
	cl := applied(t, ctx, want)
	adm := kadm.NewClient(cl)
	produce(t, ctx, cl, "stitch.journal", 3)

	// A commit elsewhere is none in the journal.
	for group, topic := range map[string]string{"fold": "stitch.journal", "ingest": "events.app"} {
		var commit kadm.Offsets
		commit.AddOffset(topic, 0, 0, -1)
		if err := adm.CommitAllOffsets(ctx, group, commit); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := adm.DeleteTopic(ctx, "stitch.dlq"); err != nil {
		t.Fatal(err)
	}
	// Records that have expired were written all the same.
	if _, err := adm.DeleteRecords(ctx, kadm.Offsets{"stitch.journal": {0: {Topic: "stitch.journal", At: 3}}}); err != nil {
		t.Fatal(err)
	}
	got, err := Live(ctx, adm, want, "fold", "ingest", "nobody")
	if err != nil {
		t.Fatal(err)
	}
	diff := cmp.Diff(topics.LiveState{
		Written: map[string]int64{
			"customerio.sink": 0, "stitch.decisions": 0, "stitch.dlq": 0, "stitch.journal": 3, "stitch.snapshots": 0, "events.app": 0,
		},
		Groups: []string{"fold"},
	}, got)
	if diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
