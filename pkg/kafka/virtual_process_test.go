//go:build synctests

package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/engine/memory"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// process is what `lockstitch run` wires together, but for the state, which is
// memory's behind the process's own connection.
type process struct {
	w      *world
	name   string
	skew   time.Duration // of its clock
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	open   map[*link]bool
	dead   bool
	apart  bool
	paused chan struct{} // nil: it isn't
	slowTo time.Time
	step   string
	act    func()
}

// start starts one more process.
func (w *world) start() *process {
	w.started++
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{
		w: w, name: fmt.Sprint("process ", w.started), skew: time.Duration(w.rnd.Int64N(int64(2*time.Hour))) - time.Hour,
		cancel: cancel, done: make(chan struct{}), open: map[*link]bool{},
	}
	w.live = append(w.live, p)
	w.all = append(w.all, p)
	go func() {
		defer close(p.done)
		if err := p.run(ctx); err != nil {
			w.fail(fmt.Errorf("%s: %w", p.name, err))
		}
	}()
	return p
}

func (p *process) run(ctx context.Context) error {
	conn, plain := p.w.conn, p.w.conn
	conn.dial, plain.dial = p.dialer(false), p.dialer(true)
	producer := p.producer(ctx, conn)
	if producer == nil {
		return nil
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = producer.Close(ctx)
	}()
	sources, err := NewSources(conn, "ingest", virtualSources, p.options().Tick)
	if err != nil {
		return err
	}
	defer sources.Close()
	snapshots, err := NewSnapshots(conn, "snapshots")
	if err != nil {
		return err
	}
	defer snapshots.Close()
	in := Ingest{Conn: plain, ID: "ingest", Sources: virtualSources, Producer: producer, Handle: handleBatch}
	g := Group{
		Conn: conn, Topics: testTopics, ID: "process", Environment: "virtual", Producer: producer,
		Owner: func(ctx context.Context, n int32, log engine.Log) error {
			err := engine.NewOwner(n, &watchedLog{Log: log, w: p.w, p: n}, store{p}, steppedSnapshots{snapshots, p}, sources, p.options()).Run(ctx)
			if err != nil {
				p.w.fail(fmt.Errorf("%s: %w", p.name, err))
			}
			return err
		},
	}
	var wg sync.WaitGroup
	var failed [2]error
	wg.Go(func() { failed[0] = in.Run(ctx) })
	wg.Go(func() { failed[1] = g.Run(ctx) })
	wg.Wait()
	return errors.Join(failed[:]...)
}

// producer waits for the brokers; nil where ctx ended before.
func (p *process) producer(ctx context.Context, conn Conn) *Producer {
	for ctx.Err() == nil {
		producer, err := NewProducer(ctx, conn, testTopics, ProducerOptions{})
		if err == nil {
			return producer
		}
		sleep(ctx, 100*time.Millisecond)
	}
	return nil
}

func handleBatch(_ context.Context, b Batch) ([]engine.Published, error) {
	recs := make([]wire.Record, len(b.Records))
	for i, r := range b.Records {
		recs[i] = wire.Record{
			Source: stitch.Source{Topic: b.Topic, Partition: b.Partition, Offset: r.Offset},
			Key:    r.Key, Value: r.Value, Headers: r.Headers, Arrival: r.Time, CheckAhead: true,
		}
	}
	j := engine.Journal{Ingest: virtualIngest()}
	return j.Records(b.TopicID, recs), nil
}

func (p *process) options() engine.Options {
	return engine.Options{
		Environment: "virtual", Rules: virtualRules(), Batch: 50, Cache: 5, Tick: time.Second,
		SnapshotEvery: 10 * time.Second, SnapshotRate: 1 << 20,
		Nonce: strings.ReplaceAll(p.name, " ", "-"), Now: func() time.Time { return time.Now().Add(p.skew) },
		Wait: func(ctx context.Context, d time.Duration) error { sleep(ctx, d); return ctx.Err() }, Observe: heard{p.w},
	}
}

// heard is engine.Observer.
type heard struct{ w *world }

func (h heard) TookOver(_ int32, from, silent int64) {
	h.w.count("take-overs")
	if from < silent {
		h.w.count("silent catch-ups")
	}
}
func (h heard) Rebuilding(_ int32, _ string, from, _ int64) {
	h.w.count("rebuilds")
	if from > 0 {
		h.w.count("rebuilds from a snapshot")
	}
}
func (h heard) Promoted(int32, int64, int, int)  { h.w.fail(errors.New("one logic only")) }
func (h heard) Snapshot(int32, engine.Copied)    { h.w.count("snapshots") }
func (h heard) Folded(int32, engine.Batch)       { h.w.count("batches") }
func (h heard) Refused(int32)                    { h.w.count("compares refused") }
func (h heard) Trouble(int32, error)             { h.w.count("troubles waited out") }
func (h heard) Unreadable(_ int32, offset int64) { h.w.fail(fmt.Errorf("unreadable at %d", offset)) }

