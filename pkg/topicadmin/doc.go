// Package topicadmin brings the topics of package topics to a cluster: it
// reads what is there, applies a plan, and checks what runs. It is used by
// commands that people type and at start, never in the flow of records.
//
// The law of the package: what it can't see it says it can't see. A missing
// permission is a finding of its own, never taken for "as wanted"; and nothing
// is applied of a plan that package topics refuses.
package topicadmin
