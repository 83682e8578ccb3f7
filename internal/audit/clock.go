package audit

import (
	"bytes"
	"time"
)

// tail is where the API server writes an event's times: behind its bodies, with
// only its annotations after them.
const tail = 384

// closing reads the end of an event, as the API server writes it: the time of
// its stage in microseconds, where in the line that stands, whether annotations
// are behind it, and that these say nothing of what is judged here.
//
// With only texts in the annotations, the brackets behind these close them and
// the event, so that the time is the event's, and not one within its body.
func (c *clock) closing(line []byte, begin int) (micros int64, at int, annotated, ok bool) {
	for _, from := range [...]int{max(begin, len(line)-tail), begin} {
		for at = from; ; at += len(stageKey.text) {
			i := stageKey.in(line[at:])
			if i < 0 {
				break
			}
			at += i
			if micros, annotated, ok = c.ending(line[at+len(stageKey.text):]); ok {
				return micros, at, annotated, true
			}
		}
	}
	return 0, 0, false, false
}

// ending reads what stands behind the name of the stage's time.
func (c *clock) ending(b []byte) (micros int64, annotated, ok bool) {
	stated, rest, closed := bytes.Cut(b, quoteMark)
	if micros, ok = c.parse(stated); !ok || !closed {
		return 0, false, false
	}
	if string(rest) == "}" {
		return micros, false, true
	}
	rest, named := bytes.CutPrefix(rest, annotationsKey)
	rest, closed = bytes.CutSuffix(rest, brackets)
	return micros, true, named && closed && silent(rest)
}

var (
	quoteMark      = []byte(`"`)
	brackets       = []byte("}}")
	annotationsKey = []byte(`,"annotations":{`)
	commonReason   = []byte(`"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":`)
)

// silent tells whether annotations are texts only, and none of them of interest
// by itself.
func silent(b []byte) bool {
	if reason, common := bytes.CutPrefix(b, commonReason); common {
		return quoteEnd(reason) == len(reason)
	}
	for len(b) > 0 {
		end := quoteEnd(b)
		if end < 0 || end == len(b) || b[end] != ':' {
			return false
		}
		name := b[1 : end-1]
		b = b[end+1:]
		if end = quoteEnd(b); end < 0 || bytes.IndexByte(name, '\\') >= 0 || bytes.HasPrefix(name, []byte(legacyUsed)) {
			return false
		}
		if b = b[end:]; len(b) == 0 {
			return true
		}
		if b[0] != ',' || len(b) == 1 {
			return false
		}
		b = b[1:]
	}
	return true
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

func digits[T string | []byte](b T) (int64, bool) {
	n := int64(0)
	for i := range len(b) {
		c := b[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
