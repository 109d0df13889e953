package parts

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// KafkaCluster is three brokers, each a controller too. What is acknowledged by all
// in sync stands on two of them at least.
type KafkaCluster struct {
	Brokers []*Kafka // of the node IDs 1, 2 and 3
}

// clustered is what differs in a cluster.
const clustered = `node.id=%d
controller.quorum.voters=%s
controller.quorum.bootstrap.servers=
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
`

// StartKafkaCluster starts three brokers on free loopback ports with their data
// under dir, which must be empty, and returns when all answer and every replica is in
// sync. A topic that is made while one broker is known and two are still fenced has that
// one alone in sync: nothing could take its place (the internal topics are made when a
// broker is first asked for a coordinator, which is that early).
func StartKafkaCluster(ctx context.Context, dir string) (*KafkaCluster, error) {
	c := &KafkaCluster{}
	if err := c.prepare(ctx, dir); err != nil {
		return nil, err
	}
	errs := make([]error, len(c.Brokers))
	var all sync.WaitGroup
	for i, broker := range c.Brokers {
		all.Go(func() { errs[i] = broker.start(ctx) })
	}
	all.Wait()
	err := errors.Join(errs...)
	if err == nil {
		err = c.Whole(ctx)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// prepare writes what each broker needs before its first start.
func (c *KafkaCluster) prepare(ctx context.Context, dir string) error {
	libs, err := KafkaLibs(ctx)
	if err != nil {
		return err
	}
	addrs, err := freeAddrs(6)
	if err != nil {
		return err
	}
	brokers, controllers := addrs[:3], addrs[3:]
	voters := make([]string, 3)
	for i, controller := range controllers {
		voters[i] = fmt.Sprintf("%d@%s", i+1, controller)
	}
	var id [16]byte
	rand.Read(id[:])
	cluster := base64.RawURLEncoding.EncodeToString(id[:])
	for i, broker := range brokers {
		own := filepath.Join(dir, fmt.Sprint(i+1))
		if err := os.MkdirAll(own, 0o755); err != nil {
			return err
		}
		conf := filepath.Join(own, "server.properties")
		text := fmt.Sprintf(settings, broker, controllers[i], filepath.Join(own, "data")) +
			fmt.Sprintf(clustered, i+1, strings.Join(voters, ","))
		if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
			return err
		}
		if err := formatMember(ctx, libs, conf, cluster); err != nil {
			return err
		}
		k := &Kafka{process{name: "kafka", dir: own, addr: broker}}
		// Quick to start, and sparing with the processors that three brokers share.
		k.argv = []string{"java", "-Xms128m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(libs, "*"), "kafka.Kafka", conf}
		k.ready = k.ping
		c.Brokers = append(c.Brokers, k)
	}
	return nil
}

// formatMember makes a data folder a member's of a cluster whose voters stand in conf.
func formatMember(ctx context.Context, libs, conf, cluster string) error {
	tool := exec.CommandContext(ctx, "java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(libs, "*"),
		"kafka.tools.StorageTool", "format", "--cluster-id="+cluster, "-c", conf)
	if text, err := tool.CombinedOutput(); err != nil {
		return fmt.Errorf("formatting for %s: %w\n%s", conf, err, text)
	}
	return nil
}

// Addr are the addresses of all brokers, with commas between.
func (c *KafkaCluster) Addr() string {
	all := make([]string, len(c.Brokers))
	for i, broker := range c.Brokers {
		all[i] = broker.Addr()
	}
	return strings.Join(all, ",")
}

// Close ends all brokers for good.
func (c *KafkaCluster) Close() {
	var all sync.WaitGroup
	for _, broker := range c.Brokers {
		all.Go(broker.Close)
	}
	all.Wait()
}

// Leads says whether a broker leads any partition.
func (c *KafkaCluster) Leads(ctx context.Context, broker *Kafka) (leads bool, err error) {
	err = c.ask(ctx, func(admin *kadm.Client) (bool, error) {
		topics, err := admin.ListTopicsWithInternal(ctx)
		if err = errors.Join(err, topics.Error()); err != nil {
			return false, err
		}
		topics.EachPartition(func(p kadm.PartitionDetail) {
			led, err := c.broker(p.Leader)
			leads = leads || err == nil && led == broker
		})
		return true, nil
	})
	return leads, err
}

// Whole returns when every replica of every partition is in sync.
func (c *KafkaCluster) Whole(ctx context.Context) error {
	return c.ask(ctx, func(admin *kadm.Client) (bool, error) {
		topics, err := admin.ListTopicsWithInternal(ctx)
		if err = errors.Join(err, topics.Error()); err != nil {
			return false, err
		}
		whole := true
		topics.EachPartition(func(p kadm.PartitionDetail) {
			whole = whole && p.Leader > 0 && len(p.ISR) == len(p.Replicas)
		})
		return whole, nil
	})
}

// Leader returns the broker that leads a partition.
func (c *KafkaCluster) Leader(ctx context.Context, topic string, partition int32) (leader *Kafka, err error) {
	err = c.ask(ctx, func(admin *kadm.Client) (bool, error) {
		topics, err := admin.ListTopics(ctx, topic)
		if err == nil {
			leader, err = c.broker(topics[topic].Partitions[partition].Leader)
		}
		return err == nil, err
	})
	return leader, err
}

// Coordinator returns the broker that coordinates a consumer group.
func (c *KafkaCluster) Coordinator(ctx context.Context, group string) (coordinator *Kafka, err error) {
	err = c.ask(ctx, func(admin *kadm.Client) (bool, error) {
		found := admin.FindGroupCoordinators(ctx, group)
		err := found.Error()
		if err == nil {
			coordinator, err = c.broker(found[group].NodeID)
		}
		return err == nil, err
	})
	return coordinator, err
}

func (c *KafkaCluster) broker(id int32) (*Kafka, error) {
	if id < 1 || int(id) > len(c.Brokers) {
		return nil, fmt.Errorf("no broker of ours has the ID %d", id)
	}
	return c.Brokers[id-1], nil
}

// ask calls f until it says true, or ctx ends; its errors are told then.
func (c *KafkaCluster) ask(ctx context.Context, f func(*kadm.Client) (bool, error)) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(c.Addr(), ",")...),
		kgo.RequestTimeoutOverhead(time.Second), kgo.DialTimeout(time.Second)) // one of them may stand still
	if err != nil {
		return err
	}
	defer client.Close()
	var last error
	err = wait(ctx, func() (done bool, _ error) {
		done, last = f(kadm.NewClient(client))
		return done && last == nil, nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return nil
}
