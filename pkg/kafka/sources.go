package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"lockstitch/pkg/engine"
)

// Sources is engine.Sources: how far the source topics are in the journal.
//
// The end of a partition is its high watermark, for topics written in
// transactions as well. The last stable offset would be too little: behind the
// open transaction of one writer there may be committed records of another, not
// readable yet, and a watermark must not pass over them. A transaction that stays
// open holds the watermark up, until it is finished or the broker aborts it
// (transaction.max.timeout.ms, 15 minutes).
type Sources struct {
	client *kgo.Client
	id     string
	byName map[string]Source
	topics []string
}

// NewSources looks at sources and at how far the ingest group id has read them.
func NewSources(conn Conn, id string, sources []Source) (*Sources, error) {
	cl, err := conn.client()
	if err != nil {
		return nil, err
	}
	s := &Sources{client: cl, id: id, byName: map[string]Source{}}
	for _, src := range sources {
		s.byName[src.Topic] = src
		s.topics = append(s.topics, src.Topic)
	}
	return s, nil
}

// Close closes the connection.
func (s *Sources) Close() { s.client.Close() }

// Ends implements engine.Sources. A topic that doesn't exist has no ends: nothing
// was written to it.
func (s *Sources) Ends(ctx context.Context) (engine.Ends, error) {
	facts, err := describe(ctx, s.client, s.topics...)
	if err != nil {
		return nil, err
	}
	ends, err := listOffsets(ctx, s.client, partitionsOf(facts), endOffset)
	return ends, err
}

// Passed implements engine.Sources. A partition whose records below its end are
// all gone from the log, or that never had any, counts as read.
func (s *Sources) Passed(ctx context.Context, e engine.Ends) (authorities, all bool, err error) {
	behind, err := s.behind(ctx, e)
	if err != nil {
		return false, false, err
	}
	if len(behind) > 0 {
		starts, err := listOffsets(ctx, s.client, behind, startOffset)
		if err != nil {
			return false, false, err
		}
		for topic, ps := range behind {
			var left []int32
			for _, p := range ps {
				if starts[topic][p] < e[topic][p] {
					left = append(left, p)
				}
			}
			if behind[topic] = left; len(left) == 0 {
				delete(behind, topic)
			}
		}
	}
	authorities = true
	for topic := range behind {
		authorities = authorities && !s.byName[topic].Authority
	}
	return authorities, len(behind) == 0, nil
}

// behind are the partitions whose committed offset is below e.
func (s *Sources) behind(ctx context.Context, e engine.Ends) (map[string][]int32, error) {
	committed := map[string]kadm.OffsetResponses{}
	behind := map[string][]int32{}
	for topic, ends := range e {
		group := s.group(topic)
		if committed[group] == nil {
			at, err := fetchOffsets(ctx, s.client, group)
			if err != nil {
				return nil, err
			}
			committed[group] = at
		}
		for p, end := range ends {
			at, ok := committed[group].Lookup(topic, p)
			if ok && at.Err != nil {
				return nil, fmt.Errorf("kafka: committed offset of %s partition %d in group %s: %w", topic, p, group, at.Err)
			}
			if end > 0 && (!ok || at.At < end) {
				behind[topic] = append(behind[topic], p)
			}
		}
	}
	return behind, nil
}

func (s *Sources) group(topic string) string {
	if s.byName[topic].ReadCommitted {
		return CommittedGroup(s.id)
	}
	return s.id
}

// fetchOffsets are a group's committed offsets; none for a group that isn't there.
func fetchOffsets(ctx context.Context, cl *kgo.Client, group string) (kadm.OffsetResponses, error) {
	resp, err := kadm.NewClient(cl).FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return kadm.OffsetResponses{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("kafka: committed offsets of group %s: %w", group, err)
	}
	return resp, nil
}

func partitionsOf(facts map[string]topicFacts) map[string][]int32 {
	all := make(map[string][]int32, len(facts))
	for topic, f := range facts {
		for p := range int32(f.partitions) {
			all[topic] = append(all[topic], p)
		}
	}
	return all
}

// bounds are the offsets of a partition's first record and after its last.
func bounds(ctx context.Context, cl *kgo.Client, topic string, p int32) (start, end int64, err error) {
	partition := map[string][]int32{topic: {p}}
	starts, err := listOffsets(ctx, cl, partition, startOffset)
	if err != nil {
		return 0, 0, err
	}
	ends, err := listOffsets(ctx, cl, partition, endOffset)
	return starts[topic][p], ends[topic][p], err
}

// which offset of a partition to list.
type which struct {
	timestamp int64
	committed bool
}

var (
	startOffset  = which{timestamp: -2}
	endOffset    = which{timestamp: -1}                  // the high watermark
	stableOffset = which{timestamp: -1, committed: true} // the last stable offset
)

// listOffsets asks the partitions' leaders; an answer is for all of them or an error.
func listOffsets(ctx context.Context, cl *kgo.Client, partitions map[string][]int32, w which) (map[string]map[int32]int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	if w.committed {
		req.IsolationLevel = 1
	}
	want := 0
	for topic, ps := range partitions {
		rt := kmsg.NewListOffsetsRequestTopic()
		rt.Topic = topic
		for _, p := range ps {
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Partition, rp.Timestamp = p, w.timestamp
			rt.Partitions = append(rt.Partitions, rp)
			want++
		}
		req.Topics = append(req.Topics, rt)
	}
	found := make(map[string]map[int32]int64, len(partitions))
	if want == 0 {
		return found, nil
	}
	for _, shard := range cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, fmt.Errorf("kafka: listing offsets: %w", shard.Err)
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			if found[t.Topic] == nil {
				found[t.Topic] = map[int32]int64{}
			}
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, fmt.Errorf("kafka: offsets of %s partition %d: %w", t.Topic, p.Partition, err)
				}
				found[t.Topic][p.Partition] = p.Offset
				want--
			}
		}
	}
	if want != 0 {
		return nil, fmt.Errorf("kafka: listing offsets: the brokers left out %d partitions", want)
	}
	return found, nil
}
