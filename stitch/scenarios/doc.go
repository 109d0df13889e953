// Package scenarios runs the laws of Lockstitch as readable scripts: see
// README.md. The files are run on the core here, and end to end by pkg/app.
package scenarios
