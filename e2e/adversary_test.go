//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestAdversary posts what nobody sends by mistake, among what people do: it ends in
// the DLQ by its reason, merges nobody, and holds nothing up (PROMISES.md, section 6).
func TestAdversary(t *testing.T) {
	w := newWorld(t, setup{})
	run := w.start("run")
	run.isReady()
	app := w.prefix + "events.app"
	post := func(value []byte) *kgo.Record { return &kgo.Record{Topic: app, Value: value} }
	text := func(format string, args ...any) *kgo.Record { return post(fmt.Appendf(nil, format, args...)) }
	deep := func(n int) []byte {
		return fmt.Appendf(nil, `{"type":"track","event":"looked","userId":"cus_1","properties":{"a":%s1%s}}`, strings.Repeat("[", n), strings.Repeat("]", n))
	}
	records := []struct {
		record *kgo.Record
		want   string
	}{
		{text(`{"type":"identify","messageId":"m1","userId":"cus_1","anonymousId":"device-1"}`), "published identify"},
		{post(fmt.Appendf(nil, `{"type":"track","event":"looked","userId":"cus_1","properties":{"a":"%s"}}`, bytes.Repeat([]byte("a"), 10<<20))), "quarantined too_large"},
		{post(bytes.Repeat([]byte("["), 1<<20)), "quarantined too_deep"},
		{post(deep(100_000)), "quarantined too_deep"},
		{post([]byte("{\"type\":\"track\",\"event\":\"looked\",\"userId\":\"cus_\xff1\"}")), "quarantined invalid_utf8"},
		{text(`{"type":"track","event":"looked","userId":"cus_1","userId":"cus_2"}`), "quarantined duplicate_key"},
		{text(`{"type":"track","messageId":"m1","event":"looked","userId":"cus_1","anonymousId":"device-1"}`), "published event"}, // a forged message ID
		{text(`{"type":"identify","messageId":"m1","userId":"cus_2","anonymousId":"device-1"}`), "published identify"},
		{text(`{"type":"alias","messageId":"m2","userId":"cus_1","previousId":"cus_2"}`), "outcome ignored"}, // an app is not trusted
		{text(`{"type":"alias","messageId":"m3","userId":"cus_2","previousId":"cus_1"}`), "outcome ignored"},
		{text(`{"type":"track","messageId":"m4","event":"looked","userId":"cus_1"}`), "published event"},
	}
	cl := w.connect(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(11<<20))
	for _, r := range records {
		w.produce(cl, r.record)
	}
	w.settle()
	bounded("after ten megabytes", run)
	got := map[string]string{}
	for _, o := range w.outputs() {
		if is := outcome(o); !strings.HasPrefix(is, "identity") && !strings.HasPrefix(is, "note") {
			got[o.Headers["ls-source"]] = is
		}
	}
	for i, r := range records {
		if source := fmt.Sprintf("%s/0/%d", app, i); got[source] != r.want {
			t.Errorf("record %d: %q, want %q", i, got[source], r.want)
		}
	}
	if counts := w.judge(false); counts.Sources != len(records) {
		t.Errorf("%+v, of %d records", counts, len(records))
	}
}

// TestResetOffsetsAreRefused has somebody reset the processors' group by hand. The
// partition stops, says so and what to do, and goes on after the runbook's remedy with
// nothing published twice.
func TestResetOffsetsAreRefused(t *testing.T) {
	w := newWorld(t, setup{})
	w.runOnce()
	group, journal := w.prefix+"lockstitch-process", w.prefix+"stitch.journal"
	reset := kadm.Offsets{}
	for p := range int32(8) {
		reset.AddOffset(journal, p, 0, -1)
	}
	if err := w.admin.CommitAllOffsets(t.Context(), group, reset); err != nil {
		t.Fatal(err)
	}
	run := w.start("run")
	until(t, patience, "/ready says what to do", func(ctx context.Context) (bool, error) {
		reasons, err := run.ready(ctx)
		return strings.Contains(reasons, "offset was not committed by lockstitch"), errors.Join(err, errors.New(reasons))
	})
	w.stops(run)
	if _, err := w.admin.DeleteOffsets(t.Context(), group, kadm.TopicsSet{journal: {0: {}, 1: {}, 2: {}, 3: {}, 4: {}, 5: {}, 6: {}, 7: {}}}); err != nil {
		t.Fatal(err)
	}
	w.start("run").isReady()
	w.produce(w.pinned(), order(w.prefix+"events.server", "o2", "m-2"))
	w.settle()
	if counts := w.judge(false); counts.Sources != 2 || counts.Published != 2 || counts.Repeats != 0 {
		t.Errorf("got %+v, want two orders, once each", counts)
	}
}
