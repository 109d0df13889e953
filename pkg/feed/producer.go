package feed

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/segmentio/kafka-go"
)

// Options say how lines get into Kafka.
type Options struct {
	Brokers   []string
	Transport *kafka.Transport // TLS and SASL; nil: neither

	Rate     float64                    // records a second at most; 0: as fast as it goes
	KeepTime bool                       // a record's timestamp is its line's time, where it has one; else the time of writing
	MaxBytes int64                      // of one record, and of a request to one partition; 0: 1 MiB, Kafka's default
	Progress func(records, bytes int64) // called with totals of what is acknowledged, one call at a time; may be nil
}

// Limits of a write.
const (
	chunk        = 8192             // records that are acknowledged together
	batch        = 1000             // records of one request to one partition
	attempts     = 20               // with the waits between them half a minute: a new leader is found by then
	firstTries   = 4                // of the first chunk's addresses: a wrong one shouldn't take long to be told
	batchTimeout = time.Millisecond // a chunk is whole when it is written: nothing more comes to fill a batch
	grace        = 2 * time.Second  // that requests under way have to end after a cancellation
	overhead     = 64               // bytes of a record besides key and value, at most
	perSecond    = 20               // chunks of a write with a rate: it is even, not in bursts
)

// Totals are what was written and acknowledged.
type Totals struct {
	Records int64
	Bytes   int64 // of keys and values
}

