package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"lockstitch/pkg/check"
	"lockstitch/pkg/config"
	"lockstitch/pkg/embedded"
	"lockstitch/pkg/engine"
	"lockstitch/pkg/feed"
	"lockstitch/pkg/kafka"
	"lockstitch/pkg/traffic"
	"lockstitch/testdata/samples"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stopWithin is how long a graceful stop takes at most, as `run` promises.
const stopWithin = 10 * time.Second

// running is an App under way.
type running struct {
	*App
	folds  chan fold
	cancel context.CancelFunc
	ended  chan error
}

// fold is a batch that was folded.
type fold struct {
	partition int32
	engine.Batch
}

// start runs an App on the configured parts until stop, or until the test ends.
func start(t *testing.T, cfg *config.Config) *running {
	t.Helper()
	r := &running{folds: make(chan fold, 1<<14), ended: make(chan error, 1)}
	a, err := New(Options{
		Config: cfg, Log: slog.New(slog.DiscardHandler), Embedded: true,
		Folded: func(p int32, b engine.Batch) {
			b.Outputs = nil // reused by the owner
			select {
			case r.folds <- fold{p, b}:
			default: // only the first ones are looked at
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.App, r.cancel = a, cancel
	go func() { r.ended <- a.Run(ctx) }()
	t.Cleanup(cancel)
	return r
}

// stop is SIGTERM: what the signal does is to end the context.
func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("the App ended with: %v", err)
		}
	case <-time.After(stopWithin):
		t.Fatalf("the App has not stopped within %s", stopWithin)
	}
}

// drain waits until everything written is ingested and folded.
func (r *running) drain(t *testing.T, ctx context.Context) {
	t.Helper()
	monitor, err := kafka.NewMonitor(r.conn)
	if err != nil {
		t.Fatal(err)
	}
	defer monitor.Close()
	until(t, ctx, "everything is folded", func() bool {
		behind, err := r.Behind(ctx, monitor)
		return err == nil && behind == 0
	})
}

func until(t *testing.T, ctx context.Context, what string, ok func() bool) {
	t.Helper()
	for !ok() {
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			t.Fatalf("waiting until %s: %v", what, err)
		}
	}
}

