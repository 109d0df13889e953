package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Duration is a length of time, written as Go writes it, or with days first:
// 250ms, 10m, 36h, 30d, 1d12h.
type Duration time.Duration

const day = 24 * time.Hour

var days = regexp.MustCompile(`^(\d+)d(.*)$`)

// ParseDuration reads the text of a duration. The error says how to write one.
func ParseDuration(text string) (Duration, error) {
	var whole time.Duration
	rest := text
	if m := days.FindStringSubmatch(text); m != nil {
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil || n > int64(math.MaxInt64/day)-1 {
			return 0, fmt.Errorf("%q is too long a duration: 100000d is possible", text)
		}
		if whole, rest = time.Duration(n)*day, m[2]; rest == "" {
			return Duration(whole), nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || whole > 0 && (d < 0 || d > day) {
		return 0, fmt.Errorf("%q is no duration: write 250ms, 10m, 36h or 30d", text)
	}
	return Duration(whole + d), nil
}

// String is the shortest text that ParseDuration reads back.
func (d Duration) String() string {
	t := time.Duration(d)
	if t >= 2*day && t%day == 0 {
		return strconv.FormatInt(int64(t/day), 10) + "d"
	}
	text := t.String()
	if strings.HasSuffix(text, "m0s") {
		text = text[:len(text)-2]
	}
	if strings.HasSuffix(text, "h0m") {
		text = text[:len(text)-2]
	}
	return text
}

// UnmarshalYAML reads a duration, with the line in its error.
func (d *Duration) UnmarshalYAML(n ast.Node) error {
	s, ok := n.(ast.ScalarNode)
	if !ok {
		return refuse(n, "a duration is wanted: write 250ms, 10m, 36h or 30d")
	}
	v, err := ParseDuration(fmt.Sprint(s.GetValue()))
	if err != nil {
		return refuse(n, err.Error())
	}
	*d = v
	return nil
}

// List is a list of texts, which may be written as one text with commas, as an
// environment variable has it.
type List []string

// UnmarshalYAML reads both forms.
func (l *List) UnmarshalYAML(n ast.Node) error {
	*l = List{}
	var items []ast.Node
	switch n := n.(type) {
	case *ast.SequenceNode:
		items = n.Values
	default:
		items = []ast.Node{n}
	}
	for _, item := range items {
		s, ok := item.(ast.ScalarNode)
		if !ok || item.Type() == ast.NullType {
			return refuse(item, "a list of texts is wanted: write [a, b], or one text with commas")
		}
		for text := range strings.SplitSeq(fmt.Sprint(s.GetValue()), ",") {
			if text = strings.TrimSpace(text); text != "" {
				*l = append(*l, text)
			}
		}
	}
	return nil
}

// Secret is a text that no way of printing shows.
type Secret struct{ text string }

// NewSecret makes a secret of its text.
func NewSecret(text string) Secret { return Secret{text} }

// hidden stands for a secret wherever one is printed.
const hidden = "***"

// Reveal returns the secret itself, for the client that needs it.
func (s Secret) Reveal() string { return s.text }

// String is *** for any secret, and empty for none.
func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return hidden
}

// Format prints String for every verb, so that %#v shows nothing either.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText is String, for JSON, YAML and slog.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// oneVariable is the only form in which a file may give a secret. A default
// would be a secret in the file.
var oneVariable = regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_]*(:-)?\}$`)

// UnmarshalYAML takes a secret from the environment and refuses any other. The
// token still has the text as it was written, also where the value was expanded.
func (s *Secret) UnmarshalYAML(n ast.Node) error {
	written := ""
	if t := n.GetToken(); t != nil {
		written = t.Value
	}
	value, scalar := n.(ast.ScalarNode)
	if !scalar || written != "" && !oneVariable.MatchString(written) {
		return refuse(n, "a secret is written into the file: give it as ${NAME} from the environment, "+
			"or name a file that holds it in password_file")
	}
	s.text = fmt.Sprint(value.GetValue())
	return nil
}

// refuse is an error at a node's place in the file.
func refuse(n ast.Node, message string) error {
	return &yaml.SyntaxError{Message: message, Token: n.GetToken()}
}
