package topicadmin

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/topics"
)

// Session is a connection to a cluster and the topics that it should have.
type Session struct {
	client *kgo.Client
	adm    *kadm.Client
	want   []topics.Spec
}

// NewSession uses, and closes, the client.
func NewSession(cl *kgo.Client, want []topics.Spec) *Session {
	return &Session{client: cl, adm: kadm.NewClient(cl), want: want}
}

// Close closes the connection.
func (s *Session) Close() { s.adm.Close() }

// Plan says what would have to change; refusals are among the changes. groups are
// the consumer groups, with prefix, whose offsets are live state.
func (s *Session) Plan(ctx context.Context, groups ...string) (topics.Changes, error) {
	have, err := Read(ctx, s.adm, topics.Names(s.want)...)
	if err != nil {
		return nil, err
	}
	live, err := Live(ctx, s.adm, s.want, groups...)
	if err != nil {
		return nil, err
	}
	changes, err := topics.Plan(s.want, have, live)
	if _, refused := errors.AsType[*topics.RefusedError](err); refused {
		err = nil // they stand among the changes
	}
	return changes, err
}

// Apply makes the changes; none where one is refused.
func (s *Session) Apply(ctx context.Context, changes topics.Changes) error {
	return Apply(ctx, s.adm, changes)
}

// Check looks at what runs.
func (s *Session) Check(ctx context.Context) ([]Finding, error) { return Check(ctx, s.client, s.want) }
