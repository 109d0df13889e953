package plan

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Type is what a property's value must be. Text is no number, and a number is
// no text; an ID may be either.
type Type uint8

// The types.
const (
	TypeString Type = iota + 1
	TypeNumber
	TypeInteger // a number without a fraction
	TypeBoolean
	TypeArray
	TypeObject
	TypeID // text, not blank, or an integer
	TypeNumberOrArray
)

var types = map[string]Type{
	"string": TypeString, "number": TypeNumber, "integer": TypeInteger, "boolean": TypeBoolean,
	"array": TypeArray, "object": TypeObject, "id": TypeID, "number_or_array": TypeNumberOrArray,
}

func typeNames() string {
	return strings.Join(slices.Sorted(maps.Keys(types)), ", ")
}

func (t Type) String() string {
	return [...]string{
		"", "text", "a number", "an integer", "true or false", "an array", "an object",
		"text (not blank) or an integer", "a number or an array",
	}[t]
}

// Rule is the part of the plan that a property breaks.
type Rule string

// The rules.
const (
	RuleMissing Rule = "missing"
	RuleType    Rule = "type"
	RuleRange   Rule = "range"
	RuleEnum    Rule = "enum"
	RuleOneOf   Rule = "one_of"
)

// Violation is one way in which an event breaks its plan.
type Violation struct {
	Property string // "" of one_of
	Rule     Rule
	Want     string // what the plan wants there; never the value that was posted
}

// Properties are an event's properties as they were posted: valid JSON without
// duplicate names.
type Properties interface {
	// Get returns the compact value of a member, nil where it is absent. The
	// caller only reads it, and only until the next call.
	Get(name string) jsontext.Value
}

// Map is a simple Properties.
type Map map[string]jsontext.Value

// Get implements Properties.
func (m Map) Get(name string) jsontext.Value { return m[name] }

// Check names every violation of the event's plan, in the order of the property
// names; nil where there is none. null is absent, and so is an ID of no text.
func (e *Event) Check(properties Properties) []Violation {
	var out []Violation
	for i := range e.Properties {
		p := &e.Properties[i]
		v := properties.Get(p.Name)
		if p.absent(v) {
			if p.Required {
				out = append(out, Violation{p.Name, RuleMissing, p.Type.String()})
			}
			continue
		}
		if rule, want, ok := p.check(v); !ok {
			out = append(out, Violation{p.Name, rule, want})
		}
	}
	if len(e.OneOf) > 0 && !slices.ContainsFunc(e.OneOf, func(name string) bool { return e.has(name, properties) }) {
		out = append(out, Violation{"", RuleOneOf, "one of " + strings.Join(e.OneOf, ", ")})
	}
	return out
}

// Check is Lookup and Event.Check in one: every violation of the plan that the
// event with that name makes. An event that the plan doesn't name makes none.
func (p *Plan) Check(event string, properties Properties) []Violation {
	e := p.Lookup(event)
	if e == nil {
		return nil
	}
	return e.Check(properties)
}

// has reports that a property of the plan is there.
func (e *Event) has(name string, properties Properties) bool {
	p := e.property(name)
	return p != nil && !p.absent(properties.Get(name))
}

// absent: null is, and of an ID empty text too.
func (p *Property) absent(v jsontext.Value) bool {
	return len(v) == 0 || v[0] == 'n' || p.Type == TypeID && len(v) == len(`""`) && v[0] == '"'
}

func (p *Property) check(v jsontext.Value) (Rule, string, bool) {
	kind := v.Kind()
	if !p.Type.fits(kind, v) {
		return RuleType, p.Type.String(), false
	}
	if kind == '0' && (p.Min != nil || p.Max != nil) && !p.inRange(v) {
		return RuleRange, p.rangeText(), false
	}
	if len(p.Enum) > 0 && !p.inEnum(v) {
		return RuleEnum, "one of " + strings.Join(p.Enum, ", "), false
	}
	return "", "", true
}

func (t Type) fits(kind jsontext.Kind, v jsontext.Value) bool {
	switch t {
	case TypeString:
		return kind == '"'
	case TypeNumber:
		return kind == '0'
	case TypeInteger:
		return kind == '0' && isInteger(v)
	case TypeBoolean:
		return kind == 't' || kind == 'f'
	case TypeArray:
		return kind == '['
	case TypeObject:
		return kind == '{'
	case TypeNumberOrArray:
		return kind == '0' || kind == '['
	default:
		return kind == '"' && !blank(v) || kind == '0' && digitsOnly(v)
	}
}

// isInteger: 3 is, and so are 3.0 and 3e2.
func isInteger(v jsontext.Value) bool {
	if digitsOnly(v) {
		return true
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return err == nil && f == math.Trunc(f)
}

// digitsOnly: an integer written as one. An ID is its digits, so no other
// spelling of a number can be one.
func digitsOnly(v jsontext.Value) bool {
	for i, c := range v {
		if (c < '0' || c > '9') && (i > 0 || c != '-') {
			return false
		}
	}
	return true
}

func (p *Property) inRange(v jsontext.Value) bool {
	f, err := strconv.ParseFloat(string(v), 64)
	return err == nil && (p.Min == nil || f >= *p.Min) && (p.Max == nil || f <= *p.Max)
}

func (p *Property) rangeText() string {
	switch {
	case p.Max == nil:
		return fmt.Sprintf("at least %v", *p.Min)
	case p.Min == nil:
		return fmt.Sprintf("at most %v", *p.Max)
	}
	return fmt.Sprintf("from %v to %v", *p.Min, *p.Max)
}

func (p *Property) inEnum(v jsontext.Value) bool {
	text, err := jsontext.AppendUnquote(make([]byte, 0, 64), v)
	return err == nil && slices.Contains(p.Enum, string(text))
}

// blank reports text of nothing but white space, zero-width too.
func blank(v jsontext.Value) bool {
	if len(v) > 2 && v[1] > ' ' && v[1] < 0x7f && v[1] != '\\' {
		return false // the usual: it begins with a visible character
	}
	text, err := jsontext.AppendUnquote(nil, v)
	return err != nil || len(Trim(string(text))) == 0
}
