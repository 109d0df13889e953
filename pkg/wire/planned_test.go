package wire

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstitch/stitch"
	"lockstitch/stitch/plan"
)

// strictPlan quarantines what it doesn't name, and has an event that counts
// once without an authority.
const strictPlan = `
unplanned: quarantine
events:
  signed_up:
    aliases: [Signed Up]
    key: form
    once: true
    properties:
      form: {type: id, required: true}
`

func TestUnplanned(t *testing.T) {
	p, err := plan.Parse([]byte(strictPlan))
	if err != nil {
		t.Fatal(err)
	}
	strict, lax := newIngest(t, IngestOptions{Plan: p}), newIngest(t, IngestOptions{})
	if strict.Plan() != p {
		t.Error("another plan is in force")
	}
	reasons, _ := mustRefuse(t, strict, track(`"a":1`))
	if diff := cmp.Diff([]string{ReasonUnplanned}, reasons); diff != "" {
		t.Error(diff)
	}
	if ev := mustDecode(t, lax, "events.app", track(`"a":1`)); !lax.Unplanned(ev) {
		t.Error("an event that the plan doesn't name isn't counted")
	}
	for _, value := range []string{
		`{"type":"track","event":"Device Deleted","userId":"u1"}`, `{"type":"track","event":"user_logged_out","userId":"u1"}`,
		`{"type":"track","event":"User Deleted","userId":"u1"}`, `{"type":"page","name":"n","userId":"u1"}`,
		`{"type":"track","event":"signed_up","userId":"u1","properties":{"form":1}}`,
	} {
		if ev := mustDecode(t, strict, "events.app", value); strict.Unplanned(ev) {
			t.Errorf("%s is counted as unplanned", value)
		}
	}
}

func TestOnceWithoutAuthority(t *testing.T) {
	p, err := plan.Parse([]byte(strictPlan))
	if err != nil {
		t.Fatal(err)
	}
	in := newIngest(t, IngestOptions{Plan: p})
	got := mustDecode(t, in, "events.app", `{"type":"track","event":"Signed Up","userId":"u1","properties":{"form":"f1"}}`).Fact
	if diff := cmp.Diff(&stitch.Fact{Key: "signed_up\x00\x00f1", Order: "f1"}, got); diff != "" {
		t.Error(diff)
	}
	reasons, _ := mustRefuse(t, in, `{"type":"track","event":"Signed Up","properties":{"form":"f1"}}`)
	if diff := cmp.Diff([]string{ReasonNamesNobody}, reasons); diff != "" {
		t.Errorf("nobody, and no authority: %s", diff)
	}
}

func TestKeyTooLong(t *testing.T) {
	long := make([]byte, 257)
	for i := range long {
		long[i] = 'o'
	}
	reasons, sentences := mustRefuse(t, newIngest(t, IngestOptions{}), orderRecord("order_completed", `"order_id":"`+string(long)+`"`))
	if diff := cmp.Diff([]string{ReasonIDTooLong}, reasons); diff != "" || sentences[0] != "properties.order_id: an ID must not be over 256 bytes" {
		t.Errorf("%s%q", diff, sentences)
	}
}
