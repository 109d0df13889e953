package engine

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"lockstitch/stitch"
)

// Pages is how many pages a partition's state has. Whoever copies or checks a
// state reads it page by page, by number: a cursor over keys would not outlive a
// failover.
const Pages = 256

// PageOf returns the page that holds an entity's state, 0 to Pages-1. It is part
// of the state's format.
func PageOf(key string) int {
	return int(xxhash.Sum64String(key) >> 32 % Pages) // the lower bits chose the partition
}

// PagesOf returns those entities that stand on pages [first, first+n), page by
// page, each in key order.
func PagesOf[V []byte | string](all iter.Seq2[string, V], first, n int) []KV {
	var found []KV
	for k, v := range all {
		if page := PageOf(k); first <= page && page < first+n {
			found = append(found, KV{Key: k, Value: []byte(v)})
		}
	}
	slices.SortFunc(found, func(a, b KV) int {
		return cmp.Or(cmp.Compare(PageOf(a.Key), PageOf(b.Key)), strings.Compare(a.Key, b.Key))
	})
	return found
}

// PartitionOf returns the journal partition that owns an entity, of n ≥ 1. It is
// part of the journal's format: with another function, or another n, messages
// would go past the state of their entities.
func PartitionOf(key stitch.Key, n int) int32 {
	var b [64]byte
	return int32(xxhash.Sum64(append(append(b[:0], byte(key.Kind), ':'), key.ID...)) % uint64(n)) // of key.String()
}
