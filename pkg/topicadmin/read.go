package topicadmin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"lockstitch/topics"
)

// Read returns the state of those of the named topics that exist, in the order
// of names. A topic whose configurations may not be read has none. An error: a
// topic that may not be described, or a cluster that doesn't answer.
func Read(ctx context.Context, adm *kadm.Client, names ...string) ([]topics.State, error) {
	var states []topics.State
	for _, name := range names {
		s, err := see(ctx, adm, name)
		switch {
		case err != nil:
			return nil, err
		case s.denied:
			return nil, fmt.Errorf("topic %s may not be described: allow Describe and DescribeConfigs on it", name)
		case s.exists:
			states = append(states, s.State)
		}
	}
	return states, nil
}

// Live returns what topics.Plan must know of the work that goes on: what was
// ever written to the topics of want, and which of the groups have offsets in
// the journal. It needs Describe on the topics and the groups.
func Live(ctx context.Context, adm *kadm.Client, want []topics.Spec, groups ...string) (topics.LiveState, error) {
	live := topics.LiveState{Written: make(map[string]int64, len(want))}
	for _, w := range want {
		n, err := written(ctx, adm, w.Name)
		if err != nil {
			return topics.LiveState{}, fmt.Errorf("reading how far topic %s was written: %w", w.Name, err)
		}
		live.Written[w.Name] = n
	}
	journal, _ := topics.Find(want, topics.RoleJournal)
	for _, group := range groups {
		committed, err := commits(ctx, adm, group, journal.Name)
		if err != nil {
			return topics.LiveState{}, fmt.Errorf("reading the offsets of group %s: %w", group, err)
		}
		if committed {
			live.Groups = append(live.Groups, group)
		}
	}
	return live, nil
}

// written is the sum of the topic's end offsets; 0 for one that doesn't exist.
func written(ctx context.Context, adm *kadm.Client, name string) (int64, error) {
	ends, err := adm.ListEndOffsets(fresh(ctx), name)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, o := range ends[name] {
		switch {
		case errors.Is(o.Err, kerr.UnknownTopicOrPartition):
		case o.Err != nil:
			return 0, o.Err
		default:
			sum += o.Offset
		}
	}
	return sum, nil
}

// commits reports whether the group has an offset committed in the topic.
func commits(ctx context.Context, adm *kadm.Client, group, topic string) (bool, error) {
	offsets, err := fetchOffsets(ctx, adm, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, o := range offsets[topic] {
		if o.Err != nil {
			return false, o.Err
		}
		if o.At >= 0 {
			return true, nil
		}
	}
	return false, nil
}

// fetchOffsets waits for a coordinator: a new cluster has none until the topic of
// the offsets is made, and this request has it made.
func fetchOffsets(ctx context.Context, adm *kadm.Client, group string) (kadm.OffsetResponses, error) {
	for wait := 100 * time.Millisecond; ; wait *= 2 {
		offsets, err := adm.FetchOffsets(ctx, group)
		if !errors.Is(err, kerr.CoordinatorNotAvailable) || wait > 10*time.Second {
			return offsets, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// sight is what can be seen of one topic.
type sight struct {
	topics.State
	exists  bool
	denied  bool                // it may not even be described
	allowed []kadm.ACLOperation // what this client may do; nil: the cluster doesn't tell
	detail  kadm.TopicDetail
}

// see looks at one topic alone: kadm gives up a request for several when one of
// them is denied.
func see(ctx context.Context, adm *kadm.Client, name string) (sight, error) {
	s := sight{State: topics.State{Name: name}}
	meta, err := adm.Metadata(fresh(ctx), name)
	if errors.Is(err, kerr.TopicAuthorizationFailed) {
		s.denied = true
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("describing topic %s: %w", name, err)
	}
	s.detail = meta.Topics[name]
	if errors.Is(s.detail.Err, kerr.UnknownTopicOrPartition) {
		return s, nil
	}
	if s.detail.Err != nil {
		return s, fmt.Errorf("describing topic %s: %w", name, s.detail.Err)
	}
	s.exists, s.allowed = true, s.detail.AuthorizedOperations
	s.Partitions = int32(len(s.detail.Partitions))
	s.Replication = replication(s.detail)
	s.Configs, err = configs(ctx, adm, name)
	return s, err
}

// fresh makes kadm ask the cluster. Else it answers from what the client saw
// some seconds ago, where a topic just created or altered is not yet so. It is
// the request for the permitted operations that is never answered so.
func fresh(ctx context.Context) context.Context { return kadm.WithAuthorizedOps(ctx) }

// replication is the number of replicas of the partition that has the fewest.
func replication(d kadm.TopicDetail) int16 {
	fewest := math.MaxInt16
	for _, p := range d.Partitions {
		fewest = min(fewest, len(p.Replicas))
	}
	return int16(fewest)
}

// configs returns the topic's configurations in force, or nil where they may
// not be read.
func configs(ctx context.Context, adm *kadm.Client, name string) (map[string]string, error) {
	all, err := adm.DescribeTopicConfigs(ctx, name)
	if errors.Is(err, kerr.TopicAuthorizationFailed) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configurations of topic %s: %w", name, err)
	}
	i := slices.IndexFunc(all, func(r kadm.ResourceConfig) bool { return r.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("reading the configurations of topic %s: the cluster's answer has none", name)
	}
	if err := all[i].Err; err != nil {
		return nil, fmt.Errorf("reading the configurations of topic %s: %w", name, err)
	}
	values := make(map[string]string, len(all[i].Configs))
	for _, c := range all[i].Configs {
		if c.Value != nil {
			values[c.Key] = *c.Value
		}
	}
	return values, nil
}
