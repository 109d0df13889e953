// Package traffic makes the traffic of a shop as its SDKs send it: an endless
// stream of source records, the same ones for the same options, byte for byte.
//
// The law of the package: a line is a pure function of the options and of the
// lines before it. No clock is read, and randomness comes from one seeded
// generator, so that a failure seen with a seed is seen again. Arrival times
// never go back. All that is made up can be told as made up: people live at
// example.com, and phone numbers are in the range that is reserved for fiction.
//
// What the people do (visit.go), what an order's copies do (order.go), and what
// the network and careless callers do to it all (send.go, garbage.go) follows
// the samples of real SDKs in testdata/samples: browsers that fill in a user ID
// when they send again, phones that flush hours later, devices that two people
// use, logouts that name the wrong anonymous ID. The records have the shapes of
// eight SDKs (web.go, app.go, server.go); what nobody reads in them, such as the
// size of the screen, is left out to keep them at some 600 bytes.
//
// Memory is bounded: a person takes up about a kilobyte, and lines that arrive
// later than they were made (re-sends, late phones) wait for their arrival.
// People leave after some visits, and others with new IDs take their places.
package traffic
