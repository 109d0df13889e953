package kafka

import (
	"context"
	"log/slog"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"lockstitch/pkg/engine"
)

// warned is a log handler that tells of a warning.
type warned struct {
	slog.Handler
	told chan struct{}
}

func (w warned) Enabled(context.Context, slog.Level) bool { return true }

func (w warned) Handle(_ context.Context, r slog.Record) error {
	if r.Level == slog.LevelWarn {
		select {
		case w.told <- struct{}{}:
		default:
		}
	}
	return nil
}

// A member that starts before its journal can be seen waits for it, and then
// serves it; one that is told to stop meanwhile ends without an error.
func TestGroupWaitsForTheJournal(t *testing.T) {
	c := newCluster(t, 1)
	p := c.producer(t)
	missed := make(chan struct{}, 1)
	c.conn.Logger = slog.New(warned{slog.DiscardHandler, missed})
	topics := testTopics
	topics.Journal = "later"
	served := make(chan int32, 1)
	g := Group{Conn: c.conn, Topics: topics, ID: "g", Producer: p, Owner: func(ctx context.Context, p int32, _ engine.Log) error {
		served <- p
		<-ctx.Done()
		return nil
	}}
	ctx, stop := context.WithCancel(testContext(t))
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	select {
	case <-missed:
	case err := <-done:
		t.Fatalf("it ended: %v", err)
	}
	if _, err := kadm.NewClient(c.client(t)).CreateTopic(ctx, 1, 1, nil, "later"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-served:
	case err := <-done:
		t.Fatalf("it ended: %v", err)
	case <-ctx.Done():
		t.Fatal("it was never served")
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
