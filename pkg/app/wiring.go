package app

import (
	"fmt"
	"os"
	"slices"
	"time"

	"lockstitch/pkg/config"
	"lockstitch/pkg/kafka"
	"lockstitch/pkg/redis"
	"lockstitch/pkg/wire"
	"lockstitch/stitch/plan"
	"lockstitch/topics"
)

// Plan reads the configured tracking plan, or the default one.
func Plan(cfg *config.Config) (*plan.Plan, error) {
	if cfg.Plan == "" {
		return plan.Default(), nil
	}
	text, err := os.ReadFile(cfg.Plan)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	p, err := plan.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", cfg.Plan, err)
	}
	return p, nil
}

// Ingest makes the rules of ingest.
func Ingest(cfg *config.Config, p *plan.Plan) (*wire.Ingest, error) {
	sources := map[string]wire.SourceRule{}
	for _, s := range cfg.PrefixedSources() {
		sources[s.Topic] = wire.SourceRule{Origin: s.Origin, Shop: s.Shop, Trust: wire.Trust(s.Trust)}
	}
	return wire.NewIngest(wire.IngestOptions{
		Plan: p, Sources: sources, KeepTimes: !cfg.TimesToUnix,
		LogoutEvents: cfg.Identity.LogoutEvents, SplitEvents: cfg.Identity.SplitEvents,
		UnusableUserIDs: cfg.Identity.UnusableUserIDs, UnusableUserIDAbsent: cfg.Identity.UnusableUserID == config.Absent,
		TemporaryUserIDs: cfg.Identity.TemporaryUserIDs,
	})
}

// Conn says how to reach the configured Kafka.
func Conn(cfg *config.Config) (kafka.Conn, error) {
	tls, err := cfg.Kafka.TLS.Client()
	if err != nil {
		return kafka.Conn{}, fmt.Errorf("kafka.%w", err)
	}
	c := kafka.Conn{Brokers: cfg.Kafka.Brokers, Security: kafka.Security{
		TLS: tls, Mechanism: kafka.Mechanism(cfg.Kafka.SASL.Mechanism),
		User: cfg.Kafka.SASL.User, Password: cfg.Kafka.SASL.Password.Reveal(),
	}}
	if c.Security.Mechanism == kafka.OAuthBearer {
		c.Security.User, c.Security.Password = "", ""
		c.Security.Tokens = tokens(cfg.Kafka.SASL)
	}
	return c, c.Validate()
}

// tokens are what Kafka is shown under OAUTHBEARER.
func tokens(s config.SASL) kafka.Tokens {
	if s.TokenURL != "" {
		return kafka.TokenEndpoint(s.TokenURL, s.User, s.Password.Reveal(), s.Scopes)
	}
	return kafka.TokenFile(s.TokenFile)
}

// Sources are the topics to read; an origin that the plan names is an authority.
func Sources(cfg *config.Config, p *plan.Plan) []kafka.Source {
	var all []kafka.Source
	for _, s := range cfg.PrefixedSources() {
		all = append(all, kafka.Source{
			Topic: s.Topic, ReadCommitted: s.Isolation == config.ReadCommitted,
			Authority: slices.Contains(p.Authorities(), s.Origin),
		})
	}
	return all
}

// Topics are the names of our own topics.
func Topics(cfg *config.Config) kafka.Topics {
	n := cfg.TopicNames()
	return kafka.Topics{Journal: n.Journal, Sink: n.Sink, Decisions: n.Decisions, DLQ: n.DLQ}
}

// TopicSpecs are all topics as they should be.
func TopicSpecs(cfg *config.Config) ([]topics.Spec, error) {
	o := topics.Options{
		Prefix: cfg.Prefix, JournalPartitions: int32(cfg.JournalCount()), Replication: int16(cfg.Replicas()),
		Names: map[topics.Role]string{
			topics.RoleJournal: cfg.Topics.Journal, topics.RoleSink: cfg.Topics.Sink,
			topics.RoleDecisions: cfg.Topics.Decisions, topics.RoleDLQ: cfg.Topics.DLQ, topics.RoleSnapshots: cfg.Topics.Snapshots,
		},
	}
	for _, s := range cfg.Sources {
		o.Sources = append(o.Sources, topics.Source{Topic: s.Topic, Isolation: topics.Isolation(s.Isolation)})
	}
	o.Retention = retentions(cfg.Retention)
	return o.Specs()
}

// Groups are the consumer groups: of ingest (and of its read_committed topics), and of the processors.
func Groups(cfg *config.Config) (ingest, process string) {
	return cfg.GroupName() + "-ingest", cfg.GroupName() + "-process"
}

// AllGroups are all of them.
func AllGroups(cfg *config.Config) []string {
	ingest, process := Groups(cfg)
	return []string{ingest, kafka.CommittedGroup(ingest), process}
}

// Redis says how to reach the configured Redis.
func Redis(cfg *config.Config) (redis.Options, error) {
	tls, err := cfg.Redis.TLS.Client()
	if err != nil {
		return redis.Options{}, fmt.Errorf("redis.%w", err)
	}
	return redis.Options{
		Addresses: cfg.Redis.Addresses, Username: cfg.Redis.Username, Password: cfg.Redis.Password.Reveal(),
		Master: cfg.Redis.Sentinel.Master, SentinelUsername: cfg.Redis.Sentinel.Username, SentinelPassword: cfg.Redis.Sentinel.Password.Reveal(),
		DB: cfg.Redis.DB, TLS: tls, Prefix: cfg.Prefix + "lockstitch", Environment: cfg.Environment,
	}, nil
}

func retentions(r config.Retention) map[topics.Role]time.Duration {
	return map[topics.Role]time.Duration{
		topics.RoleJournal: time.Duration(r.Journal), topics.RoleSink: time.Duration(r.Sink),
		topics.RoleDecisions: time.Duration(r.Decisions), topics.RoleDLQ: time.Duration(r.DLQ),
		topics.RoleSnapshots: time.Duration(r.Snapshots),
	}
}
