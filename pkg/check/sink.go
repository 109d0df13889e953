package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// maxValue is Customer.io's limit of one operation, in bytes.
const maxValue = 32 << 10

// checkSink looks at each sink record by itself: its shape (section 1), and that
// it says of its source what the source says.
func (r *run) checkSink() {
	schema, err := jsonschema.NewCompiler().Compile(r.Schema)
	if err != nil {
		r.violate("1", "-", "the sink's JSON Schema can't be read, so no value was checked: give Input.Schema")
	}
	for _, o := range r.outs {
		if o.Topic != r.Rules.Sink {
			continue
		}
		if schema != nil {
			r.checkValue(schema, o)
		}
		r.checkKey(o)
		r.checkWhy(o)
		if o.source != nil {
			r.checkFaithful(o)
		}
	}
}

func (r *run) checkValue(schema *jsonschema.Schema, o *output) {
	if len(o.Value) >= maxValue {
		r.violate("1", o.where(), "a value of %d bytes: Customer.io takes less than %d", len(o.Value), maxValue)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(o.Value))
	if err != nil {
		r.violate("1", o.where(), "a value that is no JSON")
		return
	}
	if err := schema.Validate(v); err != nil {
		r.violate("1", o.where(), "the vendor's schema refuses the value%s", schemaFault(err))
	}
}

// schemaFault says where a value breaks its schema, without the value.
func schemaFault(err error) string {
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return ""
	}
	leaf := deepest(invalid)
	return ": " + strings.Join(leaf.ErrorKind.KeywordPath(), "/") + " at /" + strings.Join(leaf.InstanceLocation, "/")
}

// deepest is the fault itself. Of the operations that a value might have been,
// those with another action say nothing about it.
func deepest(invalid *jsonschema.ValidationError) *jsonschema.ValidationError {
	if len(invalid.Causes) == 0 {
		return invalid
	}
	for _, cause := range invalid.Causes {
		if !blamesAction(cause) {
			return deepest(cause)
		}
	}
	return deepest(invalid.Causes[0])
}

func blamesAction(invalid *jsonschema.ValidationError) bool {
	if len(invalid.Causes) == 0 {
		return slices.Equal(invalid.InstanceLocation, []string{"action"})
	}
	return slices.ContainsFunc(invalid.Causes, blamesAction)
}

func (r *run) checkKey(o *output) {
	if o.person.id == "" || string(o.Key) != o.person.id {
		r.violate("1", o.where(), "the key isn't the person that the %s names", o.action)
	}
	if o.action == "merge" && personOf(asObject(o.value["secondary"])) == o.person {
		r.violate("1", o.where(), "a merge of a person into itself")
	}
}

// whyKinds are the identifiers that a reason may come with. A captured address
// may have an owner, so email comes with either.
var whyKinds = map[string][]string{
	"user": {"id"}, "linked": {"id"}, "email": {"email", "id"},
	"anonymous": {"anonymous_id"}, "ambiguous": {"anonymous_id"},
}

func (r *run) checkWhy(o *output) {
	why := o.Headers["ls-why"]
	if !slices.Contains(whyKinds[why], o.person.kind) {
		r.violate("1", o.where(), "ls-why %q doesn't go with an identifier of kind %q", why, o.person.kind)
	}
	if why == "linked" {
		r.report.Counts.Linked++
	}
	if why == "ambiguous" && o.source != nil && o.person.id == o.source.anon {
		r.violate("3.5", o.where(), "ambiguous, and published under the shared anonymous ID itself")
	}
}

// checkFaithful compares a record with its source: message ID, name, order and
// time are the source's.
func (r *run) checkFaithful(o *output) {
	e := o.source
	if o.Headers["ls-message"] != e.message {
		r.violate("1", o.where(), "ls-message isn't the source's messageId")
	}
	if !o.isEvent() {
		return
	}
	if name, _ := o.value["name"].(string); e.name != "" && name != e.name {
		r.violate("1", o.where(), "the event's name isn't the source's")
	}
	seconds, _ := o.value["timestamp"].(json.Number)
	if !e.time.IsZero() && seconds.String() != strconv.FormatInt(e.time.Unix(), 10) {
		r.violate("3.3", o.where(), "published with another time than the event's own")
	}
	if e.orderID != "" {
		r.checkOrderValue(o)
	}
}

func (r *run) checkOrderValue(o *output) {
	if o.Headers["ls-order"] != o.source.orderID {
		r.violate("1", o.where(), "ls-order isn't the source's order_id")
	}
	attributes := asObject(o.value["attributes"])
	for _, field := range []string{"order_id", "revenue"} {
		if digits(attributes[field]) != digits(o.source.props[field]) {
			r.violate("4.3", o.where(), "the order's %s isn't its source's", field)
		}
	}
}
