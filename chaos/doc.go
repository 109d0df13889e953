//go:build e2e

// Command chaos breaks a whole installation again and again while it works, and
// then judges all that it did (docs/reliability.md, "Chaos").
//
//	go run -tags e2e ./chaos [--for 5m] [--seed N] [--processes 3] [--rate R] [--json]
//
// One real Kafka broker, one real Redis and some `lockstitch run` are killed,
// paused, cut off and robbed of their data, as package faults plans it from the
// seed, while generated traffic comes in. Progress must come back after each
// fault. At the end everything is healed and comes to rest, and then
//
//   - `audit` is clean, and nothing is pending or unjudged;
//   - what stands in journal, sink, decisions and DLQ, repeats dropped, equals
//     what ingest and a sequential fold of the journal say;
//   - the state in Redis is, byte for byte, that fold, and the refold's too.
//
// The law of the package: a violation is told with what broke before it, and ends
// the run with code 1 and its folder kept. What can't be judged is one.
package main
