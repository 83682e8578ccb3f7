package explain

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// columns is how wide text is made, whatever the terminal.
const columns = 80

// WriteText writes the page for a terminal.
func (p Page) WriteText(w io.Writer, style problem.Style) error {
	var b strings.Builder
	mark := style.Error
	if p.Severity == problem.Warning {
		mark = style.Warning
	}
	fmt.Fprintf(&b, "%s%s (%s)%s\n\n", mark, p.Rule, p.Severity, style.Reset)
	b.WriteString(wrap(sentence(p.Summary), ""))
	for _, paragraph := range p.Why {
		b.WriteString("\n" + wrap(paragraph, ""))
	}
	writeSide(&b, "Wrong", p.Wrong, style)
	writeSide(&b, "Right", p.Right, style)
	_, err := io.WriteString(w, b.String())
	return err
}

func writeSide(b *strings.Builder, title string, side Side, style problem.Style) {
	b.WriteString("\n" + title + ":\n")
	for _, paragraph := range side.Words {
		b.WriteString("\n" + wrap(paragraph, "  "))
	}
	for _, block := range side.Blocks {
		b.WriteByte('\n')
		name, text, _ := strings.Cut(block.Listing(), "\n")
		b.WriteString("  " + style.Dim + name + style.Reset + "\n")
		for line := range strings.Lines(text) {
			if line != "\n" {
				b.WriteString("  ")
			}
			b.WriteString(line)
		}
	}
}

// WriteList writes the rules and what each holds, by what they are about.
func WriteList(w io.Writer, style problem.Style) error {
	width := 0
	for rule := range problem.Rules() {
		width = max(width, len(rule))
	}
	var b strings.Builder
	for _, g := range groups {
		b.WriteString(style.Dim + g.title + style.Reset + "\n\n")
		for _, rule := range g.rules {
			info := problem.Rules()[rule]
			if info.Severity == problem.Warning {
				info.Summary += " (warning)"
			}
			summary := wrap(info.Summary, strings.Repeat(" ", width+4))
			fmt.Fprintf(&b, "  %-*s  %s", width, rule, strings.TrimLeft(summary, " "))
		}
		b.WriteByte('\n')
	}
	b.WriteString(`Explain one of them, or a field of the specification:

  eso-tenant explain namespace-shared
  eso-tenant explain tenant.spec.namespaces.stores
`)
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteField writes what the schema says of a field, and of those in it.
func WriteField(w io.Writer, field schema.Field, style problem.Style) error {
	var b strings.Builder
	b.WriteString(field.Path + required(field, style) + "\n" + wrap(field.Type, "  "))
	if field.Doc != "" {
		b.WriteString("\n" + wrap(field.Doc, ""))
	}
	if len(field.Fields) > 0 {
		b.WriteString("\nFields:\n")
	}
	for _, inner := range field.Fields {
		b.WriteString("\n  " + lastKey(inner.Path) + required(inner, style) + "\n")
		b.WriteString(style.Dim + strings.TrimSuffix(wrap(inner.Type, "    "), "\n") + style.Reset + "\n")
		if inner.Doc != "" {
			b.WriteString(wrap(inner.Doc, "    "))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func required(field schema.Field, style problem.Style) string {
	if !field.Required {
		return ""
	}
	return style.Warning + " (required)" + style.Reset
}

func lastKey(path string) string {
	return path[strings.LastIndexByte(path, '.')+1:]
}

// sentence begins a text with a capital letter and ends it with a full stop.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:] + "."
}

// wrap breaks a text into lines of at most columns, each behind an indent.
// What is longer than a line by itself stays whole.
func wrap(text, indent string) string { return wrapTo(columns, text, indent) }

func wrapTo(columns int, text, indent string) string {
	var b strings.Builder
	width := 0
	for word := range strings.FieldsSeq(text) {
		length := utf8.RuneCountInString(word)
		switch {
		case width == 0:
			b.WriteString(indent)
			width = len(indent)
		case width+1+length > columns:
			b.WriteString("\n" + indent)
			width = len(indent)
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += length
	}
	return b.String() + "\n"
}
