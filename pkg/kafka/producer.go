package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/semaphore"

	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

// ProducerOptions tune a Producer; the zero value is fit for production.
type ProducerOptions struct {
	// Linger is how long a partition waits for more records before it is written;
	// 0 for 2 ms, negative for none. It adds to every record's latency.
	Linger time.Duration
	// Uncompressed switches snappy off.
	Uncompressed bool
	// Buffer is the bytes in flight at most, 0 for 64 MiB; callers wait beyond it.
	Buffer int64
	// Now stamps records; nil for the wall clock. A broker with LogAppendTime puts
	// its own time there, the embedded one keeps this.
	Now func() time.Time
}

// Producer is the one ordered way out of this process: for each partition,
// records are written in the order of the calls, and none after one that failed.
// It is safe for concurrent use; one sender's calls must follow one another.
type Producer struct {
	conn       Conn
	topics     Topics
	opt        ProducerOptions
	partitions int         // of the journal; its keys are dealt by it, so it never changes
	control    *kgo.Client // asks for metadata
	room       *semaphore.Weighted
	waits      waits               // of this process's writes and commits
	opening    *semaphore.Weighted // of one, for who asks brokers for what a client needs

	handing  sync.Mutex   // one at a time hands over, so that writes keep their order
	underWay atomic.Int64 // records that were handed over and are not acknowledged

	mu      sync.Mutex
	client  *kgo.Client // nil after a failure: the next write makes a new one
	limits  [4]int      // by engine.Topic
	waiting []*write    // to be handed over, in the order of the calls
	late    *time.Timer // hands over what has waited until lateAt; nil where nothing waits
	soon    bool        // a goroutine that hands over is about to begin
	closed  bool
	closing sync.WaitGroup // of clients that failed
}

// Kafka's batches cost the broker the less the larger they are: each costs as much
// as dozens of its records. So while more than few records are under way, further
// writes wait, and are handed over together once those are acknowledged, or after
// lateAt: a broker that doesn't answer costs the others that much for each write.
const (
	few    = 500
	lateAt = 20 * time.Millisecond
)

// TooLargeError says that a record would not fit its topic. Nothing of its
// Publish was written. Its sender should have quarantined it.
type TooLargeError struct {
	Topic       string
	Size, Limit int // bytes
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("kafka: a record of %d bytes is over what topic %s takes (max.message.bytes %d); nothing was written", e.Size, e.Topic, e.Limit)
}

// Limits where a topic's configuration can't be read: those of its reviewed file.
var fallbackLimits = [4]int{
	engine.TopicJournal: 2 << 20, engine.TopicSink: 1 << 20,
	engine.TopicDecisions: 1 << 20, engine.TopicDLQ: 16 << 20,
}

// maxBatch is the largest batch ever written, whatever a topic would take.
const maxBatch = 16 << 20

// NewProducer connects and asks the cluster for the journal's partitions and the
// topics' limits. The journal has to exist (ErrNoTopic).
func NewProducer(ctx context.Context, conn Conn, topics Topics, opt ProducerOptions) (*Producer, error) {
	if err := topics.Validate(); err != nil {
		return nil, err
	}
	if opt.Buffer <= 0 {
		opt.Buffer = 64 << 20
	}
	if opt.Linger == 0 {
		opt.Linger = 2 * time.Millisecond
	}
	control, err := conn.client()
	if err != nil {
		return nil, err
	}
	journal, err := describeOne(ctx, control, topics.Journal)
	if err != nil {
		control.Close()
		return nil, err
	}
	p := &Producer{
		conn: conn, topics: topics, opt: opt, partitions: journal.partitions,
		control: control, room: semaphore.NewWeighted(opt.Buffer), waits: waits{after: lateAfter}, limits: fallbackLimits,
		opening: semaphore.NewWeighted(1),
	}
	if _, err := p.open(ctx); err != nil {
		control.Close()
		return nil, err
	}
	return p, nil
}

// Limit is the size in bytes, as Size counts it, up to which a record fits a topic.
func (p *Producer) Limit(t engine.Topic) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limits[t]
}

