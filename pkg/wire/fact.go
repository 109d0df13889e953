package wire

import (
	"strconv"
	"strings"

	"lockstitch/stitch"
	"lockstitch/stitch/plan"
)

// planReasons are the reason codes of the plan's rules.
var planReasons = map[plan.Rule]string{
	plan.RuleMissing: ReasonPlanMissing, plan.RuleType: ReasonPlanType, plan.RuleRange: ReasonPlanRange,
	plan.RuleEnum: ReasonPlanEnum, plan.RuleOneOf: ReasonPlanOneOf,
}

// checkPlan refuses a planned event that breaks its plan, naming every
// violation, and notes what its key makes of it.
func (d *decoding) checkPlan() {
	if d.planned == nil {
		return
	}
	for _, v := range d.planned.Check(d) {
		d.reject(planReasons[v.Rule], sentence(v))
	}
	if len(d.rejects) == 0 {
		d.keys()
	}
}

func sentence(v plan.Violation) string {
	switch v.Rule {
	case plan.RuleMissing:
		return "properties." + v.Property + ": is missing, must be " + v.Want
	case plan.RuleOneOf:
		return "properties: must have " + v.Want
	}
	return "properties." + v.Property + ": must be " + v.Want
}

// keys fills Fact and Collapse.
func (d *decoding) keys() {
	p, ev := d.planned, d.ev
	if !p.CountsOnce() && p.Collapse == 0 {
		return
	}
	key, state := d.id(d.find(d.properties, p.Key))
	if state != idGiven {
		return // the plan has refused it, or it is too long
	}
	full := d.factKey(p.Name, key)
	if p.CountsOnce() {
		arbitrate := len(p.Authority) > 0
		ev.Fact = &stitch.Fact{
			Key: full, Order: key, Authority: p.IsAuthority(ev.Origin), Arbitrate: arbitrate, Hold: p.Hold.Milliseconds(),
		}
	}
	if p.Collapse > 0 {
		ev.Collapse = &stitch.Collapse{Key: full, Content: d.hashOf(d.properties), Window: p.Collapse.Milliseconds()}
	}
}

// factKey is event, shop and key: one for all aliases of an event, never one
// for two shops (law duplicates.4).
func (d *decoding) factKey(event, key string) string {
	shop, state := d.id(d.find(d.properties, "shop_id"))
	if state != idGiven {
		shop = d.rule.Shop
	}
	if strings.ContainsRune(shop, 0) || strings.HasPrefix(shop, `"`) {
		shop = strconv.Quote(shop) // so that no shop's name can reach into the key
	}
	return event + "\x00" + shop + "\x00" + key
}
