package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Source is one record of a source topic.
type Source struct {
	Topic     string
	Partition int32
	Offset    int64
	Key       []byte
	Value     []byte
	Time      time.Time // arrival in the topic; zero where it isn't known
}

// Output is one record of an output topic.
type Output struct {
	Topic     string
	Partition int32
	Offset    int64
	Key       []byte
	Headers   map[string]string
	Value     []byte
}

// Input is a whole run. Sources must be all that was read; the order of either
// slice doesn't matter, offsets do.
type Input struct {
	Sources []Source
	Outputs []Output
	Schema  string // path of the vendor's JSON Schema that sink values must satisfy
	Rules   Rules

	// HoldsOpen says that the run was stopped before its holds ended, so that a
	// held order without an end is none of its faults.
	HoldsOpen bool
}

// Rules are what the run was configured with, as far as the laws depend on it.
// A zero field means the contract's default.
type Rules struct {
	Sink, Decisions, DLQ string            // topic names
	Origins              map[string]string // topic → origin; default: each topic is its own
	Shops                map[string]string // topic → the shop of orders without shop_id
	Authorities          []string          // topics whose orders are the truth; default server and commerce
	Trusted              []string          // topics whose aliases merge; default server
	Orders               []string          // names of the order event
	Hold                 time.Duration     // of an app's copy of an order; 10 min
	Window               time.Duration     // of message IDs; 24 h
	Collapse             []Collapse        // default: added_to_cart and Product Added by cart_id within 2 s
	Refused              []string          // user IDs refused beyond the contract's list
	UnusableAbsent       bool              // unusable_user_id: absent
	Temporary            func(id string) bool
}

// Collapse says which repeats of an event one person makes without meaning to.
type Collapse struct {
	Event  string
	Key    string // the property that names the thing
	Window time.Duration
}

func (r Rules) withDefaults() Rules {
	r.Sink = cmp.Or(r.Sink, "customerio.sink")
	r.Decisions = cmp.Or(r.Decisions, "stitch.decisions")
	r.DLQ = cmp.Or(r.DLQ, "stitch.dlq")
	r.Hold = cmp.Or(r.Hold, 10*time.Minute)
	r.Window = cmp.Or(r.Window, 24*time.Hour)
	if r.Authorities == nil {
		r.Authorities = []string{"events.server", "events.commerce"}
	}
	if r.Trusted == nil {
		r.Trusted = []string{"events.server"}
	}
	if r.Orders == nil {
		r.Orders = []string{"order_completed", "Order Completed"}
	}
	if r.Collapse == nil {
		r.Collapse = []Collapse{{"added_to_cart", "cart_id", 2 * time.Second}, {"Product Added", "cart_id", 2 * time.Second}}
	}
	if r.Temporary == nil {
		r.Temporary = func(string) bool { return false }
	}
	return r
}

// Violation is one broken law.
type Violation struct {
	Law   string // section and number in the contract: "2.1"; "1" is the shape of records, "6" bad input
	What  string
	Where string // source positions (topic/partition/offset) or, where there is none, output positions
}

func (v Violation) String() string { return "law " + v.Law + ": " + v.What + " (" + v.Where + ")" }

// Counts say how much was judged. Published to Quarantined count source
// records, by their last outcome; Held counts all that were ever held.
type Counts struct {
	Sources, Outputs, Repeats                               int
	SinkRecords, Decisions, DeadLetters                     int
	Published, Duplicate, Suppressed, Held, Ignored, Erased int
	Quarantined, Open                                       int // Open: held, with no end yet
	Identities, Notes                                       int
	Orders, Corrections, Linked                             int // Orders: distinct keys with a sink record
}

// Report is what Check found.
type Report struct {
	Violations []Violation // by law, then by place
	Counts     Counts
}

// Err is nil where no law is broken, else an error that lists the violations
// (the first twenty).
func (r Report) Err() error {
	if len(r.Violations) == 0 {
		return nil
	}
	var b strings.Builder
	for _, v := range r.Violations[:min(20, len(r.Violations))] {
		b.WriteString("\n\t" + v.String())
	}
	return fmt.Errorf("check: %d violations:%s", len(r.Violations), b.String())
}

// run is one check under way.
type run struct {
	Input
	events []*event
	at     map[string]*event // by source position
	outs   []*output         // what a reader that passes over repeats sees, each partition in order
	sinks  []*output         // those of outs that are sink records of a known source
	report Report

	// Evidence, of records that weren't quarantined.
	merges   map[string][]string // customer → customers merged into, as aliases or the sink say
	told     map[string][]string // of those, the sink's
	owners   map[string][]string // address → customers who name it
	logins   map[string][]*event // anonymous ID → logins there
	captures map[string][]string // anonymous ID → addresses captured there
	devices  map[string]bool     // anonymous IDs
}

// Check judges a run by the laws.
func Check(in Input) Report {
	in.Rules = in.Rules.withDefaults()
	r := &run{Input: in, at: map[string]*event{}}
	r.decodeSources()
	r.decodeOutputs()
	r.checkOutcomes()
	r.checkSink()
	r.checkEventIDs()
	r.checkDuplicates()
	r.checkCollapse()
	r.checkOrders()
	r.learnEvidence()
	r.checkMerges()
	r.checkTies()
	r.checkAddresses()
	r.checkRefused()
	r.checkPersons()
	r.checkErased()
	r.checkSequence()
	slices.SortStableFunc(r.report.Violations, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.Law, b.Law), cmp.Compare(a.Where, b.Where), cmp.Compare(a.What, b.What))
	})
	return r.report
}

func (r *run) violate(law, where, what string, args ...any) {
	r.report.Violations = append(r.report.Violations, Violation{Law: law, What: fmt.Sprintf(what, args...), Where: where})
}

func (r *run) decodeSources() {
	r.report.Counts.Sources = len(r.Sources)
	sorted := slices.Clone(r.Sources)
	slices.SortStableFunc(sorted, func(a, b Source) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	for _, s := range sorted {
		e := r.decode(s)
		if r.at[e.pos] != nil {
			r.violate("2.1", e.pos, "the input holds this position twice: the check itself was fed wrongly")
			continue
		}
		r.at[e.pos] = e
		r.events = append(r.events, e)
	}
}
