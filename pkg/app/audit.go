package app

import (
	"context"
	"time"

	"lockstitch/pkg/audit"
	"lockstitch/pkg/config"
	"lockstitch/pkg/kafka"
)

// Audit judges what stands in the configured topics. opt says which range;
// sources, topics and rules are the configuration's. It only reads.
func Audit(ctx context.Context, cfg *config.Config, opt audit.Options) (audit.Report, error) {
	p, err := Plan(cfg)
	if err != nil {
		return audit.Report{}, err
	}
	conn, err := Conn(cfg)
	if err != nil {
		return audit.Report{}, err
	}
	sources, topics := Sources(cfg, p), Topics(cfg)
	ingest, process := Groups(cfg)
	cluster, err := kafka.NewAudit(conn, topics, ingest, process, sources)
	if err != nil {
		return audit.Report{}, err
	}
	defer cluster.Close()
	for _, s := range sources {
		opt.Sources = append(opt.Sources, audit.Source{Topic: s.Topic, Committed: s.ReadCommitted})
	}
	opt.Topics = audit.Topics{Journal: topics.Journal, Sink: topics.Sink, Decisions: topics.Decisions, DLQ: topics.DLQ}
	opt.MergeDelay = time.Duration(cfg.Fold.TakeOverDelay)
	return audit.Run(ctx, cluster, opt)
}
