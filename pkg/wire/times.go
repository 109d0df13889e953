package wire

import "time"

// parseTime reads a time as the contract takes it (section 7, "times"): RFC 3339
// in any case, an offset without a colon too, and not before 1970. The result
// is in Unix ms.
func parseTime(s []byte) (ms int64, ok bool) {
	if len(s) < len("2006-01-02T15:04:05Z") || s[4] != '-' || s[7] != '-' || s[10]|0x20 != 't' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	year, month, day := digits(s[:4]), digits(s[5:7]), digits(s[8:10])
	hour, minute, second := digits(s[11:13]), digits(s[14:16]), digits(s[17:19])
	if year < 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60 {
		return 0, false
	}
	millis, rest, ok := fraction(s[19:])
	if !ok {
		return 0, false
	}
	offset, ok := zone(rest)
	if !ok {
		return 0, false
	}
	// The day count comes from the standard library; a leap second is the next second.
	unix := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC).Unix() - int64(offset)
	if unix < 0 {
		return 0, false
	}
	return unix*1000 + int64(millis), true
}

// digits reads a number of nothing but digits, -1 where it is something else.
func digits(s []byte) (n int) {
	for _, c := range s {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// fraction reads a fraction of a second of any length, cut to milliseconds.
func fraction(s []byte) (ms int, rest []byte, ok bool) {
	if s[0] != '.' {
		return 0, s, true
	}
	i, weight := 1, 100
	for ; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
		ms += int(s[i]-'0') * weight
		weight /= 10
	}
	return ms, s[i:], i > 1
}

// zone reads Z, +01:00 or +0100, in seconds east of UTC.
func zone(s []byte) (offset int, ok bool) {
	switch {
	case len(s) == 1 && s[0]|0x20 == 'z':
		return 0, true
	case len(s) == 6 && s[3] == ':':
		s = append(append(make([]byte, 0, 5), s[:3]...), s[4:]...)
	case len(s) != 5:
		return 0, false
	}
	hours, minutes := digits(s[1:3]), digits(s[3:5])
	if (s[0] != '+' && s[0] != '-') || hours < 0 || hours > 23 || minutes < 0 || minutes > 59 {
		return 0, false
	}
	offset = hours*3600 + minutes*60
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// looksLikeTime is a quick test that spares most texts the parsing.
func looksLikeTime(s []byte) bool {
	return len(s) >= 20 && len(s) <= 64 && s[4] == '-' && s[7] == '-' && s[10]|0x20 == 't'
}
