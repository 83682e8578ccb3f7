// Package problem holds the one way in which eso-tenant says that an input is
// wrong: a value with a place, a rule and a cure. A Problem is about the
// input; that work could not be done is an error instead.
package problem

import (
	"cmp"
	"slices"
	"strconv"
)

// Severity says how much a problem matters. The zero value is not valid.
type Severity string

// The severities, as they are written in KRM results.
const (
	Error   Severity = "error"   // nothing is rendered
	Warning Severity = "warning" // rendered, but somebody should look
)

// Position is a place in a source. Line and Column count from 1; a zero Line
// means that the source has no lines to point at (an item of a ResourceList).
type Position struct {
	File         string // as the user named it, "-" for standard input
	Subject      string // Kind/name, where there is no file
	Line, Column int
}

// String formats the place as file:line:col, or as Kind/name.
func (p Position) String() string {
	switch {
	case p.File == "":
		return Clean(p.Subject)
	case p.Line == 0:
		return Clean(p.File)
	default:
		return Clean(p.File) + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
	}
}

// Problem is one thing that is wrong with the input.
type Problem struct {
	Rule     Rule
	Severity Severity // empty: the rule's own
	Position Position
	Path     string // the field, such as spec.namespaces.web; may be empty
	Message  string // what was found and what is allowed; lower case
	Because  []string
	Hint     string // what to do; may be empty
}

// IsError tells whether the problem keeps the output from being made.
func (p Problem) IsError() bool { return p.SeverityOf() != Warning }

// SeverityOf is the problem's own severity, or else its rule's.
func (p Problem) SeverityOf() Severity { return cmp.Or(p.Severity, p.Rule.Severity()) }

// List is the problems of one run.
type List []Problem

// Errors counts the problems that keep the output from being made.
func (l List) Errors() int {
	n := 0
	for _, p := range l {
		if p.IsError() {
			n++
		}
	}
	return n
}

// AtLeast leaves out what matters less than the severity.
func (l List) AtLeast(s Severity) List {
	if s != Error {
		return l
	}
	return slices.DeleteFunc(slices.Clone(l), func(p Problem) bool { return !p.IsError() })
}

// Sorted returns the problems in their one order (place, then path, rule and
// message), each of them once.
func (l List) Sorted() List {
	sorted := slices.Clone(l)
	slices.SortStableFunc(sorted, compare)
	return slices.CompactFunc(sorted, func(a, b Problem) bool { return compare(a, b) == 0 })
}

func compare(a, b Problem) int {
	return cmp.Or(
		cmp.Compare(a.Position.File, b.Position.File),
		cmp.Compare(a.Position.Line, b.Position.Line),
		cmp.Compare(a.Position.Column, b.Position.Column),
		cmp.Compare(a.Position.Subject, b.Position.Subject),
		cmp.Compare(a.Path, b.Path),
		cmp.Compare(a.Rule, b.Rule),
		cmp.Compare(a.Message, b.Message),
		cmp.Compare(a.SeverityOf(), b.SeverityOf()),
		slices.Compare(a.Because, b.Because),
		cmp.Compare(a.Hint, b.Hint),
	)
}
