// Package kafka is the adapter to Kafka: it implements the engine's ports Log
// and Sources, and carries source records to ingest. It is the only package
// that names a Kafka client: franz-go for everything that must be exact, and
// kafka-go's consumer group for sharing plain source topics out.
//
// The law of the package: what was revoked never commits. Each assignment of a
// partition is an object of its own; it dies, under a lock that its commits and
// writes take as well, before the rebalance goes on, and a commit carries the
// generation in which the object was alive. And nothing is written after
// something that failed: sizes are checked before the first byte is sent, the
// producer is idempotent, has no retry limit and stops on data loss.
//
// Files: conn.go and bearer.go (how to connect), producer.go (the one ordered way out),
// group.go, log.go, commits.go, feed.go (the processor's side), ingest*.go (the
// sources' side), sources.go, lag.go and dump.go (what is read of a cluster),
// write.go (source records for a try).
package kafka
