package refold

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"lockstitch/pkg/engine"
	"lockstitch/stitch"
)

// Result is what Check found of a partition.
type Result struct {
	Partition int32  `json:"partition"`
	At        int64  `json:"at"` // the last offset at which it compared
	Entities  int    `json:"entities"`
	Differ    []Diff `json:"differ"` // the first ones
	Count     int    `json:"different"`
}

// Diff is one entity, or another part of the state, that is not what the journal
// says. It names nobody.
type Diff struct {
	What string `json:"what"` // device, fact, customer, address; timers; meta
	Page int    `json:"page"` // that holds it, -1 for timers and meta
	How  string `json:"how"`  // missing, more, or other
}

// shown is how many differences a result lists.
const shown = 20

func (r *Result) add(d Diff) {
	if r.Count++; len(r.Differ) < shown {
		r.Differ = append(r.Differ, d)
	}
}

// Errors of Check.
var (
	// ErrNoState says that Redis has no state of a partition that has a journal.
	ErrNoState = errors.New("redis holds no state of the partition: a processor that takes it over rebuilds it")
	// ErrMoved says that the state was rebuilt or lost its last seconds meanwhile.
	ErrMoved = errors.New("the state was rebuilt, or lost its last seconds, while it was checked: check again")
)

// Check folds partition p afresh, from the newest whole snapshot or from the
// journal's start, and compares Redis with it, byte for byte: each page at the
// very offset at which it was read, though a processor moves the state on.
func (parts Parts) Check(ctx context.Context, p int32) (r Result, err error) {
	r.Partition, r.Differ = p, []Diff{}
	head, ok, err := parts.State.Head(ctx, p)
	if err != nil {
		return r, err
	}
	if !ok || head.Applied < 0 {
		_, end, _, err := parts.Journal.Bounds(ctx, p)
		if err == nil && end > 0 {
			err = ErrNoState
		}
		return r, err
	}
	c := checking{fold: parts.fold(p), r: &r, at: head.Position}
	// A gap at the end of what was applied can't be: applied is after a record.
	for first, stride := 0, 1; first < engine.Pages; first, stride = first+stride, c.stride(stride) {
		if err := c.pages(ctx, first, min(stride, engine.Pages-first)); err != nil {
			return r, err
		}
	}
	err = c.rest(ctx)
	r.At = c.at.Applied
	return r, err
}

type checking struct {
	*fold
	r    *Result
	at   engine.Position
	last int // entities of the last stride
}

func (c *checking) stride(now int) int {
	if c.last < 250 {
		return 4 * now
	}
	return max(1, now/2)
}

// move takes the fold to where Redis was read.
func (c *checking) move(ctx context.Context, to engine.Position) error {
	if to.Generation != c.at.Generation || to.Applied < c.at.Applied {
		return ErrMoved
	}
	c.at = to
	return c.to(ctx, to.Applied)
}

// pages compares some pages; fewer at a time where batches come in between.
func (c *checking) pages(ctx context.Context, first, n int) error {
	for {
		got, before, after, err := c.State.Page(ctx, c.p, c.at.Generation, first, n)
		if err != nil {
			return err
		}
		if before != after {
			if n == 1 {
				continue
			}
			if err := c.pages(ctx, first, n/2); err != nil {
				return err
			}
			return c.pages(ctx, first+n/2, n-n/2)
		}
		if err := c.move(ctx, after); err != nil {
			return err
		}
		h, _, err := c.memory.Head(ctx, c.p)
		if err != nil {
			return err
		}
		want, _, _, err := c.memory.Page(ctx, c.p, h.Generation, first, n)
		c.last = len(want)
		c.r.Entities += len(want)
		c.compare(want, got)
		return err
	}
}

// compare walks two lists in the same order.
func (c *checking) compare(want, got []engine.KV) {
	for len(want) > 0 || len(got) > 0 {
		switch order := orderOf(want, got); {
		case order < 0:
			c.r.add(diff(want[0].Key, "missing"))
			want = want[1:]
		case order > 0:
			c.r.add(diff(got[0].Key, "more"))
			got = got[1:]
		default:
			if !bytes.Equal(want[0].Value, got[0].Value) {
				c.r.add(diff(want[0].Key, "other"))
			}
			want, got = want[1:], got[1:]
		}
	}
}

// orderOf says which list's first entity comes first.
func orderOf(want, got []engine.KV) int {
	if len(want) == 0 || len(got) == 0 {
		return len(got) - len(want) // the one that has any
	}
	a, b := want[0].Key, got[0].Key
	if pa, pb := engine.PageOf(a), engine.PageOf(b); pa != pb {
		return pa - pb
	}
	return strings.Compare(a, b)
}

var kinds = map[stitch.Kind]string{
	stitch.KindDevice: "device", stitch.KindFact: "fact", stitch.KindCustomer: "customer", stitch.KindAddress: "address",
}

func diff(key, how string) Diff {
	what := "entity of no kind"
	if k, ok := stitch.ParseKey(key); ok {
		what = kinds[k.Kind]
	}
	return Diff{What: what, Page: engine.PageOf(key), How: how}
}

// tries is how often a moment between two batches is looked for.
const tries = 1000

// rest compares the timers and what the state says of itself.
func (c *checking) rest(ctx context.Context) error {
	for range tries {
		head, _, err := c.State.Head(ctx, c.p)
		if err != nil {
			return err
		}
		timers, before, after, err := c.State.Timers(ctx, c.p, head.Generation)
		if err != nil {
			return err
		}
		if before != head.Position || after != head.Position {
			continue // a batch came in between
		}
		if err := c.move(ctx, head.Position); err != nil {
			return err
		}
		h, _, want, ok := c.memory.Dump(c.p)
		if !ok || !bytes.Equal(h.Meta, head.Meta) {
			c.r.add(Diff{What: "meta", Page: -1, How: "other"})
		}
		if !maps.Equal(want, timers) {
			c.r.add(Diff{What: "timers", Page: -1, How: "other"})
		}
		return nil
	}
	return fmt.Errorf("journal partition %d never stood still: timers and meta were not compared", c.p)
}
