package wire

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"lockstitch/stitch/plan"
)

// unusable are the texts that no stable ID is (law identity.8), with the class
// that the reason names.
var unusable = map[string]string{
	"null": "null", "undefined": "undefined", "nan": "nan", "none": "none", "0": "zero", "-1": "minus_one",
	"true": "true", "false": "false", "guest": "guest", "anonymous": "anonymous", "unknown": "unknown",
	"[object object]": "object",
}

// Classes of unusable IDs that aren't texts of the list.
const (
	classBlank        = "blank"
	classConfigured   = "configured"
	classZeroUUID     = "zero_uuid"
	classEmail        = "email"
	classOwnDevice    = "own_device_id"
	classOwnToken     = "own_push_token"
	classOwnAnonymous = "own_anonymous_id"
)

// bare is an ID as the list of unusable ones is compared: without outer quotes
// and white space, in lower case.
func bare(id string) string {
	return strings.ToLower(strings.TrimFunc(id, func(r rune) bool { return plan.IsBlank(r) || isQuote(r) }))
}

func isQuote(r rune) bool {
	switch r {
	case '"', '\'', '`', '´', '‘', '’', '‚', '‛', '“', '”', '„', '‟', '«', '»', '‹', '›', '′', '″', '＂', '＇':
		return true
	}
	return false
}

// class says why an ID can't be a stable one; "" where it can.
func (in *Ingest) class(id string) string {
	text := bare(id)
	switch {
	case text == "":
		return classBlank
	case unusable[text] != "":
		return unusable[text]
	case in.unusable[text]:
		return classConfigured
	case zeroUUID(text):
		return classZeroUUID
	case isAddress(text):
		return classEmail
	}
	return ""
}

// zeroUUID: 32 zeros, however they are grouped.
func zeroUUID(text string) bool {
	zeros := 0
	for _, c := range []byte(text) {
		switch c {
		case '0':
			zeros++
		case '-', '{', '}':
		default:
			return false
		}
	}
	return zeros == 32
}

// isAddress tells an email address from an ID: one @ within it, a dot after that.
func isAddress(text string) bool {
	name, host, found := strings.Cut(text, "@")
	return found && name != "" && strings.Contains(strings.Trim(host, "."), ".") &&
		!strings.Contains(host, "@") && !strings.ContainsFunc(text, plan.IsBlank)
}

// address normalises a posted email: trimmed, case folded. ok is false for what
// is no address.
func address(email string) (folded string, ok bool) {
	email = fold(plan.Trim(email))
	at := strings.IndexByte(email, '@')
	if at < 1 || at == len(email)-1 || strings.ContainsFunc(email, notInAddress) {
		return "", false
	}
	return email, true
}

func notInAddress(r rune) bool { return r < ' ' || r == 0x7f || plan.IsBlank(r) }

// idState is what stands where an ID is expected.
type idState uint8

const (
	idAbsent idState = iota
	idBlank          // text of nothing but white space
	idGiven
	idWrong // it was refused, and the refusal noted
)

// id reads an identifier: text with outer white space cut, or an integer as its
// digits. What is neither, or too long, is refused.
func (d *decoding) id(n int32) (string, idState) {
	if n == 0 {
		return "", idAbsent
	}
	var text string
	switch d.nodes[n].kind {
	case 'n':
		return "", idAbsent
	case '"':
		posted := d.bytes(n)
		if len(posted) == 0 {
			return "", idAbsent
		}
		text = plan.Trim(string(posted))
	case '0':
		text = integer(d.raw(n))
	}
	switch {
	case text == "" && d.nodes[n].kind == '"':
		return "", idBlank
	case text == "":
		d.rejectAt(n, ReasonBadID, "an ID must be text or an integer")
		return "", idWrong
	case len(text) > maxID:
		d.rejectAt(n, ReasonIDTooLong, "an ID must not be over 256 bytes")
		return "", idWrong
	}
	return text, idGiven
}

// integer returns a number's digits, "" where it isn't written as an integer.
func integer(number []byte) string {
	if bytes.ContainsAny(number, ".eE") {
		return ""
	}
	if string(number) == "-0" {
		return "0"
	}
	return string(number)
}

// peekID reads an identifier that is only compared with others: what can't be
// one is none.
func (d *decoding) peekID(n int32) []byte {
	if n == 0 {
		return nil
	}
	switch d.nodes[n].kind {
	case '"':
		text := d.bytes(n)
		if len(text) > 0 && text[0] > ' ' && text[len(text)-1] > ' ' && text[0] < utf8.RuneSelf && text[len(text)-1] < utf8.RuneSelf {
			return text
		}
		return []byte(plan.Trim(string(text)))
	case '0':
		return d.raw(n)
	}
	return nil
}

// sameID compares with an ID that may be absent.
func sameID(id string, other []byte) bool {
	return len(other) == len(id) && len(id) > 0 && strings.EqualFold(id, string(other))
}
