package topicadmin

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"lockstitch/topics"
)

// deadline is the context of a test that must not hang.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// cluster starts a broker in this process.
func cluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func client(t *testing.T, c *kfake.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	all := []kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner())}
	cl, err := kgo.NewClient(append(all, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// wanted are the topics of o with one replica, as one broker can have them.
func wanted(t *testing.T, o topics.Options) []topics.Spec {
	t.Helper()
	o.Replication = 1
	specs, err := o.Specs()
	if err != nil {
		t.Fatal(err)
	}
	return specs
}

// plan is what the cluster lacks of want.
func plan(t *testing.T, ctx context.Context, adm *kadm.Client, want []topics.Spec, groups ...string) (topics.Changes, error) {
	t.Helper()
	have, err := Read(ctx, adm, topics.Names(want)...)
	if err != nil {
		t.Fatal(err)
	}
	live, err := Live(ctx, adm, want, groups...)
	if err != nil {
		t.Fatal(err)
	}
	return topics.Plan(want, have, live)
}

// applied starts a broker that has want, and a client of it.
func applied(t *testing.T, ctx context.Context, want []topics.Spec) *kgo.Client {
	t.Helper()
	cl := client(t, cluster(t))
	adm := kadm.NewClient(cl)
	changes, err := plan(t, ctx, adm, want)
	if err != nil {
		t.Fatal(err)
	}
	if err := Apply(ctx, adm, changes); err != nil {
		t.Fatal(err)
	}
	return cl
}

// produce writes n small records into partition 0, each in a batch of its own.
func produce(t *testing.T, ctx context.Context, cl *kgo.Client, topic string, n int) {
	t.Helper()
	for range n {
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}
