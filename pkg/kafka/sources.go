package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// fetchOffsets are a group's committed offsets; none for a group that isn't there.
func fetchOffsets(ctx context.Context, cl *kgo.Client, group string) (kadm.OffsetResponses, error) {
	resp, err := kadm.NewClient(cl).FetchOffsets(ctx, group)
	if err != nil {
		return nil, fmt.Errorf("kafka: committed offsets of group %s: %w", group, err)
	}
	return resp, nil
}
