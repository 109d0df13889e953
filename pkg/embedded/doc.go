// Package embedded stands in for Kafka and Redis on one machine: a broker (kfake)
// and a Redis (miniredis) inside this process, on loopback ports that other
// programs can use. It is for trying, developing and testing, not for production:
// one broker, one process, and a Redis that forgets everything at a restart.
//
// The law of the package: what the broker acknowledged is on disk. So after a
// restart on the same folder the journal is whole, and the state, which is gone
// with the embedded Redis, is folded from it again.
//
// kfake keeps the writer's time stamp where a topic says LogAppendTime. There the
// journal's log time is the stamp of Lockstitch's own producer, the only writer.
package embedded
