package audit

import (
	"cmp"
	"math"
	"slices"
	"strconv"
)

// flags are what is known of one source record, in two bytes: with the pages'
// slack that is the memory of an audit, 200 MB for 100 million records.
type flags uint16

const (
	exists     flags = 1 << iota
	cutOutputs       // its outcomes may be gone by retention
	cutJournal       // its journal messages may be gone
	journaled        // a journal message is of it
	underWay         // one of these isn't folded yet, or it waits in an entity
	sentOn           // one of these was sent on after its arbitration or its hold
	byJournal        // one of its outcomes was written by this journal's fold
	counted          // it has a sink record that Customer.io counts as an event
	twice            // one of its outcomes is told under two places

	published
	duplicate
	suppressed
	held
	ignored
	erased
	quarantined
)

// ends are the outcomes after which none may come; after held one may.
const ends = published | duplicate | suppressed | ignored | erased | quarantined

// outcomeNames are the outcomes, in the contract's order.
var outcomeNames = []struct {
	flag flags
	name string
}{
	{published, "published"}, {duplicate, "duplicate"}, {suppressed, "suppressed"}, {held, "held"},
	{ignored, "ignored"}, {erased, "erased"}, {quarantined, "quarantined"},
}

func outcomeFlag(name string) flags {
	for _, o := range outcomeNames {
		if o.name == name {
			return o.flag
		}
	}
	return 0
}

// pageSize is how many offsets a page has. Only pages with a record are there,
// so that a sparse partition costs little.
const pageSize = 4096

// part is the audited range of one source partition.
type part struct {
	source    Source
	partition int32
	from, to  int64 // offsets
	mark      Mark
	pages     []*[pageSize]flags
	records   int64
}

// at is what is known of an offset; nil outside the range.
func (p *part) at(offset int64) *flags {
	if p == nil || offset < p.from || offset >= p.to {
		return nil
	}
	page := &p.pages[(offset-p.from)/pageSize]
	if *page == nil {
		*page = new([pageSize]flags)
	}
	return &(*page)[(offset-p.from)%pageSize]
}

// each calls f for each offset of which anything is known, in order.
func (p *part) each(f func(offset int64, f flags)) {
	for i, page := range p.pages {
		if page == nil {
			continue
		}
		for k, known := range page {
			if known != 0 {
				f(p.from+int64(i)*pageSize+int64(k), known)
			}
		}
	}
}

func (p *part) position(offset int64) string { return position(p.source.Topic, p.partition, offset) }

// position is the form of ls-source.
func position(topic string, partition int32, offset int64) string {
	return topic + "/" + strconv.Itoa(int(partition)) + "/" + strconv.FormatInt(offset, 10)
}

// table is all audited ranges.
type table struct {
	topics   map[string]map[int32]*part
	earliest int64 // time of a record, Unix ms
}

func newTable() *table {
	return &table{topics: map[string]map[int32]*part{}, earliest: math.MaxInt64}
}

func (t *table) add(s Source, partition int32, from, to int64, m Mark) {
	if t.topics[s.Topic] == nil {
		t.topics[s.Topic] = map[int32]*part{}
	}
	t.topics[s.Topic][partition] = &part{
		source: s, partition: partition, from: from, to: to, mark: m,
		pages: make([]*[pageSize]flags, (max(0, to-from)+pageSize-1)/pageSize),
	}
}

// part is the range of a partition; nil where none is audited.
func (t *table) part(topic string, partition int32) *part { return t.topics[topic][partition] }

// parts are the ranges by topic and partition.
func (t *table) parts() (all []*part) {
	for _, ps := range t.topics {
		for _, p := range ps {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *part) int {
		return cmp.Or(cmp.Compare(a.source.Topic, b.source.Topic), cmp.Compare(a.partition, b.partition))
	})
	return all
}

func (t *table) spans() (all []Span) {
	for _, p := range t.parts() {
		all = append(all, Span{Topic: p.source.Topic, Partition: p.partition, From: p.from, To: p.to, Committed: p.source.Committed})
	}
	return all
}
