package feed

import (
	"context"
	"time"
)

// pace keeps a write at a number of records a second.
type pace struct {
	rate  float64 // 0: none
	chunk int     // records to write at once
	start time.Time
}

func newPace(rate float64) *pace {
	p := &pace{rate: max(rate, 0), chunk: chunk, start: time.Now()}
	if rate > 0 {
		p.chunk = int(min(max(rate/perSecond, 1), chunk))
	}
	return p
}

// wait returns when it is time for more than the done records, or with ctx's
// cause. What took longer than the rate allows is caught up with later.
func (p *pace) wait(ctx context.Context, done int64) error {
	if p.rate == 0 {
		return nil
	}
	due := p.start.Add(time.Duration(float64(done) / p.rate * float64(time.Second)))
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
