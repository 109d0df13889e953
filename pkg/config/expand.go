package config

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/goccy/go-yaml/ast"
)

// expander puts environment variables into the values of a parsed file. It works
// on values, not on the file's text: what a variable holds can change no
// structure, and what a comment says is no reference.
type expander struct {
	env  func(string) (string, bool)
	errs []error
}

// reference is ${NAME} or ${NAME:-text}; open alone is one that is not well formed.
var reference = regexp.MustCompile(`\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}|.?)`)

// value returns the node with its texts expanded. Keys are not looked at.
func (x *expander) value(n ast.Node) ast.Node {
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			v.Value = x.value(v.Value)
		}
	case *ast.MappingValueNode:
		n.Value = x.value(n.Value)
	case *ast.SequenceNode:
		for i := range n.Values {
			n.Values[i] = x.value(n.Values[i])
		}
	case *ast.AnchorNode:
		n.Value = x.value(n.Value)
	case *ast.TagNode:
		n.Value = x.value(n.Value)
	case *ast.LiteralNode:
		n.Value.Value = x.text(n.Value, n.Value.Value)
	case *ast.StringNode:
		return x.scalar(n)
	}
	return n
}

// scalar expands a text. true and false become booleans, for switches; numbers
// and durations are read from texts anyway. The token keeps what was written.
func (x *expander) scalar(n *ast.StringNode) ast.Node {
	written := n.Value
	n.Value = x.text(n, written)
	if n.Value != written && (n.Value == "true" || n.Value == "false") {
		b := ast.Bool(n.Token)
		b.Value = n.Value == "true"
		return b
	}
	return n
}

func (x *expander) text(n ast.Node, text string) string {
	return reference.ReplaceAllStringFunc(text, func(ref string) string {
		m := reference.FindStringSubmatch(ref)
		name, withDefault, other := m[1], m[2] != "", m[3]
		if name == "" {
			x.fail(n, "a reference is not well formed: write ${NAME} or ${NAME:-text}")
			return ""
		}
		value, ok := x.env(name)
		switch {
		case withDefault && value == "":
			return other
		case !ok:
			x.fail(n, fmt.Sprintf("the environment variable %s is not set: set it, or write ${%s:-text} with a default", name, name))
		}
		return value
	})
}

func (x *expander) fail(n ast.Node, message string) {
	x.errs = append(x.errs, refuse(n, message))
}

func (x *expander) err() error { return errors.Join(x.errs...) }
