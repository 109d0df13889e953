package topics

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is what a change does.
type Kind string

// The kinds of changes.
const (
	Create        Kind = "create"
	SetPartitions Kind = "partitions"
	SetConfig     Kind = "config"
	Note          Kind = "note"    // for a person to do, or to know; nothing is applied
	Refused       Kind = "refused" // would lose something; nothing of the plan is applied
)

// sign is how the change is marked in the readable form.
func (k Kind) sign() string {
	switch k {
	case Create:
		return "+"
	case SetPartitions, SetConfig:
		return "~"
	}
	return "!"
}

// Change is one thing to do, or not to be done. Of a Create, Partitions,
// Replication and Configs are set; of the others, Setting (a configuration's
// name, "partitions" or "replication") with From and To, where there is one.
type Change struct {
	Kind        Kind              `json:"kind"`
	Topic       string            `json:"topic"`
	Setting     string            `json:"setting,omitempty"`
	From        string            `json:"from,omitempty"` // empty: not set at all
	To          string            `json:"to,omitempty"`
	Partitions  int32             `json:"partitions,omitempty"`
	Replication int16             `json:"replication,omitempty"`
	Configs     map[string]string `json:"configs,omitempty"`
	Reason      string            `json:"reason,omitempty"`
}

// String returns the change as one line, and for a Create one more for each
// configuration, without a line end.
func (c Change) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", c.Kind.sign(), c.Topic)
	switch {
	case c.Kind == Create:
		fmt.Fprintf(&b, ": %s, %s", count(c.Partitions, "partition"), count(c.Replication, "replica"))
		for _, key := range slices.Sorted(maps.Keys(c.Configs)) {
			fmt.Fprintf(&b, "\n    %s = %s", key, human(key, c.Configs[key]))
		}
	case c.Setting != "":
		fmt.Fprintf(&b, ": %s %s -> %s", c.Setting, human(c.Setting, c.From), human(c.Setting, c.To))
	}
	switch c.Kind {
	case Refused:
		b.WriteString(" refused: " + c.Reason)
	case Note:
		b.WriteString(" not applied: " + c.Reason)
	}
	return b.String()
}

// count is n of a thing, in words.
func count[T int16 | int32](n T, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return itoa(n) + " " + thing + "s"
}

// human adds to a number of milliseconds or bytes what a person would call it.
func human(key, value string) string {
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case value == "":
		return "(none)"
	case err != nil:
		return value
	case n < 0 && (key == RetentionMs || key == RetentionBytes):
		return value + " (no limit)"
	case strings.HasSuffix(key, ".ms"):
		return value + units(n, milliseconds)
	case strings.HasSuffix(key, ".bytes"):
		return value + units(n, binary)
	}
	return value
}

type unit struct {
	size int64
	name string
}

var (
	milliseconds = []unit{
		{24 * time.Hour.Milliseconds(), "d"}, {time.Hour.Milliseconds(), "h"},
		{time.Minute.Milliseconds(), "m"}, {time.Second.Milliseconds(), "s"},
	}
	binary = []unit{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}}
)

// units returns n in the largest unit that divides it, or nothing.
func units(n int64, all []unit) string {
	for _, u := range all {
		if n != 0 && n%u.size == 0 {
			return fmt.Sprintf(" (%d %s)", n/u.size, u.name)
		}
	}
	return ""
}

// Changes is a plan, in the order in which it is applied. It marshals to a JSON
// array.
type Changes []Change

// String returns the plan as a diff: + what is created, ~ what is altered, !
// what is left to a person or refused. No changes say so.
func (cs Changes) String() string {
	if len(cs) == 0 {
		return "topics are as they should be\n"
	}
	var b strings.Builder
	for _, c := range cs {
		b.WriteString(c.String() + "\n")
	}
	return b.String()
}

// Err returns a *RefusedError where any change is refused, else nil.
func (cs Changes) Err() error {
	var refused Changes
	for _, c := range cs {
		if c.Kind == Refused {
			refused = append(refused, c)
		}
	}
	if refused == nil {
		return nil
	}
	return &RefusedError{Refusals: refused}
}

// RefusedError says what a plan refuses. Who gets it applies nothing and shows
// it to a person.
type RefusedError struct {
	Refusals Changes // all of Kind Refused, at least one
}

func (e *RefusedError) Error() string {
	lines := make([]string, len(e.Refusals))
	for i, c := range e.Refusals {
		lines[i] = strings.TrimPrefix(c.String(), "! ")
	}
	return "the topics plan is refused: " + strings.Join(lines, "; ")
}
