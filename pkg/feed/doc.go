// Package feed brings source records into Kafka from files, from standard input
// and from the traffic generator.
//
// The law of the package: nothing is passed over. A line that can't be read ends
// the feed with an error that names file and line number, and a record counts as
// written when all in-sync replicas have it. Lines keep their order within a
// partition, and a key lands on the partition where every other producer with
// Kafka's default partitioner would put it (murmur2; a record without a key is
// dealt at random). A write that failed half-way may stand twice afterwards: the
// producer isn't idempotent, and Lockstitch drops the same message by itself.
//
// A line is a JSON object with topic, key, value and, optionally, time. A value
// that is a JSON text is the record's bytes, so that a record that is no JSON
// can be written down; any other value is the record, byte for byte.
package feed
