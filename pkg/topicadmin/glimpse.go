package topicadmin

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// How much of a partition is looked at: the batch at its start, what of its
// last records fits, and its last batch.
const (
	glimpseRecords = 1000
	glimpseBytes   = 1 << 20 // of each partition
	glimpseWait    = 500     // ms, at most, for a broker to answer a read
)

// The bits of a record batch's attributes.
const (
	attrAppendTime    = 1 << 3
	attrTransactional = 1 << 4
	attrControl       = 1 << 5
)

// glimpse is what a topic's batches and producers say of how it is written. It
// may miss transactions that lie in the middle of a log whose writers left more
// than a day ago, and says nothing that isn't so.
type glimpse struct {
	transactional bool // there is a batch of a transaction, or a producer that makes them
	ownTime       bool // the last records of a partition have their writer's time
}

// look takes a glimpse of the topic. An error says that it could not see
// everything; what the glimpse says is right all the same.
func look(ctx context.Context, cl *kgo.Client, d kadm.TopicDetail) (glimpse, error) {
	var g glimpse
	adm := kadm.NewClient(cl)
	// Brokers before Kafka 2.8 know no producers; the batches alone must do then.
	_ = g.producers(ctx, adm, d.Topic)
	starts, err1 := offsets(adm.ListStartOffsets(fresh(ctx), d.Topic))
	ends, err2 := offsets(adm.ListEndOffsets(fresh(ctx), d.Topic))
	if err := errors.Join(err1, err2); err != nil {
		return g, err
	}
	for _, back := range []int64{1<<63 - 1, glimpseRecords, 1} {
		if err := g.batches(ctx, cl, d, starts[d.Topic], ends[d.Topic], back); err != nil {
			return g, err
		}
	}
	return g, nil
}

func offsets(all kadm.ListedOffsets, err error) (kadm.ListedOffsets, error) {
	return all, errors.Join(err, all.Error())
}

// producers finds those that made transactions. A broker remembers them for a
// day; one that never made any has no coordinator.
func (g *glimpse) producers(ctx context.Context, adm *kadm.Client, topic string) error {
	var set kadm.TopicsSet
	set.Add(topic)
	all, err := adm.DescribeProducers(fresh(ctx), set)
	all.EachProducer(func(p kadm.DescribedProducer) {
		if p.CoordinatorEpoch >= 0 || p.CurrentTxnStartOffset >= 0 {
			g.transactional = true
		}
	})
	return err
}

// batches reads each partition from back records before its end.
func (g *glimpse) batches(ctx context.Context, cl *kgo.Client, d kadm.TopicDetail, starts, ends map[int32]kadm.ListedOffset, back int64) error {
	byLeader := map[int32]*kmsg.FetchRequest{}
	for number, p := range d.Partitions {
		start, end := starts[number].Offset, ends[number].Offset
		if start >= end {
			continue
		}
		if byLeader[p.Leader] == nil {
			byLeader[p.Leader] = fetchRequest(d)
		}
		part := kmsg.NewFetchRequestTopicPartition()
		part.Partition, part.FetchOffset, part.PartitionMaxBytes = number, max(start, end-back), glimpseBytes
		t := &byLeader[p.Leader].Topics[0]
		t.Partitions = append(t.Partitions, part)
	}
	for leader, req := range byLeader {
		if err := g.fetch(ctx, cl.Broker(int(leader)), req, back == 1); err != nil {
			return err
		}
	}
	return nil
}

// fetchRequest reads by hand, not as a consumer: what matters are the batches'
// own attributes, of control batches too, and the client that was given may be
// consuming something else.
func fetchRequest(d kadm.TopicDetail) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis = glimpseWait
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = d.Topic, d.ID
	req.Topics = append(req.Topics, t)
	return req
}

// fetch reads from one broker. last says that each partition's last batch is
// what is read.
func (g *glimpse) fetch(ctx context.Context, broker *kgo.Broker, req *kmsg.FetchRequest, last bool) error {
	answer, err := broker.RetriableRequest(ctx, req)
	if err != nil {
		return err
	}
	resp := answer.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return err
	}
	var errs []error
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				errs = append(errs, fmt.Errorf("partition %d: %w", p.Partition, err))
				continue
			}
			g.read(p.RecordBatches, last)
		}
	}
	return errors.Join(errs...)
}

// read goes over the batches of one partition. Records themselves, which may be
// compressed and are personal, aren't touched.
func (g *glimpse) read(batches []byte, last bool) {
	// A batch is: first offset (8 bytes), length of what follows (4), leader
	// epoch (4), magic (1), CRC (4), attributes (2), ...; the last may be cut.
	const lengthAt, magicAt, attributesAt, head = 8, 16, 21, 12
	for len(batches) >= attributesAt+2 {
		length := int(int32(binary.BigEndian.Uint32(batches[lengthAt:])))
		if batches[magicAt] < 2 || length < attributesAt+2-head {
			return // from before transactions were
		}
		attributes := binary.BigEndian.Uint16(batches[attributesAt:])
		if attributes&(attrTransactional|attrControl) != 0 {
			g.transactional = true
		}
		if last && attributes&attrControl == 0 && attributes&attrAppendTime == 0 {
			g.ownTime = true
		}
		batches = batches[min(head+length, len(batches)):]
	}
}
