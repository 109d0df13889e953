package topics

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// specs are the topics of o, which must be right.
func specs(t *testing.T, o Options) []Spec {
	t.Helper()
	all, err := o.Specs()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// named is the topic of all with the default name base.
func named(t *testing.T, all []Spec, base string) Spec {
	t.Helper()
	i := slices.IndexFunc(all, func(s Spec) bool { return s.Base == base })
	if i < 0 {
		t.Fatalf("no topic %s", base)
	}
	return all[i]
}

func TestOptionsZeroIsTheFiles(t *testing.T) {
	want, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if want[i].Role == RoleSource {
			want[i].Isolation = ReadUncommitted
		}
	}
	if diff := cmp.Diff(want, specs(t, Options{})); diff != "" {
		t.Errorf("(-files +options):\n%s", diff)
	}
}

func TestOptions(t *testing.T) {
	all := specs(t, Options{
		Prefix: "acme.", Names: map[Role]string{RoleDecisions: "log", RoleDLQ: ""}, JournalPartitions: 8, Replication: 1,
		Retention: map[Role]time.Duration{RoleSink: 48 * time.Hour, RoleDLQ: 0},
		Sources: []Source{
			{Topic: "events.server", Isolation: ReadCommitted},
			{Topic: "events.pos"},
		},
	})
	wantNames := []string{
		"acme.customerio.sink", "acme.log", "acme.stitch.dlq", "acme.stitch.journal", "acme.stitch.snapshots",
		"acme.events.server", "acme.events.pos",
	}
	if diff := cmp.Diff(wantNames, Names(all)); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	for _, s := range all {
		if s.Replication != 1 || s.Configs[MinInSync] != "1" {
			t.Errorf("%s: replication %d, min.insync.replicas %s: want 1 and 1", s.Name, s.Replication, s.Configs[MinInSync])
		}
	}
	got := map[string]any{
		"journal": named(t, all, "stitch.journal").Partitions, "snapshots": named(t, all, "stitch.snapshots").Partitions,
		"dlq":       named(t, all, "stitch.dlq").Partitions,
		"sink kept": named(t, all, "customerio.sink").Configs[RetentionMs],
		"dlq kept":  named(t, all, "stitch.dlq").Configs[RetentionMs],
		"server":    named(t, all, "events.server").Isolation, "pos": named(t, all, "events.pos").Isolation,
		"server partitions": named(t, all, "events.server").Partitions, "pos partitions": named(t, all, "events.pos").Partitions,
		"pos owner": named(t, all, "events.pos").Owner,
	}
	want := map[string]any{
		"journal": int32(8), "snapshots": int32(8), "dlq": int32(6),
		"sink kept": "172800000", "dlq kept": "7776000000",
		"server": ReadCommitted, "pos": ReadUncommitted,
		"server partitions": int32(6), "pos partitions": int32(12), "pos owner": OwnerUser,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("choices (-want +got):\n%s", diff)
	}
}

func TestOptionsKeepOneBrokerSpare(t *testing.T) {
	for replication, want := range map[int16]string{1: "1", 2: "1", 3: "2", 5: "2"} {
		journal, _ := Find(specs(t, Options{Replication: replication}), RoleJournal)
		if got := journal.Configs[MinInSync]; got != want {
			t.Errorf("replication %d: min.insync.replicas %s, want %s", replication, got, want)
		}
	}
}

func TestOptionsRefuse(t *testing.T) {
	for _, test := range []struct {
		name string
		o    Options
		want string
	}{
		{"negative partitions", Options{JournalPartitions: -1}, "neither can be negative"},
		{"negative replication", Options{Replication: -1}, "neither can be negative"},
		{"a prefix Kafka refuses", Options{Prefix: "a b/"}, `topic name "a b/customerio.sink"`},
		{"a name too long", Options{Prefix: strings.Repeat("a", 240)}, "1 to 249"},
		{"a source without a name", Options{Sources: []Source{{}}}, `topic name ""`},
		{"a source twice", Options{Sources: []Source{{Topic: "x"}, {Topic: "x"}}}, "one name to Kafka"},
		{"a source that is ours", Options{Sources: []Source{{Topic: "stitch.journal"}}}, "one name to Kafka"},
		{"names that are one to Kafka", Options{Sources: []Source{{Topic: "a.b"}, {Topic: "a_b"}}}, "one name to Kafka"},
		{"an unknown isolation", Options{Sources: []Source{{Topic: "x", Isolation: "serializable"}}}, `isolation is "serializable"`},
		{"a name of ours that is a source's", Options{Names: map[Role]string{RoleSink: "events.app"}}, "one name to Kafka"},
		{"another name for a source", Options{Names: map[Role]string{RoleSource: "x"}}, `name of "source"`},
		{"retention of a source", Options{Retention: map[Role]time.Duration{RoleSource: time.Hour}}, `retention of "source"`},
		{"hardly any retention", Options{Retention: map[Role]time.Duration{RoleSink: time.Second}}, "a minute at least"},
		{"a fraction of a millisecond", Options{Retention: map[Role]time.Duration{RoleSink: time.Hour + 1}}, "whole milliseconds"},
		{"a journal shorter than snapshots", Options{Retention: map[Role]time.Duration{RoleJournal: time.Hour}}, "reaches back to it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.o.Specs()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestOptionsShareNothing(t *testing.T) {
	a := specs(t, Options{Sources: []Source{{Topic: "x"}, {Topic: "y"}}})
	named(t, a, "x").Configs[RetentionMs] = "1"
	if got := named(t, a, "y").Configs[RetentionMs]; got == "1" {
		t.Error("two sources share their configurations")
	}
}
