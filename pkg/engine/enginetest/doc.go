// Package enginetest is the conformance suites of the engine's ports: what an
// adapter must do, sentence by sentence of the ports' comments.
//
// The law of the package: the suites know the ports alone. They run over every
// adapter alike (in memory, embedded, real), wait for conditions and never for
// a time, and need neither an order of subtests nor a server of their own: each
// subtest asks for a fresh State or a fresh journal.
package enginetest
