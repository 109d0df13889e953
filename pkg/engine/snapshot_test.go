package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

// deafCopies is a log of snapshots that takes nothing.
type deafCopies struct{}

var errDeaf = errors.New("no such topic")

func (deafCopies) Write(context.Context, int32, [][]byte) error { return errDeaf }
func (deafCopies) Scan(context.Context, int32, int64, func(int64, []byte) error) error {
	return nil
}

// Snapshots that can't be written are said, and the batches go on.
func TestOwnerWithoutSnapshots(t *testing.T) {
	s := newSetting()
	for n := range int64(30) {
		s.post(n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began := time.Now()
	o := engine.NewOwner(0, quiet{s.journal.Log(0), cancel}, s.state, deafCopies{}, nil, engine.Options{
		Environment: "test", Rules: stitch.DefaultRules(), Batch: 10, Cache: 10, Tick: time.Hour, Nonce: "n",
		SnapshotEvery: time.Nanosecond, SnapshotRate: 1, Now: func() time.Time { began = began.Add(time.Second); return began },
		Observe: &s.heard, Wait: func(context.Context, time.Duration) error { return errQuiet },
	})
	if err := o.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if s.sink() != 30 || len(s.heard.troubles) == 0 || !errors.Is(s.heard.troubles[0], errDeaf) {
		t.Fatalf("%d sink records, troubles %v", s.sink(), s.heard.troubles)
	}
}
