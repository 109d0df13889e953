package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Validate says everything that can't be in the plan, each with its place in
// the file.
func (p *Plan) Validate() error {
	var errs []error
	seen := map[string]string{}
	for _, e := range p.events {
		errs = append(errs, e.validate())
		for _, name := range append([]string{e.Name}, e.Aliases...) {
			if other, taken := seen[name]; taken {
				errs = append(errs, fmt.Errorf("plan: events.%s: the name %q stands at %s already", e.Name, name, other))
			}
			seen[name] = e.Name
		}
	}
	return errors.Join(errs...)
}

func (e *Event) validate() error {
	var errs []error
	refuse := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("plan: events.%s%s: %s", e.Name, field, fmt.Sprintf(format, args...)))
	}
	for _, name := range append([]string{e.Name}, e.Aliases...) {
		if strings.TrimSpace(strings.TrimSuffix(name, "*")) == "" {
			refuse("", "the name %q is blank", name)
		}
	}
	e.validateKey(refuse)
	for _, name := range e.OneOf {
		if e.property(name) == nil {
			refuse(".one_of", "%q is no property of the event", name)
		}
	}
	if len(e.OneOf) == 1 {
		refuse(".one_of", "one alternative is none: make %q required", e.OneOf[0])
	}
	for i := range e.Properties {
		e.Properties[i].validate(refuse)
	}
	return errors.Join(errs...)
}

func (e *Event) validateKey(refuse func(field, format string, args ...any)) {
	keyed := e.CountsOnce() || e.Collapse != 0
	switch key := e.property(e.Key); {
	case e.Key == "" && keyed:
		refuse(".key", "authority, once and collapse need one")
	case e.Key != "" && (key == nil || key.Type != TypeID || !key.Required):
		refuse(".key", "%q must be a required property of the type id", e.Key)
	}
	if keyed && (strings.HasSuffix(e.Name, "*") || slices.ContainsFunc(e.Aliases, func(a string) bool { return strings.HasSuffix(a, "*") })) {
		refuse("", "authority, once and collapse need names without a wildcard")
	}
	if len(e.Authority) > 0 && e.Hold <= 0 {
		refuse(".hold", "an event with an authority needs one longer than 0")
	}
	if len(e.Authority) == 0 && e.Hold != 0 {
		refuse(".hold", "a hold waits for an authority: name one, or drop the hold")
	}
	if e.Collapse < 0 {
		refuse(".collapse", "must not be negative")
	}
	if slices.Contains(e.Authority, "") || len(slices.Compact(slices.Clone(e.Authority))) != len(e.Authority) {
		refuse(".authority", "names an origin twice, or a blank one")
	}
}

func (e *Event) property(name string) *Property {
	for i := range e.Properties {
		if e.Properties[i].Name == name {
			return &e.Properties[i]
		}
	}
	return nil
}

func (p *Property) validate(refuse func(field, format string, args ...any)) {
	field := ".properties." + p.Name
	numeric := p.Type == TypeNumber || p.Type == TypeInteger || p.Type == TypeNumberOrArray
	switch {
	case p.Name == "":
		refuse(field, "the name is blank")
	case (p.Min != nil || p.Max != nil) && !numeric:
		refuse(field, "min and max are for numbers")
	case p.Min != nil && p.Max != nil && *p.Min > *p.Max:
		refuse(field, "min is above max")
	case len(p.Enum) > 0 && p.Type != TypeString:
		refuse(field, "enum is for the type string")
	}
}
