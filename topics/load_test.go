package topics

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLoadGivesTheContractsTopics(t *testing.T) {
	specs, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"customerio.sink", "stitch.decisions", "stitch.dlq", "stitch.journal", "stitch.snapshots",
		"events.app", "events.commerce", "events.server", "events.web",
	}
	if diff := cmp.Diff(want, Names(specs)); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestLoadGivesTheProtocolsChoices(t *testing.T) {
	specs, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range specs {
		if s.Replication != 3 || s.Configs[MinInSync] != "2" {
			t.Errorf("%s: replication %d, min.insync.replicas %s: want 3 and 2", s.Base, s.Replication, s.Configs[MinInSync])
		}
		for key := range s.Configs {
			if !strings.HasSuffix(s.Why[key], ".") {
				t.Errorf("%s: why of %s is no sentence: %q", s.Base, key, s.Why[key])
			}
		}
		if s.Role != RoleSource && s.Configs[RetentionBytes] != "-1" {
			t.Errorf("%s: kept by size %q, want by time alone", s.Base, s.Configs[RetentionBytes])
		}
	}
	journal, _ := Find(specs, RoleJournal)
	dlq, _ := Find(specs, RoleDLQ)
	got := map[string]any{
		"journal partitions": journal.Partitions, "journal time": journal.Configs[TimestampType],
		"journal bytes": journal.Configs[MaxMessageBytes], "dlq bytes": dlq.Configs[MaxMessageBytes],
		"journal kept": journal.Retention(), "dlq kept": dlq.Retention(),
	}
	want := map[string]any{
		"journal partitions": int32(32), "journal time": "LogAppendTime",
		"journal bytes": "2097152", "dlq bytes": "16777216",
		"journal kept": 7 * 24 * time.Hour, "dlq kept": 90 * 24 * time.Hour,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("choices (-want +got):\n%s", diff)
	}
}

// edited returns the embedded files with old replaced by new in one of them.
func edited(t *testing.T, name, old, new string) fs.FS {
	t.Helper()
	dir := fstest.MapFS{}
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		text, err := fs.ReadFile(files, n)
		if err != nil {
			t.Fatal(err)
		}
		if n == name {
			if !strings.Contains(string(text), old) {
				t.Fatalf("%s has no %q", name, old)
			}
			text = []byte(strings.Replace(string(text), old, new, 1))
		}
		dir[n] = &fstest.MapFile{Data: text}
	}
	return dir
}

func TestLoadRefuses(t *testing.T) {
	for _, test := range []struct{ name, file, old, new, want string }{
		{"an unknown field", "stitch.dlq.yaml", "what:", "purpose: x\nwhat:", "purpose"},
		{"a field twice", "stitch.dlq.yaml", "what:", "name: x\nwhat:", "name"},
		{"no what", "stitch.dlq.yaml", "what: Records", "what: '' # Records", "what is missing"},
		{"no reason", "stitch.dlq.yaml", "why: Ninety days", "why: '' # Ninety days", "retention.ms has no why"},
		{"a setting twice", "stitch.dlq.yaml", "name: retention.bytes", "name: retention.ms", "retention.ms stands twice"},
		{"no partitions", "stitch.dlq.yaml", "value: 6", "value: 0", "partitions is 0"},
		{"an unknown role", "stitch.dlq.yaml", "role: dlq", "role: bin", `role "bin" is unknown`},
		{"a role twice", "stitch.dlq.yaml", "role: dlq", "role: sink", "2 topics have the role sink"},
		{"the user's journal", "stitch.journal.yaml", "owner: lockstitch", "owner: user", `owner "user" does not go with role "journal"`},
		{"a source of ours", "events.app.yaml", "owner: user", "owner: lockstitch", `owner "lockstitch" does not go`},
		{"compaction", "stitch.journal.yaml", "value: delete", "value: compact", "only delete keeps every record"},
		{"a journal with writers' time", "stitch.journal.yaml", "value: LogAppendTime", "value: CreateTime", "needs LogAppendTime"},
		{"text for a number", "stitch.journal.yaml", "value: 604800000", "value: 7d", "give a whole number"},
		{"too many in sync", "stitch.journal.yaml", "value: 2\n", "value: 4\n", "no write could be acknowledged"},
		{"other snapshots partitions", "stitch.snapshots.yaml", "value: 32", "value: 16", "snapshots need as many"},
		{"a journal shorter than snapshots", "stitch.journal.yaml", "value: 604800000", "value: 3600000", "reaches back to it"},
		{"a DLQ too small", "stitch.dlq.yaml", "value: 16777216", "value: 12582912", "too large for stitch.dlq"},
		{"no file for others", "source.yaml", `name: "*"`, "name: events.other", "no topic file has the name"},
		{"a name Kafka refuses", "events.app.yaml", "name: events.app", "name: events/app", `topic name "events/app"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := load(edited(t, test.file, test.old, test.new))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}
