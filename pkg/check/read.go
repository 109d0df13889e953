package check

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// ReadSources reads source records, one JSON object a line: topic, key, value,
// time (RFC 3339) where known, partition and offset where known. Without them a
// topic's records are those of its partition 0, counted from 0. A value that is
// a JSON text is the record's bytes.
func ReadSources(r io.Reader) ([]Source, error) {
	var out []Source
	next := map[string]int64{}
	err := eachLine(r, func(l line) error {
		s := Source{Topic: l.text("topic"), Key: []byte(l.text("key")), Value: recordBytes(l["value"])}
		var err error
		if s.Partition, s.Offset, err = l.position(s.Topic, next); err != nil {
			return err
		}
		if t := l.text("time"); t != "" {
			s.Time, err = time.Parse(time.RFC3339Nano, t)
		}
		out = append(out, s)
		return err
	})
	return out, err
}

// ReadOutputs reads output records, one JSON object a line: topic, key,
// headers, value; partition and offset where known, else as ReadSources has it.
func ReadOutputs(r io.Reader) ([]Output, error) {
	var out []Output
	next := map[string]int64{}
	err := eachLine(r, func(l line) error {
		o := Output{Topic: l.text("topic"), Key: []byte(l.text("key")), Value: l["value"]}
		var err error
		if o.Partition, o.Offset, err = l.position(o.Topic, next); err != nil {
			return err
		}
		if h := l["headers"]; h != nil {
			err = json.Unmarshal(h, &o.Headers)
		}
		out = append(out, o)
		return err
	})
	return out, err
}

// line is the members of one object, undecoded. encoding/json can't read it: it
// gives up at nesting 10,000, and poison is nested deeper.
type line map[string][]byte

func (l line) text(name string) string {
	var s string
	if json.Unmarshal(l[name], &s) != nil {
		return ""
	}
	return s
}

func (l line) position(topic string, next map[string]int64) (int32, int64, error) {
	if l["offset"] == nil {
		n := next[topic]
		next[topic] = n + 1
		return 0, n, nil
	}
	offset, err := strconv.ParseInt(string(l["offset"]), 10, 64)
	if err != nil || l["partition"] == nil {
		return 0, offset, err
	}
	partition, err := strconv.ParseInt(string(l["partition"]), 10, 32)
	return int32(partition), offset, err
}

func recordBytes(value []byte) []byte {
	var s string
	if len(value) > 0 && value[0] == '"' && json.Unmarshal(value, &s) == nil {
		return []byte(s)
	}
	return value
}

func eachLine(r io.Reader, f func(line) error) error {
	in := bufio.NewReader(r)
	for n := 1; ; n++ {
		text, err := in.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if l, bad := splitObject(text); bad != nil {
			return fmt.Errorf("line %d: %w", n, bad)
		} else if l != nil {
			if bad := f(l); bad != nil {
				return fmt.Errorf("line %d: %w", n, bad)
			}
		}
		if err != nil {
			return nil
		}
	}
}

var errNoObject = errors.New("not a JSON object: each line must be one")

// splitObject cuts an object into its members without looking into them. An
// empty line gives nil.
func splitObject(text []byte) (line, error) {
	i := skipSpace(text, 0)
	if i == len(text) {
		return nil, nil
	}
	if text[i] != '{' {
		return nil, errNoObject
	}
	l := line{}
	for i = skipSpace(text, i+1); i < len(text) && text[i] != '}'; {
		end := skipValue(text, i)
		var name string
		if json.Unmarshal(text[i:end], &name) != nil {
			return nil, errNoObject
		}
		colon := skipSpace(text, end)
		if colon == len(text) || text[colon] != ':' {
			return nil, errNoObject
		}
		start := skipSpace(text, colon+1)
		end = skipValue(text, start)
		l[name] = text[start:end]
		if i = skipSpace(text, end); i < len(text) && text[i] == ',' {
			i = skipSpace(text, i+1)
		}
	}
	if i == len(text) {
		return nil, errNoObject
	}
	return l, nil
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// skipValue is the end of the JSON value that starts at i: brackets are counted,
// strings passed over.
func skipValue(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = skipString(b, i)
			if depth == 0 {
				return min(i+1, len(b))
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the enclosing object's end, after a bare number or word
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// skipString is the index of the quote that closes the string opened at i.
func skipString(b []byte, i int) int {
	for i++; i < len(b) && b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i
}