// Size is what a record takes at most in a batch of its own, uncompressed.
func Size(r *engine.Published) int {
	const overhead = 110 // batch header 61, record header up to 41
	n := overhead + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value) + 10
	}
	return n
}

// Publish writes records, in order for each partition, and returns when all are
// acknowledged. Sizes are checked before the first is sent (*TooLargeError). When
// ctx ends first it returns ctx's cause; the records are then still written, all of
// them and in order, and later calls come after them, or none of them is: where they
// waited to be handed over, and meanwhile an earlier record failed or the partition
// was revoked. After any other error nothing more of these records is written;
// repeat the call whole.
func (p *Producer) Publish(ctx context.Context, out []engine.Published) error {
	if len(out) == 0 {
		return nil
	}
	b, size, err := p.block(out)
	if err != nil {
		return err
	}
	return p.write(ctx, b, size, nil)
}

// write hands a block over, unless gate says no, and waits for it. The block is the
// producer's from then on.
func (p *Producer) write(ctx context.Context, b *block, size int64, gate *gate) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	size = min(size, p.opt.Buffer)
	if err := p.room.Acquire(ctx, size); err != nil {
		return context.Cause(ctx)
	}
	cl, err := p.open(ctx)
	if err != nil {
		p.room.Release(size)
		return err
	}
	acked := p.waits.begin("publishing")
	w := &write{producer: p, client: cl, block: b, gate: gate, all: make(chan struct{})}
	w.left.Store(int64(len(b.records)))
	w.free = func() { acked(); p.room.Release(size) }
	p.enqueue(w)
	err = w.wait(ctx)
	if err == nil {
		b.release()
	}
	return err
}

// enqueue hands w over at once where few are under way.
func (p *Producer) enqueue(w *write) {
	p.mu.Lock()
	p.waiting = append(p.waiting, w)
	now := !p.loaded()
	if !now && p.late == nil {
		p.late = time.AfterFunc(lateAt, p.handOver)
	}
	p.mu.Unlock()
	if now {
		p.handOver()
	}
}

// loaded reports that so much is under way that further writes wait.
func (p *Producer) loaded() bool { return p.underWay.Load() > few }

// handOver gives the client what waits. What was meant for a client that has
// failed since fails with it.
func (p *Producer) handOver() {
	p.handing.Lock()
	defer p.handing.Unlock()
	p.mu.Lock()
	waiting, client := p.waiting, p.client
	p.waiting, p.soon = nil, false
	if p.late != nil {
		p.late.Stop()
		p.late = nil
	}
	p.mu.Unlock()
	for _, w := range waiting {
		switch {
		case w.client != client:
			w.end(errFailed)
		case !w.gate.pass(w.start):
			w.end(engine.ErrLost)
		}
	}
}

var errFailed = errors.New("a record before these has failed")

// acknowledged counts one record less, and has what waits handed over, once few
// are under way.
func (p *Producer) acknowledged() {
	if p.underWay.Add(-1) > few {
		return
	}
	p.mu.Lock()
	next := len(p.waiting) > 0 && !p.soon
	p.soon = p.soon || next
	p.mu.Unlock()
	if next {
		go p.handOver() // not here: this is the client's own goroutine
	}
}

// write is one Publish: it waits, is under way, and ends.
type write struct {
	producer *Producer
	client   *kgo.Client
	block    *block
	gate     *gate
	left     atomic.Int64
	err      atomic.Pointer[error]
	all      chan struct{} // closed at the end
	free     func()
}

// start hands records to the client. It never blocks, as the client's own buffer
// has no bound (Producer.room is the bound). Its context is nobody's: cancelled in
// the middle it would tear a gap into the order.
func (w *write) start() {
	records, done := w.block.records, w.done // one func for all of them
	w.producer.underWay.Add(int64(len(records)))
	for i := range records {
		r := &records[i]
		if now := w.producer.opt.Now; now != nil {
			r.Timestamp = now()
		}
		w.client.Produce(context.Background(), r, done)
	}
}

