package topics

import (
	"fmt"
	"strconv"
	"time"
)

// Role is what Lockstitch does with a topic.
type Role string

// The roles. Every one but RoleSource belongs to exactly one topic.
const (
	RoleSource    Role = "source"
	RoleSink      Role = "sink"
	RoleDecisions Role = "decisions"
	RoleDLQ       Role = "dlq"
	RoleJournal   Role = "journal"
	RoleSnapshots Role = "snapshots"
)

// ours are the roles of Lockstitch's own topics, in the order of the files.
var ours = [...]Role{RoleSink, RoleDecisions, RoleDLQ, RoleJournal, RoleSnapshots}

// Owner says who decides over a topic that exists.
type Owner string

// The owners.
const (
	OwnerLockstitch Owner = "lockstitch" // brought to its file's form by apply
	OwnerUser       Owner = "user"       // created where missing, never altered
)

// Isolation is how a source is read.
type Isolation string

// The isolations, named as in Kafka's isolation.level. Empty means
// ReadUncommitted.
const (
	ReadUncommitted Isolation = "read_uncommitted"
	ReadCommitted   Isolation = "read_committed"
)

// The topic configurations that code refers to; their values are Kafka's own,
// as text.
const (
	CleanupPolicy   = "cleanup.policy"
	MaxMessageBytes = "max.message.bytes"
	MinInSync       = "min.insync.replicas"
	RetentionBytes  = "retention.bytes"
	RetentionMs     = "retention.ms"
	TimestampType   = "message.timestamp.type"

	LogAppendTime = "LogAppendTime" // the TimestampType of every topic of ours
)

// Spec is one topic as it should be.
type Spec struct {
	Name        string // in the cluster, prefix included
	Base        string // without the prefix, as in the file or the configuration
	Role        Role
	Owner       Owner
	What        string // one sentence: what the topic carries
	Partitions  int32
	Replication int16
	Configs     map[string]string // Kafka's topic configurations that matter; others are the cluster's own business
	Isolation   Isolation         // of sources
	Why         map[string]string // "partitions", "replication" and each of Configs → the reason
}

// Find returns the topic of ours with this role; for RoleSource, the first.
func Find(specs []Spec, r Role) (Spec, bool) {
	for _, s := range specs {
		if s.Role == r {
			return s, true
		}
	}
	return Spec{}, false
}

// Names returns the topics' names in the cluster, in the order of specs.
func Names(specs []Spec) []string {
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.Name
	}
	return names
}

// number returns the whole number that configuration key holds.
func (s Spec) number(key string) (int64, error) {
	n, err := strconv.ParseInt(s.Configs[key], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("topic %s: %s is %q: give a whole number", s.Base, key, s.Configs[key])
	}
	return n, nil
}

// Retention returns how long the topic keeps its records; forever is the
// largest duration.
func (s Spec) Retention() time.Duration {
	n, err := strconv.ParseInt(s.Configs[RetentionMs], 10, 64)
	if err != nil || n < 0 || n > int64(forever/time.Millisecond) {
		return forever
	}
	return time.Duration(n) * time.Millisecond
}

const forever = time.Duration(1<<63 - 1)
