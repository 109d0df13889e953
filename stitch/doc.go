// Package stitch is the pure core of Lockstitch: it decides, and does nothing
// else. It has no I/O, no clock, no goroutine, no logging and no randomness;
// time is an argument (log time), and every effect is a returned value.
//
// The law of the package: the state of a journal partition is the fold of its
// records, and every output is a pure function of the records folded so far.
// One record is a message to one entity (a device, a fact such as an order, a
// person); handling it reads and writes that entity alone. What one entity
// must know of another reaches it as a message, through the journal, so that
// arrival order is data and what raced is settled by the log.
//
// The laws themselves are those of docs/promises.md; comments name
// them as "law identity.5" or "law duplicates.3".
package stitch
