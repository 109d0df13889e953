// Package config is the one configuration file, lockstitch.yaml: read, expanded,
// checked, shown, and explained.
//
// The law of the package: what a file says is what happens, or Load refuses it.
// A field that isn't known, a variable that isn't set and a value that can't be
// are errors with the place and the way out, all of them at once where that is
// possible; what a file leaves out has a default that is written down. A secret
// comes from the environment or from a file of its own, never from this file,
// and no way of printing a Config shows one.
//
// Files: fields.go (every field, its comment, which is also the reference's),
// defaults.go, load.go and expand.go (file to Config), values.go (durations,
// lists, secrets), validate.go, show.go (Config to text), derive.go (what others
// need of it).
package config
