// Package metrics is what an operator sees of a process: Prometheus metrics, log
// lines about take-overs and trouble, and the HTTP listener with /metrics, /ping
// and /ready.
//
// The law of the package: it watches and decides nothing, and it tells nobody
// apart. Labels are topics, partition numbers and words of ours; no identifier, no
// offset and no text of an error is ever one, and no identifier is logged.
// Counters count what this process did, repeats after a crash too; the exact
// account is the output topics'.
//
// Files: metrics.go (what is measured), observer.go (what the engine tells),
// trouble.go (kinds of trouble, and its log), lag.go (how far behind), server.go
// and ready.go (HTTP).
package metrics
