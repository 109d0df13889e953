//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/e2e/parts"
)

// waits is a world under traffic with two processes, and a Redis to harm.
type waits struct {
	*world
	server *parts.Redis
	proxy  *parts.Proxy // before it, where the trouble is the network's
	admin  *redis.Client
	runs   []*process
}

// trouble is one way in which Redis fails.
type trouble struct {
	name       string
	redis      parts.RedisOptions
	network    bool // between the processes and Redis
	begin, end func(*waits)
	says       []string // on /ready while it lasts; none: they go on meanwhile, if slowly
	kind       string   // lockstitch_trouble_total has it
	lasts      int      // how many more source records come before it ends
	after      func(*waits)
}

const perSecond = 500 // of the traffic

var troubles = []trouble{
	{
		name:  "gone",
		begin: (*waits).killRedis, end: (*waits).restartRedis,
		says: []string{"connection refused", "check that it runs", "redis: network"}, kind: "network", lasts: 20 * perSecond,
	},
	{
		name:  "full",
		begin: func(w *waits) { w.config("maxmemory", "1mb") }, end: func(w *waits) { w.config("maxmemory", "0") },
		says: []string{"OOM", "raise maxmemory", "redis: oom"}, kind: "oom", lasts: 5 * perSecond,
	},
	{
		name:  "read-only",
		begin: func(w *waits) { w.do("REPLICAOF", "127.0.0.1", "1") }, end: func(w *waits) { w.do("REPLICAOF", "NO", "ONE") },
		says: []string{"READONLY", "it is a replica", "redis: readonly"}, kind: "readonly", lasts: 5 * perSecond,
	},
	{
		name:  "loading",
		redis: parts.RedisOptions{Args: []string{"--key-load-delay", "500"}},
		begin: (*waits).reload, end: func(*waits) {}, // it has loaded when it has
		says: []string{"LOADING", "it is loading its data", "redis: loading"}, kind: "loading",
	},
	{
		name: "silent", network: true,
		begin: (*waits).silence, end: (*waits).heal,
		says: []string{"redis: timeout"}, kind: "timeout", lasts: 5 * perSecond,
	},
	{
		name: "slow", network: true,
		begin: func(w *waits) { w.proxy.Set(parts.Fault{Delay: 200 * time.Millisecond}) }, end: (*waits).heal,
		lasts: 10 * perSecond,
	},
	{
		name: "dropping replies", network: true,
		begin: func(w *waits) { w.proxy.Set(parts.Fault{Drop: 0.1}) }, end: (*waits).heal,
		kind: "network", lasts: 10 * perSecond,
		after: func(w *waits) {
			if n := w.proxy.Dropped(); n < 50 {
				w.t.Errorf("only %d replies were dropped", n)
			}
		},
	},
	{
		name:  "without its scripts",
		begin: func(w *waits) { w.do("SCRIPT", "FLUSH") }, end: func(w *waits) { w.do("SCRIPT", "FLUSH") },
		lasts: 2 * perSecond,
		after: func(w *waits) {
			for _, p := range w.runs {
				if n := p.metric("lockstitch_trouble_total"); n != 0 {
					w.t.Errorf("%s counts %v troubles: a script that is missing is sent along", p.name, n)
				}
			}
		},
	},
	{name: "cut and synced at once", redis: parts.RedisOptions{Fsync: "always"}, begin: (*waits).killRedis, end: (*waits).restartCut, lasts: perSecond, after: (*waits).forgot},
	{name: "cut and synced every second", redis: parts.RedisOptions{Fsync: "everysec"}, begin: (*waits).killRedis, end: (*waits).restartCut, lasts: perSecond, after: (*waits).forgot},
	{name: "cut and never synced", redis: parts.RedisOptions{Fsync: "no"}, begin: (*waits).killRedis, end: (*waits).restartCut, lasts: perSecond, after: (*waits).forgot},
}

// TestRedisInTrouble has Redis fail in each way under traffic. The processes wait
// or go on as they can, say on /ready what they wait for, keep to their memory,
// and go on by themselves. Nothing is lost, and nothing is published again that
// was committed before.
func TestRedisInTrouble(t *testing.T) {
	for _, trouble := range troubles {
		t.Run(trouble.name, func(t *testing.T) { trouble.test(t) })
	}
}

func (tr *trouble) test(t *testing.T) {
	w := newWaits(t, tr.redis, tr.network)
	records := 3*perSecond + tr.lasts + 2*perSecond
	traffic := w.generate(records, perSecond)
	w.published(perSecond)
	before := w.mark()

	came := w.came()
	tr.begin(w)
	for _, p := range w.runs {
		if len(tr.says) > 0 {
			p.says(append(tr.says, `"redis"`)...)
		}
	}
	if len(tr.says) == 0 && tr.lasts > perSecond {
		w.published(w.ends("customerio.sink") + perSecond)
	}
	w.comeTo(came + int64(tr.lasts))
	bounded("while it lasted", w.runs...)
	tr.end(w)
	w.goOn(perSecond/2, w.runs...)

	if code := traffic.exit(patience); code != 0 {
		t.Fatalf("produce ended with %d", code)
	}
	w.settle()
	bounded("at the end", w.runs...)
	known("redis", tr.kind, w.runs...)
	if tr.after != nil {
		tr.after(w)
	}
	outputs := w.outputs()
	w.firsts(outputs)
	if n := before.again(w.world, outputs); n > 0 {
		t.Errorf("%d records were published again, though committed before", n)
	}
	counts := w.judge(true)
	if counts.Sources != records {
		t.Errorf("%d records judged, of %d", counts.Sources, records)
	}
	if (tr.kind == "oom" || tr.kind == "readonly") && counts.Repeats > 0 {
		t.Errorf("%d records stand twice: a batch that Redis doesn't take isn't published again", counts.Repeats)
	}
}

