package app

import (
	"context"

	"lockstitch/pkg/config"
	"lockstitch/pkg/kafka"
	"lockstitch/pkg/redis"
	"lockstitch/pkg/refold"
)

// State connects to what a refold of the configured state needs. embedded says
// that its Redis is one in a process. close ends it.
func State(ctx context.Context, cfg *config.Config, embedded bool) (parts refold.Parts, close func(), err error) {
	journal, snapshots, closeKafka, err := past(cfg)
	if err != nil {
		return parts, nil, err
	}
	opt, err := Redis(cfg)
	if err != nil {
		closeKafka()
		return parts, nil, err
	}
	opt.Embedded = embedded
	state, err := redis.Open(ctx, opt)
	if err != nil {
		closeKafka()
		return parts, nil, err
	}
	close = func() {
		_ = state.Close()
		closeKafka()
	}
	return refold.Parts{Journal: journal, State: state, Snapshots: snapshots, Environment: cfg.Environment}, close, nil
}

// past connects to what a state is made of: the journal and its snapshots.
func past(cfg *config.Config) (journal *kafka.JournalReader, snapshots *kafka.Snapshots, close func(), err error) {
	conn, err := Conn(cfg)
	if err != nil {
		return nil, nil, nil, err
	}
	names := cfg.TopicNames()
	_, group := Groups(cfg)
	if journal, err = kafka.NewJournalReader(conn, names.Journal, group); err != nil {
		return nil, nil, nil, err
	}
	if snapshots, err = kafka.NewSnapshots(conn, names.Snapshots); err != nil {
		journal.Close()
		return nil, nil, nil, err
	}
	return journal, snapshots, func() { snapshots.Close(); journal.Close() }, nil
}