func deadline(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// local is the default configuration without a listener.
func local() *config.Config {
	c := config.Default()
	c.Metrics.Listen = ""
	c.Process.Tick = config.Duration(50 * time.Millisecond)
	return c
}

func embed(t *testing.T, ctx context.Context, cfg *config.Config, memory bool) (*config.Config, func()) {
	t.Helper()
	c, stop, err := Embed(ctx, cfg, memory)
	if err != nil {
		t.Fatal(err)
	}
	return c, stop
}

func produce(ctx context.Context, cfg *config.Config, lines iter.Seq2[feed.Line, error]) error {
	_, err := feed.Produce(ctx, lines, feed.Options{Brokers: cfg.Kafka.Brokers, MaxBytes: 12 << 20})
	return err
}

func sample(t *testing.T, names ...string) iter.Seq2[feed.Line, error] {
	t.Helper()
	var all bytes.Buffer
	for _, name := range names {
		b, err := samples.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return feed.Lines("samples", &all)
}

// judge has the checker, which shares no code with the fold, look at a run.
func judge(t *testing.T, sources, outputs []kafka.Record, rules check.Rules, holdsOpen bool) check.Counts {
	t.Helper()
	in := check.Input{Schema: "../../testdata/customerio/track-v2-entity.schema.json", Rules: rules, HoldsOpen: holdsOpen}
	for _, r := range sources {
		in.Sources = append(in.Sources, check.Source{
			Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: r.Key, Value: r.Value, Time: time.UnixMilli(r.Time),
		})
	}
	for _, r := range outputs {
		headers := map[string]string{}
		for _, h := range r.Headers {
			headers[h.Key] = string(h.Value)
		}
		in.Outputs = append(in.Outputs, check.Output{
			Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: r.Key, Value: r.Value, Headers: headers,
		})
	}
	report := check.Check(in)
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	return report.Counts
}

func (r *running) records(t *testing.T, ctx context.Context) (sources, outputs []kafka.Record) {
	t.Helper()
	var err error
	if sources, err = r.Inputs(ctx); err == nil {
		outputs, err = r.Outputs(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sources, outputs
}

// publishedTwice are the places that stand more than once.
func publishedTwice(outputs []kafka.Record) (twice []string) {
	seen := map[string]bool{}
	for _, r := range outputs {
		for _, h := range r.Headers {
			if h.Key != "ls-place" {
				continue
			}
			if seen[string(h.Value)] {
				twice = append(twice, string(h.Value))
			}
			seen[string(h.Value)] = true
		}
	}
	return twice
}

// The demo: what eleven real SDKs posted, through the whole pipeline, to the end.
func TestDemo(t *testing.T) {
	const hold = 2 * time.Second
	d := Rehearsal{
		Config: config.Default(), Log: slog.New(slog.DiscardHandler), Hold: hold,
		Say: func(format string, args ...any) { t.Logf(format, args...) },
	}
	d.Config.Metrics.Listen = ""
	r, err := d.Run(deadline(t, time.Minute), sample(t, "shop.jsonl", "clients.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	c := judge(t, r.Sources, r.Outputs, check.Rules{Hold: hold}, false)
	if want := 739 + 947; c.Sources != want {
		t.Errorf("%d source records, want %d", c.Sources, want)
	}
	if n := c.Published + c.Duplicate + c.Suppressed + c.Ignored + c.Quarantined + c.Open; n != c.Sources {
		t.Errorf("%d outcomes of %d records: %+v", n, c.Sources, c)
	}
	if c.Duplicate < 78+77 || c.Orders < 36+27 || c.Linked == 0 || c.Held == 0 {
		t.Errorf("that is not what the samples hold: %+v", c)
	}
	if twice := publishedTwice(r.Outputs); len(twice) > 0 {
		t.Errorf("published twice: %v", twice)
	}
	var told strings.Builder
	if err := r.Tell(&told); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"source records                   1686  each with exactly one outcome", "\n1. One person, from app and web",
		"\n2. One order, told twice", "\n3. A device that two customers use",
	} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("what is told lacks %q:\n%s", want, told.String())
		}
	}
}

// A restart on the same folder: Redis has forgotten everything, the state is
// folded again from the journal in silence, and it still knows every message,
// order and person.
func TestRestart(t *testing.T) {
	ctx := deadline(t, 2*time.Minute)
	cfg := local()
	cfg.Embedded.Dir = t.TempDir()
	c, stopParts := embed(t, ctx, cfg, false)
	first := start(t, c)
	if err := produce(ctx, c, sample(t, "shop.jsonl")); err != nil {
		t.Fatal(err)
	}
	first.drain(t, ctx)
	first.stop(t)
	_, before := first.records(t, ctx)
	stopParts()

	c, stopParts = embed(t, ctx, cfg, false)
	defer stopParts()
	second := start(t, c)
	silent := rebuilt(t, ctx, second)
	second.drain(t, ctx)
	_, after := second.records(t, ctx)
	if !cmp.Equal(before, after) || silent == 0 {
		t.Fatalf("%d records folded again in silence: %d outputs before, %d after, which must be the same", silent, len(before), len(after))
	}

	if err := produce(ctx, c, sample(t, "shop.jsonl")); err != nil { // everything is sent again
		t.Fatal(err)
	}
	second.drain(t, ctx)
	second.stop(t)
	sources, outputs := second.records(t, ctx)
	counts := judge(t, sources, outputs, check.Rules{}, true)
	if n := countTopic(before, second.topics.Sink); counts.SinkRecords != n {
		t.Errorf("%d sink records after everything was sent again, %d before", counts.SinkRecords, n)
	}
	if twice := publishedTwice(outputs); len(twice) > 0 {
		t.Errorf("published twice: %v", twice)
	}
}

// rebuilt waits until every journal partition has been folded again up to where
// it was committed, and returns how many records that took.
func rebuilt(t *testing.T, ctx context.Context, r *running) (records int) {
	t.Helper()
	monitor, err := kafka.NewMonitor(r.conn)
	if err != nil {
		t.Fatal(err)
	}
	defer monitor.Close()
	_, group := Groups(r.cfg)
	lags, err := monitor.Lag(ctx, kafka.Reading{Group: group, Topics: []string{r.topics.Journal}})
	if err != nil {
		t.Fatal(err)
	}
	left := map[int32]int64{}
	for _, l := range lags {
		if l.Committed > 0 {
			left[l.Partition] = l.Committed
		}
	}
	for len(left) > 0 {
		select {
		case f := <-r.folds:
			if f.Silent {
				records += f.Records
			}
			if f.Next >= left[f.partition] {
				delete(left, f.partition)
			}
		case <-ctx.Done():
			t.Fatalf("journal partitions not folded again, up to their offsets: %v: %v", left, ctx.Err())
		}
	}
	return records
}

func countTopic(records []kafka.Record, topic string) (n int) {
	for _, r := range records {
		if r.Topic == topic {
			n++
		}
	}
	return n
}

// A stop in the middle of traffic takes no longer than promised, finishes what
// is under way, and the next one goes on where it ended: nothing is lost, and what
// is repeated, the batches in flight at most, is the same bytes in the same place.
func TestStopUnderLoad(t *testing.T) {
	ctx := deadline(t, 2*time.Minute)
	c, stopParts := embed(t, ctx, local(), true)
	defer stopParts()
	first := start(t, c)
	produced := make(chan error, 1)
	go func() { produced <- produce(ctx, c, generated(5000)) }()
	for range 10 {
		select {
		case <-first.folds:
		case <-ctx.Done():
			t.Fatal("nothing was folded")
		}
	}
	first.stop(t)
	if err := <-produced; err != nil {
		t.Fatal(err)
	}
	_, before := first.records(t, ctx)

	second := start(t, c)
	second.drain(t, ctx)
	second.stop(t)
	sources, outputs := second.records(t, ctx)
	if len(before) == 0 || len(before) >= len(outputs) {
		t.Fatalf("%d output records at the stop, %d at the end: it wasn't in the middle", len(before), len(outputs))
	}
	if c := judge(t, sources, outputs, check.Rules{}, true); c.Sources != 5000 {
		t.Errorf("%+v: want 5000 sources", c)
	}
}

func generated(n int) iter.Seq2[feed.Line, error] {
	g := traffic.New(traffic.Options{Seed: 3, People: 50, Garbage: 0.01})
	return func(yield func(feed.Line, error) bool) {
		for range n {
			if !yield(feed.Line(g.Next()), nil) {
				return
			}
		}
	}
}

// /ready says no, and why, until Kafka and Redis answer, and again when they
// don't. The process waits for both, and can be stopped all the while.
func TestReady(t *testing.T) {
	ctx := deadline(t, 2*time.Minute)
	ports := freePorts(t, 3)
	c := local()
	c.Metrics.Listen = address(ports[2])
	c.Kafka.Brokers, c.Redis.Addresses = config.List{address(ports[0])}, config.List{address(ports[1])}
	c.Replication, c.JournalPartitions = 1, 3
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (int, string) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Metrics.Listen+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	a := start(t, c)
	away := func(when string) {
		t.Helper()
		var code int
		var body string
		until(t, ctx, "/ready answers 503 "+when, func() bool { code, body = get("/ready"); return code == http.StatusServiceUnavailable })
		if names := reasons(t, body); !names["kafka"] || !names["redis"] {
			t.Errorf("/ready %s says: %s", when, body)
		}
		if code, body := get("/ping"); code != http.StatusOK {
			t.Errorf("/ping %s: %d %s", when, code, body)
		}
	}
	away("at the start")

	parts, err := embedded.Start(ctx, embedded.Options{KafkaPort: ports[0], RedisPort: ports[1]})
	if err != nil {
		t.Fatal(err)
	}
	if err := ApplyTopics(ctx, c); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "/ready answers 200", func() bool { code, _ := get("/ready"); return code == http.StatusOK })
	if err := produce(ctx, c, generated(20)); err != nil {
		t.Fatal(err)
	}
	a.drain(t, ctx)
	if _, body := get("/metrics"); !strings.Contains(body, "lockstitch_") {
		t.Errorf("/metrics has nothing of ours: %s", body)
	}
	parts.Close()
	away("when both are gone")
	a.stop(t)
	if code, _ := get("/ping"); code != 0 {
		t.Errorf("/ping answers %d after the stop", code)
	}
}

func reasons(t *testing.T, body string) map[string]bool {
	t.Helper()
	var answer struct {
		Reasons []struct{ Name, Reason string }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	names := map[string]bool{}
	for _, r := range answer.Reasons {
		names[r.Name] = r.Reason != ""
	}
	return names
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // not before all are known: they differ
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}
