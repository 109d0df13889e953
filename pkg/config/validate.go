package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// checker collects what is wrong, each with its field.
type checker struct{ errs []error }

func (k *checker) want(ok bool, field, format string, args ...any) {
	if !ok {
		k.errs = append(k.errs, fmt.Errorf("%s: "+format, append([]any{field}, args...)...))
	}
}

// oneOf wants one of the allowed texts.
func (k *checker) oneOf(field, value string, allowed ...string) {
	k.want(slices.Contains(allowed, value), field, "%q is not known: write %s", value, strings.Join(allowed, " or "))
}

var (
	environmentName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)
	originName      = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,63}$`)
	kafkaName       = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)
)

// maxTopicName is Kafka's limit, in bytes, with the prefix.
const maxTopicName = 249

// Validate says everything that can't be: each error names the field, what is
// wrong and what to do. No error holds a secret, or an address, which may hold one.
func (c *Config) Validate() error {
	var k checker
	k.want(environmentName.MatchString(c.Environment), "environment",
		"%q is no name: write up to 32 lower-case letters, digits, - and _, such as staging", c.Environment)
	k.want(c.Prefix == "" || kafkaName.MatchString(c.Prefix), "prefix",
		"%q can't begin a topic's name: use letters, digits, '.', '_' and '-'", c.Prefix)
	c.Kafka.check(&k)
	c.Redis.check(&k)
	c.checkParts(&k)
	c.checkSources(&k)
	c.checkTopics(&k)
	c.checkSizes(&k)
	c.Fold.check(&k)
	c.Identity.check(&k)
	c.Process.check(&k)
	c.checkOutlets(&k)
	return errors.Join(k.errs...)
}

func (x Kafka) check(k *checker) {
	k.addresses("kafka.brokers", x.Brokers)
	x.TLS.check(k, "kafka.tls")
	x.SASL.check(k)
	k.want(kafkaName.MatchString(x.Group), "kafka.group",
		"%q is no name of a consumer group: use letters, digits, '.', '_' and '-'", x.Group)
}

func (k *checker) addresses(field string, list List) {
	for i, a := range list {
		host, port, err := net.SplitHostPort(a)
		n, _ := strconv.Atoi(port)
		k.want(err == nil && host != "" && !strings.ContainsAny(host, "/@") && 0 < n && n < 65536,
			fmt.Sprintf("%s[%d]", field, i), "this is no address: write host:port, such as kafka-1:9092, without a scheme or user")
	}
}

func (t TLS) check(k *checker, field string) {
	files := t.CAFile + t.CertFile + t.KeyFile + t.ServerName
	k.want(t.Enabled || files == "", field+".enabled",
		"it is false, but other TLS fields are set: set it to true, or remove them")
	k.want((t.CertFile == "") == (t.KeyFile == ""), field,
		"cert_file and key_file belong together: give both, or neither")
}

func (s SASL) check(k *checker) {
	tokens := s.TokenFile != "" || s.TokenURL != "" || len(s.Scopes) > 0
	switch s.Mechanism {
	case "":
		k.want(s.User == "" && s.Password.Reveal() == "" && !tokens, "kafka.sasl.mechanism",
			"it is missing, but other fields of sasl are set: write plain, scram-sha-256, scram-sha-512 or oauthbearer")
		return
	case OAuthBearer:
		s.checkTokens(k)
		return
	}
	k.oneOf("kafka.sasl.mechanism", s.Mechanism, "plain", "scram-sha-256", "scram-sha-512", OAuthBearer)
	k.want(!tokens, "kafka.sasl.mechanism", "it is %s, but a field for tokens is set: remove that, or write oauthbearer", s.Mechanism)
	s.checkUser(k, s.Mechanism)
}

func (s SASL) checkUser(k *checker, by string) {
	k.want(s.User != "", "kafka.sasl.user", "it is missing: %s needs one", by)
	k.want(s.Password.Reveal() != "", "kafka.sasl.password",
		"it is missing: give it as ${NAME}, or name its file in password_file")
}

// checkTokens wants one place that tokens come from.
func (s SASL) checkTokens(k *checker) {
	if s.TokenURL == "" {
		k.want(s.TokenFile != "", "kafka.sasl.token_file", "it is missing: oauthbearer needs it, or token_url")
		k.want(s.User == "" && s.Password.Reveal() == "" && len(s.Scopes) == 0, "kafka.sasl.token_url",
			"it is missing, but user, password or scopes are set: give the endpoint that they are for, or remove them")
		return
	}
	k.want(s.TokenFile == "", "kafka.sasl.token_file", "token_url is given too: keep one")
	u, err := url.Parse(s.TokenURL)
	k.want(err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil, "kafka.sasl.token_url",
		"this is no address of an endpoint: write https://host/path, without a user")
	s.checkUser(k, "token_url")
}

func (x Redis) check(k *checker) {
	k.addresses("redis.addresses", x.Addresses)
	x.TLS.check(k, "redis.tls")
	k.want(x.DB >= 0, "redis.db", "%d can't be: write 0 or more", x.DB)
	k.want(x.DB == 0 || len(x.Addresses) < 2 || x.Sentinel.Master != "", "redis.db", "a Redis Cluster has only database 0: write 0")
	k.want(x.Username == "" || x.Password.Reveal() != "", "redis.password",
		"it is missing, but a user is set: give it as ${NAME}, or name its file in password_file")
	x.Sentinel.check(k, len(x.Addresses) > 0)
}

func (s Sentinel) check(k *checker, addresses bool) {
	if s.Master == "" {
		k.want(s.Username == "" && s.Password.Reveal() == "", "redis.sentinel.master",
			"it is missing, but a user or password of sentinels is set: name the master, or remove them")
		return
	}
	k.want(addresses, "redis.addresses", "they are empty, but redis.sentinel.master is set: name the sentinels")
	k.want(strings.TrimSpace(s.Master) == s.Master, "redis.sentinel.master", "it has white space around it: remove that")
	k.want(s.Username == "" || s.Password.Reveal() != "", "redis.sentinel.password",
		"it is missing, but a user is set: give it as ${NAME}, or name its file in password_file")
}

// checkParts refuses half of the parts: a forgotten address would quietly put
// state beside a real Kafka into memory.
func (c *Config) checkParts(k *checker) {
	kafka, redis := len(c.Kafka.Brokers) > 0, len(c.Redis.Addresses) > 0
	k.want(redis || !kafka, "redis.addresses",
		"they are empty, but kafka.brokers is set: name the Redis too, or leave both empty for the embedded parts")
	k.want(kafka || !redis, "kafka.brokers",
		"they are empty, but redis.addresses is set: name the brokers too, or leave both empty for the embedded parts")
	e := c.Embedded
	k.want(e.Dir != "", "embedded.dir", "it is empty: name a folder, such as .lockstitch")
	k.want(0 <= e.KafkaPort && e.KafkaPort < 65536, "embedded.kafka_port", "%d is no port: write 0 (any free) to 65535", e.KafkaPort)
	k.want(0 <= e.RedisPort && e.RedisPort < 65536, "embedded.redis_port", "%d is no port: write 0 (any free) to 65535", e.RedisPort)
	k.want(e.KafkaPort == 0 || e.KafkaPort != e.RedisPort, "embedded.redis_port", "%d is kafka_port too: give two ports", e.RedisPort)
}

func (c *Config) checkSources(k *checker) {
	k.want(len(c.Sources) > 0, "sources", "the list is empty: name a topic to read, or remove the field for the default four")
	for i, s := range c.Sources {
		field := fmt.Sprintf("sources[%d]", i)
		k.want(originName.MatchString(s.Origin), field+".origin",
			"%q is no name: write lower-case letters, digits, '.', '_' and '-', such as web", s.Origin)
		k.oneOf(field+".isolation", s.Isolation, ReadUncommitted, ReadCommitted)
		k.want(strings.TrimSpace(s.Shop) == s.Shop, field+".shop", "it has white space around it: remove that")
	}
}

// checkTopics checks every topic's name, and that none has two uses.
func (c *Config) checkTopics(k *checker) {
	used := map[string]string{}
	check := func(field, name string) {
		full := c.Prefixed(name)
		k.want(kafkaName.MatchString(name) && len(full) <= maxTopicName && full != "." && full != "..", field,
			"%q is no name of a topic: use letters, digits, '.', '_' and '-', %d with the prefix", name, maxTopicName)
		k.want(used[name] == "", field, "%q is the topic of %s too: give each its own", name, used[name])
		used[name] = field
	}
	for i, s := range c.Sources {
		check(fmt.Sprintf("sources[%d].topic", i), s.Topic)
	}
	check("topics.journal", c.Topics.Journal)
	check("topics.sink", c.Topics.Sink)
	check("topics.decisions", c.Topics.Decisions)
	check("topics.dlq", c.Topics.DLQ)
	check("topics.snapshots", c.Topics.Snapshots)
}

func (c *Config) checkSizes(k *checker) {
	k.want(0 <= c.JournalPartitions && c.JournalPartitions <= 1024, "journal_partitions",
		"%d can't be: write 1 to 1024, or 0 for the default", c.JournalPartitions)
	k.want(0 <= c.Replication && c.Replication <= 9, "replication",
		"%d can't be: write 1 to 9, or 0 for the default", c.Replication)
	for field, d := range c.Retention.byField() {
		k.want(d == 0 || d >= Duration(time.Minute) && time.Duration(d)%time.Millisecond == 0, "retention."+field,
			"%s can't be: write whole milliseconds, a minute at least, or 0s for the topic's file", d)
	}
}

func (r Rules) check(k *checker) {
	n := len(k.errs)
	positive := func(field string, d Duration) {
		k.want(time.Duration(d) >= time.Millisecond, "rules."+field, "%s can't be: write a millisecond at least", d)
	}
	positive("duplicate_window", r.DuplicateWindow)
	positive("shared_device_ends", r.SharedDeviceEnds)
	k.want(r.TakeOverDelay >= 0, "rules.take_over_delay", "%s can't be: write 0s or more", r.TakeOverDelay)
	k.want(r.MaxCustomersPerAnonymousID >= 1, "rules.max_customers_per_anonymous_id", "%d can't be: write 1 or more", r.MaxCustomersPerAnonymousID)
	k.want(r.MaxAnonymousIDsPerCustomer >= 1, "rules.max_anonymous_ids_per_customer", "%d can't be: write 1 or more", r.MaxAnonymousIDsPerCustomer)
	k.oneOf("rules.shared_device", r.SharedDevice, Ambiguous, LastLogin)
	keeps := func(field string, d Duration) {
		k.want(d >= r.DuplicateWindow, "rules."+field, "%s is shorter than duplicate_window (%s): keep state at least as long", d, r.DuplicateWindow)
	}
	keeps("keep_persons", r.KeepPersons)
	keeps("keep_orders", r.KeepOrders)
	if err := r.stitch().Validate(); err != nil && len(k.errs) == n {
		k.errs = append(k.errs, err) // a law of the fold's that isn't known here
	}
}

func (x Identity) check(k *checker) {
	k.oneOf("identity.unusable_user_id", x.UnusableUserID, Quarantine, Absent)
	lists := []struct {
		field string
		texts []string
	}{
		{"logout_events", x.LogoutEvents}, {"split_events", x.SplitEvents},
		{"unusable_user_ids", x.UnusableUserIDs}, {"temporary_user_ids", x.TemporaryUserIDs},
	}
	for _, l := range lists {
		for i, text := range l.texts {
			k.want(strings.TrimSpace(text) != "", fmt.Sprintf("identity.%s[%d]", l.field, i), "it is blank: remove it")
		}
	}
	for i, name := range x.SplitEvents {
		k.want(!slices.Contains(x.LogoutEvents, name), fmt.Sprintf("identity.split_events[%d]", i),
			"%q is a logout event too: an event can't be both", name)
	}
	for i, form := range x.TemporaryUserIDs {
		checkForm(k, fmt.Sprintf("identity.temporary_user_ids[%d]", i), form)
	}
}

// checkForm checks a form of temporary user IDs: one that every ID has would make
// every customer provisional.
func checkForm(k *checker, field, form string) {
	if beginning, ok := strings.CutSuffix(form, "*"); ok && regexp.QuoteMeta(beginning) == beginning {
		k.want(beginning != "", field, "%q is the form of every user ID: write a beginning before the *, such as tmp-*", form)
		return
	}
	_, err := regexp.Compile(form)
	k.want(err == nil, field, "%q is no regular expression: write one for the whole ID, or a beginning and *, such as tmp-*", form)
}

func (p Process) check(k *checker) {
	k.want(1 <= p.Batch && p.Batch <= 100_000, "process.batch", "%d can't be: write 1 to 100000", p.Batch)
	k.want(p.CacheEntities >= 1, "process.cache_entities", "%d can't be: write 1 or more", p.CacheEntities)
	k.want(p.Tick >= Duration(10*time.Millisecond) && p.Tick <= Duration(time.Minute), "process.tick",
		"%s can't be: write 10ms to 1m", p.Tick)
	k.want(p.SnapshotEvery >= Duration(time.Second) && p.SnapshotEvery <= Duration(24*time.Hour), "process.snapshot_every",
		"%s can't be: write 1s to 24h", p.SnapshotEvery)
}

// checkOutlets checks the listener and the log.
func (c *Config) checkOutlets(k *checker) {
	if l := c.Metrics.Listen; l != "" {
		_, port, err := net.SplitHostPort(l)
		n, bad := strconv.Atoi(port)
		k.want(err == nil && bad == nil && 0 <= n && n < 65536, "metrics.listen",
			"%q is no address: write host:port, or :9600 for every interface", l)
	}
	k.want(!c.Metrics.Pprof || c.Metrics.Listen != "", "metrics.pprof", "it is true, but metrics.listen is empty: name an address")
	var level slog.Level
	k.want(level.UnmarshalText([]byte(c.Log.Level)) == nil, "log.level", "%q is not known: write debug, info, warn or error", c.Log.Level)
	k.oneOf("log.format", c.Log.Format, FormatText, FormatJSON)
}
