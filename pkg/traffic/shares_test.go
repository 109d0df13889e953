package traffic_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"lockstitch/pkg/traffic"
)

// record is what the tests read of a value.
type record struct {
	traffic.Line
	broken            bool // no JSON object
	MessageID         string
	Type, Event       string
	AnonymousID       string
	UserID            string
	Timestamp         time.Time
	OriginalTimestamp time.Time
	SentAt            time.Time
	Traits            struct{ Email string }
	Properties        struct {
		OrderID string `json:"order_id"`
		ShopID  string `json:"shop_id"`
		Price   any    `json:"price"`
		Revenue any    `json:"revenue"`
	}
	Context struct {
		Library struct{ Name string }
		Device  struct{ Token string }
	}
}

func records(lines []traffic.Line) []record {
	list := make([]record, len(lines))
	for i, line := range lines {
		if err := json.Unmarshal(line.Value, &list[i]); err != nil {
			list[i] = record{broken: true}
		}
		list[i].Line = line
	}
	return list
}

func (r *record) at() time.Time {
	if r.Timestamp.IsZero() {
		return r.OriginalTimestamp
	}
	return r.Timestamp
}

// spoilt is true of what only garbage looks like.
func (r *record) spoilt() bool {
	switch {
	case r.broken, r.Type != "track" && r.Type != "identify" && r.Type != "page" && r.Type != "screen":
		return true
	case r.Event == "product_viewed":
		return r.Properties.Price == nil
	case r.Event == "order_completed":
		_, text := r.Properties.Revenue.(string)
		return text
	}
	return false
}

var unusable = []string{"undefined", "null", "someone@example.com"}

// TestShares: how often each thing happens, of all lines.
func TestShares(t *testing.T) {
	list := spoilt()
	counts := map[string]int{}
	seen := map[string]*record{}
	for i := range list {
		r := &list[i]
		if r.spoilt() {
			counts["garbage"]++
			continue
		}
		counts[r.Topic]++
		counts[r.Type]++
		counts[r.Event]++
		counts[r.Context.Library.Name]++
		for kind, is := range map[string]bool{
			"login":    r.Type == "identify" && r.UserID != "" && r.AnonymousID != "",
			"capture":  r.Type == "identify" && r.UserID == "" && r.Traits.Email != "",
			"unusable": slices.Contains(unusable, r.UserID),
			"late":     r.Time.Sub(r.at()) > 30*time.Minute,
		} {
			if is {
				counts[kind]++
			}
		}
		if first := seen[r.MessageID]; first != nil {
			counts["re-sent"]++
			if first.UserID == "" && r.UserID != "" {
				counts["filled"]++
			}
		} else {
			seen[r.MessageID] = r
		}
	}
	for _, want := range []struct {
		kind      string
		low, high float64 // percent
	}{
		{"events.web", 48, 66}, {"events.app", 30, 48}, {"events.server", 0.8, 3}, {"events.commerce", 0.3, 1.5},
		{"page", 18, 32}, {"screen", 4, 10},
		{"product_viewed", 28, 44}, {"added_to_cart", 7, 16}, {"checkout_started", 1.8, 5}, {"order_completed", 2.5, 7},
		{"login", 1.5, 5}, {"capture", 0.2, 1.2}, {"user_logged_out", 0.3, 1.5},
		{"Device Created or Updated", 2.5, 7}, {"Device Deleted", 0.1, 1},
		{"push_permission_prompted", 1, 4}, {"push_permission_changed", 0.03, 0.4},
		{"re-sent", 2.5, 6}, {"filled", 0.1, 0.8}, {"late", 0.6, 3}, {"unusable", 0.1, 0.5}, {"garbage", 0.6, 1.4},
		{"analytics.js", 30, 50}, {"RudderLabs JavaScript SDK", 3, 14}, {"@jitsu/js", 3, 14},
		{"analytics-kotlin", 16, 34}, {"analytics-react-native", 8, 24}, {"analytics-python", 1, 4},
	} {
		if share := 100 * float64(counts[want.kind]) / many; share < want.low || share > want.high {
			t.Errorf("%s: %.2f%% of the lines, want %g to %g", want.kind, share, want.low, want.high)
		}
	}
}

// TestOrders: which copies of an order come, and in which order.
func TestOrders(t *testing.T) {
	type copies struct{ device, shop []time.Time }
	orders := map[string]*copies{}
	list := good()
	begin, end := list[0].Time, list[len(list)-1].Time
	for i := range list {
		r := &list[i]
		if r.Event != "order_completed" {
			continue
		}
		o := orders[r.Properties.OrderID]
		if o == nil {
			o = &copies{}
			orders[r.Properties.OrderID] = o
		}
		if r.Topic == "events.server" || r.Topic == "events.commerce" {
			o.shop = append(o.shop, r.Time)
		} else {
			o.device = append(o.device, r.Time)
		}
	}
	counts, all := map[string]int{}, 0
	for _, o := range orders {
		first := slices.MinFunc(slices.Concat(o.device, o.shop), time.Time.Compare)
		if first.Before(begin) || end.Sub(first) < 9*time.Hour {
			continue // a copy may be still to come
		}
		all++
		switch {
		case len(o.shop) == 0:
			counts["device only"]++
		case len(o.device) == 0:
			counts["shop only"]++
		case o.shop[0].Before(o.device[0]):
			counts["shop first"]++
		case o.shop[0].Sub(o.device[0]) <= 10*time.Minute:
			counts["within ten minutes"]++
		default:
			counts["later"]++
		}
	}
	if all < 300 {
		t.Fatalf("only %d orders", all)
	}
	for kind, want := range map[string][2]int{ // percent
		"device only": {4, 13}, "shop only": {4, 13}, "shop first": {14, 30}, "within ten minutes": {42, 62}, "later": {7, 18},
	} {
		if share := 100 * counts[kind] / all; share < want[0] || share > want[1] {
			t.Errorf("%s: %d%% of %d orders, want %d to %d", kind, share, all, want[0], want[1])
		}
	}
}

func TestShop(t *testing.T) {
	for _, shop := range []string{"", "eu", `Küche "Süd"`} {
		opt := week(0)
		opt.Shop = shop
		orders := 0
		for _, r := range records(take(opt, 5000)) {
			if r.broken {
				t.Fatalf("%q: no JSON: %s", shop, r.Value)
			}
			if r.Event != "order_completed" {
				continue
			}
			orders++
			if r.Properties.ShopID != shop {
				t.Fatalf("an order has the shop %q, want %q", r.Properties.ShopID, shop)
			}
		}
		if orders == 0 {
			t.Errorf("%q: no order", shop)
		}
	}
}
