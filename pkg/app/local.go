package app

import (
	"context"

	"lockstitch/pkg/config"
	"lockstitch/pkg/embedded"
	"lockstitch/pkg/topicadmin"
)

// Embed starts the embedded Kafka and Redis, makes the topics, and returns the
// configuration that points at them. They are for development: one copy of
// everything, and a Redis that remembers nothing of the last run, so that the
// state is folded again from the journal. memory keeps nothing on disk either.
func Embed(ctx context.Context, cfg *config.Config, memory bool) (*config.Config, func(), error) {
	opt := embedded.Options{Dir: cfg.Embedded.Dir, KafkaPort: cfg.Embedded.KafkaPort, RedisPort: cfg.Embedded.RedisPort}
	if memory {
		opt.Dir = ""
	}
	parts, err := embedded.Start(ctx, opt)
	if err != nil {
		return nil, nil, err
	}
	local := *cfg
	local.JournalPartitions, local.Replication = cfg.JournalCount(), cfg.Replicas()
	local.Kafka.Brokers, local.Redis.Addresses = []string{parts.Kafka()}, []string{parts.Redis()}
	if err := ApplyTopics(ctx, &local); err != nil {
		parts.Close()
		return nil, nil, err
	}
	return &local, parts.Close, nil
}

// TopicSession connects to the configured Kafka, to look at topics and make them.
func TopicSession(cfg *config.Config) (*topicadmin.Session, error) {
	specs, err := TopicSpecs(cfg)
	if err != nil {
		return nil, err
	}
	conn, err := Conn(cfg)
	if err != nil {
		return nil, err
	}
	cl, err := conn.Client()
	if err != nil {
		return nil, err
	}
	return topicadmin.NewSession(cl, specs), nil
}

// ApplyTopics makes the topics as they should be.
func ApplyTopics(ctx context.Context, cfg *config.Config) error {
	s, err := TopicSession(cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	changes, err := s.Plan(ctx, AllGroups(cfg)...)
	if err != nil {
		return err
	}
	return s.Apply(ctx, changes)
}
