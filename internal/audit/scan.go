package audit

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// scanner looks at the lines of one file: it counts them, and decodes the few
// that matter.
type scanner struct {
	window   Window
	emit     func(*event)
	coverage Coverage
	clock    clock
	clients  clients
	oldest   int64 // time of the oldest event so far, in microseconds
	latest   int64 // and of the newest
	broken   [3]int
}

// The lines that could not be read: the first of each kind.
const (
	notJSON = iota
	truncated
	tooLong
)

// nextEvent is where an event begins, inside a line.
var nextEvent = key{string(eventStart), len(`{"kind":"`)}

var (
	eventStart = []byte(`{"kind":"Event","apiVersion":"audit.k8s.io/`)
	listStart  = []byte(`{"kind":"EventList"`)
	apiGroup   = []byte("audit.k8s.io/")
)

// line takes a line of the log. Nothing of it is kept.
func (s *scanner) line(number int, data []byte) {
	s.coverage.Lines++
	s.coverage.Bytes += int64(len(data)) + 1
	data = trim(data)
	if len(data) == 0 {
		s.coverage.Empty++
		return
	}
	if data[0] != '{' { // something, such as a container runtime, wrote its own words before it
		i := bytes.Index(data, eventStart)
		if i < 0 {
			s.skip(&s.coverage.NotJSON, notJSON, number)
			return
		}
		data = data[i:]
	}
	at, dull := s.skim(data)
	switch {
	case dull && s.window.has(at):
		s.coverage.Events++
		s.time(at)
	case dull:
		s.coverage.Events++
		s.coverage.Outside++
	case bytes.HasPrefix(data, eventStart):
		s.events(number, data)
	default:
		s.foreign(number, data)
	}
}

// trim takes off white space at both ends. Most lines have none.
func trim(data []byte) []byte {
	if len(data) > 0 && data[0] > ' ' && data[len(data)-1] > ' ' {
		return data
	}
	return bytes.TrimSpace(data)
}

// skip counts a line that cannot be read.
func (s *scanner) skip(count *int, kind, number int) {
	*count++
	if s.broken[kind] == 0 {
		s.broken[kind] = number
	}
}

func (s *scanner) tooLong(number int, size int64) {
	s.coverage.Lines++
	s.coverage.Bytes += size + 1
	s.skip(&s.coverage.TooLong, tooLong, number)
}

// events takes a line as the API server writes it. Where writers got in each
// other's way, more than one event stands on it; but an object that looks like
// an event may also stand in the body of one.
func (s *scanner) events(number int, data []byte) {
	i := nextEvent.in(data[1:])
	if i < 0 || json.Valid(data) {
		s.event(number, data)
		return
	}
	s.event(number, trim(data[:i+1]))
	s.events(number, data[i+1:])
}

// event takes one event in the API server's own order of fields.
func (s *scanner) event(number int, data []byte) {
	if data[len(data)-1] != '}' {
		s.skip(&s.coverage.Truncated, truncated, number)
		return
	}
	e, err := decode(data)
	if err != nil {
		s.skip(&s.coverage.NotJSON, notJSON, number)
		return
	}
	s.take(number, e)
}

// foreign takes JSON that somebody else wrote: in another order of fields, as an
// EventList, or about something else.
func (s *scanner) foreign(number int, data []byte) {
	if data[len(data)-1] != '}' {
		s.skip(&s.coverage.Truncated, truncated, number)
		return
	}
	if !bytes.HasPrefix(data, listStart) && !bytes.Contains(data, apiGroup) && !disguised(data) {
		if !json.Valid(data) {
			s.skip(&s.coverage.NotJSON, notJSON, number)
			return
		}
		s.coverage.OtherKinds++
		return
	}
	e, err := decode(data)
	switch {
	case err != nil:
		s.skip(&s.coverage.NotJSON, notJSON, number)
	case e.known("Event"):
		s.take(number, e)
	case e.known("EventList"):
		s.list(number, e.Items)
	default:
		s.coverage.OtherKinds++
	}
}

// disguised tells whether JSON is of the API group, written with escapes: some
// writers put a backslash before a slash.
func disguised(data []byte) bool {
	var meta struct {
		APIVersion string `json:"apiVersion"`
	}
	return bytes.IndexByte(data, '\\') >= 0 && json.Unmarshal(data, &meta) == nil && strings.HasPrefix(meta.APIVersion, string(apiGroup))
}

// list takes the events of an EventList. These do not say what they are.
func (s *scanner) list(number int, items []json.RawMessage) {
	for _, item := range items {
		e, err := decode(item)
		if err != nil {
			s.skip(&s.coverage.NotJSON, notJSON, number)
			continue
		}
		s.take(number, e)
	}
}

// take takes a decoded event.
func (s *scanner) take(number int, e *event) {
	s.coverage.Events++
	e.line = number
	at, ok := s.clock.parse([]byte(e.StageTimestamp))
	if !ok {
		at, ok = s.clock.parse([]byte(e.Received))
	}
	switch {
	case !ok:
		s.coverage.Timeless++
	case !s.window.has(at):
		s.coverage.Outside++
		return
	default:
		e.at = at
		s.time(at)
	}
	s.coverage.Decoded++
	if !e.answered() {
		s.coverage.Stages++
		return
	}
	e.Items = nil
	s.emit(e)
}

// disorder is how far events of one log may be apart the wrong way round, in
// microseconds: they are written when requests end.
const disorder = int64(time.Minute / time.Microsecond)

func (s *scanner) time(at int64) {
	if at < s.latest-disorder {
		s.coverage.Backwards++
	}
	if s.oldest == 0 || at < s.oldest {
		s.oldest = at
		s.coverage.saw(moment(at))
	}
	if at > s.latest {
		s.latest = at
		s.coverage.Last = moment(at)
	}
}