func (w *write) done(_ *kgo.Record, err error) {
	if err != nil {
		failure := err // err itself would then be on the heap for each record, nil or not
		if w.err.CompareAndSwap(nil, &failure) {
			w.producer.retire(w.client)
		}
	}
	w.producer.acknowledged() // before its Publish can return
	if w.left.Add(-1) == 0 {
		w.end(nil)
	}
}

// end ends a write that is acknowledged, or, with an error, that was not begun.
func (w *write) end(err error) {
	if err != nil {
		w.err.Store(&err)
	}
	w.free()
	close(w.all)
}

func (w *write) wait(ctx context.Context) error {
	select {
	case <-w.all:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	switch err := w.err.Load(); {
	case err == nil:
		return nil
	case errors.Is(*err, engine.ErrLost):
		return engine.ErrLost
	default:
		return fmt.Errorf("kafka: publish: %w", *err)
	}
}

// retire takes a client out of use after its first failed record. The broker
// refuses what is still in flight behind the failure (its sequence has a hole, and
// the client stops on that), and closing fails the rest. So nothing of a sender
// gets ahead of what failed; whoever waits for it gets an error, and repeats.
func (p *Producer) retire(cl *kgo.Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client != cl {
		return
	}
	p.client = nil
	p.closing.Go(cl.Close) // not here: this may be the client's own goroutine
}

var errClosed = errors.New("kafka: the producer is closed")

// current returns the client; nil where there is none.
func (p *Producer) current() (*kgo.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	return p.client, nil
}

// open returns the client, making one where there is none, with the topics'
// limits as they are now. Nobody waits for a lock while brokers are asked.
func (p *Producer) open(ctx context.Context) (*kgo.Client, error) {
	if cl, err := p.current(); cl != nil || err != nil {
		return cl, err
	}
	if err := p.opening.Acquire(ctx, 1); err != nil {
		return nil, context.Cause(ctx)
	}
	defer p.opening.Release(1)
	if cl, err := p.current(); cl != nil || err != nil {
		return cl, err
	}
	if err := p.sameJournal(ctx); err != nil {
		return nil, err
	}
	limits := p.presentLimits(ctx)
	batch := make(map[string]int32, len(limits))
	for t, limit := range limits {
		batch[p.topics.Name(engine.Topic(t))] = int32(limit)
	}
	cl, err := p.conn.client(p.clientOptions(batch)...)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		cl.Close()
		return nil, errClosed
	}
	p.client, p.limits = cl, limits
	return cl, nil
}

// sameJournal refuses to go on with another partition count than the one that
// entities were dealt by so far.
func (p *Producer) sameJournal(ctx context.Context) error {
	journal, err := describeOne(ctx, p.control, p.topics.Journal)
	if err == nil && journal.partitions != p.partitions {
		return fmt.Errorf("kafka: topic %s has %d partitions, and had %d: %w", p.topics.Journal, journal.partitions, p.partitions, ErrJournalChanged)
	}
	return err
}

// presentLimits are the topics' limits now, as far as they can be read.
func (p *Producer) presentLimits(ctx context.Context) (limits [4]int) {
	p.mu.Lock()
	limits = p.limits
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	t := p.topics
	found, err := maxMessageBytes(ctx, p.control, t.Journal, t.Sink, t.Decisions, t.DLQ)
	if err != nil {
		p.conn.logger().Warn("kafka: limits of topics can't be read, those known before are kept", "err", err)
		return limits
	}
	for k := range limits {
		if n, ok := found[t.Name(engine.Topic(k))]; ok {
			limits[k] = min(n, maxBatch)
		}
	}
	return limits
}

func (p *Producer) clientOptions(batch map[string]int32) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()), // idempotent, which is the default
		kgo.RecordPartitioner(partitioner{p.topics.Journal, p.partitions}),
		kgo.ProducerBatchMaxBytesFn(func(topic string) int32 {
			if n, ok := batch[topic]; ok {
				return n
			}
			return 1 << 20
		}),
		kgo.MaxBufferedRecords(math.MaxInt32),
		kgo.RecordRetries(math.MaxInt32),
		kgo.UnknownTopicRetries(-1),
		kgo.StopProducerOnDataLossDetected(),
		kgo.ProducerLinger(max(0, p.opt.Linger)),
	}
	if p.opt.Uncompressed {
		opts = append(opts, kgo.ProducerBatchCompression(kgo.NoCompression()))
	}
	return opts
}

