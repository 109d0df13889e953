package wire

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// tape is a record as a flat list of nodes over its bytes: it remembers where
// everything stands, so that nothing is copied that isn't used. What a record has to
// be (grammar, UTF-8, no duplicate names) is jsontext's word; scan only reads sooner
// what jsontext takes for certain.
type tape struct {
	text    []byte
	nodes   []node
	input   bytes.Buffer
	decoder jsontext.Decoder
}

// node is one value, or one member's name. Node 0 is the record itself, so 0
// stands for "absent" wherever a node is looked up.
type node struct {
	start, end int32 // in text
	next       int32 // the node after this one and all it contains
	kind       byte  // '{', '[', '"', '0', 't', 'f' or 'n'
	escaped    bool  // a text with escapes
}

// parse reads a record. A non-empty reason says what is wrong, where says where.
func (t *tape) parse(text []byte) (reason, where string) {
	t.text, t.nodes = text, t.nodes[:0]
	if t.scan() {
		return "", ""
	}
	return t.judge(text)
}

// judge reads a record with jsontext.
func (t *tape) judge(text []byte) (reason, where string) {
	t.text, t.nodes = text, t.nodes[:0]
	t.input = *bytes.NewBuffer(text)
	t.decoder.Reset(&t.input)
	if _, err := t.decoder.ReadValue(); err != nil {
		return t.refusal(err)
	}
	if rest := bytes.TrimLeft(text[t.decoder.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return ReasonNotJSON, "at byte " + strconv.Itoa(len(text)-len(rest)) + ": nothing may follow the object"
	}
	if text := bytes.TrimLeft(text, " \t\r\n"); text[0] != '{' {
		return ReasonNotObject, "the record: must be a JSON object"
	}
	return t.index()
}

// refusal tells jsontext's errors apart.
func (t *tape) refusal(err error) (reason, where string) {
	syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
	if !ok {
		return ReasonNotJSON, "the record: must be one JSON object, and not be cut off"
	}
	at := "at byte " + strconv.FormatInt(syntax.ByteOffset, 10)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return ReasonDuplicateKey, at + ": the object has this key already"
	case t.badText(int(syntax.ByteOffset)):
		return ReasonInvalidUTF8, at + ": text must be UTF-8, without a lone surrogate"
	case deeper(t.text):
		return ReasonTooDeep, at + ": nesting must not be over 64"
	}
	return ReasonNotJSON, at + ": must be JSON"
}

// badText reports that the text at the offset of an error is no UTF-8, or half
// a surrogate pair.
func (t *tape) badText(at int) bool {
	rest := t.text[min(at, len(t.text)):]
	if len(rest) > 0 && rest[0] == '\\' {
		return loneSurrogate(rest)
	}
	r, size := utf8.DecodeRune(rest)
	return r == utf8.RuneError && size == 1
}

// loneSurrogate: the escape is well-formed, so what was refused is its meaning.
func loneSurrogate(escape []byte) bool {
	unit, ok := codeUnit(escape)
	return ok && utf16.IsSurrogate(unit)
}

// codeUnit is the UTF-16 code unit of an escape such as \u00e9, that text begins with.
func codeUnit(text []byte) (unit rune, ok bool) {
	if len(text) < 6 || text[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(n), err == nil
}

// deeper reports that broken JSON is nested over the limit, as far as it goes.
func deeper(text []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// index fills the nodes. The text is known to be valid JSON.
func (t *tape) index() (reason, where string) {
	var open [maxDepth]int32
	depth, text := 0, t.text
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
			i++
		case '{', '[':
			if depth == maxDepth {
				return ReasonTooDeep, "at byte " + strconv.Itoa(i) + ": nesting must not be over 64"
			}
			open[depth] = int32(len(t.nodes))
			depth++
			t.nodes = append(t.nodes, node{start: int32(i), kind: c})
			i++
		case '}', ']':
			depth--
			i = t.end(open[depth], i+1)
		case '"':
			i = t.addText(i)
		default:
			var ok bool
			if i, ok = t.addLiteral(i); !ok {
				return ReasonNumberRange, t.partialPath(open[:depth]) + ": the number must fit a 64-bit float"
			}
		}
	}
	return "", ""
}

