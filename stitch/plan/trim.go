package plan

import (
	"strings"
	"unicode"
)

// Trim cuts outer white space, zero-width characters too: what an ID is read
// without (contract section 7, "IDs").
func Trim(s string) string {
	if len(s) > 0 && visible(s[0]) && visible(s[len(s)-1]) {
		return s
	}
	return strings.TrimFunc(s, IsBlank)
}

func visible(c byte) bool { return c > ' ' && c < 0x7f }

// IsBlank reports white space and what has no width: format characters such as
// the zero-width space, joiners and the byte order mark.
func IsBlank(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }
