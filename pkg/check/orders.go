package check

import "slices"

// orderCopies are the copies of each order, by the order's key.
func (r *run) orderCopies() map[string][]*event {
	copies := map[string][]*event{}
	for _, e := range r.events {
		if e.order != "" {
			copies[e.order] = append(copies[e.order], e)
		}
	}
	return copies
}

// checkOrders is law 4.3: an order has one truth.
func (r *run) checkOrders() {
	for _, copies := range r.orderCopies() {
		published := r.publishedAs(copies)
		if len(published) > 0 {
			r.report.Counts.Orders++
			r.checkOneOrder(published)
			r.checkReleases(copies)
			r.checkInWindow(copies)
		}
		r.checkTruth(copies, published)
	}
}

// publishedAs are the event records of an order's copies, each partition in order.
func (r *run) publishedAs(copies []*event) []*output {
	var published []*output
	for _, e := range copies {
		published = append(published, e.eventRecords()...)
	}
	slices.SortStableFunc(published, func(a, b *output) int { return byPosition(a.Output, b.Output) })
	return published
}

func (r *run) checkOneOrder(published []*output) {
	for _, o := range published[1:] {
		if o.Headers["ls-event"] != published[0].Headers["ls-event"] {
			r.violate("4.3", o.where(), "the order counts twice: another ls-event than %s", published[0].where())
		}
	}
}

// checkReleases wants a hold before an app's copy goes out, corrections aside.
func (r *run) checkReleases(copies []*event) {
	for _, e := range copies {
		for _, o := range e.eventRecords() {
			if !e.authority(r.Rules) && e.held == 0 && o.Headers["ls-corrects"] == "" {
				r.violate("4.3", e.pos, "an app's copy of an order was published and never held")
			}
		}
	}
}

// checkInWindow wants no app's copy in the sink where an authority's arrived
// before its hold ended.
func (r *run) checkInWindow(copies []*event) {
	for _, app := range copies {
		if app.authority(r.Rules) || app.Time.IsZero() || len(app.eventRecords()) == 0 {
			continue
		}
		for _, e := range copies {
			if r.counts(e) && !e.Time.IsZero() && !e.Time.After(app.Time.Add(r.Rules.Hold)) {
				r.violate("4.3", app.pos, "an app's copy was published, though the authority's %s arrived before its hold ended", e.pos)
				break
			}
		}
	}
}

// counts says that e is an authority's copy that could show: it was neither
// quarantined nor erased, and isn't waiting for a person.
func (r *run) counts(e *event) bool {
	return e.authority(r.Rules) && slices.Contains([]string{"published", "suppressed", "duplicate"}, e.outcome())
}

// checkTruth wants the authority's copy to be the last that shows. Where the
// copies went to several partitions, it must be among the last ones.
func (r *run) checkTruth(copies []*event, published []*output) {
	if !slices.ContainsFunc(copies, r.counts) {
		return
	}
	for i, o := range published {
		last := i+1 == len(published) || published[i+1].Partition != o.Partition
		if last && o.source.authority(r.Rules) {
			return
		}
	}
	r.violate("4.3", copies[0].pos, "an authority has a copy of the order, and the last value that shows isn't an authority's")
}
