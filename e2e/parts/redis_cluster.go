package parts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisCluster is a Redis Cluster: masters that share the slots, and a replica of
// each.
type RedisCluster struct {
	Nodes []*Redis
}

// StartRedisCluster starts a cluster of three masters and three replicas on free
// loopback ports with its data under dir, which must be empty, and returns when each
// node knows all slots covered and each replica is in sync.
func StartRedisCluster(ctx context.Context, dir string) (*RedisCluster, error) {
	c := &RedisCluster{}
	for i := range 6 {
		bus, err := freeAddrs(1) // by itself it would lie 10000 higher, where outgoing connections have theirs
		if err == nil {
			_, port, _ := net.SplitHostPort(bus[0])
			var node *Redis
			node, err = StartRedis(ctx, filepath.Join(dir, strconv.Itoa(i)), RedisOptions{Args: []string{
				"--cluster-enabled", "yes", "--cluster-port", port, "--cluster-node-timeout", "2000",
				"--repl-diskless-sync-delay", "0",
			}})
			if node != nil {
				c.Nodes = append(c.Nodes, node)
			}
		}
		if err != nil {
			c.Close()
			return nil, err
		}
	}
	if err := c.join(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *RedisCluster) join(ctx context.Context) error {
	args := append([]string{"--cluster", "create"}, strings.Split(c.Addr(), ",")...)
	cli := exec.CommandContext(ctx, "redis-cli", append(args, "--cluster-replicas", "1", "--cluster-yes")...)
	if text, err := cli.CombinedOutput(); err != nil {
		return fmt.Errorf("making a redis cluster: %w\n%s", err, text)
	}
	return c.Whole(ctx)
}

// Addr are the addresses of all nodes, with commas between.
func (c *RedisCluster) Addr() string { return addresses(c.Nodes) }

// Close ends all nodes for good.
func (c *RedisCluster) Close() { closeAll(c.Nodes) }

// Whole returns when each node runs, knows all slots covered, and three of them are
// replicas in sync.
func (c *RedisCluster) Whole(ctx context.Context) error {
	return wait(ctx, func() (bool, error) {
		replicas := 0
		for _, node := range c.Nodes {
			info, err := node.Info(ctx, "replication")
			if err != nil {
				return false, nil
			}
			if info["role"] == "slave" && info["master_link_status"] == "up" {
				replicas++
			}
			covered := node.ask(ctx, func(ctx context.Context, r *redis.Client) error {
				text, err := r.ClusterInfo(ctx).Result()
				if err == nil && !strings.Contains(text, "cluster_state:ok") {
					err = errors.New(text)
				}
				return err
			})
			if covered != nil {
				return false, nil
			}
		}
		return replicas == len(c.Nodes)/2, nil
	})
}

// MasterOf returns the node that serves a key, as the first one that runs knows it.
func (c *RedisCluster) MasterOf(ctx context.Context, key string) (*Redis, error) {
	var failed error
	for _, node := range c.Nodes {
		at := ""
		err := node.ask(ctx, func(ctx context.Context, r *redis.Client) error {
			slot, err1 := r.ClusterKeySlot(ctx, key).Result()
			shards, err2 := r.ClusterShards(ctx).Result()
			for _, shard := range shards {
				if slices.ContainsFunc(shard.Slots, func(s redis.SlotRange) bool { return s.Start <= slot && slot <= s.End }) {
					at = masterOf(shard)
				}
			}
			return errors.Join(err1, err2)
		})
		if err == nil {
			return named(c.Nodes, at)
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// masterOf is the address of a shard's master, "" where it has none that answers.
func masterOf(shard redis.ClusterShard) string {
	for _, node := range shard.Nodes {
		if node.Role == "master" && node.Health == "online" {
			return net.JoinHostPort(node.IP, strconv.FormatInt(node.Port, 10))
		}
	}
	return ""
}

// ReplicaOf returns the replica of a node, as the node knows it.
func (c *RedisCluster) ReplicaOf(ctx context.Context, master *Redis) (*Redis, error) {
	info, err := master.Info(ctx, "replication")
	if err != nil {
		return nil, err
	}
	// ip=127.0.0.1,port=20000,state=online,…
	of := map[string]string{}
	for field := range strings.SplitSeq(info["slave0"], ",") {
		name, value, _ := strings.Cut(field, "=")
		of[name] = value
	}
	return named(c.Nodes, net.JoinHostPort(of["ip"], of["port"]))
}

func named(nodes []*Redis, addr string) (*Redis, error) {
	for _, node := range nodes {
		if node.Addr() == addr {
			return node, nil
		}
	}
	return nil, fmt.Errorf("no redis of ours is at %s", addr)
}

func addresses(nodes []*Redis) string {
	all := make([]string, len(nodes))
	for i, node := range nodes {
		all[i] = node.Addr()
	}
	return strings.Join(all, ",")
}

func closeAll(nodes []*Redis) {
	var all sync.WaitGroup
	for _, node := range nodes {
		all.Go(node.Close)
	}
	all.Wait()
}

// Info is a section of INFO.
func (r *Redis) Info(ctx context.Context, section string) (fields map[string]string, err error) {
	err = r.ask(ctx, func(ctx context.Context, c *redis.Client) error {
		text, err := c.Info(ctx, section).Result()
		fields = map[string]string{}
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			fields[name] = value
		}
		return err
	})
	return fields, err
}

// Do has the server carry out a command whose reply doesn't matter.
func (r *Redis) Do(ctx context.Context, command ...any) error {
	return r.ask(ctx, func(ctx context.Context, c *redis.Client) error { return c.Do(ctx, command...).Err() })
}

// ask calls f with a client of this server alone; it has a second, also where the
// server is paused.
func (r *Redis) ask(ctx context.Context, f func(context.Context, *redis.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: r.addr, MaxRetries: -1, ContextTimeoutEnabled: true})
	defer client.Close()
	return f(ctx, client)
}