// Produce writes lines to their topics until they end, one fails, or ctx is
// done, and returns what all in-sync replicas have acknowledged until then. It
// returns the error of lines as it is, and ctx's cause when ctx ended it. What
// was under way when it failed may have been written as well.
//
// Topics must exist. Lines are read by another goroutine: after a cancellation
// it ends with the next line that lines yields.
func Produce(ctx context.Context, lines iter.Seq2[Line, error], opt Options) (Totals, error) {
	if len(opt.Brokers) == 0 {
		return Totals{}, errors.New("feed: no brokers: name at least one")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := producer{opt: opt, writer: newWriter(opt), pace: newPace(opt.Rate)}
	err := p.run(ctx, read(ctx, lines))
	p.close(ctx)
	return p.total, err
}

func newWriter(opt Options) *kafka.Writer {
	if opt.MaxBytes <= 0 {
		opt.MaxBytes = 1 << 20
	}
	transport := opt.Transport
	if transport == nil {
		transport = &kafka.Transport{}
	}
	return &kafka.Writer{
		Addr:            kafka.TCP(opt.Brokers...),
		Balancer:        kafka.Murmur2Balancer{}, // kafka-go's default is round robin
		RequiredAcks:    kafka.RequireAll,        // its default is none
		Compression:     kafka.Snappy,
		BatchSize:       batch, // it allocates this many messages for every batch
		BatchBytes:      opt.MaxBytes,
		BatchTimeout:    batchTimeout,
		MaxAttempts:     attempts,
		WriteBackoffMax: 2 * time.Second,
		Transport:       transport,
	}
}

// item is a line on its way from the reader, or the reader's end.
type item struct {
	line Line
	err  error
}

// read reads ahead, so that lines are parsed while others are being written. The
// channel is closed at the end.
func read(ctx context.Context, lines iter.Seq2[Line, error]) <-chan item {
	items := make(chan item, chunk)
	go func() {
		defer close(items)
		for line, err := range lines {
			select {
			case items <- item{line, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return items
}

// producer is one Produce.
type producer struct {
	opt    Options
	writer *kafka.Writer
	pace   *pace

	messages []kafka.Message // of the chunk
	total    Totals
}

// run writes chunk after chunk. Only when a chunk is acknowledged is the next
// one begun: so partitions keep their order, and after an error nothing follows.
func (p *producer) run(ctx context.Context, items <-chan item) error {
	for {
		more, failed := p.gather(ctx, items)
		if err := p.write(ctx); err != nil {
			return err
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case failed != nil:
			return failed
		case !more:
			return nil
		}
		if err := p.pace.wait(ctx, p.total.Records); err != nil {
			return err
		}
	}
}

// gather waits for a line, and takes what else is there.
func (p *producer) gather(ctx context.Context, items <-chan item) (more bool, failed error) {
	p.messages = p.messages[:0]
	select {
	case next, more := <-items:
		if !more || next.err != nil {
			return more, next.err
		}
		failed = p.add(next.line)
	case <-ctx.Done():
		return false, nil
	}
	for failed == nil && len(p.messages) < p.pace.chunk {
		select {
		case next, more := <-items:
			if !more || next.err != nil {
				return more, next.err
			}
			failed = p.add(next.line)
		default:
			return true, nil
		}
	}
	return true, failed
}

// add puts a line into the chunk, unless it is too large for one.
func (p *producer) add(line Line) error {
	if size := int64(len(line.Key)+len(line.Value)) + overhead; size > p.writer.BatchBytes {
		number := p.total.Records + int64(len(p.messages)) + 1
		return fmt.Errorf("feed: record %d, for %s, has %d bytes, more than the %d that one may have: raise the limit here and of the topic",
			number, line.Topic, size, p.writer.BatchBytes)
	}
	m := kafka.Message{Topic: line.Topic, Value: line.Value}
	if line.Key != "" {
		m.Key = []byte(line.Key)
	}
	if p.opt.KeepTime {
		m.Time = line.Time
	}
	p.messages = append(p.messages, m)
	return nil
}

func (p *producer) write(ctx context.Context) error {
	if len(p.messages) == 0 {
		return nil
	}
	if err := p.send(ctx); err != nil {
		return p.failure(ctx, err)
	}
	for i := range p.messages {
		p.total.Bytes += int64(len(p.messages[i].Key) + len(p.messages[i].Value))
	}
	p.total.Records += int64(len(p.messages))
	if p.opt.Progress != nil {
		p.opt.Progress(p.total.Records, p.total.Bytes)
	}
	return nil
}

// send writes the chunk. kafka-go tries again what a broker refuses, but not to
// find out which broker to ask; until it knows, nothing was sent, and trying
// again can't write twice.
func (p *producer) send(ctx context.Context) error {
	for tried, wait := 1, 100*time.Millisecond; ; tried, wait = tried+1, min(2*wait, 2*time.Second) {
		err := p.writer.WriteMessages(ctx, p.messages...)
		if _, sent := errors.AsType[kafka.WriteErrors](err); err == nil || sent || ctx.Err() != nil || tried == p.tries(err) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p *producer) tries(err error) int {
	if p.total.Records == 0 || errors.Is(err, kafka.UnknownTopicOrPartition) {
		return firstTries
	}
	return attempts
}

// failure says what wasn't written and what to do. It names no key and no value.
func (p *producer) failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if each, ok := errors.AsType[kafka.WriteErrors](err); ok {
		for i, err := range each {
			if err != nil {
				return fmt.Errorf("feed: %d of %d records were not acknowledged, the first for %s: %w", each.Count(), len(each), p.messages[i].Topic, err)
			}
		}
	}
	if errors.Is(err, kafka.UnknownTopicOrPartition) {
		return fmt.Errorf("feed: one of the topics %v doesn't exist: create it first: %w", p.topics(), err)
	}
	return fmt.Errorf("feed: writing to Kafka: %w", err)
}

// topics are the chunk's.
func (p *producer) topics() []string {
	var names []string
	seen := map[string]bool{}
	for i := range p.messages {
		if name := p.messages[i].Topic; !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// close waits for what is under way; not for long where ctx is done, for a broker
// that doesn't answer would keep it until the last attempt.
func (p *producer) close(ctx context.Context) {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = p.writer.Close() // it fails only where it is closed already
	}()
	var late <-chan time.Time
	if ctx.Err() != nil {
		late = time.After(grace)
	}
	select {
	case <-closed:
	case <-late:
	}
	if transport, ok := p.writer.Transport.(*kafka.Transport); ok {
		transport.CloseIdleConnections()
	}
}
