//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/e2e/parts"
	"lockstitch/pkg/check"
)

// patience is how long a condition is waited for that takes seconds.
const patience = 90 * time.Second

// world is one installation: a configuration with a prefix of its own, and its
// topics on the shared broker.
type world struct {
	t      *testing.T
	prefix string
	kafka  server // its brokers
	file   string // lockstitch.yaml
	hold   time.Duration
	reads  []reading
	runs   []*process // all that were started
	client *kgo.Client
	admin  *kadm.Client
}

// reading is a consumer group and what it reads.
type reading struct {
	group  string
	topics []string
}

// setup says how a world differs from the usual one.
type setup struct {
	kafka     server // nil: the shared one
	redis     server // nil: the shared one
	sentinel  string // the master's name, where redis are sentinels
	replicas  int    // of each topic; 0: 1
	hold      time.Duration
	committed bool   // events.server is written in transactions
	more      string // of lockstitch.yaml
}

// server is a part, or a proxy before one; a cluster has commas between addresses.
type server interface{ Addr() string }

var sources = []string{"events.app", "events.web", "events.server", "events.commerce"}

// newWorld writes a configuration and has `topics apply` make the topics.
func newWorld(t *testing.T, s setup) *world {
	t.Helper()
	w := &world{t: t, prefix: strings.Map(inNames, t.Name()) + "-" + rand.Text()[:6] + ".", kafka: shared.kafka, hold: s.hold, file: filepath.Join(t.TempDir(), "lockstitch.yaml")}
	if s.kafka != nil {
		w.kafka = s.kafka
	}
	w.configure(w.file, s, "e2e")
	w.client = w.connect()
	w.admin = kadm.NewClient(w.client)
	plain := reading{group: w.prefix + "lockstitch-ingest", topics: w.prefixed(sources...)}
	if s.committed {
		plain.topics = slices.DeleteFunc(plain.topics, func(t string) bool { return strings.HasSuffix(t, "server") })
		w.reads = append(w.reads, reading{plain.group + "-committed", w.prefixed("events.server")})
	}
	w.reads = append(w.reads, plain, reading{w.prefix + "lockstitch-process", w.prefixed("stitch.journal")})
	w.command("topics", "apply")
	return w
}

func (w *world) connect(opts ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(strings.Split(w.kafka.Addr(), ",")...))...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(cl.Close)
	return cl
}

