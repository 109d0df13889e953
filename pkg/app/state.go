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
	var opened []func()
	close = func() {
		for _, c := range opened {
			c()
		}
	}
	defer func() {
		if err != nil {
			close()
		}
	}()
	conn, err := Conn(cfg)
	if err != nil {
		return parts, close, err
	}
	names := cfg.TopicNames()
	_, group := Groups(cfg)
	journal, err := kafka.NewJournalReader(conn, names.Journal, group)
	if err != nil {
		return parts, close, err
	}
	opened = append(opened, journal.Close)
	snapshots, err := kafka.NewSnapshots(conn, names.Snapshots)
	if err != nil {
		return parts, close, err
	}
	opened = append(opened, snapshots.Close)
	opt, err := Redis(cfg)
	if err != nil {
		return parts, close, err
	}
	opt.Embedded = embedded
	state, err := redis.Open(ctx, opt)
	if err != nil {
		return parts, close, err
	}
	opened = append(opened, func() { _ = state.Close() })
	return refold.Parts{Journal: journal, State: state, Snapshots: snapshots, Environment: cfg.Environment}, close, nil
}
