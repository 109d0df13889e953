// Package audit judges a running Lockstitch by what stands in its topics: for
// each source record exactly one outcome, nothing lost, nothing in conflict
// (docs/promises.md, 2.1 and 2.2).
//
// The law of the package: a finding is certain. What is still under way is
// pending and never missing; what retention has cut away is unjudged and said to
// be so. That holds on a live system because of the order in which Cluster.Marks
// reads: how far ingest has committed, then how far the journal is folded, then
// where the journal ends, the outputs end, the sources end. All that was caused
// below the first marks is out below the last ones.
//
// The core takes streams of records and gives a report; it knows no Kafka.
// Package kafka implements Cluster. Memory: 2 bytes a source record in the range,
// and a bounded rest; the places of output records are sorted on disk, 32 bytes
// a record (spill.go). The report names positions, places, outcomes and reasons,
// never a person.
//
// Files: audit.go (the port, and the order of work), table.go (two bytes for
// each source record), journal.go (what is under way, and how far it came),
// outputs.go (outcomes), places.go (repeats), spill.go (the sort), judge.go (the
// verdict), report.go (what is told).
package audit
