// Package faults is what a chaos run does, as a function of its seed: the same
// seed gives the same kinds with the same figures in the same order. How far each
// gets before the next is the run's.
//
// The law of the package: it is pure. It names faults and carries none out.
package faults
