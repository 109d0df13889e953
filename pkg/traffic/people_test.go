package traffic_test

import (
	"strings"
	"testing"
	"time"

	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// TestKeys: the key is the anonymous ID, else the user ID.
func TestKeys(t *testing.T) {
	for _, r := range good() {
		want := r.AnonymousID
		if want == "" {
			want = r.UserID
		}
		if r.Key != want {
			t.Fatalf("the key is %q, want %q: %s", r.Key, want, r.Value)
		}
	}
}

// TestRepeats: what is sent again is the same but for what SDKs change.
func TestRepeats(t *testing.T) {
	first := map[string]record{}
	repeats := 0
	for _, r := range good() {
		f, again := first[r.MessageID]
		if !again {
			first[r.MessageID] = r
			continue
		}
		repeats++
		if f.UserID != "" && f.UserID != r.UserID || f.AnonymousID != r.AnonymousID || f.Topic != r.Topic ||
			f.Event != r.Event || !f.at().Equal(r.at()) {
			t.Fatalf("sent again as something else:\n%s\n%s", f.Value, r.Value)
		}
		if library := r.Context.Library.Name; f.UserID != r.UserID && library != "analytics.js" {
			t.Errorf("%s filled in a user ID", library)
		}
		if r.Context.Library.Name == "@jitsu/js" {
			t.Error("Jitsu sent again, which it never does")
		}
	}
	if repeats == 0 {
		t.Error("nothing was sent again")
	}
}

// TestSharedDevices: on some devices two customers log in, with and without a
// logout between.
func TestSharedDevices(t *testing.T) {
	last := map[string]string{} // the customer of an anonymous ID
	left := map[string]bool{}   // a logout came since
	renewed := map[string]bool{}
	shared, switched, swaps := 0, 0, 0
	for _, r := range good() {
		if r.Event == "user_logged_out" {
			left[r.AnonymousID], renewed[r.UserID] = true, true
		}
		if r.Type != "identify" || r.UserID == "" || r.AnonymousID == "" || !strings.HasPrefix(r.UserID, "cus_") {
			continue
		}
		if before := last[r.AnonymousID]; before != "" && before != r.UserID {
			shared++
			if !left[r.AnonymousID] {
				switched++
			}
		}
		if renewed[r.UserID] {
			swaps++
		}
		last[r.AnonymousID], left[r.AnonymousID] = r.UserID, false
	}
	if shared < 10 || switched < 5 || shared == switched || swaps < 10 {
		t.Errorf("%d second customers on one anonymous ID, %d of them without a logout, %d logins after a logout", shared, switched, swaps)
	}
}

// TestPeopleLeave: the same number of people at a time, but not the same people.
func TestPeopleLeave(t *testing.T) {
	devices := map[string]bool{}
	for _, line := range good() {
		devices[line.Key] = true
	}
	if len(devices) < 1000 {
		t.Errorf("only %d IDs: nobody left", len(devices))
	}
}

// TestPlan: without garbage, all that is refused are the unusable user IDs.
func TestPlan(t *testing.T) {
	ingest, err := wire.NewIngest(wire.IngestOptions{Sources: map[string]wire.SourceRule{
		"events.app": {Origin: "app"}, "events.web": {Origin: "web"},
		"events.server": {Origin: "server"}, "events.commerce": {Origin: "commerce"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, garbage := range []float64{0, 1} {
		refused := map[string]int{}
		for i, line := range take(week(garbage), 6_000) {
			_, dead := ingest.Decode(wire.Record{
				Source: stitch.Source{Topic: line.Topic, Offset: int64(i)}, Key: []byte(line.Key),
				Value: line.Value, Arrival: line.Time.UnixMilli(), CheckAhead: true,
			})
			if dead == nil {
				continue
			}
			for _, reject := range dead.Rejects {
				refused[reject.Reason]++
				if garbage == 0 && !strings.HasPrefix(reject.Reason, wire.ReasonUnusableUserID) {
					t.Fatalf("line %d is refused: %s, %s", i, reject.Reason, line.Value)
				}
			}
		}
		if garbage == 0 {
			continue
		}
		for _, reason := range []string{
			wire.ReasonNotJSON, wire.ReasonNotObject, wire.ReasonPlanMissing, wire.ReasonPlanType, wire.ReasonUnknownType,
		} {
			if refused[reason] == 0 {
				t.Errorf("nothing is refused as %s: %v", reason, refused)
			}
		}
	}
}

// TestLate: phones that were off line send all at once.
func TestLate(t *testing.T) {
	type flush struct {
		key string
		at  time.Time
	}
	flushes, longest := map[flush]int{}, 0
	for _, r := range good() {
		if r.Topic == "events.app" && r.Time.Sub(r.at()) > 30*time.Minute {
			f := flush{r.Key, r.Time.Truncate(time.Second)}
			flushes[f]++
			longest = max(longest, flushes[f])
		}
	}
	if len(flushes) < 20 || longest < 6 {
		t.Errorf("%d late flushes, the longest of %d records", len(flushes), longest)
	}
}