// watchedLog sees that nothing is published again that was committed before this
// owner took over.
type watchedLog struct {
	engine.Log
	w     *world
	p     int32
	taken int64
}

func (l *watchedLog) Committed(ctx context.Context) (int64, bool, error) {
	c, ours, err := l.Log.Committed(ctx)
	if err == nil {
		l.taken = c
	}
	return c, ours, err
}

func (l *watchedLog) Publish(ctx context.Context, out []engine.Published) error {
	for _, r := range out {
		if at := place(r.Headers); at.Offset < l.taken && r.Topic != engine.TopicJournal {
			l.w.fail(fmt.Errorf("place %v of partition %d is published again though %d was committed before", at, l.p, l.taken))
		}
	}
	return l.Log.Publish(ctx, out)
}

func place(hs []stitch.Header) (at stitch.Place) {
	for _, h := range hs {
		if h.Key == "ls-place" {
			parts := strings.Split(string(h.Value), "/")
			at.Sender = parts[0]
			_, _ = fmt.Sscan(parts[1]+" "+parts[2]+" "+parts[3], &at.Partition, &at.Offset, &at.Index)
		}
	}
	return at
}

// steppedSnapshots lets the schedule stop the process in the middle of a snapshot.
type steppedSnapshots struct {
	*Snapshots
	p *process
}

func (s steppedSnapshots) Write(ctx context.Context, n int32, records [][]byte) error {
	s.p.at("snapshot")
	return s.Snapshots.Write(ctx, n, records)
}

// store is the process's connection to the state.
type store struct{ p *process }

var errGone = errors.New("the connection to the state is gone")

// send carries a command there: it may be late, and is lost with the process. What
// has been sent takes effect, whether its sender still waits or not.
func (s store) send(ctx context.Context, step string) (context.Context, error) {
	s.p.at(step)
	s.p.w.sleep(3 * time.Millisecond)
	s.p.hold(nil)
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.p.dead {
		return ctx, errGone
	}
	return context.WithoutCancel(ctx), nil
}

// back carries the answer, which may be lost.
func (s store) back(step string) error {
	s.p.at(step)
	s.p.w.sleep(3 * time.Millisecond)
	s.p.hold(nil)
	if s.p.w.unlucky(150) {
		s.p.w.count("an answer lost")
		return errGone
	}
	return nil
}

func (s store) state() *memory.State { return s.p.w.state }

func (s store) Head(ctx context.Context, p int32) (engine.Head, bool, error) {
	ctx, err := s.send(ctx, "head")
	if err != nil {
		return engine.Head{}, false, err
	}
	return s.state().Head(ctx, p)
}

func (s store) Timers(ctx context.Context, p int32, gen string) (map[string]stitch.Timer, engine.Position, engine.Position, error) {
	ctx, err := s.send(ctx, "timers")
	if err != nil {
		return nil, engine.Position{}, engine.Position{}, err
	}
	return s.state().Timers(ctx, p, gen)
}

func (s store) Read(ctx context.Context, p int32, gen string, keys []string) ([][]byte, engine.Position, engine.Position, error) {
	ctx, err := s.send(ctx, "load")
	if err != nil {
		return nil, engine.Position{}, engine.Position{}, err
	}
	return s.state().Read(ctx, p, gen, keys)
}

func (s store) Page(ctx context.Context, p int32, gen string, first, n int) ([]engine.KV, engine.Position, engine.Position, error) {
	s.p.at("page")
	if err := ctx.Err(); err != nil {
		return nil, engine.Position{}, engine.Position{}, err
	}
	s.p.hold(nil)
	return s.state().Page(ctx, p, gen, first, n)
}

func (s store) Swap(ctx context.Context, p int32, d engine.Delta) (bool, error) {
	ctx, err := s.send(ctx, "swap")
	if err != nil {
		return false, err
	}
	moved, err := s.state().Swap(ctx, p, d)
	return moved, errors.Join(err, s.back("swapped"))
}

func (s store) Begin(ctx context.Context, p int32, old engine.Position, h engine.Head) (bool, error) {
	ctx, err := s.send(ctx, "begin")
	if err != nil {
		return false, err
	}
	begun, err := s.state().Begin(ctx, p, old, h)
	return begun, errors.Join(err, s.back("begun"))
}

func (s store) Promote(context.Context, int32, engine.Position, int, int, []byte) (bool, error) {
	return false, errors.New("one logic only")
}

func (store) Check(context.Context) error           { return nil }
func (store) Memory(context.Context) (int64, error) { return 0, nil }
