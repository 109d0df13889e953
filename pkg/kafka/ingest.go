package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

// Source is one source topic.
type Source struct {
	Topic string
	// ReadCommitted says that the topic is written in transactions. Such a topic is
	// always read with franz-go: kafka-go hands out aborted records.
	ReadCommitted bool
	// Authority says that orders' copies of this topic count more (Sources).
	Authority bool
}

// SourceRecord is one record of a source topic.
type SourceRecord struct {
	Offset  int64
	Time    int64 // as the topic has it (append or create time), Unix ms
	Key     []byte
	Value   []byte
	Headers []stitch.Header
}

// Batch is records of one source partition, in order; offsets may have gaps.
type Batch struct {
	Topic     string
	TopicID   string // as places name senders
	Partition int32
	Records   []SourceRecord
}

// Ingest is the sources' side: it reads source topics as a consumer group, has
// batches turned into what is published, publishes, and commits what the brokers
// have acknowledged, in this order. So a record may be read twice, never not at all.
//
// Topics marked ReadCommitted are a group of their own (CommittedGroup). Moving a
// topic from one group to the other makes it be read again from its start, which
// the journal's readers drop as repeats.
type Ingest struct {
	Conn     Conn
	ID       string // of the consumer group
	Sources  []Source
	Producer *Producer
	// Handle turns a batch into what is published; it is pure and its order is kept.
	// It is called concurrently for several partitions, and again with the same
	// batch after an error.
	Handle func(ctx context.Context, b Batch) ([]engine.Published, error)
	// Trouble hears of what failed and is tried again. May be nil.
	Trouble func(error)
	// Watch is how often topics are looked at (missing ones, new partitions); 0 for 5 s.
	Watch time.Duration
}

// CommittedGroup is the consumer group that reads the ReadCommitted topics of the
// ingest group id.
func CommittedGroup(id string) string { return id + "-committed" }

// A batch ends at batchRecords or batchBytes, or with what has come. It is dealt to all
// journal partitions, and each one's share should still be worth a write.
const (
	batchRecords = 4000
	batchBytes   = 1 << 20
)

// Run ingests until ctx ends; batches under way are then finished, for two seconds
// at most. Trouble is logged and waited out. A topic that doesn't exist is waited
// for. An error means that Run couldn't start.
func (in *Ingest) Run(ctx context.Context) error {
	if in.ID == "" || in.Handle == nil || in.Producer == nil || len(in.Sources) == 0 {
		return errors.New("kafka: ingest needs a group ID, sources, a handler and a producer")
	}
	control, err := in.Conn.client()
	if err != nil {
		return err
	}
	defer control.Close()
	w := &watch{client: control, log: in.Conn.logger(), every: in.Watch}
	if w.every <= 0 {
		w.every = 5 * time.Second
	}
	for _, s := range in.Sources {
		w.topics = append(w.topics, s.Topic)
	}
	for ctx.Err() == nil {
		facts := w.present(ctx)
		round, end := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { w.changed(round, facts); end() })
		err := in.consume(round, facts)
		end()
		wg.Wait()
		if err != nil {
			return err
		}
	}
	return nil
}

// consume reads the topics that are there until ctx ends.
func (in *Ingest) consume(ctx context.Context, facts map[string]topicFacts) error {
	var plain, committed []string
	for _, s := range in.Sources {
		switch _, ok := facts[s.Topic]; {
		case !ok:
		case s.ReadCommitted:
			committed = append(committed, s.Topic)
		default:
			plain = append(plain, s.Topic)
		}
	}
	var wg sync.WaitGroup
	var errPlain, errCommitted error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if len(plain) > 0 {
		wg.Go(func() { errPlain = in.consumeUncommitted(ctx, plain, facts); cancel() })
	}
	if len(committed) > 0 {
		r := franzReader{in, CommittedGroup(in.ID), kgo.ReadCommitted()}
		wg.Go(func() { errCommitted = r.consume(ctx, committed, facts); cancel() })
	}
	wg.Wait()
	return errors.Join(errPlain, errCommitted)
}

// consumeUncommitted reads with kafka-go, or else, under OAUTHBEARER, with franz-go
// (segmentBearer says why), as the same group.
func (in *Ingest) consumeUncommitted(ctx context.Context, topics []string, facts map[string]topicFacts) error {
	if in.Conn.Security.Mechanism == OAuthBearer {
		return franzReader{in, in.ID, kgo.ReadUncommitted()}.consume(ctx, topics, facts)
	}
	return in.consumePlain(ctx, topics, facts)
}

// publish turns a batch into records and has them acknowledged, trying again until
// ctx ends. It reports whether the batch is done, that is, may be committed.
func (in *Ingest) publish(ctx context.Context, b Batch) bool {
	out, ok := in.decode(ctx, b)
	return ok && in.write(ctx, b, out)
}

func (in *Ingest) decode(ctx context.Context, b Batch) (out []engine.Published, ok bool) {
	ok = in.persist(ctx, b, "decoding a batch", func(ctx context.Context) (err error) {
		out, err = in.Handle(ctx, b)
		return err
	})
	return out, ok
}

func (in *Ingest) write(ctx context.Context, b Batch, out []engine.Published) bool {
	return in.persist(ctx, b, "publishing a batch", func(ctx context.Context) error {
		ctx, cancel := linger(ctx, publishGrace)
		defer cancel()
		return in.Producer.Publish(ctx, out)
	})
}

// persist does f until it succeeds or ctx ends.
func (in *Ingest) persist(ctx context.Context, b Batch, what string, f func(context.Context) error) bool {
	for wait := 100 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 5*time.Second) {
		err := f(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			break
		}
		if in.Trouble != nil {
			in.Trouble(err)
		}
		in.Conn.logger().Error("kafka: "+what+" failed, trying again", "topic", b.Topic, "partition", b.Partition, "err", err)
		sleep(ctx, wait)
	}
	return false
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// watch looks for changes of the source topics.
type watch struct {
	client  *kgo.Client
	log     *slog.Logger
	every   time.Duration
	topics  []string
	missing []string // as last logged
}

// present waits until at least one topic exists, and says which are missing.
func (w *watch) present(ctx context.Context) map[string]topicFacts {
	for ctx.Err() == nil {
		facts, err := w.look(ctx)
		if len(facts) > 0 {
			return facts
		}
		if err != nil && ctx.Err() == nil {
			w.log.Warn("kafka: source topics can't be looked up, trying again", "err", err)
		}
		sleep(ctx, w.every)
	}
	return nil
}

// changed waits until topics came, went, were made anew or got partitions.
func (w *watch) changed(ctx context.Context, facts map[string]topicFacts) {
	for ctx.Err() == nil {
		sleep(ctx, w.every)
		now, err := w.look(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			w.log.Warn("kafka: source topics can't be looked up", "err", err)
		case !maps.Equal(now, facts):
			w.log.Info("kafka: source topics changed, joining again", "topics", slices.Sorted(maps.Keys(now)))
			return
		}
	}
}

func (w *watch) look(ctx context.Context) (map[string]topicFacts, error) {
	facts, err := describe(ctx, w.client, w.topics...)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, t := range w.topics {
		if _, ok := facts[t]; !ok {
			missing = append(missing, t)
		}
	}
	if len(missing) > 0 && !slices.Equal(missing, w.missing) {
		w.log.Warn(fmt.Sprintf("kafka: source topics are missing; they are read as soon as they exist (looking every %v)", w.every), "topics", missing)
	}
	w.missing = missing
	return facts, nil
}
