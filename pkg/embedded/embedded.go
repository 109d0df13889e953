package embedded

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Options say where the parts live.
type Options struct {
	Dir       string // folder of the broker's data, made where it isn't there; "" keeps it in memory
	KafkaPort int    // on 127.0.0.1; 0 for any free one
	RedisPort int    // on 127.0.0.1; 0 for any free one
}

// Parts are a running broker and Redis.
type Parts struct {
	kafka *kfake.Cluster
	redis *miniredis.Miniredis
}

// brokerConfigs: groups assign at once, as there is nobody to wait for.
var brokerConfigs = map[string]string{"group.initial.rebalance.delay.ms": "0"}

// Start starts both, and returns when they listen. An error says which port or
// folder can't be used.
func Start(ctx context.Context, opt Options) (*Parts, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	broker, err := startKafka(opt)
	if err != nil {
		return nil, err
	}
	store := miniredis.NewMiniRedis()
	if err := store.StartAddr(loopback(opt.RedisPort)); err != nil {
		broker.Close()
		return nil, fmt.Errorf("embedded Redis on %s: %w", loopback(opt.RedisPort), err)
	}
	return &Parts{broker, store}, nil
}

func startKafka(opt Options) (*kfake.Cluster, error) {
	opts := []kfake.Opt{kfake.Ports(opt.KafkaPort), kfake.BrokerConfigs(brokerConfigs), kfake.ListenFn(listen)}
	if opt.Dir != "" {
		opts = append(opts, kfake.DataDir(filepath.Join(opt.Dir, "kafka")), kfake.SyncWrites())
	}
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, fmt.Errorf("embedded Kafka on %s, data in %q: %w", loopback(opt.KafkaPort), opt.Dir, err)
	}
	return c, nil
}

// listen keeps the broker on loopback, whatever host it would listen on.
func listen(network, address string) (net.Listener, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return net.Listen(network, net.JoinHostPort("127.0.0.1", port))
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Kafka is the broker's address, host:port.
func (p *Parts) Kafka() string { return p.kafka.ListenAddrs()[0] }

// Redis is the Redis's address, host:port.
func (p *Parts) Redis() string { return p.redis.Addr() }

// Close stops both. What the broker acknowledged stays in the folder.
func (p *Parts) Close() {
	p.redis.Close()
	p.kafka.Close()
}
