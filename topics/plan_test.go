package topics

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asWanted is the cluster that has exactly want.
func asWanted(want []Spec) []State {
	var have []State
	for _, s := range want {
		have = append(have, State{Name: s.Name, Partitions: s.Partitions, Replication: s.Replication, Configs: maps.Clone(s.Configs)})
	}
	return have
}

// empty is a cluster where nothing was ever written.
func empty(want []Spec) LiveState {
	live := LiveState{Written: map[string]int64{}}
	for _, s := range want {
		live.Written[s.Name] = 0
	}
	return live
}

// busy is a cluster in the middle of its work.
func busy(want []Spec) LiveState {
	live := empty(want)
	for name := range live.Written {
		live.Written[name] = 10
	}
	live.Groups = []string{"lockstitch"}
	return live
}

func set(key, value string) func(*State) { return func(s *State) { s.Configs[key] = value } }

func parts(n int32) func(*State) { return func(s *State) { s.Partitions = n } }

func TestPlanOfOneTopic(t *testing.T) {
	all := specs(t, Options{})
	written := func(topic string) LiveState {
		live := empty(all)
		live.Written[topic] = 1
		return live
	}
	unknown := func(topic string) LiveState {
		live := empty(all)
		delete(live.Written, topic)
		return live
	}
	commits := empty(all)
	commits.Groups = []string{"lockstitch"}

	for _, test := range []struct {
		name  string
		topic string
		have  func(*State) // nil: the topic is missing
		live  LiveState
		want  string // of the change's readable form, up to its reason; empty: no change
		kind  Kind
	}{
		{"as wanted", "stitch.journal", func(*State) {}, busy(all), "", ""},
		{"missing", "events.app", nil, busy(all), "+ events.app: 12 partitions, 3 replicas\n    cleanup.policy = delete\n", Create},
		{"more configurations than ours", "stitch.journal", set("compression.type", "zstd"), busy(all), "", ""},

		{"more partitions for an empty journal", "stitch.journal", parts(8), empty(all), "~ stitch.journal: partitions 8 -> 32", SetPartitions},
		{"more partitions for a written journal", "stitch.journal", parts(8), written("stitch.journal"), "! stitch.journal: partitions 8 -> 32 refused: it was written to, and every entity's", Refused},
		{"more partitions for a journal with commits", "stitch.journal", parts(8), commits, "! stitch.journal: partitions 8 -> 32 refused: group lockstitch has committed", Refused},
		{"more partitions for a journal that nobody looked at", "stitch.journal", parts(8), unknown("stitch.journal"), "! stitch.journal: partitions 8 -> 32 refused: it was written", Refused},
		{"fewer partitions for an empty journal", "stitch.journal", parts(64), empty(all), "! stitch.journal: partitions 64 -> 32 refused: Kafka can't", Refused},
		{"fewer partitions for decisions", "stitch.decisions", parts(13), empty(all), "! stitch.decisions: partitions 13 -> 12 refused: Kafka can't", Refused},
		{"more partitions for an empty sink", "customerio.sink", parts(1), empty(all), "~ customerio.sink: partitions 1 -> 12", SetPartitions},
		{"more partitions for a written sink", "customerio.sink", parts(1), written("customerio.sink"), "! customerio.sink: partitions 1 -> 12 refused: it was written to, and a key", Refused},
		{"more partitions for written snapshots", "stitch.snapshots", parts(8), written("stitch.snapshots"), "~ stitch.snapshots: partitions 8 -> 32", SetPartitions},

		{"fewer replicas", "stitch.dlq", func(s *State) { s.Replication = 1 }, busy(all), "! stitch.dlq: replication 1 -> 3 not applied: replicas are placed by you", Note},
		{"more replicas", "stitch.dlq", func(s *State) { s.Replication = 5 }, busy(all), "", ""},

		{"longer retention of the journal", "stitch.journal", set(RetentionMs, "3600000"), busy(all), "~ stitch.journal: retention.ms 3600000 (1 h) -> 604800000 (7 d)", SetConfig},
		{"shorter retention of the journal", "stitch.journal", set(RetentionMs, "604800001"), busy(all), "! stitch.journal: retention.ms 604800001 -> 604800000 (7 d) refused: records that are kept", Refused},
		{"shorter retention of an unlimited journal", "stitch.journal", set(RetentionMs, "-1"), busy(all), "! stitch.journal: retention.ms -1 (no limit) -> 604800000 (7 d) refused", Refused},
		{"shorter retention of an empty journal", "stitch.journal", set(RetentionMs, "-1"), empty(all), "~ stitch.journal: retention.ms -1 (no limit) -> 604800000 (7 d)", SetConfig},
		{"shorter retention of the DLQ", "stitch.dlq", set(RetentionMs, "9999999999"), busy(all), "! stitch.dlq: retention.ms 9999999999 -> 7776000000 (90 d) refused", Refused},
		{"shorter retention of the sink", "customerio.sink", set(RetentionMs, "9999999999"), busy(all), "! customerio.sink: retention.ms 9999999999 -> 604800000 (7 d) refused", Refused},
		{"shorter retention of decisions", "stitch.decisions", set(RetentionMs, "9999999999"), busy(all), "~ stitch.decisions: retention.ms 9999999999 -> 2592000000 (30 d)", SetConfig},
		{"retention that nobody understands", "stitch.dlq", set(RetentionMs, "long"), busy(all), "! stitch.dlq: retention.ms long -> 7776000000 (90 d) refused", Refused},
		{"no limit of size instead of one", "stitch.journal", set(RetentionBytes, "1073741824"), busy(all), "~ stitch.journal: retention.bytes 1073741824 (1 GiB) -> -1 (no limit)", SetConfig},
		{"deletion where there was compaction", "stitch.journal", set(CleanupPolicy, "compact"), busy(all), "! stitch.journal: cleanup.policy compact -> delete refused", Refused},
		{"no more compaction", "stitch.journal", set(CleanupPolicy, "compact,delete"), busy(all), "~ stitch.journal: cleanup.policy compact,delete -> delete", SetConfig},
		{"append time", "stitch.journal", set(TimestampType, "CreateTime"), busy(all), "~ stitch.journal: message.timestamp.type CreateTime -> LogAppendTime", SetConfig},
		{"larger messages", "stitch.dlq", set(MaxMessageBytes, "1048588"), busy(all), "~ stitch.dlq: max.message.bytes 1048588 -> 16777216 (16 MiB)", SetConfig},
		{"not set at all", "stitch.dlq", func(s *State) { delete(s.Configs, RetentionBytes) }, empty(all), "~ stitch.dlq: retention.bytes (none) -> -1 (no limit)", SetConfig},
		{"configurations can't be read", "stitch.dlq", func(s *State) { s.Configs = nil }, busy(all), "! stitch.dlq refused: its configurations can't be read", Refused},

		{"a source is never altered", "events.web", func(s *State) { *s = State{Name: s.Name, Partitions: 99, Replication: 1} }, empty(all), "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			spec := named(t, all, test.topic)
			var have []State
			if test.have != nil {
				have = asWanted([]Spec{spec})
				test.have(&have[0])
			}
			changes, err := Plan([]Spec{spec}, have, test.live)
			if test.want == "" {
				if len(changes) != 0 || err != nil {
					t.Fatalf("got\n%s%v, want no change", changes, err)
				}
				return
			}
			if len(changes) != 1 || changes[0].Kind != test.kind || !strings.HasPrefix(changes[0].String(), test.want) {
				t.Fatalf("got\n%swant one change of kind %s:\n%s", changes, test.kind, test.want)
			}
			if changes[0].Reason == "" {
				t.Error("the change has no reason")
			}
			refused, ok := errors.AsType[*RefusedError](err)
			if ok != (test.kind == Refused) {
				t.Fatalf("kind %s with error %v", test.kind, err)
			}
			if ok && cmp.Diff(changes, refused.Refusals) != "" {
				t.Errorf("refusals differ from the changes:\n%s", cmp.Diff(changes, refused.Refusals))
			}
		})
	}
}

