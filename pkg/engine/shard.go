package engine

import (
	"github.com/cespare/xxhash/v2"

	"lockstitch/stitch"
)

// PartitionOf returns the journal partition that owns an entity, of n ≥ 1. It is
// part of the journal's format: with another function, or another n, messages
// would go past the state of their entities.
func PartitionOf(key stitch.Key, n int) int32 {
	var b [64]byte
	return int32(xxhash.Sum64(append(append(b[:0], byte(key.Kind), ':'), key.ID...)) % uint64(n)) // of key.String()
}
