// Package try runs the very ingest and fold of the product offline, over lines
// of JSON, without Kafka or Redis: what a team tests its tracking plan with,
// and what every run on real parts is compared with.
//
// The law of the package: line order is arrival order, offsets count from 0 in
// each topic, and every message that an entity sends is handled before the next
// line arrives. A line's arrival is its time; one without arrives with the line
// before it. After the last line, time runs on until nothing waits any more.
package try
