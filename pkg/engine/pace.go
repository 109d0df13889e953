package engine

import (
	"context"
	"time"

	"lockstitch/pkg/wire"
	"lockstitch/stitch"
)

// round is one round of a watermark (PROTOCOL): see a tick of our own in the
// log, then read the sources' end offsets; once ingest has committed past them,
// the next tick carries the append time of the first. The authorities' round
// and that of all sources run side by side, so that a source that is behind
// holds up only what waits for it.
type round struct {
	nonce  string // of the tick waited for; "" for none
	seen   int64  // append time of that tick, 0 until it is seen
	ends   Ends   // read after it was seen, nil until then
	passed int64  // the watermark
}

// pacing is an owner's ticks.
type pacing struct {
	last             time.Time
	authorities, all round
}

// hear notes a tick of our own.
func (o *Owner) hear(rec stitch.Record) {
	if rec.Message.Kind != stitch.MsgTick || rec.Message.Nonce == "" {
		return
	}
	for _, r := range []*round{&o.pacing.authorities, &o.pacing.all} {
		if r.nonce == rec.Message.Nonce && r.seen == 0 {
			r.seen = rec.Time
		}
	}
}

// waits reports that the round needs the sources' ends.
func (r *round) waits() bool { return r.seen != 0 && r.ends == nil }

// advance ends the round where ingest has passed its ends.
func (r *round) advance(passed func(Ends) (bool, error)) error {
	if r.ends == nil {
		return nil
	}
	done, err := passed(r.ends)
	if err == nil && done {
		*r = round{passed: max(r.passed, r.seen)}
	}
	return err
}

// pace appends rules that are not in force yet, and, while timers wait, ticks.
func (o *Owner) pace(ctx context.Context) error {
	if !o.ruled && o.pos.Applied >= o.caughtUp {
		if err := o.rule(ctx); err != nil {
			return err
		}
	}
	if o.part.Timers() == 0 || o.pos.Applied < o.silent {
		return nil
	}
	if now := o.opt.Now(); now.Sub(o.pacing.last) >= o.opt.Tick {
		o.pacing.last = now
		return o.tick(ctx, now)
	}
	return nil
}

// rule puts our rules in force where others are.
func (o *Owner) rule(ctx context.Context) error {
	o.ruled = true
	if o.part.Rules == o.opt.Rules {
		return nil
	}
	return o.log.Append(ctx, wire.EncodeMessage(&stitch.Message{Kind: stitch.MsgRules, Rules: &o.opt.Rules}))
}

// lookTime bounds how long a tick looks at the sources: batches wait meanwhile.
const lookTime = 2 * time.Second

// tick advances the rounds, and appends a tick that carries what they passed. Time
// goes on also where the sources can't be looked at; what waits for them waits.
func (o *Owner) tick(ctx context.Context, now time.Time) error {
	a, all := &o.pacing.authorities, &o.pacing.all
	if err := o.look(ctx, a, all); err != nil && ctx.Err() == nil {
		o.opt.Observe.Trouble(o.p, err)
	}
	m := stitch.Message{
		Kind: stitch.MsgTick, Watermark: a.passed, WatermarkAll: all.passed,
		Nonce: o.opt.Nonce + "-" + now.UTC().Format(time.RFC3339Nano),
	}
	for _, r := range []*round{a, all} {
		if r.nonce == "" {
			r.nonce = m.Nonce
		}
	}
	return o.log.Append(ctx, wire.EncodeMessage(&m))
}

// look advances the rounds by what the sources' ends and ingest's commits are.
func (o *Owner) look(ctx context.Context, authorities, all *round) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	if authorities.waits() || all.waits() {
		ends, err := o.sources.Ends(ctx)
		if err != nil {
			return err
		}
		for _, r := range []*round{authorities, all} {
			if r.waits() {
				r.ends = ends
			}
		}
	}
	err := authorities.advance(func(e Ends) (bool, error) {
		passed, _, err := o.sources.Passed(ctx, e)
		return passed, err
	})
	if err != nil {
		return err
	}
	return all.advance(func(e Ends) (bool, error) {
		_, passed, err := o.sources.Passed(ctx, e)
		return passed, err
	})
}
