package feed_test

import (
	"bytes"
	"testing"

	"lockstitch/pkg/feed"
)

func BenchmarkLines(b *testing.B) {
	var text []byte
	for _, line := range made(10_000) {
		text, _ = feed.Append(text, line)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range feed.Lines("bench", bytes.NewReader(text)) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/line")
}

// BenchmarkProduce writes to a broker in the same process.
func BenchmarkProduce(b *testing.B) {
	lines := made(100_000)
	for b.Loop() {
		b.StopTimer()
		c := cluster(b)
		b.StartTimer()
		if _, err := feed.Produce(deadline(b), from(lines, nil), feed.Options{Brokers: c.ListenAddrs()}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		c.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(len(lines))*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
