package plan

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

//go:embed default.yaml
var defaultPlan []byte

// Plan is a parsed, valid tracking plan. It is safe for concurrent use.
type Plan struct {
	events   []*Event          // by name
	names    map[string]*Event // names and aliases without a wildcard
	prefixes []prefix          // names and aliases with one, the longest first
	strict   bool              // unplanned events are quarantined
}

type prefix struct {
	text  string
	event *Event
}

// Event is what the plan says of one event.
type Event struct {
	Name       string     // canonical; a last * stands for any ending
	Aliases    []string   // other names of the same event
	Properties []Property // by name
	OneOf      []string   // of these properties at least one must be there
	Key        string     // property that tells one such event from another; "": none
	Authority  []string   // origins whose copy is the truth; sorted
	Hold       time.Duration
	Once       bool          // counts once for each key, also without an authority
	Collapse   time.Duration // window of event time for repeats; 0: none collapse
}

// Property is what the plan says of one property.
type Property struct {
	Name     string
	Type     Type
	Required bool
	Min, Max *float64 // of numbers
	Enum     []string // of texts
}

// Default is the contract's default plan (section 5). Every call returns a plan
// of its own.
func Default() *Plan {
	p, err := Parse(defaultPlan)
	if err != nil {
		panic("plan: the embedded default plan is broken: " + err.Error()) // a test parses it
	}
	return p
}

// file is the YAML's shape.
type file struct {
	Unplanned string               `yaml:"unplanned"`
	Events    map[string]fileEvent `yaml:"events"`
}

type fileEvent struct {
	Aliases    []string                `yaml:"aliases"`
	Properties map[string]fileProperty `yaml:"properties"`
	OneOf      []string                `yaml:"one_of"`
	Key        string                  `yaml:"key"`
	Authority  []string                `yaml:"authority"`
	Hold       time.Duration           `yaml:"hold"`
	Once       bool                    `yaml:"once"`
	Collapse   time.Duration           `yaml:"collapse"`
}

type fileProperty struct {
	Type     string   `yaml:"type"`
	Required bool     `yaml:"required"`
	Min      *float64 `yaml:"min"`
	Max      *float64 `yaml:"max"`
	Enum     []string `yaml:"enum"`
}

// Parse reads and validates a plan. Unknown fields are errors, as is anything
// that Validate refuses.
func Parse(text []byte) (*Plan, error) {
	var f file
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&f); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	p := &Plan{names: map[string]*Event{}}
	switch f.Unplanned {
	case "", "pass":
	case "quarantine":
		p.strict = true
	default:
		return nil, fmt.Errorf("plan: unplanned: %q is neither pass nor quarantine", f.Unplanned)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Events)) {
		event, err := f.Events[name].event(name)
		if err != nil {
			return nil, err
		}
		p.events = append(p.events, event)
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	p.index()
	return p, nil
}

func (f fileEvent) event(name string) (*Event, error) {
	e := &Event{
		Name: name, Aliases: f.Aliases, OneOf: f.OneOf, Key: f.Key,
		Authority: slices.Sorted(slices.Values(f.Authority)), Hold: f.Hold, Once: f.Once, Collapse: f.Collapse,
	}
	for _, property := range slices.Sorted(maps.Keys(f.Properties)) {
		fp := f.Properties[property]
		typ, ok := types[fp.Type]
		if !ok {
			return nil, fmt.Errorf("plan: events.%s.properties.%s.type: %q is none of %s", name, property, fp.Type, typeNames())
		}
		e.Properties = append(e.Properties, Property{
			Name: property, Type: typ, Required: fp.Required, Min: fp.Min, Max: fp.Max, Enum: fp.Enum,
		})
	}
	return e, nil
}

// index prepares Lookup.
func (p *Plan) index() {
	for _, e := range p.events {
		for _, name := range append([]string{e.Name}, e.Aliases...) {
			if text, wild := strings.CutSuffix(name, "*"); wild {
				p.prefixes = append(p.prefixes, prefix{text, e})
			} else {
				p.names[name] = e
			}
		}
	}
	slices.SortStableFunc(p.prefixes, func(a, b prefix) int { return len(b.text) - len(a.text) })
}

// Lookup returns what the plan says of an event, by its name or an alias; nil
// where it doesn't name it. An exact name goes before a wildcard, a longer
// wildcard before a shorter.
func (p *Plan) Lookup(name string) *Event {
	if e, ok := p.names[name]; ok {
		return e
	}
	for _, w := range p.prefixes {
		if strings.HasPrefix(name, w.text) {
			return w.event
		}
	}
	return nil
}

// QuarantineUnplanned reports whether an event that the plan doesn't name is
// quarantined; otherwise it passes.
func (p *Plan) QuarantineUnplanned() bool { return p.strict }

// Events lists what the plan says, by canonical name. Callers don't change it.
func (p *Plan) Events() []*Event { return p.events }

// Authorities lists the origins that are an authority for any event, sorted:
// their topics are the ones that a hold waits for.
func (p *Plan) Authorities() []string {
	var all []string
	for _, e := range p.events {
		all = append(all, e.Authority...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// IsAuthority reports whether a copy of that origin is the truth.
func (e *Event) IsAuthority(origin string) bool { return slices.Contains(e.Authority, origin) }

// CountsOnce reports whether copies with one key are one fact (law duplicates.3).
func (e *Event) CountsOnce() bool { return e.Once || len(e.Authority) > 0 }
