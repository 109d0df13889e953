package kafka

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// quiet is for how long a warning of one kind isn't said again: a client that
// finds no broker would say so many times a second.
const quiet = 10 * time.Second

// franzLogger hands franz-go's warnings to slog. They name topics, partitions
// and brokers, never what records hold.
type franzLogger struct {
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	muted map[string]*muted // by message
}

// muted is a warning that was said: until then it isn't again, and so many like
// it were not.
type muted struct {
	until   time.Time
	skipped int
}

func newFranzLogger(log *slog.Logger) *franzLogger {
	return &franzLogger{log: log, now: time.Now, muted: map[string]*muted{}}
}

func (l *franzLogger) Level() kgo.LogLevel { return kgo.LogLevelWarn }

func (l *franzLogger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	skipped, ok := l.speak(msg)
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

// speak reports whether msg is to be logged, and how many like it were not since
// the last that was.
func (l *franzLogger) speak(msg string) (skipped int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, last := l.now(), l.muted[msg]
	if last != nil && now.Before(last.until) {
		last.skipped++
		return 0, false
	}
	if last != nil {
		skipped = last.skipped
	}
	l.muted[msg] = &muted{until: now.Add(quiet)}
	return skipped, true
}
