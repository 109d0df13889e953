// Package topics is the topics of Lockstitch as reviewed files, and the pure
// plan from what a cluster has to what it should have. It knows no Kafka
// client, no clock and no environment; pkg/topicadmin reads and applies.
//
// The law of the package: a plan never loses a record. It deletes no topic,
// shortens no retention of journal, DLQ or sink where records may lie, and
// changes the number of partitions of what is spread by key only while nothing
// was written. What it won't do it says, with what a person can do instead,
// and then nothing of the plan is applied. Topics of the user are created
// where they are missing, and never altered.
package topics
