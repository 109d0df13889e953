// Package report tells people what a run did, from its raw output records
// alone: a table of records and outcomes, and a summary that a person can check.
package report
