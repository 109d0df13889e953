package kafka

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"lockstitch/pkg/engine"
)

// Topics are the names of the topics that Lockstitch writes.
type Topics struct {
	Journal   string
	Sink      string
	Decisions string
	DLQ       string
}

// Name is the name of one of the engine's topics.
func (t Topics) Name(k engine.Topic) string {
	return [...]string{engine.TopicJournal: t.Journal, engine.TopicSink: t.Sink,
		engine.TopicDecisions: t.Decisions, engine.TopicDLQ: t.DLQ}[k]
}

// Validate reports names that are missing or the same.
func (t Topics) Validate() error {
	seen := map[string]bool{}
	for _, name := range []string{t.Journal, t.Sink, t.Decisions, t.DLQ} {
		if name == "" || seen[name] {
			return fmt.Errorf("kafka: topics journal, sink, decisions and DLQ need four different names, not %+v", t)
		}
		seen[name] = true
	}
	return nil
}

// ErrNoTopic says that a topic does not exist (yet).
var ErrNoTopic = errors.New("topic does not exist: create it with `lockstitch topics apply`")

// ErrJournalChanged says that the journal isn't the one that this process started
// with. Its state and its place in the log belong to the other one.
var ErrJournalChanged = errors.New("the journal was made anew, or got another number of partitions, under running processes: " +
	"restart all of them; with another number of partitions, on a new journal and empty state only")

// topicFacts is what metadata says of a topic.
type topicFacts struct {
	id         string // as Kafka's own tools print it
	raw        [16]byte
	partitions int
}

// formatTopicID is a topic ID as Kafka's tools print it. It has no slash, so
// places can be written with it.
func formatTopicID(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// describe asks the cluster, not a cache, about topics. Topics that don't exist
// are absent from the answer; any other trouble is an error.
func describe(ctx context.Context, cl *kgo.Client, topics ...string) (map[string]topicFacts, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	for _, t := range topics {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = new(t)
		req.Topics = append(req.Topics, rt)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, fmt.Errorf("kafka: metadata: %w", err)
	}
	facts := make(map[string]topicFacts, len(topics))
	for _, t := range resp.Topics {
		switch err := kerr.ErrorForCode(t.ErrorCode); {
		case errors.Is(err, kerr.UnknownTopicOrPartition):
		case err != nil:
			return nil, fmt.Errorf("kafka: metadata of topic %s: %w", *t.Topic, err)
		default:
			facts[*t.Topic] = topicFacts{id: formatTopicID(t.TopicID), raw: t.TopicID, partitions: len(t.Partitions)}
		}
	}
	return facts, nil
}

// describeOne is describe for a topic that has to be there.
func describeOne(ctx context.Context, cl *kgo.Client, topic string) (topicFacts, error) {
	facts, err := describe(ctx, cl, topic)
	if err != nil {
		return topicFacts{}, err
	}
	f, ok := facts[topic]
	if !ok {
		return topicFacts{}, fmt.Errorf("kafka: topic %s: %w", topic, ErrNoTopic)
	}
	return f, nil
}

// topicNumbers are the numbers among the named configurations of topics, by topic
// and name. Topics whose configuration can't be read (no ACL for it, not there)
// are absent.
func topicNumbers(ctx context.Context, cl *kgo.Client, names []string, topics ...string) (map[string]map[string]int64, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, t := range topics {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, t, names
		req.Resources = append(req.Resources, r)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, fmt.Errorf("kafka: topic configuration: %w", err)
	}
	found := make(map[string]map[string]int64, len(topics))
	for _, r := range resp.Resources {
		for _, c := range r.Configs {
			if c.Value == nil {
				continue
			}
			if n, err := strconv.ParseInt(*c.Value, 10, 64); err == nil {
				if found[r.ResourceName] == nil {
					found[r.ResourceName] = map[string]int64{}
				}
				found[r.ResourceName][c.Name] = n
			}
		}
	}
	return found, nil
}

// maxMessageBytes are the topics' own limits of a record batch. Topics whose
// configuration can't be read are absent.
func maxMessageBytes(ctx context.Context, cl *kgo.Client, topics ...string) (map[string]int, error) {
	const name = "max.message.bytes"
	found, err := topicNumbers(ctx, cl, []string{name}, topics...)
	if err != nil {
		return nil, err
	}
	limits := make(map[string]int, len(topics))
	for topic, numbers := range found {
		if n := numbers[name]; n > 0 {
			limits[topic] = int(n)
		}
	}
	return limits, nil
}
