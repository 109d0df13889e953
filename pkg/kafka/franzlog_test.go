package kafka

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/hush"
)

// A client that finds no broker says so once in a while, with how often it did.
func TestFranzLogger(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	l := newFranzLogger(slog.New(slog.NewTextHandler(&out, nil)))
	l.now = func() time.Time { return now }
	for range 100 {
		l.Log(kgo.LogLevelWarn, "unable to open connection", "addr", "127.0.0.1:1")
		now = now.Add(hush.Quiet / 20)
	}
	l.Log(kgo.LogLevelError, "another")
	text := out.String()
	if n := strings.Count(text, "unable to open"); n != 5 {
		t.Errorf("said %d times, want 5:\n%s", n, text)
	}
	if !strings.Contains(text, "addr=127.0.0.1:1 not_logged=19") || !strings.Contains(text, "level=ERROR msg=\"kafka: another\"") {
		t.Errorf("what was said:\n%s", text)
	}
}
