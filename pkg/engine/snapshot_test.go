package engine_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/engine/memory"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// deafCopies is a log of snapshots that takes nothing.
type deafCopies struct{}

var errDeaf = errors.New("no such topic")

func (deafCopies) Write(context.Context, int32, [][]byte) error        { return errDeaf }
func (deafCopies) Bounds(context.Context, int32) (int64, int64, error) { return 0, 0, nil }
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
		Go: func(f func()) { f() }, SnapshotEvery: time.Nanosecond, SnapshotRate: 1, Now: func() time.Time { began = began.Add(time.Second); return began },
		Observe: &s.heard, Wait: func(context.Context, time.Duration) error { return errQuiet },
	})
	if err := o.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if s.sink() != 30 || len(s.heard.troubles) == 0 || !errors.Is(s.heard.troubles[0], errDeaf) {
		t.Fatalf("%d sink records, troubles %v", s.sink(), s.heard.troubles)
	}
}

// TestWholes: a snapshot counts when its end says as many parts, of the same
// bytes, as there are; whatever stands between its records.
func TestWholes(t *testing.T) {
	id := func(id string, kind wire.SnapshotKind) wire.SnapshotRecord {
		return wire.SnapshotRecord{ID: id, Kind: kind}
	}
	begin := func(name string, at int64) []byte {
		r := id(name, wire.SnapshotBegin)
		r.Meta = wire.MarshalState(&stitch.Meta{Applied: at})
		return wire.MarshalState(&r)
	}
	part := func(name, key string) []byte {
		r := id(name, wire.SnapshotPart)
		r.Entities = []wire.SnapshotEntity{{Key: []byte(key), State: []byte("state")}}
		return wire.MarshalState(&r)
	}
	end := func(name string, parts ...[]byte) []byte {
		r, sum := id(name, wire.SnapshotEnd), sha256.New()
		for _, p := range parts {
			sum.Write(p)
		}
		r.Parts, r.Digest = int64(len(parts)), sum.Sum(nil)
		return wire.MarshalState(&r)
	}
	a1, a2, b1 := part("a", "c:1"), part("a", "c:2"), part("b", "c:3")
	for name, tt := range map[string]struct {
		log  [][]byte
		want int64 // 0 for none
	}{
		"nothing":                    {nil, 0},
		"whole":                      {[][]byte{begin("a", 7), a1, a2, end("a", a1, a2)}, 7},
		"of nothing":                 {[][]byte{begin("a", 7), end("a")}, 7},
		"two, one through the other": {[][]byte{begin("a", 7), begin("b", 9), b1, a1, end("b", b1), a2, end("a", a1, a2)}, 9},
		"torn":                       {[][]byte{begin("a", 7), a1}, 0},
		"a part is missing":          {[][]byte{begin("a", 7), a1, end("a", a1, a2)}, 0},
		"a part is another":          {[][]byte{begin("a", 7), a1, a1, end("a", a1, a2)}, 0},
		"cut by retention":           {[][]byte{a2, end("a", a1, a2)}, 0},
		"long ago":                   {slices.Concat([][]byte{begin("a", 7), a1, end("a", a1), begin("b", 9)}, slices.Repeat([][]byte{b1}, 900)), 7},
		"garbage between":            {[][]byte{begin("a", 7), []byte("garbage"), a1, {1}, end("a", a1)}, 7},
	} {
		t.Run(name, func(t *testing.T) {
			copies := memory.NewSnapshots()
			if err := copies.Write(t.Context(), 0, tt.log); err != nil {
				t.Fatal(err)
			}
			var got int64
			w, ok, err := engine.Find(t.Context(), copies, 0, func(stitch.Meta) bool { return true })
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				got = w.Meta.Applied
			}
			if got != tt.want {
				t.Errorf("whole at %v, want %v", got, tt.want)
			}
		})
	}
}
