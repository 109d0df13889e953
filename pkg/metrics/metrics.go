package metrics

import (
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"lockstitch/pkg/hush"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// Options are what Metrics need.
type Options struct {
	Log *slog.Logger     // nil for slog.Default
	Now func() time.Time // nil for time.Now
	// Hold is the longest hold of the tracking plan; the age of what is held counts
	// from it.
	Hold time.Duration
}

// Metrics measures one process. It is an engine.Observer, and safe for
// concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	log      *slog.Logger
	now      func() time.Time
	hold     time.Duration

	ingested, records, sink, identity, notes, dlq, refused *prometheus.CounterVec
	unplanned                                              *prometheus.CounterVec
	batches, rebuilds, trouble                             *prometheus.CounterVec
	journal, takeovers, cas, catchups, silent, unreadable  prometheus.Counter
	snapshots                                              prometheus.Counter
	lagRecords, lagSeconds                                 *prometheus.GaugeVec
	memory                                                 prometheus.Gauge
	stages                                                 *prometheus.HistogramVec
	delay                                                  prometheus.Histogram

	said hush.Log[trouble]

	mu       sync.Mutex
	parts    map[int32]*partition // owned by this process
	unserved map[int32]*failure   // assigned to it, and nobody can serve them
	tracks   map[place]*track     // for the lag in seconds
}

// New makes metrics with a registry of their own.
func New(opt Options) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(), log: opt.Log, now: opt.Now, hold: opt.Hold,
		parts: map[int32]*partition{}, unserved: map[int32]*failure{},
		tracks: map[place]*track{},
	}
	if m.log == nil {
		m.log = slog.Default()
	}
	if m.now == nil {
		m.now = time.Now
	}
	m.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.countRecords()
	m.countEngine()
	m.gauges()
	m.histograms()
	return m
}

// Registry is where further collectors can be registered.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

func (m *Metrics) countRecords() {
	m.ingested = m.counters("ingested_total", "Source records that ingest has read.", "source")
	m.unplanned = m.counters("unplanned_total", "Events that the tracking plan does not name.", "source")
	m.records = m.counters("records_total",
		"Source records by outcome, once for each outcome: a held one is counted again when it is settled.", "source", "outcome")
	m.sink = m.counters("sink_records_total", "Records of the sink topic.", "action")
	m.identity = m.counters("identity_changes_total", "Identity decisions: changes of who is who, and refusals of one.", "change")
	m.notes = m.counters("notes_total", "Notes on records, which change no outcome.", "note")
	m.dlq = m.counters("dlq_total", "Records of the DLQ.", "source", "reason")
	m.refused = m.counters("refused_ids_total", "Identifiers that can't be stable, quarantined or taken as absent.", "reason")
}

func (m *Metrics) countEngine() {
	m.journal = m.counter("journal_records_total", "Journal records folded, silently too.")
	m.batches = m.counters("batches_total", "Batches that are out and remembered; silent ones were folded again.", "kind")
	m.takeovers = m.counter("takeovers_total", "Journal partitions taken over.")
	m.cas = m.counter("cas_refused_total", "Compare-and-sets, and reads, that found the state elsewhere.")
	m.catchups = m.counter("catchup_silent_total", "Take-overs with records whose outputs were out already.")
	m.silent = m.counter("catchup_silent_records_total", "Journal records that such take-overs had to fold again, silently.")
	m.rebuilds = m.counters("rebuilds_total", "States rebuilt from a snapshot or the journal's start.", "reason")
	m.snapshots = m.counter("snapshots_total", "Snapshots of partitions' states that are whole.")
	m.unreadable = m.counter("journal_unreadable_total", "Journal records that are no message of ours, passed over.")
	m.trouble = m.counters("trouble_total", "Failures that were waited out and tried again.", "part", "kind")
}

func (m *Metrics) gauges() {
	m.lagRecords = m.gaugeVec("lag_records", "Records that are there and not committed.")
	m.lagSeconds = m.gaugeVec("lag_seconds", "Age of the oldest of them, as far as this process has seen it.")
	m.memory = prometheus.NewGauge(named("redis_memory_bytes", "Memory that Redis uses."))
	m.registry.MustRegister(m.memory)
	m.watch("held_orders", "Orders and take-overs that wait in this process's partitions.", m.heldOrders)
	m.watch("held_oldest_seconds", "Age of the oldest held order, by the longest hold: at most that, unless a source is behind.", m.heldOldest)
	m.watch("snapshot_oldest_seconds", "Age of the oldest of the owned partitions' last snapshots; of the take-over where there was none since.", m.snapshotOldest)
	m.watch("partitions_owned", "Journal partitions that this process serves.", m.owned)
	m.watch("partitions_unserved", "Journal partitions assigned to this process that it can't serve.", m.unservedCount)
}

// fast are bucket bounds, in seconds, for who can't read native histograms.
var fast = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60}

func (m *Metrics) histograms() {
	opts := func(name, help string) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{
			Name: namespace + name, Help: help, Buckets: fast,
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160,
			NativeHistogramMinResetDuration: time.Hour,
		}
	}
	m.stages = prometheus.NewHistogramVec(opts("stage_seconds", "Time that a batch took in a stage."), []string{"stage"})
	m.delay = prometheus.NewHistogram(opts("delay_seconds", "From a batch's first append to the journal until it was out and remembered."))
	m.registry.MustRegister(m.stages, m.delay)
}

const namespace = "lockstitch_"

func named(name, help string) prometheus.GaugeOpts {
	return prometheus.GaugeOpts{Name: namespace + name, Help: help}
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts(named(name, help)))
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts(named(name, help)), labels)
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) gaugeVec(name, help string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(named(name, help), []string{"topic", "partition"})
	m.registry.MustRegister(g)
	return g
}

// watch registers a gauge that is looked at when somebody asks.
func (m *Metrics) watch(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(named(name, help), func() float64 {
		m.mu.Lock()
		defer m.mu.Unlock()
		return value()
	}))
}

// Decoded hears of each source record that ingest has read, with its DLQ record
// or nil; it fits engine.Journal.
func (m *Metrics) Decoded(rec *wire.Record, dead *stitch.DeadLetter) {
	m.ingested.WithLabelValues(rec.Source.Topic).Inc()
	if dead != nil {
		m.quarantined(dead)
	}
}

// Unplanned counts an event that the tracking plan doesn't name (contract section 5).
func (m *Metrics) Unplanned(topic string) { m.unplanned.WithLabelValues(topic).Inc() }

func (m *Metrics) quarantined(dead *stitch.DeadLetter) {
	topic, reason := dead.Source.Topic, dead.Rejects[0].Reason
	m.records.WithLabelValues(topic, "quarantined").Inc()
	m.dlq.WithLabelValues(topic, reason).Inc()
	for _, r := range dead.Rejects {
		m.refusedID(r.Reason)
	}
}

// refusedID counts a reason or note that is about an identifier.
func (m *Metrics) refusedID(reason string) {
	if strings.HasPrefix(reason, "unusable_") {
		m.refused.WithLabelValues(reason).Inc()
	}
}

// Stage measures a stage outside of the engine's batches, such as ingest's.
func (m *Metrics) Stage(stage string, d time.Duration) {
	m.stages.WithLabelValues(stage).Observe(d.Seconds())
}

// RedisMemory sets the memory that Redis uses.
func (m *Metrics) RedisMemory(bytes int64) { m.memory.Set(float64(bytes)) }
