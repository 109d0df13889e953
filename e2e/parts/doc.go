// Package parts runs the real parts that Lockstitch stands between, a Kafka
// broker and a Redis server, or clusters of them, as child processes of a test or
// a benchmark: started, killed, paused and started again on the same port and data.
//
// The law of the package: every call returns when its effect can be seen, never
// after a time. A start returns when the part answers a real request, a kill
// when the process is gone, a pause when all of its threads stand still. And no
// part outlives the process that started it. A Proxy stands before a part and does
// to those who talk to it what a network can do.
package parts
