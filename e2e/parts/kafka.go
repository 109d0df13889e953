package parts

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Kafka is one real broker, its own controller, without topics.
type Kafka struct{ process }

// settings make one node a whole cluster whose groups and transactions move as
// fast as a test wants them to.
const settings = `process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
advertised.listeners=PLAINTEXT://%[1]s
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=%[2]s
log.dirs=%[3]s
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=100
log.cleaner.dedupe.buffer.size=16777216
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=200
`

// StartKafka starts a broker on a free loopback port with its data in dir and
// returns when it answers. dir must be empty, or one that an earlier broker
// left: then its records are there. Further server properties, each
// "name=value", win over the built-in ones; {broker} and {controller} in them stand
// for the addresses of the built-in listeners.
func StartKafka(ctx context.Context, dir string, properties ...string) (*Kafka, error) {
	libs, err := KafkaLibs(ctx)
	if err != nil {
		return nil, err
	}
	addrs, err := freeAddrs(2)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	broker, controller := addrs[0], addrs[1]
	conf := filepath.Join(dir, "server.properties")
	text := fmt.Sprintf(settings, broker, controller, filepath.Join(dir, "data")) +
		strings.NewReplacer("{broker}", broker, "{controller}", controller).Replace(strings.Join(properties, "\n")) + "\n"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, err
	}
	if err := format(ctx, libs, conf, filepath.Join(dir, "data")); err != nil {
		return nil, err
	}
	k := &Kafka{process{name: "kafka", dir: dir, addr: broker}}
	k.argv = []string{"java", "-Xms256m", "-Xmx1g", "-cp", filepath.Join(libs, "*"), "kafka.Kafka", conf}
	k.ready = k.ping
	if err := k.start(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// format makes data the folder of a new cluster, unless it is one already.
func format(ctx context.Context, libs, conf, data string) error {
	if _, err := os.Stat(filepath.Join(data, "meta.properties")); err == nil {
		return nil
	}
	var id [16]byte
	rand.Read(id[:])
	// One argument with its name: one in 64 of these IDs begins with a dash.
	cluster := "--cluster-id=" + base64.RawURLEncoding.EncodeToString(id[:])
	tool := exec.CommandContext(ctx, "java", "-Xmx256m", "-cp", filepath.Join(libs, "*"), "kafka.tools.StorageTool",
		"format", "--standalone", cluster, "-c", conf)
	if text, err := tool.CombinedOutput(); err != nil {
		return fmt.Errorf("formatting %s for kafka: %w\n%s", data, err, text)
	}
	return nil
}

// ping succeeds when the broker knows itself as a member of the cluster and
// leads groups and transactions: one that merely accepts connections still
// refuses topics, and makes its internal topics only when first asked for one.
func (k *Kafka) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(k.addr), kgo.RequestRetries(0))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	meta, err := admin.BrokerMetadata(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(meta.Brokers, func(b kadm.BrokerDetail) bool {
		return net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))) == k.addr
	}) {
		return errors.New("the broker is fenced")
	}
	return errors.Join(admin.FindGroupCoordinators(ctx, "any").Error(), admin.FindTxnCoordinators(ctx, "any").Error())
}
