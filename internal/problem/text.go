package problem

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxQuoted is how much of a user's text a message repeats, in bytes.
const maxQuoted = 80

// Quote repeats a text of the user's in a message: in double quotes, control
// characters escaped, cut where it is long.
func Quote(s string) string {
	if len(s) <= maxQuoted {
		return strconv.Quote(s)
	}
	cut := maxQuoted
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.Quote(s[:cut]) + "…"
}

// QuoteAll quotes each text and joins them with commas.
func QuoteAll(texts []string) string {
	quoted := make([]string, len(texts))
	for i, s := range texts {
		quoted[i] = Quote(s)
	}
	return strings.Join(quoted, ", ")
}

// Clean makes foreign text safe for a terminal and for one line: what is not
// printable is escaped.
func Clean(s string) string {
	if !strings.ContainsFunc(s, unprintable) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unprintable(r):
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// Line formats the problem's first line, as
//
//	file:line:col: path: message [rule-id]
func (p Problem) Line() string {
	var b strings.Builder
	b.WriteString(p.Position.String())
	if p.Path != "" {
		b.WriteString(": " + Clean(p.Path))
	}
	if p.SeverityOf() == Warning {
		b.WriteString(": warning")
	}
	b.WriteString(": " + Clean(p.Message) + " [" + string(p.Rule) + "]")
	return b.String()
}

// Says is what the problem says of its place, without the place and the rule:
//
//	path: message
func (p Problem) Says() string {
	if p.Path == "" {
		return Clean(p.Message)
	}
	return Clean(p.Path) + ": " + Clean(p.Message)
}

// Details are the lines below the first: why, and what to do.
func (p Problem) Details() []string {
	var lines []string
	for _, because := range p.Because {
		lines = append(lines, "because: "+Clean(because))
	}
	if p.Hint != "" {
		lines = append(lines, "hint: "+Clean(p.Hint))
	}
	return lines
}

// Style is how the text is made for a terminal. The zero value adds nothing.
type Style struct {
	Error, Warning, Dim, Reset string // wrapped around parts of the text
	// Source is the content of a file, as it was read, and nil for one that was
	// not. Where there is a Source, the line that a problem is about is shown
	// beneath it, unless there might be a secret in it.
	Source func(file string) []byte
}

// mark begins what is about the problem itself.
func (s Style) mark(p Problem) string {
	if p.IsError() {
		return s.Error
	}
	return s.Warning
}

// Color is the style for a terminal that shows colours.
func Color() Style {
	return Style{Error: "\x1b[31m", Warning: "\x1b[33m", Dim: "\x1b[2m", Reset: "\x1b[0m"}
}

// WriteText writes the problems in their order, and then their count.
func (l List) WriteText(w io.Writer, style Style) error {
	sorted := l.Sorted()
	var b strings.Builder
	shown := &snippets{source: style.Source}
	for _, p := range sorted {
		writeProblem(&b, p, style, shown)
	}
	if len(sorted) > 0 {
		b.WriteString(sorted.Summary() + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeProblem(b *strings.Builder, p Problem, style Style, shown *snippets) {
	b.WriteString(style.mark(p) + p.Line() + style.Reset + "\n")
	shown.write(b, p, style)
	for _, detail := range p.Details() {
		b.WriteString(style.Dim + "  " + detail + style.Reset + "\n")
	}
}

// Summary counts the problems, such as "2 problems, 1 warning".
func (l List) Summary() string {
	errors := l.Errors()
	warnings := len(l) - errors
	switch {
	case warnings == 0:
		return Plural(errors, "problem")
	case errors == 0:
		return Plural(warnings, "warning")
	default:
		return Plural(errors, "problem") + ", " + Plural(warnings, "warning")
	}
}

// Plural counts, such as "1 tenant" and "2 tenants".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
