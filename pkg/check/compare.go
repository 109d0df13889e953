package check

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
)

// Difference is a source position whose outcomes differ between two runs.
type Difference struct {
	Source       string   // topic/partition/offset
	OnlyA, OnlyB []string // kind/outcome, with a digest of what it says; sorted
}

// Compare says where two runs differ as functions of the source position: in
// what was published (key, value, event ID), decided (kind and outcome) and
// quarantined (reason, key, value). Places, log times, the order of the output
// and repeats are no difference. The result is sorted by source; nil means equal.
func Compare(a, b []Output) []Difference {
	in, with := outcomesOf(a), outcomesOf(b)
	sources := maps.Clone(in)
	maps.Copy(sources, with)
	var all []Difference
	for source := range sources {
		d := Difference{source, missing(in[source], with[source]), missing(with[source], in[source])}
		if len(d.OnlyA)+len(d.OnlyB) > 0 {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b Difference) int { return cmp.Compare(a.Source, b.Source) })
	return all
}

// missing are those of has that lacks hasn't, sorted.
func missing(has, lacks map[string]bool) []string {
	var all []string
	for _, said := range slices.Sorted(maps.Keys(has)) {
		if !lacks[said] {
			all = append(all, said)
		}
	}
	return all
}

func outcomesOf(outs []Output) map[string]map[string]bool {
	bySource := map[string]map[string]bool{}
	for _, o := range outs {
		source, said := outcomeOf(o)
		if bySource[source] == nil {
			bySource[source] = map[string]bool{}
		}
		bySource[source][said] = true
	}
	return bySource
}

// outcomeOf tells the three topics apart by their records' shape, so that runs
// under other topic names compare: only dead letters have a reason in their
// headers, only sink records have ls-why.
func outcomeOf(o Output) (source, said string) {
	value, _ := decodeObject(o.Value)
	text := func(name string) string { s, _ := value[name].(string); return s }
	switch {
	case o.Headers["ls-reason"] != "":
		return o.Headers["ls-source"], "quarantined/" + o.Headers["ls-reason"] + "#" + short(string(o.Key), string(compact(o.Value)))
	case o.Headers["ls-why"] != "":
		return o.Headers["ls-source"], "published/" + text("action") + "#" + short(string(o.Key), canonical(o.Value), o.Headers["ls-event"])
	}
	return text("source"), text("kind") + "/" + text("outcome")
}

// canonical is a value without regard to the order of its members.
func canonical(b []byte) string {
	v, err := decodeObject(b)
	if err != nil {
		return string(b)
	}
	sum := digest(v)
	return hex.EncodeToString(sum[:])
}

// short is a digest for people to tell apart what may not be shown.
func short(parts ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", parts))
	return hex.EncodeToString(sum[:6])
}
