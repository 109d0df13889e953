package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/semaphore"

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
//
// All owners of a process ask, each once a tick, so what is committed is asked for
// them all, a few times a tick at most. Ends are asked for each: an older one would let
// a watermark pass over records. An older committed offset, or start, only holds it up,
// as both only grow; what an owner saw a tick ago is always asked for again.
type Sources struct {
	client *kgo.Client
	id     string
	byName map[string]Source
	topics []string
	age    time.Duration // how old a sight may be

	looking *semaphore.Weighted // of one, over what follows
	sight   sight
}

// sight is what is known of the sources since at.
type sight struct {
	at        time.Time
	committed map[string]kadm.OffsetResponses // by group
	starts    map[string]map[int32]int64      // of partitions that were behind
}

// NewSources looks at sources and at how far the ingest group id has read them, for
// owners that ask once in tick.
func NewSources(conn Conn, id string, sources []Source, tick time.Duration) (*Sources, error) {
	cl, err := conn.client()
	if err != nil {
		return nil, err
	}
	s := &Sources{client: cl, id: id, byName: map[string]Source{}, age: tick / 4, looking: semaphore.NewWeighted(1)}
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
	if err := s.looking.Acquire(ctx, 1); err != nil {
		return false, false, context.Cause(ctx)
	}
	defer s.looking.Release(1)
	if time.Since(s.sight.at) >= s.age {
		s.sight = sight{committed: map[string]kadm.OffsetResponses{}, starts: map[string]map[int32]int64{}}
	}
	behind, err := s.behind(ctx, e)
	if err == nil {
		err = s.start(ctx, behind)
	}
	if err != nil {
		return false, false, err
	}
	authorities, all = true, true
	for topic, ps := range behind {
		for _, p := range ps {
			if s.sight.starts[topic][p] < e[topic][p] {
				authorities, all = authorities && !s.byName[topic].Authority, false
			}
		}
	}
	return authorities, all, nil
}

// behind are the partitions whose committed offset is below e.
func (s *Sources) behind(ctx context.Context, e engine.Ends) (map[string][]int32, error) {
	behind := map[string][]int32{}
	for topic, ends := range e {
		group := s.group(topic)
		committed, ok := s.sight.committed[group]
		if !ok {
			var err error
			if committed, err = fetchOffsets(ctx, s.client, group); err != nil {
				return nil, err
			}
			s.sight.committed[group] = committed
			s.sight.at = time.Now() // of the answer: whoever waited for a slow one has it as well
		}
		for p, end := range ends {
			at, ok := committed.Lookup(topic, p)
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

// start asks for the starts of partitions that aren't known yet.
func (s *Sources) start(ctx context.Context, partitions map[string][]int32) error {
	unknown := map[string][]int32{}
	for topic, ps := range partitions {
		for _, p := range ps {
			if _, ok := s.sight.starts[topic][p]; !ok {
				unknown[topic] = append(unknown[topic], p)
			}
		}
	}
	starts, err := listOffsets(ctx, s.client, unknown, startOffset)
	for topic, ps := range starts {
		if s.sight.starts[topic] == nil {
			s.sight.starts[topic] = map[int32]int64{}
		}
		maps.Copy(s.sight.starts[topic], ps)
	}
	return err
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
