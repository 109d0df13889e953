// Package refold folds journal partitions afresh, by the processors' own code, in
// memory: to see whether Redis is the fold of the journal (Check), and to write a
// snapshot without a processor (Snapshot). Rebuild has a processor fold afresh.
//
// The law of the package: it publishes nothing, commits nothing, and changes the
// state in Redis by nothing but Rebuild's one mark. All of it may be done while
// processors run. A partition needs about as much memory here as in Redis.
package refold
