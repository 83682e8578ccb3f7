package audit

import (
	"bytes"
	"time"
)

// tail is where the API server writes an event's times: behind its bodies, with
// only its annotations after them.
const tail = 512

// stageTime is the time of an event's stage in microseconds, found without
// decoding, and where in the line it stands; or false. The last one counts: what
// stands before it may be of a body.
func stageTime(line []byte) (micros int64, at int, ok bool) {
	from := max(0, len(line)-tail)
	at = last(line[from:])
	if at < 0 {
		from = 0
		at = last(line)
	}
	if at < 0 {
		return 0, 0, false
	}
	at += from
	value := blank(line[at+len(stageKey.text):])
	value, colon := bytes.CutPrefix(value, []byte(":"))
	value, quote := bytes.CutPrefix(blank(value), []byte(`"`))
	end := bytes.IndexByte(value, '"')
	if !colon || !quote || end < 0 {
		return 0, 0, false
	}
	micros, ok = parseTime(value[:end])
	return micros, at, ok
}

// blank takes off blanks. There are none as the API server writes it.
func blank(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

// last is where the key stands last, or -1. Forwards, since that is what the
// standard library is fast at.
func last(b []byte) int {
	found := -1
	for from := 0; ; {
		i := stageKey.in(b[from:])
		if i < 0 {
			return found
		}
		found = from + i
		from = found + 1
	}
}

// parseTime reads RFC 3339, as metav1.MicroTime writes it, to microseconds since
// 1970.
func parseTime(b []byte) (int64, bool) {
	if len(b) == len("2006-01-02T15:04:05.000000Z") && b[len(b)-1] == 'Z' && b[19] == '.' {
		if seconds, ok := parseSeconds(b[:19]); ok {
			if micros, ok := digits(b[20:26]); ok {
				return seconds*1e6 + micros, true
			}
		}
	}
	if len(b) > 64 {
		return 0, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(b))
	return t.UnixMicro(), err == nil
}

// parseSeconds reads a date and a time. It knows no months: a day that there is
// not is the next month's, as for time.Date.
func parseSeconds(b []byte) (int64, bool) {
	if b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	var parts [6]int64
	for i, span := range [6][2]int{{0, 4}, {5, 7}, {8, 10}, {11, 13}, {14, 16}, {17, 19}} {
		n, ok := digits(b[span[0]:span[1]])
		if !ok {
			return 0, false
		}
		parts[i] = n
	}
	date := time.Date(int(parts[0]), time.Month(parts[1]), int(parts[2]), 0, 0, 0, 0, time.UTC)
	return date.Unix() + parts[3]*3600 + parts[4]*60 + parts[5], true
}

func digits(b []byte) (int64, bool) {
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
