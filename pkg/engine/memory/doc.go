// Package memory is the engine's State and Log within the process: for
// simulators, for tests, and wherever nothing needs to outlive the process.
//
// The law of the package: it is deterministic, and it never waits. There is no
// goroutine, no clock of its own and no sleep, so a schedule that is run again
// gives the same bytes; Log.Read returns at once with nothing when there is
// nothing. It keeps the sentences of the ports otherwise (package enginetest).
package memory
