package redis

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"
)

// Check implements engine.State: all masters answer and evict nothing, and the
// state is this environment's, which is noted where nobody's is.
func (s *State) Check(ctx context.Context) error {
	if !s.opt.Embedded {
		if err := s.failed("check", s.masters(ctx, evictsNothing)); err != nil {
			return err
		}
	}
	return s.mark(ctx)
}

// masters calls f for each server that holds keys; in a cluster side by side.
func (s *State) masters(ctx context.Context, f func(context.Context, *goredis.Client) error) error {
	switch c := s.client.(type) {
	case *goredis.ClusterClient:
		return c.ForEachMaster(ctx, f)
	case *goredis.Client:
		return f(ctx, c)
	default:
		return fmt.Errorf("redis %s: a client of type %T", s.where, c)
	}
}

func evictsNothing(ctx context.Context, c *goredis.Client) error {
	policy, err := policyOf(ctx, c)
	switch {
	case err != nil:
		return fmt.Errorf("asking %s for its maxmemory-policy: %w", c.Options().Addr, err)
	case policy == "":
		return fmt.Errorf("%w: neither CONFIG GET nor INFO says the maxmemory-policy of %s: allow the user one of them",
			ErrEviction, c.Options().Addr)
	case policy != "noeviction":
		return fmt.Errorf("%w: maxmemory-policy of %s is %s: set it to noeviction, in redis.conf or with CONFIG SET, "+
			"and don't share the server with a cache", ErrEviction, c.Options().Addr, policy)
	}
	return nil
}

// policyOf returns maxmemory-policy, "" where the server doesn't say. Managed
// services forbid CONFIG, but INFO tells too.
func policyOf(ctx context.Context, c *goredis.Client) (string, error) {
	config, err := c.ConfigGet(ctx, "maxmemory-policy").Result()
	if policy := config["maxmemory-policy"]; err == nil && policy != "" {
		return policy, nil
	}
	if err != nil && silent(ctx, err) || ctx.Err() != nil {
		return "", err
	}
	info, err := c.InfoMap(ctx, "memory").Result()
	if err != nil {
		return "", err
	}
	return info["Memory"]["maxmemory_policy"], nil
}

// mark writes the environment where there is none, and refuses another.
func (s *State) mark(ctx context.Context) error {
	const what = "checking the environment"
	key := s.keys.environment()
	if _, err := s.client.SetNX(ctx, key, s.opt.Environment, 0).Result(); err != nil {
		return s.failed(what, err)
	}
	is, err := s.client.Get(ctx, key).Result()
	if err != nil {
		return s.failed(what, err)
	}
	if is != s.opt.Environment {
		return s.failed(what, fmt.Errorf("%w: the state under prefix %q is that of environment %q, this is %q: "+
			"configure another prefix or server; only if that state may go, delete all keys under the prefix",
			ErrEnvironment, s.keys.prefix, is, s.opt.Environment))
	}
	return nil
}

// Memory implements engine.State: used_memory of all masters; 0 of an embedded
// server, which can't say.
func (s *State) Memory(ctx context.Context) (int64, error) {
	if s.opt.Embedded {
		return 0, ctx.Err()
	}
	var total atomic.Int64
	err := s.masters(ctx, func(ctx context.Context, c *goredis.Client) error {
		info, err := c.InfoMap(ctx, "memory").Result()
		if err != nil {
			return err
		}
		used, err := strconv.ParseInt(info["Memory"]["used_memory"], 10, 64)
		total.Add(used)
		return err
	})
	return total.Load(), s.failed("asking for used memory", err)
}