// block is what one Publish writes: its records, and their headers in one piece.
type block struct {
	records []kgo.Record
	headers []kgo.RecordHeader
}

// blocks are used again once all of their records are acknowledged.
var blocks = sync.Pool{New: func() any { return new(block) }}

// maxBlock is the most records of a block that is kept.
const maxBlock = 1 << 13

func (b *block) release() {
	clear(b.records)
	clear(b.headers)
	b.records, b.headers = b.records[:0], b.headers[:0]
	if cap(b.records) <= maxBlock {
		blocks.Put(b)
	}
}

// block makes Kafka records of what is published, after checking every size. total
// is the sum of these.
func (p *Producer) block(out []engine.Published) (b *block, total int64, err error) {
	p.mu.Lock()
	limits := p.limits
	p.mu.Unlock()
	headers := 0
	for i := range out {
		o := &out[i]
		size := Size(o)
		if size > limits[o.Topic] {
			return nil, 0, &TooLargeError{Topic: p.topics.Name(o.Topic), Size: size, Limit: limits[o.Topic]}
		}
		total += int64(size)
		headers += len(o.Headers)
	}
	b = blocks.Get().(*block)
	b.records, b.headers = slices.Grow(b.records, len(out)), slices.Grow(b.headers, headers)
	for i := range out {
		o := &out[i]
		r := kgo.Record{Topic: p.topics.Name(o.Topic), Key: o.Key, Value: o.Value, Headers: b.add(o.Headers)}
		if o.Topic == engine.TopicJournal {
			r.Partition = engine.PartitionOf(o.Entity, p.partitions)
		}
		b.records = append(b.records, r)
	}
	return b, total, nil
}

// add adds a record's headers, for which there is room.
func (b *block) add(in []stitch.Header) []kgo.RecordHeader {
	if len(in) == 0 {
		return nil
	}
	start := len(b.headers)
	for _, h := range in {
		b.headers = append(b.headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return b.headers[start:len(b.headers):len(b.headers)]
}

// Close waits for what is in flight until ctx ends, then closes.
func (p *Producer) Close(ctx context.Context) error {
	p.mu.Lock()
	was := p.closed
	p.closed = true
	p.mu.Unlock()
	if was {
		return nil
	}
	p.handOver()
	p.mu.Lock()
	cl := p.client
	p.client = nil
	p.mu.Unlock()
	var err error
	if cl != nil {
		err = cl.Flush(ctx)
		cl.Close()
	}
	p.closing.Wait()
	p.control.Close()
	return err
}

// partitioner deals journal records as their sender said, and all others as every
// Kafka client does: by murmur2 of the key. A record without a key goes by its
// value, so that a repeat, being the same bytes, lands where the first one did.
type partitioner struct {
	journal    string
	partitions int // of the journal, as its senders know it
}

func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	if topic == p.journal {
		return bySender(p.partitions)
	}
	return byKey{kgo.StickyKeyPartitioner(nil).ForTopic(topic)}
}

// bySender takes the partition that the sender chose. Where the journal has
// another number of partitions than the sender thinks, the record fails.
type bySender int

func (bySender) RequiresConsistency(*kgo.Record) bool { return true }

func (b bySender) Partition(r *kgo.Record, n int) int {
	if n != int(b) {
		return -1
	}
	return int(r.Partition)
}

type byKey struct{ hash kgo.TopicPartitioner }

func (byKey) RequiresConsistency(*kgo.Record) bool { return true }

func (b byKey) Partition(r *kgo.Record, n int) int {
	if r.Key == nil {
		r = &kgo.Record{Key: append([]byte{}, r.Value...)}
	}
	return b.hash.Partition(r, n)
}
