// Package app puts the pieces together as the configuration says, and runs them:
// ingest, processors, health and metrics, with clean-ups in the reverse order of
// their making. Commands and end-to-end tests use the same App.
package app