func (t *tape) addText(start int) (end int) {
	escaped, i := false, start+1
	for ; t.text[i] != '"'; i++ {
		if t.text[i] == '\\' {
			escaped = true
			i++
		}
	}
	t.add(start, i+1, '"', escaped)
	return i + 1
}

func (t *tape) addLiteral(start int) (end int, ok bool) {
	i := start
	for i < len(t.text) && literal[t.text[i]] {
		i++
	}
	kind := t.text[start]
	if kind == '-' || kind <= '9' {
		kind = '0'
		ok = inFloatRange(t.text[start:i])
	} else {
		ok = true
	}
	t.add(start, i, kind, false)
	return i, ok
}

// literal is what numbers, true, false and null consist of.
var literal = func() (set [256]bool) {
	for _, c := range "+-.0123456789Eabcdefghijklmnopqrstuvwxyz" {
		set[c] = true
	}
	return set
}()

func (t *tape) add(start, end int, kind byte, escaped bool) {
	t.nodes = append(t.nodes, node{
		start: int32(start), end: int32(end), next: int32(len(t.nodes) + 1), kind: kind, escaped: escaped,
	})
}

// inFloatRange: a 64-bit float can hold the number, if not all of its digits.
func inFloatRange(number []byte) bool {
	if len(number) < 300 && !bytes.ContainsAny(number, "eE") {
		return true
	}
	_, err := strconv.ParseFloat(string(number), 64)
	return err == nil
}

// raw is a node's own bytes, white space within it and all.
func (t *tape) raw(n int32) []byte { return t.text[t.nodes[n].start:t.nodes[n].end] }

// bytes is a text node's text, or a member's name; it is the record's own where
// it has no escapes.
func (t *tape) bytes(n int32) []byte {
	if node := &t.nodes[n]; !node.escaped {
		return t.text[node.start+1 : node.end-1]
	}
	text, _ := jsontext.AppendUnquote(nil, t.raw(n)) // it was parsed already
	return text
}

// isObject also takes PHP's [] for an empty object.
func (t *tape) isObject(n int32) bool {
	return t.nodes[n].kind == '{' || t.nodes[n].kind == '[' && t.nodes[n].next == n+1
}

// find returns a member's value, 0 where it is absent or null. Node 0 has no
// members here: it is how an absent object is written.
func (t *tape) find(object int32, name string) int32 {
	if object == 0 || t.nodes[object].kind != '{' {
		return 0
	}
	for k := object + 1; k < t.nodes[object].next; k = t.nodes[k+1].next {
		if string(t.bytes(k)) == name {
			if t.nodes[k+1].kind == 'n' {
				return 0
			}
			return k + 1
		}
	}
	return 0
}

// partialPath is where the last node stands, while the nodes in open have no end yet.
func (t *tape) partialPath(open []int32) string {
	for _, n := range open {
		t.nodes[n].end, t.nodes[n].next = int32(len(t.text)), int32(len(t.nodes))
	}
	return t.path(int32(len(t.nodes) - 1))
}

// path says where a node stands, as in properties.items[2].price. A name that
// isn't a plain one might be personal, and is left out.
func (t *tape) path(target int32) string {
	out := []byte(nil)
	for n := int32(0); n != target; {
		n, out = t.step(n, target, out)
	}
	if len(out) == 0 {
		return "the record"
	}
	return string(out)
}

// step goes from n to its child that holds target.
func (t *tape) step(n, target int32, path []byte) (int32, []byte) {
	object := t.nodes[n].kind == '{'
	for k, i := n+1, 0; ; i++ {
		v := k
		if object {
			v = k + 1
		}
		if target < t.nodes[v].next {
			if !object {
				return v, append(strconv.AppendInt(append(path, '['), int64(i), 10), ']')
			}
			if len(path) > 0 {
				path = append(path, '.')
			}
			return v, append(path, plainName(t.bytes(k))...)
		}
		k = t.nodes[v].next
	}
}

func plainName(name []byte) []byte {
	plain := len(name) > 0 && len(name) <= 40
	for _, c := range name {
		plain = plain && (c == '_' || c == '-' || c == '$' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z')
	}
	if !plain {
		return []byte("?")
	}
	return name
}
