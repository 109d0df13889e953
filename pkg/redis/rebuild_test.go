//go:build e2e

package redis

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"time"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/engine/memory"
	format "lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// TestRebuildOfAMillion says how long a rebuild from a snapshot takes for one
// partition of a million people and ten million claims on a real Redis: 2 million
// entities, half of them devices with ten claims each. It asserts the state, not
// the time. LOCKSTITCH_PEOPLE is another number of people.
func TestRebuildOfAMillion(t *testing.T) {
	people := 20_000
	if text := os.Getenv("LOCKSTITCH_PEOPLE"); text != "" {
		if _, err := fmt.Sscan(text, &people); err != nil {
			t.Fatal(err)
		}
	}
	const at = 1000 // the journal's end, where the snapshot was taken
	snapshots, model := memory.NewSnapshots(), memory.NewState()
	began := time.Now()
	fill(t, model, people, at)
	t.Logf("%d entities made in %s", 2*people, time.Since(began).Round(time.Millisecond))
	if _, err := engine.Copy(t.Context(), 0, model, snapshots, "one"); err != nil {
		t.Fatal(err)
	}

	s := openReal(t, real(address(t)))
	before, err := s.Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began = time.Now()
	taken := &tookOver{done: cancel}
	err = engine.NewOwner(0, ended{at}, s, snapshots, nil, engine.Options{
		Environment: "test", Batch: 1000, Cache: 1000, Tick: time.Hour, Nonce: "n", SnapshotEvery: time.Hour, SnapshotRate: 1 << 20,
		Now: time.Now, Observe: taken, Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}).Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	if taken.from != at {
		t.Fatalf("taken over at %d, want %d", taken.from, at)
	}
	after, err := s.Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("rebuilt from a snapshot in %s: %d people, %d claims, %d entities, Redis %d MB",
		took.Round(time.Millisecond), people, 10*people, 2*people, (after-before)>>20)
	same(t, s, model)
}

// same expects Redis to hold what the model does, page by page.
func same(t *testing.T, s *State, model *memory.State) {
	t.Helper()
	heads := [2]engine.Head{}
	for i, st := range []engine.State{model, s} {
		h, ok, err := st.Head(t.Context(), 0)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		heads[i] = h
	}
	for page := range engine.Pages {
		want, _, _, err1 := model.Page(t.Context(), 0, heads[0].Generation, page, 1)
		got, _, _, err2 := s.Page(t.Context(), 0, heads[1].Generation, page, 1)
		if err1 != nil || err2 != nil || len(want) != len(got) {
			t.Fatalf("page %d: %d entities, want %d; %v, %v", page, len(got), len(want), err1, err2)
		}
		for i := range want {
			if want[i].Key != got[i].Key || string(want[i].Value) != string(got[i].Value) {
				t.Fatalf("page %d: an entity is another", page)
			}
		}
	}
}

// fill makes the state: a customer with an address, a device and a push token, and
// the customer's device with a login and ten claims.
func fill(t *testing.T, s *memory.State, people int, at int64) {
	t.Helper()
	meta := stitch.Meta{Logic: stitch.Logic, TopicID: "journal", Environment: "test", Applied: at}
	first := engine.Position{Generation: "model", Applied: -1 - int64(people)}
	if ok, err := s.Begin(t.Context(), 0, engine.Position{}, engine.Head{Position: first, Logic: stitch.Logic}); err != nil || !ok {
		t.Fatal(ok, err)
	}
	for n := range people {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
		device, customer := fmt.Sprintf("%x", sum[:16]), fmt.Sprint("customer-", n)
		claims := make([]byte, 0, 280)
		for i := range 9 {
			claims = append(claims, sum[:28]...)
			claims[len(claims)-1] = byte(i)
		}
		claims = append(claims, sum[4:]...)
		next := engine.Position{Generation: "model", Applied: first.Applied + 1}
		if n == people-1 {
			next.Applied = at
		}
		d := engine.Delta{Base: first, Next: next, Logic: stitch.Logic, Meta: format.MarshalState(&meta)}
		d.Set = []engine.KV{
			{Key: "d:" + device, Value: format.MarshalState(&stitch.Entity{
				Touched: 1_800_000_000_000, Claims: claims, Topics: []string{"events.web", "events.app"},
				Device: &stitch.DeviceState{
					Evidence:  []stitch.Evidence{{Time: 1_800_000_000_000, Origin: "web", ID: device, Kind: stitch.EvLogin, Who: customer}},
					Customers: []string{customer}, Tied: map[string]string{device: customer},
				},
			})},
			{Key: "c:" + customer, Value: format.MarshalState(&stitch.Entity{
				Touched: 1_800_000_000_000,
				Person: &stitch.PersonState{
					First: 1_800_000_000_000, Owned: map[string]int64{customer + "@shop.example": 1_800_000_000_000}, Links: []string{device},
					Devices: map[string]stitch.PushDevice{device: {Token: device + device, Time: 1_800_000_000_000}},
				},
			})},
		}
		if moved, err := s.Swap(t.Context(), 0, d); err != nil || !moved {
			t.Fatal(moved, err)
		}
		first = next
	}
}

// ended is a log that was folded to its end, and of which nothing is left.
type ended struct{ at int64 }

func (l ended) Bounds(context.Context) (int64, int64, string, error) {
	return l.at, l.at, "journal", nil
}
func (l ended) Committed(context.Context) (int64, bool, error) { return l.at, true, nil }
func (ended) Read(ctx context.Context, _ int64, _ int) ([]engine.Entry, error) {
	<-ctx.Done()
	return nil, nil
}
func (ended) Publish(context.Context, []engine.Published) error { return nil }
func (ended) Append(context.Context, []byte) error              { return nil }
func (ended) Commit(context.Context, int64) error               { return nil }

// tookOver ends the owner when it has taken over.
type tookOver struct {
	from int64
	done func()
}

func (o *tookOver) TookOver(_ int32, from, _ int64)      { o.from = from; o.done() }
func (*tookOver) Rebuilding(int32, string, int64, int64) {}
func (*tookOver) Promoted(int32, int64, int, int)        {}
func (*tookOver) Snapshot(int32, engine.Copied)          {}
func (*tookOver) Folded(int32, engine.Batch)             {}
func (*tookOver) Refused(int32)                          {}
func (*tookOver) Trouble(int32, error)                   {}
func (*tookOver) Unreadable(int32, int64)                {}
