package topicadmin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"lockstitch/topics"
)

// Check compares what runs with want and returns what is not as it should be,
// in the order of want; none means that all was seen and is well. It reads a
// few batches of the journal and the sources, and changes nothing: neither the
// cluster nor what cl consumes. The error is of a cluster that doesn't answer.
//
// What lockstitch may do is judged by what cl may, so it wants the same user.
func Check(ctx context.Context, cl *kgo.Client, want []topics.Spec) ([]Finding, error) {
	adm := kadm.NewClient(cl)
	sights := make(map[string]sight, len(want))
	for _, w := range want {
		s, err := see(ctx, adm, w.Name)
		if err != nil {
			return nil, err
		}
		sights[w.Name] = s
	}
	dlq, _ := topics.Find(want, topics.RoleDLQ)
	var all []Finding
	for _, w := range want {
		c := checker{want: w, have: sights[w.Name]}
		c.topic(sights[dlq.Name])
		if c.have.exists && (w.Role == topics.RoleSource || w.Role == topics.RoleJournal) {
			g, err := look(ctx, cl, c.have.detail)
			c.written(g, err)
		}
		all = append(all, c.found...)
	}
	return all, ctx.Err()
}

// checker looks at one topic.
type checker struct {
	want  topics.Spec
	have  sight
	found []Finding
}

func (c *checker) find(s Severity, code Code, format string, args ...any) {
	c.found = append(c.found, Finding{Severity: s, Topic: c.want.Name, Code: code, Text: fmt.Sprintf(format, args...)})
}

func (c *checker) topic(dlq sight) {
	switch {
	case c.have.denied:
		c.find(Error, Access, "may not be described: allow Describe and DescribeConfigs on it")
		return
	case !c.have.exists:
		c.find(Error, Missing, "does not exist: apply the topics plan, or create it")
		return
	}
	c.access()
	if c.have.Configs == nil {
		c.find(Unknown, Access, "its configurations may not be read, so they are unchecked: allow DescribeConfigs on it")
	}
	if c.want.Owner == topics.OwnerUser {
		c.fitsDLQ(dlq)
		return
	}
	c.partitions()
	c.replication()
	if c.have.Configs != nil {
		c.configs()
	}
}

// needs are what lockstitch does with a topic in each role.
var needs = map[topics.Role][]kadm.ACLOperation{
	topics.RoleSource:    {kmsg.ACLOperationRead, kmsg.ACLOperationDescribe},
	topics.RoleSink:      {kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe},
	topics.RoleDecisions: {kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe},
	topics.RoleDLQ:       {kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe},
	topics.RoleJournal:   {kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe},
	topics.RoleSnapshots: {kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe},
}

func (c *checker) access() {
	if c.have.allowed == nil {
		c.find(Unknown, Access, "the cluster does not tell what this user may do with it")
		return
	}
	var lacking []string
	for _, op := range needs[c.want.Role] {
		if !slices.Contains(c.have.allowed, op) {
			lacking = append(lacking, op.String())
		}
	}
	if lacking != nil {
		c.find(Error, Access, "this user lacks %s on it: add an ACL", strings.Join(lacking, ", "))
	}
}

// fitsDLQ checks that the largest record of a source can be quarantined; one
// that can't would stop its partition for good.
func (c *checker) fitsDLQ(dlq sight) {
	takes, ok1 := number(c.have.Configs, topics.MaxMessageBytes)
	room, ok2 := number(dlq.Configs, topics.MaxMessageBytes)
	if ok1 && ok2 && takes > room-topics.HeaderRoom {
		c.find(Error, MessageBytes, "takes records of %d bytes, which %s (%d bytes) can't take with added headers: set %s to %d at most",
			takes, dlq.Name, room, topics.MaxMessageBytes, room-topics.HeaderRoom)
	}
}

func (c *checker) partitions() {
	have, want := c.have.Partitions, c.want.Partitions
	exact := c.want.Role == topics.RoleJournal || c.want.Role == topics.RoleSnapshots
	switch {
	case exact && have != want:
		c.find(Error, Partitions, "has %d partitions and %d are configured: state is kept by partition, so configure what is there", have, want)
	case have < want:
		c.find(Warning, Partitions, "has %d partitions, wanted are %d", have, want)
	}
}

