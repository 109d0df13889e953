// Package mutants shows that the safeguards are needed and that the tests miss
// them: each is taken away, one at a time, and a test has to fail (`make mutants`).
package mutants
