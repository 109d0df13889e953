package feed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Line is one source record. It has the fields of the lines that packages
// traffic and try have, and converts to them.
type Line struct {
	Topic string
	Key   string // "": none
	Value []byte
	Time  time.Time // arrival; zero: unknown
}

// asIs takes records as they are: whether one is well-formed is for ingest to
// say, not for the feed.
var asIs = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// parser reads lines, one after the other.
type parser struct {
	in   bytes.Buffer
	json jsontext.Decoder
	line Line
	seen [len(members)]bool
}

var members = [...]string{"topic", "key", "value", "time"}

const memberValue = 2 // in members

// parse reads one line. Nothing of text is kept in the result.
func (p *parser) parse(text []byte) (Line, error) {
	p.in = *bytes.NewBuffer(text)
	p.json.Reset(&p.in, asIs...)
	p.line, p.seen = Line{}, [len(members)]bool{}
	if err := p.object(); err != nil {
		return Line{}, err
	}
	switch {
	case p.line.Topic == "":
		return Line{}, errors.New("has no topic")
	case !p.seen[memberValue]:
		return Line{}, errors.New("has no value")
	}
	return p.line, nil
}

func (p *parser) object() error {
	if p.json.PeekKind() != '{' {
		return errors.New("must be a JSON object with topic, key and value")
	}
	if _, err := p.json.ReadToken(); err != nil {
		return syntax(err)
	}
	for p.json.PeekKind() == '"' {
		if err := p.member(); err != nil {
			return err
		}
	}
	if _, err := p.json.ReadToken(); err != nil {
		return syntax(err)
	}
	if _, err := p.json.ReadToken(); err != io.EOF {
		return errors.New("must be one JSON object, and nothing after it")
	}
	return nil
}

func (p *parser) member() error {
	token, err := p.json.ReadToken()
	if err != nil {
		return syntax(err)
	}
	i := slices.Index(members[:], token.String())
	value, err := p.json.ReadValue()
	if err != nil {
		return syntax(err)
	}
	if i < 0 {
		return nil // a dump may say more of a record
	}
	if p.seen[i] {
		return fmt.Errorf("has %s twice", members[i])
	}
	p.seen[i] = true
	return p.line.set(members[i], value)
}

// set takes a member's value over. Errors don't quote it: it is somebody's data.
func (l *Line) set(name string, value jsontext.Value) (err error) {
	switch name {
	case "topic":
		l.Topic, err = text(name, value)
	case "key":
		if value.Kind() != 'n' {
			l.Key, err = text(name, value)
		}
	case "value":
		l.Value, err = record(value)
	case "time":
		if value.Kind() != 'n' {
			l.Time, err = moment(value)
		}
	}
	return err
}

func text(name string, value jsontext.Value) (string, error) {
	if value.Kind() != '"' {
		return "", fmt.Errorf("has a %s that is no text", name)
	}
	b, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return "", fmt.Errorf("has a %s with invalid UTF-8", name)
	}
	return string(b), nil
}

func record(value jsontext.Value) ([]byte, error) {
	if value.Kind() != '"' {
		return bytes.Clone(value), nil
	}
	b, err := jsontext.AppendUnquote([]byte{}, value)
	if err != nil {
		return nil, errors.New("has a value that is a text with invalid UTF-8: write the record as JSON instead")
	}
	return b, nil
}

func moment(value jsontext.Value) (time.Time, error) {
	s, err := text("time", value)
	if err != nil {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, errors.New("has a time that is not RFC 3339, such as 2026-11-23T08:00:00Z")
	}
	return at, nil
}

// syntax says where a line is no JSON, without quoting it.
func syntax(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("is no valid JSON: it is cut off")
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("is no valid JSON at byte %d", e.ByteOffset)
	}
	return errors.New("is no valid JSON")
}

// Append writes a line as Lines reads it, with a line break. It fails on a record
// that is neither JSON nor valid UTF-8, which a line can't hold.
func Append(b []byte, l Line) ([]byte, error) {
	value := l.Value
	if !plain(value) {
		quoted, err := jsontext.AppendQuote(nil, value)
		if err != nil {
			return b, errors.New("feed: a record that is neither JSON nor valid UTF-8 can't be written as a line")
		}
		value = quoted
	}
	head := struct {
		Topic string     `json:"topic"`
		Key   string     `json:"key,omitempty"`
		Time  *time.Time `json:"time,omitempty"`
	}{Topic: l.Topic, Key: l.Key}
	if !l.Time.IsZero() {
		head.Time = &l.Time
	}
	start, err := json.Marshal(head)
	if err != nil {
		return b, fmt.Errorf("feed: %w", err)
	}
	b = append(b, start[:len(start)-1]...)
	b = append(b, `,"value":`...)
	b = append(b, value...)
	return append(b, '}', '\n'), nil
}

// plain is true of a record that can stand in a line as it is: JSON without line
// breaks, and no text, for a text would be read as the bytes of a record.
func plain(value jsontext.Value) bool {
	return value.IsValid(asIs...) && value.Kind() != '"' &&
		!bytes.ContainsAny(value, "\r\n") && len(bytes.TrimSpace(value)) == len(value)
}
