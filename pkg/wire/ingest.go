package wire

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"lockstitch/stitch"
	"lockstitch/stitch/plan"
)

// Record is one source record, as it stands in its topic. Decode keeps nothing
// of Key, Value and Headers in an event but copies; a dead letter holds them as
// they are, so they must not be written to afterwards.
type Record struct {
	Source  stitch.Source
	Key     []byte
	Value   []byte
	Headers []stitch.Header
	Arrival int64 // in the source topic, Unix ms

	// CheckAhead says that an event time more than a day ahead of Arrival is
	// refused (contract section 6).
	CheckAhead bool
}

// Trust is what an origin may do that others may not.
type Trust struct {
	Alias    bool // merge two customers
	Delete   bool // "User Deleted" is an erasure
	Suppress bool // "User Suppressed" and "User Unsuppressed"
	Split    bool // take a link or a merge back
	Reserved bool // use Customer.io's reserved names in traits and event data
}

// SourceRule is what the configuration says of a source topic.
type SourceRule struct {
	Origin string // app, web, server, …
	Shop   string // of orders without a shop_id; "" where there is none
	Trust  Trust
}

// IngestOptions are the rules of ingest, all from the configuration.
type IngestOptions struct {
	Plan    *plan.Plan            // nil: the default plan
	Sources map[string]SourceRule // by topic; a topic that isn't here is its own origin, trusted for nothing

	LogoutEvents []string // events that end a login; nil: the contract's
	SplitEvents  []string // events that are a split, from an origin trusted for it; nil: "Identity Split"

	UnusableUserIDs      []string // more texts that are no stable ID; case and quotes don't count
	UnusableUserIDAbsent bool     // an unusable userId is taken as absent, not quarantined
	// TemporaryUserIDs are forms of a userId that names a provisional person: a
	// text that ends in * is a prefix, any other is a regular expression for the
	// whole ID.
	TemporaryUserIDs []string

	KeepTimes bool // ISO times in properties and traits stay text, and don't become Unix seconds
}

// DefaultLogoutEvents and DefaultSplitEvents are the contract's (section 7, "other names").
func DefaultLogoutEvents() []string {
	return []string{"user_logged_out", "User Logged Out", "Signed Out"}
}

// DefaultSplitEvents are the events that are a split where none are configured.
func DefaultSplitEvents() []string { return []string{"Identity Split"} }

// Ingest is the rules of ingest, compiled. It is safe for concurrent use.
type Ingest struct {
	plan     *plan.Plan
	sources  map[string]SourceRule
	ops      map[string]stitch.Op
	unusable map[string]bool // bare texts
	absent   bool
	prefixes []string // of temporary user IDs
	patterns []*regexp.Regexp
	times    bool
}

// NewIngest compiles the rules. It fails on a topic without an origin, on a
// pattern that is none, and on an event that is to be two things.
func NewIngest(o IngestOptions) (*Ingest, error) {
	in := &Ingest{
		plan: o.Plan, sources: map[string]SourceRule{}, unusable: map[string]bool{},
		absent: o.UnusableUserIDAbsent, times: !o.KeepTimes,
	}
	if in.plan == nil {
		in.plan = plan.Default()
	}
	var errs []error
	for topic, rule := range o.Sources {
		if rule.Origin == "" {
			errs = append(errs, fmt.Errorf("ingest: the source %s has no origin: name one", topic))
		}
		in.sources[topic] = rule
	}
	for _, text := range o.UnusableUserIDs {
		in.unusable[bare(text)] = true
	}
	errs = append(errs, in.addOps(o), in.addTemporary(o.TemporaryUserIDs))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return in, nil
}

func (in *Ingest) addOps(o IngestOptions) error {
	in.ops = map[string]stitch.Op{
		"Device Created or Updated": stitch.OpDeviceUpdate, "Device Deleted": stitch.OpDeviceDelete,
		"User Deleted": stitch.OpUserDelete, "User Suppressed": stitch.OpUserSuppress, "User Unsuppressed": stitch.OpUserUnsuppress,
	}
	logouts, splits := o.LogoutEvents, o.SplitEvents
	if logouts == nil {
		logouts = DefaultLogoutEvents()
	}
	if splits == nil {
		splits = DefaultSplitEvents()
	}
	return errors.Join(in.addNames(logouts, stitch.OpLogout), in.addNames(splits, stitch.OpSplit))
}

func (in *Ingest) addNames(names []string, op stitch.Op) error {
	for _, name := range names {
		if other, taken := in.ops[name]; taken && other != op {
			return fmt.Errorf("ingest: the event %q can't be a logout or a split, it means something else already", name)
		}
		in.ops[name] = op
	}
	return nil
}

func (in *Ingest) addTemporary(forms []string) error {
	for _, form := range forms {
		if prefix, ok := strings.CutSuffix(form, "*"); ok && prefix != "" && regexp.QuoteMeta(prefix) == prefix {
			in.prefixes = append(in.prefixes, prefix)
			continue
		}
		pattern, err := regexp.Compile("^(?:" + form + ")$")
		if err != nil || form == "" {
			return fmt.Errorf("ingest: temporary_user_ids: %q is neither a prefix* nor a regular expression", form)
		}
		in.patterns = append(in.patterns, pattern)
	}
	return nil
}

// Plan returns the tracking plan in force, for counting what it doesn't name.
func (in *Ingest) Plan() *plan.Plan { return in.plan }

// Unplanned reports that the event is a track that neither the plan nor the
// configuration names. Ingest counts these.
func (in *Ingest) Unplanned(ev *stitch.Event) bool {
	_, known := in.ops[ev.Name]
	return ev.Type == stitch.Track && !known && in.plan.Lookup(ev.Name) == nil
}

func (in *Ingest) source(topic string) SourceRule {
	if rule, ok := in.sources[topic]; ok {
		return rule
	}
	return SourceRule{Origin: topic}
}

// temporary reports an ID of a configured temporary form (law identity.8).
func (in *Ingest) temporary(id string) bool {
	return slices.ContainsFunc(in.prefixes, func(p string) bool { return strings.HasPrefix(id, p) }) ||
		slices.ContainsFunc(in.patterns, func(p *regexp.Regexp) bool { return p.MatchString(id) })
}
