//go:build e2e

package parts_test

import (
	"context"
	"testing"

	"lockstitch/e2e/parts"
)

// replaced kills a master and returns when another node is it, and then when the
// killed one has come back as a replica.
func replaced(t *testing.T, master func() (*parts.Redis, error), whole func(context.Context) error) {
	t.Helper()
	was, err := master()
	if err != nil {
		t.Fatal(err)
	}
	was.Kill()
	ctx := within(t)
	for is := was; is == was || err != nil; is, err = master() {
		if ctx.Err() != nil {
			t.Fatalf("no other master: %v", err)
		}
	}
	if err := was.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if err := whole(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestSentinelFailsOver(t *testing.T) {
	ctx := within(t)
	s, err := parts.StartSentinel(ctx, t.TempDir(), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	replaced(t, func() (*parts.Redis, error) { return s.Master(ctx) }, s.Whole)
}

func TestRedisClusterFailsOver(t *testing.T) {
	ctx := within(t)
	c, err := parts.StartRedisCluster(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	replaced(t, func() (*parts.Redis, error) { return c.MasterOf(ctx, "x") }, c.Whole)
}

func TestKafkaClusterLosesOne(t *testing.T) {
	ctx := within(t)
	c, err := parts.StartKafkaCluster(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	was, err := c.Coordinator(ctx, "g")
	if err != nil {
		t.Fatal(err)
	}
	was.Kill()
	for is := was; is == was; {
		if is, err = c.Coordinator(ctx, "g"); err != nil {
			t.Fatal(err)
		}
	}
	if err := was.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Whole(ctx); err != nil {
		t.Fatal(err)
	}
}
