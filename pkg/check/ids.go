package check

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var (
	integer = regexp.MustCompile(`^-?[0-9]+$`)
	address = regexp.MustCompile(`^[^\s@]+@[^\s@]+\.[^\s@]+$`)
)

// refusedIDs are those of law 3.8 that mean nobody, folded.
var refusedIDs = []string{
	"", "null", "undefined", "nan", "none", "0", "-1", "true", "false", "guest", "anonymous", "unknown",
	"[object object]", "00000000-0000-0000-0000-000000000000", "00000000000000000000000000000000",
}

// trim cuts outer white space, zero-width characters too.
func trim(s string) string {
	return strings.TrimFunc(s, func(c rune) bool {
		return unicode.IsSpace(c) || c >= '\u200b' && c <= '\u200d' || c == '\u2060' || c == '\ufeff'
	})
}

// text is an identifier as the laws see it: trimmed text, or an integer's
// digits. present is false for absent ones (null and ""); one that is neither
// text nor an integer is present and "".
func text(v any) (id string, present bool) {
	switch v := v.(type) {
	case nil:
		return "", false
	case string:
		return trim(v), v != ""
	case json.Number:
		if integer.MatchString(v.String()) {
			return v.String(), true
		}
	}
	return "", true
}

// unstable says that an ID means nobody in particular (law 3.8, but for the
// event's own other IDs).
func (r Rules) unstable(id string) bool {
	folded := strings.ToLower(id)
	for {
		bare := trim(strings.Trim(folded, "\"'`"))
		if bare == folded {
			break
		}
		folded = bare
	}
	return slices.Contains(refusedIDs, folded) || address.MatchString(folded) ||
		slices.ContainsFunc(r.Refused, func(s string) bool { return strings.ToLower(s) == folded })
}

// foldAddress is an email as law 3.7 compares it; "" where v is none.
func foldAddress(v any) string {
	s, _ := v.(string)
	return strings.ToLower(trim(s))
}