// TestMemoryWhileRedisIsGone: what comes meanwhile for one partition is twenty
// times what a process reads ahead of it.
func TestMemoryWhileRedisIsGone(t *testing.T) {
	const records = 6000 // of 30 KB
	w := newWaits(t, parts.RedisOptions{}, false)
	w.killRedis()
	w.produce(w.client, heavy(w.prefix+"events.web", records)...)
	w.ingested()
	for _, p := range w.runs {
		p.says(`"redis"`, "connection refused")
	}
	bounded("while it lasted", w.runs...)
	w.restartRedis()
	w.goOn(records/2, w.runs...)
	w.settle()
	bounded("at the end", w.runs...)
	known("redis", "", w.runs...)
	if counts := w.judge(true); counts.Sources != records || counts.Published != records {
		t.Errorf("got %+v, want all of %d records published", counts, records)
	}
}

// heavy are events of one device that are nearly as large as they may be.
func heavy(topic string, n int) (records []*kgo.Record) {
	chance := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		properties := map[string]string{}
		for p := range 30 {
			text := make([]byte, 950)
			for i := range text {
				text[i] = byte('a' + chance.IntN(26)) // nothing that gets small when it is compressed
			}
			properties[fmt.Sprint("p", p)] = string(text)
		}
		value, err := json.Marshal(map[string]any{
			"type": "track", "event": "looked", "anonymousId": "heavy", "messageId": fmt.Sprint("heavy-", i),
			"timestamp": time.Date(2026, 11, 20, 0, 0, i, 0, time.UTC), "properties": properties,
		})
		if err != nil {
			panic(err) // strings and a time
		}
		records = append(records, &kgo.Record{Topic: topic, Key: []byte("heavy"), Value: value})
	}
	return records
}

// ingested waits until every source record is in the journal.
func (w *world) ingested() {
	w.t.Helper()
	ingest := *w
	ingest.reads = w.reads[:len(w.reads)-1] // without the processors
	until(w.t, patience, "all that was produced is ingested", ingest.settled)
}

func newWaits(t *testing.T, o parts.RedisOptions, network bool) *waits {
	t.Helper()
	w := &waits{server: ownRedis(t, o)}
	var known server = w.server
	if network {
		var err error
		if w.proxy, err = parts.StartProxy(w.server.Addr(), 1); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.proxy.Close)
		known = w.proxy
	}
	w.admin = redis.NewClient(&redis.Options{Addr: w.server.Addr()})
	t.Cleanup(func() { _ = w.admin.Close() })
	w.world = newWorld(t, setup{redis: known})
	w.runs = []*process{w.start("run"), w.start("run", "--only", "process")}
	for _, p := range w.runs {
		p.isReady()
	}
	return w
}

func (w *waits) killRedis()    { w.server.Kill() }
func (w *waits) restartRedis() { restart(w.t, w.server) }
func (w *waits) heal()         { w.proxy.Set(parts.Fault{}) }
func (w *waits) silence()      { w.proxy.Set(parts.Fault{Silent: true}) }

func (w *waits) config(name, value string) {
	w.t.Helper()
	if err := w.admin.ConfigSet(w.t.Context(), name, value).Err(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *waits) do(command ...any) {
	w.t.Helper()
	if err := w.admin.Do(w.t.Context(), command...).Err(); err != nil {
		w.t.Fatal(err)
	}
}

// reload kills a server with more to load than a moment takes, and starts it.
func (w *waits) reload() {
	w.t.Helper()
	pipe := w.admin.Pipeline()
	for i := range 12_000 {
		pipe.Set(w.t.Context(), fmt.Sprint("somebody-elses:", i), "", 0)
	}
	if _, err := pipe.Exec(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.server.Kill()
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		restart(w.t, w.server)
	}()
	w.t.Cleanup(func() { <-loaded })
}

// restartCut starts the server with its file cut at a random byte.
func (w *waits) restartCut() {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.server.Dir(), "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) != 1 {
		w.t.Fatalf("files of the server: %v, %v", files, err)
	}
	file, err := os.Stat(files[0])
	if err != nil {
		w.t.Fatal(err)
	}
	at := rand.Int64N(file.Size() * 7 / 8) // what goes is more than the last batches
	w.t.Logf("the file of %d bytes is cut at %d", file.Size(), at)
	if err := os.Truncate(files[0], at); err != nil {
		w.t.Fatal(err)
	}
	restart(w.t, w.server)
}

// forgot wants somebody to have noticed what the server lost.
func (w *waits) forgot() {
	w.t.Helper()
	var silent, rebuilt float64
	for _, p := range w.runs {
		silent += p.metric("lockstitch_catchup_silent_total")
		rebuilt += p.metric("lockstitch_rebuilds_total")
	}
	w.t.Logf("%v silent catch-ups, %v rebuilds", silent, rebuilt)
	if silent+rebuilt == 0 {
		w.t.Error("no silent catch-up, and no rebuild")
	}
}
