package parts

import (
	"context"
	"net"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis is one real Redis server.
type Redis struct{ process }

// RedisOptions say how the server keeps what it was told. The zero value is the
// server that Lockstitch asks its operators for: an append-only file, synced
// every second, and nothing ever evicted.
type RedisOptions struct {
	Fsync  string   // appendfsync: always, everysec (default), no; "off": no append-only file, all is lost with the process
	Policy string   // maxmemory-policy; default noeviction
	Args   []string // further arguments, such as "--maxmemory", "64mb"; they win over the ones above
}

// StartRedis starts a server on a free loopback port with its data in dir and
// returns when it answers, after it has loaded what an earlier one left there.
func StartRedis(ctx context.Context, dir string, o RedisOptions) (*Redis, error) {
	addrs, err := freeAddrs(1)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	r := &Redis{process{name: "redis", dir: dir, addr: addrs[0]}}
	r.argv = append([]string{"redis-server"}, o.args(addrs[0], dir)...)
	r.ready = r.ping
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

func (o RedisOptions) args(addr, dir string) []string {
	host, port, _ := net.SplitHostPort(addr)
	fsync, policy, appendOnly := o.Fsync, o.Policy, "yes"
	if fsync == "" || fsync == "off" {
		fsync = "everysec"
	}
	if o.Fsync == "off" {
		appendOnly = "no"
	}
	if policy == "" {
		policy = "noeviction"
	}
	return append([]string{
		"--bind", host, "--port", port, "--dir", dir, "--daemonize", "no", "--save", "",
		"--appendonly", appendOnly, "--appendfsync", fsync, "--maxmemory-policy", policy,
	}, o.Args...)
}

// ping fails while the server still loads its file, as any command would.
func (r *Redis) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: r.addr, MaxRetries: -1, ContextTimeoutEnabled: true})
	defer client.Close()
	return client.Ping(ctx).Err()
}
