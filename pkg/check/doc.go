// Package check judges a run of Lockstitch from outside: given the records that
// went in and the records that came out, it says which laws of
// docs/promises.md the output breaks, and where.
//
// The law of the package: it shares no code with what it judges. It imports
// nothing of this module, decodes the Segment spec, the order keys and the
// refused IDs by itself, and knows the fold only by its records. So a mistake in
// the fold can't hide in the same mistake here.
//
// A violation is certain: where a law depends on what can't be seen from outside
// (the interleaving of partitions, the log's clock), the checker asks only for
// what holds in every interleaving. Violations name source positions and places,
// never IDs, addresses or values.
package check
