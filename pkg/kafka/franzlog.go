package kafka

import (
	"context"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/pkg/hush"
)

// franzLogger hands franz-go's warnings to slog. They name topics, partitions
// and brokers, never what records hold. A client that finds no broker would say so
// many times a second.
type franzLogger struct {
	log  *slog.Logger
	now  func() time.Time
	said hush.Log[string] // by message
}

func newFranzLogger(log *slog.Logger) *franzLogger {
	return &franzLogger{log: log, now: time.Now}
}

func (l *franzLogger) Level() kgo.LogLevel { return kgo.LogLevelWarn }

func (l *franzLogger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	skipped, ok := l.said.Say(msg, l.now())
	if !ok {
		return
	}
	if skipped > 0 {
		keyvals = append(keyvals[:len(keyvals):len(keyvals)], "not_logged", skipped)
	}
	to := slog.LevelWarn
	if level == kgo.LogLevelError {
		to = slog.LevelError
	}
	l.log.Log(context.Background(), to, "kafka: "+msg, keyvals...)
}
