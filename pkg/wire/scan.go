package wire

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// scan fills the nodes in one pass over a record that is written as nearly all are,
// and checks it meanwhile. ok=false says only that it didn't: then jsontext judges
// the record afresh. What scan takes jsontext takes as well, to the same nodes
// (FuzzScan), so what a record means, and what is wrong with it, is jsontext's word.
func (t *tape) scan() (ok bool) {
	i := t.space(0)
	if i == len(t.text) || t.text[i] != '{' {
		return false
	}
	i = t.list(i, 1, '}')
	return i > 0 && t.space(i) == len(t.text)
}

// space returns where white space from i on ends.
func (t *tape) space(i int) int {
	for i < len(t.text) {
		switch t.text[i] {
		case ' ', '\t', '\r', '\n':
			i++
		default:
			return i
		}
	}
	return i
}

// value reads the value at i and returns where it ends; 0, as all of these do, where
// it is left to jsontext.
func (t *tape) value(i, depth int) int {
	if i == len(t.text) {
		return 0
	}
	switch c := t.text[i]; c {
	case '"':
		return t.quoted(i)
	case '{':
		return t.list(i, depth+1, '}')
	case '[':
		return t.list(i, depth+1, ']')
	case 't':
		return t.word(i, "true")
	case 'f':
		return t.word(i, "false")
	case 'n':
		return t.word(i, "null")
	default:
		return t.number(i)
	}
}

// scanned is the most members of an object that scan compares the names of.
const scanned = 64

// list reads an object or an array, which closing ends.
func (t *tape) list(i, depth int, closing byte) int {
	if depth > maxDepth {
		return 0
	}
	self, object := int32(len(t.nodes)), closing == '}'
	t.nodes = append(t.nodes, node{start: int32(i), kind: t.text[i]})
	var seen uint64 // what the names so far hash to
	i = t.space(i + 1)
	if i < len(t.text) && t.text[i] == closing {
		return t.end(self, i+1)
	}
	for n := 0; ; n++ {
		if object {
			if i = t.member(self, i, &seen); i == 0 || n == scanned {
				return 0
			}
		}
		if i = t.value(i, depth); i == 0 {
			return 0
		}
		if i = t.space(i); i == len(t.text) {
			return 0
		}
		switch t.text[i] {
		case closing:
			return t.end(self, i+1)
		case ',':
			i = t.space(i + 1)
		default:
			return 0
		}
	}
}

// member reads a member's name, which no other member of the object has, and returns
// where its value begins.
func (t *tape) member(object int32, i int, seen *uint64) int {
	name := int32(len(t.nodes))
	if i == len(t.text) || t.text[i] != '"' {
		return 0
	}
	if i = t.quoted(i); i == 0 || t.nodes[name].escaped || !t.alone(object, name, seen) {
		return 0
	}
	if i = t.space(i); i == len(t.text) || t.text[i] != ':' {
		return 0
	}
	return t.space(i + 1)
}

// end closes an object or an array.
func (t *tape) end(self int32, i int) int {
	n := &t.nodes[self]
	n.end, n.next = int32(i), int32(len(t.nodes))
	return i
}

// alone reports that no member before has the name.
func (t *tape) alone(object, name int32, seen *uint64) bool {
	text := t.bytes(name)
	hash := uint(len(text))
	if len(text) > 0 {
		hash += 7*uint(text[0]) + 31*uint(text[len(text)-1]) + 3*uint(text[len(text)/2])
	}
	bit := uint64(1) << (hash % 64)
	if *seen&bit == 0 {
		*seen |= bit
		return true
	}
	for k := object + 1; k < name; k = t.nodes[k+1].next {
		if bytes.Equal(t.bytes(k), text) {
			return false
		}
	}
	return true
}

// quoted reads a text. Its escapes may be any but those of surrogates.
func (t *tape) quoted(start int) int {
	escaped, ascii := false, true
	i := start + 1
	for {
		if i = plain(t.text, i); i == len(t.text) {
			return 0
		}
		switch c := t.text[i]; {
		case c == '"':
			if !ascii && !utf8.Valid(t.text[start+1:i]) {
				return 0
			}
			t.add(start, i+1, '"', escaped)
			return i + 1
		case c == '\\':
			n := escape(t.text[i:])
			if n == 0 {
				return 0
			}
			escaped = true
			i += n
		case c < ' ':
			return 0
		default:
			ascii = false
			i++
		}
	}
}

// escape is the length of the escape that text begins with.
func escape(text []byte) int {
	if len(text) < 2 {
		return 0
	}
	switch text[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if unit, ok := codeUnit(text); ok && !utf16.IsSurrogate(unit) {
			return 6
		}
	}
	return 0
}

// plain returns where the next byte from i on stands that is no plain part of a text:
// a quote, a backslash, a control character, or one beyond ASCII. It looks at eight
// bytes at a time: in each of the terms a byte's upper bit says so, and below the
// first such byte nothing is borrowed.
func plain(text []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(text); i += 8 {
		w := binary.LittleEndian.Uint64(text[i:])
		quote, backslash := w^('"'*ones), w^('\\'*ones)
		special := (w | (w-' '*ones)&^w | (quote-ones)&^quote | (backslash-ones)&^backslash) & highs
		if special != 0 {
			return i + bits.TrailingZeros64(special)/8
		}
	}
	for ; i < len(text); i++ {
		if c := text[i]; c == '"' || c == '\\' || c < ' ' || c >= utf8.RuneSelf {
			return i
		}
	}
	return i
}

func (t *tape) word(i int, word string) int {
	end := i + len(word)
	if end > len(t.text) || string(t.text[i:end]) != word {
		return 0
	}
	t.add(i, end, word[0], false)
	return end
}

func (t *tape) number(start int) int {
	i := start
	if i < len(t.text) && t.text[i] == '-' {
		i++
	}
	from := i
	if i = t.digits(i); i == from || t.text[from] == '0' && i > from+1 {
		return 0
	}
	if i < len(t.text) && t.text[i] == '.' {
		from = i + 1
		if i = t.digits(from); i == from {
			return 0
		}
	}
	if i < len(t.text) && t.text[i]|0x20 == 'e' {
		from = i + 1
		if from < len(t.text) && (t.text[from] == '+' || t.text[from] == '-') {
			from++
		}
		if i = t.digits(from); i == from {
			return 0
		}
	}
	if !inFloatRange(t.text[start:i]) {
		return 0
	}
	t.add(start, i, '0', false)
	return i
}

func (t *tape) digits(i int) int {
	for i < len(t.text) && '0' <= t.text[i] && t.text[i] <= '9' {
		i++
	}
	return i
}
