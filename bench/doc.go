//go:build e2e

// Command bench measures Lockstitch against the least that any job on the same
// brokers costs: a bare copy of the same records (docs/benchmarks.md).
//
//	go run -tags e2e ./bench [--records N] [--rounds N] [--json]
//
// The law of the package: what is compared runs in one run, in turns, on the same
// records, and is measured alike: from its start, before it knows a topic, to the
// append time of the last record in the last topic. Absolute figures are the
// machine's, ratios are ours.
package main
