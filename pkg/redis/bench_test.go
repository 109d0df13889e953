package redis

import (
	"fmt"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

func BenchmarkEmbedded(b *testing.B) { benchmark(b, open(b, embedded(miniredis.RunT(b)))) }

// benchmark does what a batch of 500 entities of 400 bytes does: one Read and
// one Swap, nothing cached. The figure that counts is entities/s.
func benchmark(b *testing.B, s *State) {
	const n, size = 500, 400
	begin(b, s, 0, engine.Position{}, "g")
	batches := make([][]string, 16)
	for i := range batches {
		for k := range n {
			batches[i] = append(batches[i], fmt.Sprintf("c:customer-%d", i*n+k))
		}
	}
	value, at := make([]byte, size), int64(0)
	b.ReportAllocs()
	for b.Loop() {
		keys := batches[at%int64(len(batches))]
		_, before, _, err := s.Read(b.Context(), 0, "g", keys)
		if err != nil || before.Applied != at {
			b.Fatal(before, err)
		}
		d := step("g", at)
		for i, k := range keys {
			d.Set = append(d.Set, engine.KV{Key: k, Value: value})
			if i%50 == 0 {
				d.Timers = append(d.Timers, engine.TimerChange{Key: k, Timer: stitch.Timer{At: at + 1}})
			}
		}
		swap(b, s, 0, d)
		at++
	}
	b.ReportMetric(float64(n)*float64(at)/b.Elapsed().Seconds(), "entities/s")
}