func (c *checker) replication() {
	if c.have.Replication < c.want.Replication {
		c.find(Warning, Replication, "has %d replicas, wanted are %d: reassign its partitions, or configure what is there", c.have.Replication, c.want.Replication)
	}
}

func (c *checker) configs() {
	for _, key := range slices.Sorted(maps.Keys(c.want.Configs)) {
		have, want := c.have.Configs[key], c.want.Configs[key]
		switch key {
		case topics.RetentionMs:
			c.kept(have, want)
		case topics.RetentionBytes:
			c.keptBySize(have, want)
		case topics.MaxMessageBytes:
			if less(have, want) {
				c.find(Error, MessageBytes, "%s is %q, less than the %s that may be sent: apply the topics plan", key, have, want)
			}
		case topics.TimestampType:
			c.timestamps(have, want)
		case topics.MinInSync:
			c.inSync(have, want)
		case topics.CleanupPolicy:
			if have != want {
				c.find(Error, Config, "%s is %q, and only %s keeps every record for its time: change it by hand", key, have, want)
			}
		default:
			if have != want {
				c.find(Warning, Config, "%s is %q, wanted is %s: apply the topics plan", key, have, want)
			}
		}
	}
	if c.have.Configs["unclean.leader.election.enable"] == "true" {
		c.find(Warning, Config, "unclean.leader.election.enable is true: a broker that lags may take over and cut what was acknowledged; set it to false")
	}
}

func (c *checker) kept(have, want string) {
	switch {
	case have == want:
	case less(have, want):
		c.find(Error, Retention, "%s is %q, shorter than the %s that is promised: apply the topics plan", topics.RetentionMs, have, want)
	default:
		c.find(Warning, Retention, "%s is %q, longer than the %s configured; erased persons stay in it as long: configure what is meant", topics.RetentionMs, have, want)
	}
}

func (c *checker) keptBySize(have, want string) {
	if have != want && less(have, want) {
		c.find(Error, Retention, "%s is %q, so a busy day deletes records before their time; wanted is %s: apply the topics plan", topics.RetentionBytes, have, want)
	}
}

func (c *checker) timestamps(have, want string) {
	if have == want {
		return
	}
	severity := Warning
	if c.want.Role == topics.RoleJournal {
		severity = Error // the fold's clock
	}
	c.find(severity, TimestampType, "%s is %q, wanted is %s: apply the topics plan", topics.TimestampType, have, want)
}

func (c *checker) inSync(have, want string) {
	n, ok := number(c.have.Configs, topics.MinInSync)
	switch {
	case ok && n > int64(c.have.Replication):
		c.find(Error, Config, "%s is %d with %d replicas: no write can be acknowledged; apply the topics plan", topics.MinInSync, n, c.have.Replication)
	case have != want && less(have, want):
		c.find(Warning, Config, "%s is %q, wanted is %s: acknowledged records can be lost with one broker; apply the topics plan", topics.MinInSync, have, want)
	}
}

// written judges how the topic is written, as far as it could be seen.
func (c *checker) written(g glimpse, err error) {
	if err != nil {
		c.find(Unknown, Unreadable, "its records can't be looked at: %v", err)
	}
	switch {
	case c.want.Role == topics.RoleJournal:
		if g.ownTime && c.have.Configs[topics.TimestampType] == topics.LogAppendTime {
			c.find(Warning, AppendTimeIgnored, "its last records have their writer's time in spite of %s: the broker ignores it, or it was set after them; the clocks of all lockstitch processes must agree",
				topics.LogAppendTime)
		}
	case g.transactional && c.want.Isolation != topics.ReadCommitted:
		c.find(Error, Transactions, "is written in transactions: set its isolation to %s, or what was aborted is read as if it had happened", topics.ReadCommitted)
	}
}

// number reads a configuration; ok is false where it is no number or unknown.
func number(configs map[string]string, key string) (n int64, ok bool) {
	n, err := strconv.ParseInt(configs[key], 10, 64)
	return n, err == nil
}

// less compares two values of Kafka's limits, where -1 is none. What is no
// number is less than any.
func less(a, b string) bool {
	x, err := strconv.ParseInt(a, 10, 64)
	if err != nil {
		return true
	}
	y, err := strconv.ParseInt(b, 10, 64)
	if err != nil {
		return false
	}
	return uint64(x) < uint64(y) // -1 becomes the largest
}
