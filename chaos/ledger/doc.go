// Package ledger compares what stands in topics with what should: for each sender
// partition, by place, as checksums, 24 bytes a record. So millions of records
// are compared in memory, one sender after the other.
//
// The law of the package: repeats of the same bytes count once; anything else
// that differs is a finding.
package ledger
