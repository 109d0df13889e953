package traffic

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
)

// uuid is 128 random bits.
type uuid struct{ high, low uint64 }

func (g *Generator) bits() uuid { return uuid{g.rnd.Uint64(), g.rnd.Uint64()} }

// uuid is a random UUID's text.
func (g *Generator) uuid() string { return string(appendUUID(nil, g.bits())) }

// token is a push token's text: 64 hexadecimal digits.
func (g *Generator) token() string {
	return string(appendHex(appendHex(nil, g.bits()), g.bits()))
}

func (u uuid) bytes() (b [16]byte) {
	for i := range 8 {
		b[i], b[8+i] = byte(u.high>>(56-8*i)), byte(u.low>>(56-8*i))
	}
	return b
}

func appendHex(b []byte, u uuid) []byte {
	raw := u.bytes()
	return hex.AppendEncode(b, raw[:])
}

// appendUUID writes the bits as a UUID of version 4.
func appendUUID(b []byte, u uuid) []byte {
	u.high = u.high&^0xf000 | 0x4000
	u.low = u.low&^(3<<62) | 1<<63
	raw := u.bytes()
	for i, part := range [...][]byte{raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return b
}

// appendCents writes an amount as JavaScript writes numbers: 12.5, not 12.50.
func appendCents(b []byte, cents int64) []byte {
	b = strconv.AppendInt(b, cents/100, 10)
	rest := byte(cents % 100)
	if rest == 0 {
		return b
	}
	b = append(b, '.', '0'+rest/10)
	if rest%10 != 0 {
		b = append(b, '0'+rest%10)
	}
	return b
}

// quote is a text as JSON; "" is nothing.
func quote(s string) []byte {
	if s == "" {
		return nil
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic("traffic: " + err.Error()) // a string always has a JSON form
	}
	return b
}

// clock writes times. The date is kept from one time to the next.
type clock struct {
	day  int64 // since 1970
	date []byte
}

const day = 24 * hour

// append writes a time in Unix ms without a zone: 2026-11-23T08:00:00.123.
func (c *clock) append(b []byte, ms int64) []byte {
	if c.date == nil || c.day != ms/day {
		c.day = ms / day
		c.date = time.UnixMilli(ms).UTC().AppendFormat(c.date[:0], "2006-01-02T")
	}
	of := ms % day
	b = append(b, c.date...)
	b = append(appendTwo(b, of/hour), ':')
	b = append(appendTwo(b, of/minute%60), ':')
	b = append(appendTwo(b, of/second%60), '.')
	return append(appendTwo(b, of%1000/10), '0'+byte(of%10))
}

func appendTwo(b []byte, n int64) []byte { return append(b, '0'+byte(n/10), '0'+byte(n%10)) }
