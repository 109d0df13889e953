package traffic

import "testing"

func BenchmarkNext(b *testing.B) {
	g := New(Options{Seed: 1, Garbage: DefaultGarbage})
	for range 100_000 { // past the births
		g.Next()
	}
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(g.Next().Value)))
	}
}
