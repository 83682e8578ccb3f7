package audit

import (
	"cmp"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// place is where and when an event was logged.
type place struct {
	file string
	line int
	at   int64
}

func (p place) before(o place) bool {
	return cmp.Or(cmp.Compare(p.at, o.at), cmp.Compare(p.file, o.file), cmp.Compare(p.line, o.line)) < 0
}

func (p place) position() problem.Position {
	return problem.Position{File: p.file, Line: p.line, Column: 1}
}

// span is the first and the last of several events.
type span struct {
	first, last place
	count       int
}

func (s *span) add(p place) {
	if s.count++; s.count == 1 {
		s.first, s.last = p, p
		return
	}
	if p.before(s.first) {
		s.first = p
	}
	if s.last.before(p) {
		s.last = p
	}
}

// String says how often, and when.
func (s *span) String() string {
	if s.count == 1 {
		return "once, at " + stamp(s.first.at)
	}
	return problem.Plural(s.count, "time") + ", from " + stamp(s.first.at) + " to " + stamp(s.last.at)
}

// stamp writes a time to the second, as people read it.
func stamp(micros int64) string {
	if micros == 0 {
		return "a time that the log does not say"
	}
	return moment(micros).Format(time.RFC3339)
}

// moment is a time of microseconds; the zero time where there is none.
func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
