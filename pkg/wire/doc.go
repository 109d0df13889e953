// Package wire is where bytes become events and outputs become bytes: Segment
// records in, Customer.io operations, decisions and dead letters out, and the
// journal's messages and the entities' state in between.
//
// The law of the package: everything here is a pure function of its arguments.
// Decode turns a source record into exactly one of an event and a dead letter,
// the same ones every time, and never panics; what it encodes for the sink is
// valid by the vendor's schema; what it encodes for the journal and for Redis
// is deterministic, and is read back as the same value. Dead letters say where
// a record is wrong and never quote it; nothing here logs.
//
// Ingest calls DecodeInto, an owner a Decoder and UnmarshalState; both encode into a
// Room.
package wire
