package topics

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// State is one topic as the cluster has it. A topic that is missing has none.
type State struct {
	Name        string
	Partitions  int32
	Replication int16             // of the partition with the fewest replicas
	Configs     map[string]string // in force, the cluster's defaults included; nil: they can't be read
}

// LiveState is what a plan must not pull the ground from under.
type LiveState struct {
	// Written is, by topic name, how many offsets were ever given out, so that a
	// journal whose records have all expired still counts. A topic that exists and
	// stands not in here may hold anything.
	Written map[string]int64
	// Groups are the consumer groups with an offset committed in the journal.
	Groups []string
}

// written reports whether a record may lie in the topic.
func (l LiveState) written(name string) bool {
	n, known := l.Written[name]
	return !known || n > 0
}

// planner collects the changes of one plan.
type planner struct {
	live    LiveState
	changes Changes
}

// Plan returns what to do so that the cluster has want, given what it has (of
// the topics in question), in the order of want. The error, nil or a
// *RefusedError, repeats what the changes hold as refused: then none may be
// applied.
func Plan(want []Spec, have []State, live LiveState) (Changes, error) {
	p := planner{live: live, changes: Changes{}}
	states := make(map[string]State, len(have))
	for _, s := range have {
		states[s.Name] = s
	}
	for _, w := range want {
		h, exists := states[w.Name]
		delete(states, w.Name)
		switch {
		case !exists:
			p.create(w)
		case w.Owner == OwnerLockstitch:
			p.alter(w, h)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(states)) {
		p.add(Change{Kind: Note, Topic: name, Reason: "the configuration has no such topic; it is left as it is, delete it yourself when nobody needs it"})
	}
	return p.changes, p.changes.Err()
}

func (p *planner) add(c Change) { p.changes = append(p.changes, c) }

func (p *planner) create(w Spec) {
	p.add(Change{Kind: Create, Topic: w.Name, Reason: w.What, Partitions: w.Partitions, Replication: w.Replication, Configs: w.Configs})
}

func (p *planner) alter(w Spec, h State) {
	p.partitions(w, h)
	p.replication(w, h)
	if h.Configs == nil {
		p.add(Change{Kind: Refused, Topic: w.Name, Reason: "its configurations can't be read, so what to change is unknown; allow DescribeConfigs on it"})
		return
	}
	for _, key := range slices.Sorted(maps.Keys(w.Configs)) {
		p.config(w, h, key)
	}
}

func (p *planner) partitions(w Spec, h State) {
	if h.Partitions == w.Partitions {
		return
	}
	c := Change{Kind: SetPartitions, Topic: w.Name, Setting: "partitions", From: itoa(h.Partitions), To: itoa(w.Partitions), Reason: w.Why["partitions"]}
	if why := p.keepsPartitions(w, h); why != "" {
		c.Kind, c.Reason = Refused, why
	}
	p.add(c)
}

// keepsPartitions says why the number of partitions has to stay, or nothing.
func (p *planner) keepsPartitions(w Spec, h State) string {
	used := p.live.written(w.Name)
	switch {
	case h.Partitions > w.Partitions:
		return "Kafka can't take partitions away; " + w.remedy(h)
	case w.Role == RoleJournal && len(p.live.Groups) > 0:
		return fmt.Sprintf("group %s has committed offsets in it, and state is kept by partition; %s", strings.Join(p.live.Groups, ", "), w.remedy(h))
	case w.Role == RoleJournal && used:
		return "it was written to, and every entity's state belongs to the partition it is in; " + w.remedy(h)
	case w.Role != RoleSnapshots && used:
		// A key would move to another partition: its later records could be read
		// before its earlier ones, and a repeat would pass the reader's places.
		return "it was written to, and a key that moves to another partition loses its order; add them by hand once every reader is at the end and lockstitch is stopped"
	}
	return ""
}

// remedy says how to live with the partitions that are there.
func (w Spec) remedy(h State) string {
	if w.Role == RoleJournal || w.Role == RoleSnapshots {
		return fmt.Sprintf("configure %d journal partitions, or start a new set of topics under another prefix", h.Partitions)
	}
	return "start a new set of topics under another prefix, or leave it"
}

// replication is never changed: where replicas go is the cluster owner's choice.
func (p *planner) replication(w Spec, h State) {
	if h.Replication >= w.Replication {
		return
	}
	p.add(Change{
		Kind: Note, Topic: w.Name, Setting: "replication", From: itoa(h.Replication), To: itoa(w.Replication),
		Reason: "replicas are placed by you (kafka-reassign-partitions), or configure the replication that is there",
	})
}

func (p *planner) config(w Spec, h State, key string) {
	from, to := h.Configs[key], w.Configs[key]
	if from == to {
		return
	}
	c := Change{Kind: SetConfig, Topic: w.Name, Setting: key, From: from, To: to, Reason: w.Why[key]}
	if w.keepsRecords() && p.live.written(w.Name) && shortens(h, key, to) {
		c.Kind = Refused
		c.Reason = "records that are kept now would be deleted; configure the retention that is there, or change it by hand if that is meant"
	}
	p.add(c)
}

// keepsRecords reports whether deleting the topic's records early loses
// something that is nowhere else: state, what can't be used, or what wasn't
// delivered yet.
func (w Spec) keepsRecords() bool {
	return w.Role == RoleJournal || w.Role == RoleDLQ || w.Role == RoleSink
}

// shortens reports whether setting key to the value to makes Kafka delete
// records that it keeps as h stands.
func shortens(h State, key, to string) bool {
	switch key {
	case CleanupPolicy:
		// Deletion begins where there was none: all that is older than the
		// retention goes at once.
		for policy := range strings.SplitSeq(to, ",") {
			if !slices.Contains(strings.Split(h.Configs[key], ","), policy) {
				return true
			}
		}
	case RetentionMs, RetentionBytes:
		// A topic that is only compacted deletes nothing by age or size; the
		// change of its policy is what deletes, and is judged above.
		return limit(to) < limit(h.Configs[key])
	}
	return false
}

// limit reads a retention, where -1 is without limit. What is no number has an
// unknown limit and counts as the largest, so that it is never shortened.
func limit(value string) uint64 {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return 1<<64 - 1
	}
	return uint64(n)
}

func itoa[T int16 | int32](n T) string { return strconv.FormatInt(int64(n), 10) }