// configure writes lockstitch.yaml, and the tracking plan beside it where the hold
// isn't the contract's.
func (w *world) configure(file string, s setup, environment string) {
	w.t.Helper()
	var redis server = shared.redis
	if s.redis != nil {
		redis = s.redis
	}
	text := fmt.Sprintf("environment: %s\nprefix: %s\nkafka: {brokers: [%q]}\nredis: {addresses: [%q], sentinel: {master: %q}}\n"+
		"journal_partitions: 8\nreplication: %d\nmetrics: {listen: 127.0.0.1:0}\nlog: {format: json, level: debug}\n%s\n",
		environment, w.prefix, w.kafka.Addr(), redis.Addr(), s.sentinel, max(s.replicas, 1), s.more)
	if s.hold != 0 {
		text += "plan: plan.yaml\n"
		w.plan(filepath.Join(filepath.Dir(file), "plan.yaml"), s.hold)
	}
	if s.committed {
		text += "sources:\n- {topic: events.app, origin: app}\n- {topic: events.web, origin: web}\n" +
			"- {topic: events.server, origin: server, isolation: read_committed, trust: {alias: true, delete: true, suppress: true, split: true}}\n" +
			"- {topic: events.commerce, origin: commerce}\n"
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// plan writes the default tracking plan with another hold.
func (w *world) plan(file string, hold time.Duration) {
	w.t.Helper()
	text, err := os.ReadFile("../stitch/plan/default.yaml")
	if err != nil {
		w.t.Fatal(err)
	}
	before, after, found := strings.Cut(string(text), "hold: 10m")
	if !found {
		w.t.Fatal("the default plan's hold isn't where it was")
	}
	if err := os.WriteFile(file, []byte(before+"hold: "+hold.String()+after), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) prefixed(names ...string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = w.prefix + name
	}
	return all
}

// start runs a command that goes on until it is stopped.
func (w *world) start(args ...string) *process {
	w.t.Helper()
	p := launch(w.t, "`lockstitch "+strings.Join(args, " ")+"`", append(args, "--config", w.file)...)
	w.runs = append(w.runs, p)
	return p
}

// runOnce has a run work off one order, and ends it.
func (w *world) runOnce() {
	w.t.Helper()
	p := w.start("run")
	p.isReady()
	w.produce(w.pinned(), order(w.prefix+"events.server", "o1", "m-1"))
	w.settle()
	w.stops(p)
}

// command runs a command to its end and returns its output.
func (w *world) command(args ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	var said strings.Builder
	cmd := exec.CommandContext(ctx, shared.binary, append(args, "--config", w.file)...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("lockstitch %s: %v\n%s%s", strings.Join(args, " "), err, said.String(), out)
	}
	return string(out)
}

// produce writes records and waits until they are acknowledged.
func (w *world) produce(cl *kgo.Client, records ...*kgo.Record) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// settle waits until every source record is ingested and the journal is folded.
func (w *world) settle() {
	w.t.Helper()
	until(w.t, patience, "all that was produced is folded", w.settled)
}

// settled reads commits before ends. So what was committed reached up to an end
// that was not there yet, or just then: nothing was under way at that moment, and
// nothing but ticks can come without a new source record.
func (w *world) settled(ctx context.Context) (bool, error) {
	for _, r := range w.reads {
		at, err := w.commits(ctx, r.group)
		if err != nil {
			return false, err
		}
		ends, err := w.admin.ListEndOffsets(ctx, r.topics...)
		if err = errors.Join(err, ends.Error()); err != nil {
			return false, err
		}
		behind := int64(0)
		ends.Each(func(end kadm.ListedOffset) {
			o, _ := at.Lookup(end.Topic, end.Partition)
			behind += max(0, end.Offset-max(0, o.At))
		})
		if behind > 0 {
			return false, fmt.Errorf("group %s is %d records behind", r.group, behind)
		}
	}
	return true, nil
}

// commits are a group's committed offsets; none where it has never been.
func (w *world) commits(ctx context.Context, group string) (kadm.OffsetResponses, error) {
	at, err := w.admin.FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	return at, err
}

// published waits until so many records stand in the sink.
func (w *world) published(n int64) {
	w.t.Helper()
	until(w.t, patience, fmt.Sprintf("%d records stand in the sink", n), func(ctx context.Context) (bool, error) {
		got, err := w.count(ctx, "customerio.sink")
		return err == nil && got >= n, errors.Join(err, fmt.Errorf("%d do", got))
	})
}

// ends is how many records stand in a topic.
func (w *world) ends(topic string) (n int64) {
	w.t.Helper()
	until(w.t, patience, "the end of "+topic+" is known", func(ctx context.Context) (_ bool, err error) {
		n, err = w.count(ctx, topic)
		return err == nil, err
	})
	return n
}

func (w *world) count(ctx context.Context, topic string) (n int64, err error) {
	ends, err := w.admin.ListEndOffsets(ctx, w.prefix+topic)
	if err = errors.Join(err, ends.Error()); err != nil {
		return 0, err
	}
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n, nil
}

// outputs reads sink, decisions and DLQ with kcat, each partition in order.
func (w *world) outputs() (all []check.Output) {
	w.t.Helper()
	for _, topic := range w.prefixed("customerio.sink", "stitch.decisions", "stitch.dlq") {
		all = append(all, w.output(topic)...)
	}
	return all
}

func (w *world) output(topic string) []check.Output {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	records, err := parts.Kcat(ctx, w.kafka.Addr(), topic, "-X", "fetch.wait.max.ms=10")
	if err != nil {
		w.t.Fatal(err)
	}
	all := make([]check.Output, len(records))
	for i, r := range records {
		all[i] = check.Output{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Headers: map[string]string{}}
		if r.Key != nil {
			all[i].Key = []byte(*r.Key)
		}
		if r.Payload != nil {
			all[i].Value = []byte(*r.Payload)
		}
		for h := 0; h+1 < len(r.Headers); h += 2 {
			all[i].Headers[r.Headers[h]] = r.Headers[h+1]
		}
	}
	return all
}

// inputs reads the source topics, what aborted transactions left there aside.
func (w *world) inputs() (all []check.Source) {
	w.t.Helper()
	for _, r := range w.read(w.prefixed(sources...)...) {
		all = append(all, check.Source{
			Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: r.Key, Value: r.Value, Time: r.Timestamp,
		})
	}
	return all
}

// judge has the checker, and the audit, judge all that went in and came out, and
// returns what the checker counted. open says that the world is looked at before its
// holds ended; waiting are records that have no outcome yet for a reason that the
// checker can't know.
func (w *world) judge(open bool, waiting ...string) check.Counts {
	w.t.Helper()
	in := w.inputs()
	w.discreet(in)
	r := check.Check(check.Input{
		Sources: in, Outputs: w.outputs(), HoldsOpen: open, Rules: w.rules(),
		Schema: "../testdata/customerio/track-v2-entity.schema.json",
	})
	r.Violations = slices.DeleteFunc(r.Violations, func(v check.Violation) bool {
		return strings.Contains(v.What, "no outcome") && slices.Contains(waiting, v.Where)
	})
	if err := r.Err(); err != nil {
		w.t.Error(err)
	}
	w.t.Logf("%+v", r.Counts)
	w.t.Log(w.command("audit", "--list", "3")) // fails the test where it finds a loss or a conflict
	return r.Counts
}

func (w *world) rules() check.Rules {
	return check.Rules{
		Sink: w.prefix + "customerio.sink", Decisions: w.prefix + "stitch.decisions", DLQ: w.prefix + "stitch.dlq",
		Authorities: w.prefixed("events.server", "events.commerce"), Trusted: w.prefixed("events.server"), Hold: w.hold,
	}
}

// inNames keeps what topics may be called.
func inNames(r rune) rune {
	if strings.ContainsRune("/ '", r) {
		return '-'
	}
	return r
}
