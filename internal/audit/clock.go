package audit

import (
	"bytes"
	"time"
)

// tail is where the API server writes an event's times: behind its bodies, with
// only its annotations after them.
const tail = 384

// stageTime is the time of an event's stage in microseconds, found without
// decoding, and where in the line it stands; or false. The last one counts: what
// stands before it may be of a body.
func (c *clock) stageTime(line []byte) (micros int64, at int, ok bool) {
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
	micros, ok = c.parse(value[:end])
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
		from = min(len(b), found+len(stageKey.text))
	}
}

// clock reads times, one after another. Most are of the same minute as the one
// before.
type clock struct {
	text  [len("2006-01-02T15:04:")]byte
	start int64 // of the minute in text, in microseconds
}

// parse reads RFC 3339, as metav1.MicroTime writes it, to microseconds since
// 1970.
func (c *clock) parse(b []byte) (int64, bool) {
	if len(b) == len("2006-01-02T15:04:05.000000Z") && b[len(b)-1] == 'Z' && b[19] == '.' {
		seconds, ok := digits(b[17:19])
		micros, fine := digits(b[20:26])
		if ok && fine && seconds < 60 && c.minute(b[:17]) {
			return c.start + seconds*1e6 + micros, true
		}
	}
	if len(b) > 64 {
		return 0, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(b))
	return t.UnixMicro(), err == nil
}

// minute sets the clock to a minute.
func (c *clock) minute(b []byte) bool {
	if bytes.Equal(b, c.text[:]) {
		return true
	}
	t, err := time.Parse("2006-01-02T15:04:", string(b))
	if err != nil {
		return false
	}
	copy(c.text[:], b)
	c.start = t.UnixMicro()
	return true
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
