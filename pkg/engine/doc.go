// Package engine carries out what package stitch decides: it takes a journal
// partition over, folds it, publishes, remembers and commits, in that order
// (PROTOCOL: "One batch of partition p"). It owns the ports to Kafka and Redis
// and their conformance suites (package enginetest); adapters implement them.
//
// The law of the package: effects happen in the order publish, compare-and-set,
// commit, and each only after the one before was acknowledged. Whatever dies in
// between, the next owner finds a state that is the fold of a known prefix of
// the journal, and repeats at most the batch in flight, as the same bytes.
package engine
