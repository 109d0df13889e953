//go:build e2e

package e2e

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"lockstitch/pkg/check"
)

// personal is who a record names, and what is theirs.
var personal = regexp.MustCompile(`"(?:userId|anonymousId|previousId|messageId|email|token|phone|first_name|firstName|last_name|lastName|name)":"([^"\\]+)"`)

// discreet expects that no process has logged whom the sources' records name or
// what is theirs, or has it in a metric (PROMISES.md, section 6), whatever went wrong
// meanwhile.
func (w *world) discreet(in []check.Source) {
	w.t.Helper()
	theirs := map[string]bool{}
	add := func(text string) {
		if len(text) >= 6 && strings.ContainsAny(text, "0123456789@") { // no word such as undefined
			theirs[text] = true
		}
	}
	for _, s := range in {
		add(string(s.Key))
		for _, m := range personal.FindAllSubmatch(s.Value, -1) {
			add(string(m[1]))
		}
	}
	ids := slices.Sorted(maps.Keys(theirs))
	for _, p := range w.runs {
		said := p.said()
		ctx, cancel := context.WithTimeout(w.t.Context(), patience)
		_, metrics, _ := p.get(ctx, "/metrics") // none of one that has ended
		cancel()
		for _, id := range ids {
			if strings.Contains(said, id) || strings.Contains(metrics, id) {
				w.t.Errorf("%s has logged, or counts by, what a record says of a person: %q", p.name, id)
			}
		}
	}
}
