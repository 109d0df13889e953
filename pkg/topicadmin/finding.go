package topicadmin

import "fmt"

// Severity says what a finding asks for.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // a promise doesn't hold, or work will stop
	Warning Severity = "warning" // works, with less safety than wanted
	Unknown Severity = "unknown" // can't be seen from here
)

// Code is what a finding is about; it stays the same from version to version.
type Code string

// The codes.
const (
	Missing           Code = "missing" // there is no such topic
	Access            Code = "access"  // this client may not do, or see, what is needed
	Partitions        Code = "partitions"
	Replication       Code = "replication"
	Retention         Code = "retention"
	MessageBytes      Code = "max_message_bytes"
	TimestampType     Code = "timestamp_type"      // is configured otherwise
	AppendTimeIgnored Code = "append_time_ignored" // is configured, and records have their writer's time
	Config            Code = "config"              // any other configuration
	Transactions      Code = "transactions"        // a source is written in transactions and not read so
	Unreadable        Code = "unreadable"          // its records can't be looked at
	Snapshots         Code = "snapshots"           // a lost state couldn't be rebuilt, or soon can't
)

// Finding is one thing that is not as it should be.
type Finding struct {
	Severity Severity `json:"severity"`
	Topic    string   `json:"topic"`
	Code     Code     `json:"code"`
	Text     string   `json:"text"` // what is so, and what to do
}

func (f Finding) String() string {
	return fmt.Sprintf("%s %s: %s (%s)", f.Severity, f.Topic, f.Text, f.Code)
}
