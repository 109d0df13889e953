package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/engine"
)

// feed reads journal partitions for their owners, all with one client, so that
// the broker is asked once for everything that is new. It belongs to no group:
// each owner starts where its state stands, and may jump.
//
// One goroutine polls, and it alone moves positions, between two polls. So what a
// poll returns is always of the position in force, and a record of an older one
// can't slip in front of what the owner asked for.
type feed struct {
	client *kgo.Client
	topic  string
	buffer int64 // bytes that wait for one owner at most, and one fetch beyond
	loaded func() bool

	ctx  context.Context
	stop context.CancelFunc
	done chan struct{}

	mu     sync.Mutex
	queues map[int32]*queue
	gone   map[int32]bool     // partitions to stop reading
	poke   context.CancelFunc // wakes the poll that is under way
}

// queue is what waits for one owner, and what the owner wants.
type queue struct {
	p     int32
	ready chan struct{}  // one token: look again
	out   []engine.Entry // what was last read, the owner's until it reads again

	mu      sync.Mutex
	at      int64 // the offset that the next read continues at; -1: none
	seek    bool  // at is wanted, but not yet where the client reads
	records []*kgo.Record
	bytes   int64
	paused  bool
	err     error
	last    time.Time // of the last read that got something,
	many    bool      // which was a lot
}

// Under load a batch of an owner costs the least when it is large: an entity is
// remembered once for all of its messages, and the brokers get fewer and larger
// writes. So after a read of gatherFrom records, or while the process has much to
// write, the next one waits until there is a whole batch, for gatherFor since the
// last one at most. At low load nobody waits.
const (
	gatherFrom = 64
	gatherFor  = 50 * time.Millisecond
)

// fetch limits: of one partition in one answer (a larger record still comes), and of
// one answer. With more of a partition at once, others wait for it.
const (
	fetchPartition = 256 << 10
	fetchAll       = 16 << 20
)

// newFeed reads topic, up to buffer bytes ahead for each owner. loaded says that the
// process has much to do.
func newFeed(conn Conn, topic string, buffer int64, loaded func() bool) (*feed, error) {
	cl, err := conn.client(
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), // out of range is the owner's to know
		kgo.FetchMinBytes(1),
		kgo.FetchMaxWait(time.Second),
		kgo.FetchMaxBytes(fetchAll),
		kgo.FetchMaxPartitionBytes(fetchPartition),
	)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	f := &feed{
		client: cl, topic: topic, buffer: buffer, loaded: loaded,
		ctx: ctx, stop: stop, done: make(chan struct{}),
		queues: map[int32]*queue{}, gone: map[int32]bool{}, poke: func() {},
	}
	go f.run()
	return f, nil
}

func (f *feed) close() {
	f.stop()
	<-f.done
	f.client.Close()
}

// open makes a queue for a new owner of p; the queue of an earlier one is dead.
func (f *feed) open(p int32) *queue {
	q := &queue{p: p, at: -1, ready: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queues[p] = q
	return q
}

// shut ends reading for q's owner.
func (f *feed) shut(q *queue) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.queues[q.p] == q {
		delete(f.queues, q.p)
		f.gone[q.p] = true
		f.poke()
	}
}

// wake makes the polling goroutine look at what owners want.
func (f *feed) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.poke()
}

// read is engine.Log's Read.
func (f *feed) read(ctx context.Context, q *queue, from int64, max int) ([]engine.Entry, error) {
	if from < 0 {
		return nil, engine.ErrTruncated
	}
	for {
		if q.want(from) {
			f.wake()
		}
		if q.gathers(ctx, max, f.loaded()) {
			continue
		}
		entries, err := q.take(max, f.buffer, f.resume)
		if len(entries) > 0 || err != nil {
			return entries, err
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
			return nil, nil
		}
	}
}

func (f *feed) pause(p int32) {
	f.client.PauseFetchPartitions(map[string][]int32{f.topic: {p}})
}

func (f *feed) resume(p int32) {
	f.client.ResumeFetchPartitions(map[string][]int32{f.topic: {p}})
}

func (f *feed) run() {
	defer close(f.done)
	for f.ctx.Err() == nil {
		ctx, cancel := context.WithCancel(f.ctx)
		f.mu.Lock()
		f.poke = cancel // before positions move: what is wanted after that ends the poll
		f.mu.Unlock()
		f.move()
		fetches := f.client.PollFetches(ctx)
		cancel()
		f.deliver(fetches)
	}
}