func TestPlanOfAnEmptyClusterCreatesAll(t *testing.T) {
	want := specs(t, Options{Prefix: "p."})
	changes, err := Plan(want, nil, LiveState{})
	if err != nil {
		t.Fatal(err)
	}
	var made []State
	for _, c := range changes {
		if c.Kind != Create {
			t.Errorf("%s: want it created", c)
		}
		made = append(made, State{Name: c.Topic, Partitions: c.Partitions, Replication: c.Replication, Configs: c.Configs})
	}
	if diff := cmp.Diff(asWanted(want), made); diff != "" {
		t.Errorf("(-want +created):\n%s", diff)
	}
	if again, err := Plan(want, made, busy(want)); len(again) != 0 || err != nil {
		t.Errorf("planning again gives\n%s%v", again, err)
	}
}

func TestPlanNeverDeletes(t *testing.T) {
	want := specs(t, Options{})
	have := append(asWanted(want), State{Name: "events.old", Partitions: 1, Replication: 1})
	changes, err := Plan(want, have, empty(want))
	if err != nil {
		t.Fatal(err)
	}
	if len(changes) != 1 || changes[0].Kind != Note || changes[0].Topic != "events.old" {
		t.Errorf("got\n%swant a note on events.old", changes)
	}
}

func TestPlanTellsEveryRefusal(t *testing.T) {
	want := specs(t, Options{})
	have := asWanted(want)
	for i := range have {
		have[i].Partitions++
	}
	_, err := Plan(want, have, busy(want))
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok || len(refused.Refusals) != len(ours) {
		t.Fatalf("got %v, want a refusal for each of our %d topics", err, len(ours))
	}
	for _, role := range ours {
		s, _ := Find(want, role)
		if !strings.Contains(err.Error(), s.Name+": partitions") {
			t.Errorf("%q does not tell of %s", err, s.Name)
		}
	}
}

func TestChangesAsJSON(t *testing.T) {
	want := specs(t, Options{})
	dlq, _ := Find(want, RoleDLQ)
	have := asWanted([]Spec{dlq})
	have[0].Configs[MaxMessageBytes] = "1048588"
	changes, err := Plan([]Spec{dlq}, have, busy(want))
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(changes)
	if err != nil {
		t.Fatal(err)
	}
	text := `[{"kind":"config","topic":"stitch.dlq","setting":"max.message.bytes","from":"1048588","to":"16777216","reason":"` + dlq.Why[MaxMessageBytes] + `"}]`
	if diff := cmp.Diff(text, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	none, err := Plan(nil, nil, LiveState{})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := json.Marshal(none); string(got) != "[]" {
		t.Errorf("no changes marshal to %s, want []", got)
	}
	if got := none.String(); got != "topics are as they should be\n" {
		t.Errorf("no changes print as %q", got)
	}
}
