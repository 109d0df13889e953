package parts

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Sentinel is a Redis with replicas that three sentinels watch: one is down after a
// second and a half, and two sentinels that say so make another the master.
type Sentinel struct {
	Nodes     []*Redis // the first was the master at the start
	Sentinels []*Redis
}

// SentinelMaster is the master's name, as the sentinels know it.
const SentinelMaster = "lockstitch"

// StartSentinel starts a master, its replicas and three sentinels on free loopback
// ports with their data under dir, which must be empty, and returns when the
// sentinels know each other and the replicas, and these are in sync.
func StartSentinel(ctx context.Context, dir string, replicas int) (*Sentinel, error) {
	s := &Sentinel{}
	err := s.begin(ctx, dir, replicas)
	if err == nil {
		err = s.Whole(ctx)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Sentinel) begin(ctx context.Context, dir string, replicas int) error {
	for i := range 1 + replicas {
		node, err := StartRedis(ctx, filepath.Join(dir, strconv.Itoa(i)), RedisOptions{Args: []string{"--repl-diskless-sync-delay", "0"}})
		if err != nil {
			return err
		}
		s.Nodes = append(s.Nodes, node)
	}
	host, port, _ := net.SplitHostPort(s.Nodes[0].Addr())
	for _, node := range s.Nodes[1:] {
		if err := node.Do(ctx, "replicaof", host, port); err != nil {
			return err
		}
	}
	for i := range 3 {
		sentinel, err := startSentinel(ctx, filepath.Join(dir, fmt.Sprint("sentinel-", i)), host, port)
		if err != nil {
			return err
		}
		s.Sentinels = append(s.Sentinels, sentinel)
	}
	return nil
}

// startSentinel starts one sentinel, which writes what it learns into its file.
func startSentinel(ctx context.Context, dir, host, port string) (*Redis, error) {
	addrs, err := freeAddrs(1)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	_, own, _ := net.SplitHostPort(addrs[0])
	conf := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("bind 127.0.0.1\nport %s\ndir %s\nsentinel monitor %[3]s %[4]s %[5]s 2\n"+
		"sentinel down-after-milliseconds %[3]s 1500\nsentinel failover-timeout %[3]s 6000\n", own, dir, SentinelMaster, host, port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	r := &Redis{process{name: "sentinel", dir: dir, addr: addrs[0]}}
	r.argv = []string{"redis-server", conf, "--sentinel"}
	r.ready = r.ping
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// Addr are the addresses of the sentinels, with commas between.
func (s *Sentinel) Addr() string { return addresses(s.Sentinels) }

// Close ends all of it for good, the sentinels first.
func (s *Sentinel) Close() {
	closeAll(s.Sentinels)
	closeAll(s.Nodes)
}

// Whole returns when each node runs and all but the master are replicas of it, in
// sync and known to each sentinel, which knows the other sentinels.
func (s *Sentinel) Whole(ctx context.Context) error {
	return wait(ctx, func() (bool, error) {
		master, err := s.Master(ctx)
		if err != nil {
			return false, nil
		}
		for _, node := range s.Nodes {
			info, err := node.Info(ctx, "replication")
			synced := info["role"] == "slave" && info["master_link_status"] == "up" &&
				net.JoinHostPort(info["master_host"], info["master_port"]) == master.Addr()
			if err != nil || node != master && !synced {
				return false, nil
			}
		}
		for _, sentinel := range s.Sentinels {
			if known, err := s.known(ctx, sentinel); err != nil || !known {
				return false, nil
			}
		}
		return true, nil
	})
}

func (s *Sentinel) known(ctx context.Context, sentinel *Redis) (known bool, err error) {
	err = sentinel.ask(ctx, func(ctx context.Context, c *redis.Client) error {
		asked := redis.NewSentinelClient(c.Options())
		defer asked.Close()
		of, err := asked.Master(ctx, SentinelMaster).Result()
		known = of["num-slaves"] == strconv.Itoa(len(s.Nodes)-1) && of["num-other-sentinels"] == strconv.Itoa(len(s.Sentinels)-1) &&
			of["flags"] == "master"
		return err
	})
	return known, err
}

// Master returns the node that all sentinels call the master.
func (s *Sentinel) Master(ctx context.Context) (*Redis, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	at := ""
	for _, sentinel := range s.Sentinels {
		c := redis.NewSentinelClient(&redis.Options{Addr: sentinel.Addr(), ContextTimeoutEnabled: true})
		addr, err := c.GetMasterAddrByName(ctx, SentinelMaster).Result()
		_ = c.Close()
		if err != nil {
			return nil, err
		}
		said := net.JoinHostPort(addr[0], addr[1])
		if at != "" && said != at {
			return nil, fmt.Errorf("the sentinels don't agree: %s and %s", at, said)
		}
		at = said
	}
	return named(s.Nodes, at)
}
