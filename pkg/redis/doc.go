// Package redis is the engine's State in Redis: a view of the journal that one
// owner at a time moves on, by compare-and-set.
//
// The law of the package: a partition's state changes in one Lua call or not at
// all. A script checks everything before its first write, because Lua has no
// rollback; every key it touches is among its KEYS, under the partition's hash
// tag. Only silence is asked again, and only by Swap, which may safely come
// twice: an answer of Redis is an answer, and goes to the owner, who waits.
//
// All key names are made in keys.go, all scripts stand in scripts.go. No error
// names an entity: IDs are personal data.
package redis
