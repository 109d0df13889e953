package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"lockstitch/stitch/plan"
)

// properties reads a JSON object as Properties.
func properties(t *testing.T, text string) plan.Map {
	t.Helper()
	m := plan.Map{}
	d := jsontext.NewDecoder(strings.NewReader(text))
	if _, err := d.ReadToken(); err != nil {
		t.Fatal(err)
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			t.Fatal(err)
		}
		key := name.String()
		v, err := d.ReadValue()
		if err != nil {
			t.Fatal(err)
		}
		m[key] = v.Clone()
	}
	return m
}

func TestDefaultCheck(t *testing.T) {
	tests := []struct {
		name, event, properties string
		want                    []string // "property rule"
	}{
		{"product", "product_viewed", `{"product_id":"p1","category":"shoes","price":9.5}`, nil},
		{"product, Segment's name", "Product Viewed", `{"product_id":1,"category":"","price":0}`, nil},
		{"every violation", "product_viewed", `{"product_id":1.5,"price":"9.5"}`, []string{"category missing", "price type", "product_id type"}},
		{"null is absent", "product_viewed", `{"product_id":"p1","category":null,"price":-1}`, []string{"category missing", "price range"}},
		{"cart, items a number", "added_to_cart", `{"cart_id":"c","items":2,"value":10}`, nil},
		{"cart, items an array", "Product Added", `{"cart_id":"c","items":[{"id":1}],"value":1e2}`, nil},
		{"cart, items a text", "added_to_cart", `{"cart_id":"c","items":"2","value":10}`, []string{"items type"}},
		{"cart, items negative", "added_to_cart", `{"cart_id":"c","items":-1,"value":-0.01}`, []string{"items range", "value range"}},
		{"minus zero is not negative", "added_to_cart", `{"cart_id":"c","items":-0,"value":-0.0}`, nil},
		{"a blank key", "added_to_cart", `{"cart_id":" \u200b ","items":1,"value":1}`, []string{"cart_id type"}},
		{"a blank key, escaped", "added_to_cart", `{"cart_id":"\u0020","items":1,"value":1}`, []string{"cart_id type"}},
		{"an empty key is absent", "added_to_cart", `{"cart_id":"","items":1,"value":1}`, []string{"cart_id missing"}},
		{"an empty alternative is absent", "checkout_started", `{"cart_id":""}`, []string{" one_of"}},
		{"an empty code is absent", "order_completed", `{"order_id":"o","revenue":1,"items":1,"discount_code":"","shop_id":""}`, nil},
		{"checkout by cart", "checkout_started", `{"cart_id":"c"}`, nil},
		{"checkout by value", "Checkout Started", `{"value":3,"shipping_option":"express"}`, nil},
		{"checkout by neither", "checkout_started", `{"cart_id":null,"shipping_option":4}`, []string{"shipping_option type", " one_of"}},
		{"order", "order_completed", `{"order_id":12345678901234567890,"revenue":1,"items":1}`, nil},
		{"order with a code", "Order Completed", `{"order_id":"o","revenue":1,"items":[],"discount_code":"X","shop_id":7}`, nil},
		{"order without an ID", "order_completed", `{"revenue":-1,"items":1}`, []string{"order_id missing", "revenue range"}},
		{"an ID is no float", "order_completed", `{"order_id":1e3,"revenue":1,"items":1}`, []string{"order_id type"}},
		{"permission", "push_permission_prompted", `{"push_permission_status":"granted"}`, nil},
		{"permission, escaped", "push_permission_prompted", `{"push_permission_status":"\u0067ranted"}`, nil},
		{"permission, another word", "push_permission_changed", `{"push_permission_status":"yes"}`, []string{"push_permission_status enum"}},
		{"permission, no text", "push_permission_changed", `{"push_permission_status":true}`, []string{"push_permission_status type"}},
		{"unplanned", "anything", `{"price":"x"}`, nil},
	}
	p := plan.Default()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, v := range p.Check(tt.event, properties(t, tt.properties)) {
				got = append(got, v.Property+" "+string(v.Rule))
				if v.Want == "" {
					t.Errorf("violation %v says nothing of what is wanted", v)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDefaultPlan(t *testing.T) {
	p := plan.Default()
	order := p.Lookup("Order Completed")
	if order == nil || order.Name != "order_completed" || order.Key != "order_id" || order.Hold != 10*time.Minute {
		t.Fatalf("order: %+v", order)
	}
	if !order.CountsOnce() || !order.IsAuthority("server") || !order.IsAuthority("commerce") || order.IsAuthority("app") {
		t.Errorf("authorities of the order: %v", order.Authority)
	}
	if cart := p.Lookup("added_to_cart"); cart.Collapse != 2*time.Second || cart.CountsOnce() {
		t.Errorf("cart: %+v", cart)
	}
	if diff := cmp.Diff([]string{"commerce", "server"}, p.Authorities()); diff != "" {
		t.Error(diff)
	}
	if p.QuarantineUnplanned() || p.Lookup("push_permission") != nil || p.Lookup("order_completed ") != nil {
		t.Error("names are exact, and what isn't planned passes")
	}
}

func TestTypesAndRanges(t *testing.T) {
	p, err := plan.Parse([]byte(`
unplanned: quarantine
events:
  e:
    properties:
      i: {type: integer, min: 1, max: 10}
      n: {type: number, max: 2.5}
      b: {type: boolean}
      a: {type: array}
      o: {type: object}
  e_*: {properties: {x: {type: string, required: true}}}
  e_long_*: {}
`))
	if err != nil {
		t.Fatal(err)
	}
	if !p.QuarantineUnplanned() || p.Lookup("e_long_1").Name != "e_long_*" || p.Lookup("e_l").Name != "e_*" {
		t.Error("the longest wildcard wins")
	}
	tests := []struct {
		properties string
		want       []plan.Violation
	}{
		{`{"i":3.0,"n":2.5,"b":false,"a":[],"o":{}}`, nil},
		{`{"i":1e1}`, nil},
		{`{"i":0}`, []plan.Violation{{Property: "i", Rule: plan.RuleRange, Want: "from 1 to 10"}}},
		{`{"i":3.5}`, []plan.Violation{{Property: "i", Rule: plan.RuleType, Want: "an integer"}}},
		{`{"n":2.51}`, []plan.Violation{{Property: "n", Rule: plan.RuleRange, Want: "at most 2.5"}}},
		{`{"b":"true"}`, []plan.Violation{{Property: "b", Rule: plan.RuleType, Want: "true or false"}}},
		{`{"a":{},"o":[]}`, []plan.Violation{
			{Property: "a", Rule: plan.RuleType, Want: "an array"}, {Property: "o", Rule: plan.RuleType, Want: "an object"},
		}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, p.Check("e", properties(t, tt.properties))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.properties, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"an unknown field", "events: {e: {propertys: {}}}", "propertys"},
		{"an unknown field at the top", "event: {}", "event"},
		{"an unknown word", "unplanned: maybe", "neither pass nor quarantine"},
		{"an unknown type", "events: {e: {properties: {p: {type: float}}}}", "events.e.properties.p.type"},
		{"a name twice", "events: {a: {aliases: [X]}, b: {aliases: [X]}}", `the name "X" stands at a already`},
		{"a blank name", `events: {a: {aliases: [" "]}}`, "is blank"},
		{"an authority without a key", "events: {e: {authority: [server], hold: 1m}}", "events.e.key"},
		{"a key that isn't required", "events: {e: {key: k, once: true, properties: {k: {type: id}}}}", "must be a required property of the type id"},
		{"a key that is no ID", "events: {e: {key: k, once: true, properties: {k: {type: number, required: true}}}}", "of the type id"},
		{"an authority without a hold", "events: {e: {key: k, authority: [s], properties: {k: {type: id, required: true}}}}", "events.e.hold"},
		{"a hold without an authority", "events: {e: {hold: 1m}}", "name one, or drop the hold"},
		{"an origin twice", "events: {e: {key: k, hold: 1m, authority: [s, s], properties: {k: {type: id, required: true}}}}", "names an origin twice"},
		{"a collapse without a key", "events: {e: {collapse: 2s}}", "events.e.key"},
		{"a negative collapse", "events: {e: {key: k, collapse: -2s, properties: {k: {type: id, required: true}}}}", "must not be negative"},
		{"a key with a wildcard", "events: {e_*: {key: k, once: true, properties: {k: {type: id, required: true}}}}", "without a wildcard"},
		{"an alternative that is no property", "events: {e: {one_of: [a, b], properties: {a: {type: id}}}}", `"b" is no property`},
		{"one alternative", "events: {e: {one_of: [a], properties: {a: {type: id}}}}", "one alternative is none"},
		{"a range of texts", "events: {e: {properties: {p: {type: string, min: 1}}}}", "min and max are for numbers"},
		{"a range upside down", "events: {e: {properties: {p: {type: number, min: 2, max: 1}}}}", "min is above max"},
		{"an enum of numbers", "events: {e: {properties: {p: {type: number, enum: [a]}}}}", "enum is for the type string"},
		{"no YAML", "events: [", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := plan.Parse([]byte(tt.text))
			if err == nil || p != nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q doesn't say %q", err, tt.want)
			}
		})
	}
}

func TestTrim(t *testing.T) {
	for in, want := range map[string]string{
		"a": "a", " a b\t": "a b", "\u200b\ufeffa\u2060": "a", "\u00a0": "", "": "", "\u200d": "", "é ": "é",
	} {
		if got := plan.Trim(in); got != want {
			t.Errorf("Trim(%q) = %q, want %q", in, got, want)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	p := plan.Default()
	order := plan.Map{
		"order_id": jsontext.Value(`"ord_1"`), "revenue": jsontext.Value("12.5"), "items": jsontext.Value("2"),
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Check("order_completed", order)
	}
}
