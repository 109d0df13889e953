package topicadmin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"lockstitch/topics"
)

// Apply does what changes say, in their order, and stops at the first that
// fails: what came before it stays, and planning again finds the rest. With a
// refusal among them it does nothing and returns the *topics.RefusedError.
// Notes are passed over. It returns once the cluster shows the created topics,
// or ctx ends.
func Apply(ctx context.Context, adm *kadm.Client, changes topics.Changes) error {
	if err := changes.Err(); err != nil {
		return err
	}
	for _, c := range changes {
		if err := apply(ctx, adm, c); err != nil {
			return fmt.Errorf("topic %s, change %s: %w", c.Topic, c.Kind, err)
		}
	}
	for _, c := range changes {
		if c.Kind != topics.Create {
			continue
		}
		if err := shown(ctx, adm, c); err != nil {
			return fmt.Errorf("topic %s was created, but is not shown: %w", c.Topic, err)
		}
	}
	return nil
}

func apply(ctx context.Context, adm *kadm.Client, c topics.Change) error {
	switch c.Kind {
	case topics.Create:
		return create(ctx, adm, c)
	case topics.SetPartitions:
		return setPartitions(ctx, adm, c)
	case topics.SetConfig:
		return setConfig(ctx, adm, c)
	case topics.Note:
		return nil
	}
	return fmt.Errorf("a change of kind %q can't be applied", c.Kind)
}

func create(ctx context.Context, adm *kadm.Client, c topics.Change) error {
	values := make(map[string]*string, len(c.Configs))
	for key, value := range c.Configs {
		values[key] = &value
	}
	r, err := adm.CreateTopic(ctx, c.Partitions, c.Replication, values, c.Topic)
	return told(err, r.ErrMessage)
}

func setPartitions(ctx context.Context, adm *kadm.Client, c topics.Change) error {
	var n int
	if _, err := fmt.Sscan(c.To, &n); err != nil {
		return fmt.Errorf("partitions %q: %w", c.To, err)
	}
	all, err := adm.UpdatePartitions(ctx, n, c.Topic)
	if err != nil {
		return err
	}
	r, err := all.On(c.Topic, nil)
	return told(errors.Join(err, r.Err), r.ErrMessage)
}

func setConfig(ctx context.Context, adm *kadm.Client, c topics.Change) error {
	all, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: c.Setting, Value: &c.To}}, c.Topic)
	if err != nil {
		return err
	}
	r, err := all.On(c.Topic, nil)
	return told(errors.Join(err, r.Err), r.ErrMessage)
}

// told adds what the cluster says beyond the error's name.
func told(err error, message string) error {
	if err == nil || message == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, message)
}

// shown waits until the broker that is asked knows the new topic with all its
// partitions: the controller acknowledges a topic before every broker has
// heard of it.
func shown(ctx context.Context, adm *kadm.Client, c topics.Change) error {
	for {
		meta, err := adm.Metadata(fresh(ctx), c.Topic)
		if err != nil {
			return err
		}
		if d := meta.Topics[c.Topic]; d.Err == nil && len(d.Partitions) == int(c.Partitions) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