// move puts the client where the owners want it. Taking a partition out and in
// again drops what the client had buffered of it.
func (f *feed) move() {
	out, in := f.moves()
	if len(out) == 0 {
		return
	}
	f.client.RemoveConsumePartitions(map[string][]int32{f.topic: out})
	f.client.ResumeFetchPartitions(map[string][]int32{f.topic: out})
	if len(in) > 0 {
		f.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{f.topic: in})
	}
}

func (f *feed) moves() (out []int32, in map[int32]kgo.Offset) {
	f.mu.Lock()
	defer f.mu.Unlock()
	in = map[int32]kgo.Offset{}
	for p, q := range f.queues {
		q.mu.Lock()
		if q.seek {
			q.seek, q.paused = false, false
			in[p] = kgo.NewOffset().At(q.at)
			f.gone[p] = true
		}
		q.mu.Unlock()
	}
	for p := range f.gone {
		out = append(out, p)
	}
	clear(f.gone)
	return out, in
}

func (f *feed) deliver(fetches kgo.Fetches) {
	fetches.EachPartition(func(fp kgo.FetchTopicPartition) {
		f.mu.Lock()
		q := f.queues[fp.Partition]
		if q != nil && fp.Err != nil && fp.Topic == f.topic {
			f.gone[fp.Partition] = true // or it would fail again and again
		}
		f.mu.Unlock()
		if q != nil && fp.Topic == f.topic {
			q.put(fp, f.buffer, f.pause)
		}
	})
}

// want asks for the records from offset from on, and reports whether that is a jump.
func (q *queue) want(from int64) (jump bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.at == from {
		return false
	}
	q.at, q.seek, q.records, q.bytes, q.err = from, true, nil, 0, nil
	return true
}

// gathers waits for more where that is worth it, and reports whether it did.
func (q *queue) gathers(ctx context.Context, max int, loaded bool) bool {
	q.mu.Lock()
	left := gatherFor - time.Since(q.last)
	enough := !q.many && !loaded || len(q.records) == 0 || len(q.records) >= max || q.paused || q.err != nil
	q.mu.Unlock()
	if enough || left <= 0 || ctx.Err() != nil {
		return false
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-q.ready:
	case <-timer.C:
	case <-ctx.Done():
	}
	return true
}

// take returns what is there, and lets the partition go on once half of the
// buffer is free.
func (q *queue) take(max int, buffer int64, resume func(int32)) ([]engine.Entry, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.err; err != nil && len(q.records) == 0 {
		q.at, q.err = -1, nil // whoever asks again starts afresh
		return nil, err
	}
	n := min(max, len(q.records))
	clear(q.out) // what a large read has brought isn't kept for ever
	q.out = q.out[:0]
	for _, r := range q.records[:n] {
		e := engine.Entry{Offset: r.Offset, Time: r.Timestamp.UnixMilli(), Value: r.Value, Size: sizeOf(r)}
		q.out = append(q.out, e)
		q.bytes -= int64(e.Size)
	}
	clear(q.records[:n])
	if q.records = q.records[n:]; len(q.records) == 0 {
		q.records = nil
	}
	if n > 0 {
		q.at = q.out[n-1].Offset + 1
		q.last, q.many = time.Now(), n >= gatherFrom
	}
	if q.paused && q.bytes <= buffer/2 {
		q.paused = false
		resume(q.p)
	}
	return q.out, nil
}

func sizeOf(r *kgo.Record) int { return len(r.Key) + len(r.Value) }

// put adds what was read, unless the owner wants something else by now, and
// pauses the partition when its buffer is full.
func (q *queue) put(fp kgo.FetchTopicPartition, buffer int64, pause func(int32)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.seek || q.at < 0 {
		return
	}
	q.records = append(q.records, fp.Records...)
	for _, r := range fp.Records {
		q.bytes += int64(sizeOf(r))
	}
	if fp.Err != nil {
		q.err = readError(fp.Topic, fp.Partition, fp.Err)
	}
	if !q.paused && q.bytes >= buffer {
		q.paused = true
		pause(q.p)
	}
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// readError is what an owner hears of a partition's trouble. Lost data and an
// offset outside the log are the same to it: where it stands is not in the log.
func readError(topic string, p int32, err error) error {
	if _, lost := errors.AsType[*kgo.ErrDataLoss](err); lost || errors.Is(err, kerr.OffsetOutOfRange) {
		return engine.ErrTruncated
	}
	return fmt.Errorf("kafka: reading %s partition %d: %w", topic, p, err)
}
