//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestArrivalIsTheBrokersTime sends what devices with wrong clocks do. A record has
// arrived when the broker appended it, whatever its sender says, with either of the
// two ways to read a source: an event without a time has happened then, and one more
// than a day ahead of then is refused (PROMISES.md, section 6).
func TestArrivalIsTheBrokersTime(t *testing.T) {
	w := newWorld(t, setup{committed: true})
	w.start("run").isReady()
	event := func(topic, message, more string, stamp time.Time) *kgo.Record {
		return &kgo.Record{Topic: w.prefix + topic, Timestamp: stamp, Value: fmt.Appendf(nil,
			`{"type":"track","event":"product_viewed","messageId":%q,"anonymousId":"device-1","properties":{"product_id":"p1","category":"shoes","price":10}%s}`, message, more)}
	}
	ahead := time.Now().Add(72 * time.Hour)
	for _, topic := range []string{"events.app", "events.server"} {
		w.produce(w.pinned(),
			event(topic, "m-none-"+topic, "", ahead),
			event(topic, "m-ahead-"+topic, `,"timestamp":"`+ahead.UTC().Format(time.RFC3339)+`"`, ahead),
			event(topic, "m-none-too-"+topic, "", time.Now().Add(-72*time.Hour)))
	}
	w.settle()
	appended := map[string]time.Time{}
	for _, r := range w.read(w.prefixed("events.app", "events.server")...) {
		appended[fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset)] = r.Timestamp
	}
	got := map[string]string{}
	for _, o := range w.outputs() {
		source := o.Headers["ls-source"]
		got[source] = outcome(o)
		var sent struct{ Timestamp int64 }
		if got[source] != "published event" {
			continue
		}
		if err := json.Unmarshal(o.Value, &sent); err != nil || sent.Timestamp != appended[source].Unix() {
			t.Errorf("%s has happened at %d, and was appended at %d (%v)", source, sent.Timestamp, appended[source].Unix(), err)
		}
	}
	for _, topic := range w.prefixed("events.app", "events.server") {
		for i, want := range []string{"published event", "quarantined time_ahead", "published event"} {
			if source := fmt.Sprintf("%s/0/%d", topic, i); got[source] != want {
				t.Errorf("%s: %q, want %q", source, got[source], want)
			}
		}
	}
}
