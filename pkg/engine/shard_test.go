package engine

import (
	"fmt"
	"testing"

	"lockstitch/stitch"
)

// TestPartitionOf pins the journal's format: a change here orphans all state.
func TestPartitionOf(t *testing.T) {
	for _, tc := range []struct {
		key  stitch.Key
		n    int
		want int32
	}{
		{stitch.Key{Kind: stitch.KindCustomer, ID: "42"}, 64, 41},
		{stitch.Key{Kind: stitch.KindDevice, ID: "42"}, 64, 18},
		{stitch.Key{Kind: stitch.KindFact, ID: "größe\x00\xff"}, 64, 55},
		{stitch.Key{Kind: stitch.KindAddress, ID: "ada@example.org"}, 3, 2},
		{stitch.Key{Kind: stitch.KindAddress, ID: ""}, 1, 0},
	} {
		if got := PartitionOf(tc.key, tc.n); got != tc.want {
			t.Errorf("%v of %d: partition %d, want %d", tc.key, tc.n, got, tc.want)
		}
	}
}

func TestPartitionOfSpreads(t *testing.T) {
	var count [16]int
	for i := range 16000 {
		count[PartitionOf(stitch.Key{Kind: stitch.KindCustomer, ID: fmt.Sprint(i)}, len(count))]++
	}
	for p, n := range count {
		if n < 800 || n > 1200 {
			t.Errorf("partition %d owns %d of 16000 entities", p, n)
		}
	}
}
