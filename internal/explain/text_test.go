package explain

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// marks is a style that shows where it is used.
var marks = problem.Style{Error: "<e>", Warning: "<w>", Dim: "<d>", Reset: "<r>"}

func TestWriteText(t *testing.T) {
	p := Page{
		Rule:  "tea-cold",
		Info:  problem.Info{Severity: problem.Warning, Summary: "tea is hot"},
		Why:   []string{strings.Repeat("word ", 17), "Second."},
		Wrong: Side{Blocks: []Block{{Language: "yaml", File: "tea.yaml", Text: "tea:\n\n  cold\n"}, {Language: "cue", File: "tea.cue", Text: "tea: \"cold\"\n"}}},
		Right: Side{Words: []string{"Hot tea."}},
	}
	const want = `<w>tea-cold (warning)<r>

Tea is hot.

word word word word word word word word word word word word word word word word
word

Second.

Wrong:

  <d># tea.yaml<r>
  tea:

    cold

  <d>// tea.cue<r>
  tea: "cold"

Right:

  Hot tea.
`
	var got strings.Builder
	if err := p.WriteText(&got, marks); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestWriteField(t *testing.T) {
	field := schema.Field{
		Path: "tenant.tea", Type: "a map", Required: true, Doc: "What is drunk.",
		Fields: []schema.Field{{Path: "tenant.tea.leaf", Type: "a text", Required: true}, {Path: "tenant.tea.sugar", Type: "true or false", Doc: "Default: false."}},
	}
	const want = `tenant.tea<w> (required)<r>
  a map

What is drunk.

Fields:

  leaf<w> (required)<r>
<d>    a text<r>

  sugar
<d>    true or false<r>
    Default: false.
`
	var got strings.Builder
	if err := WriteField(&got, field, marks); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

// What is written fits a terminal; a console shows what it shows.
func TestWidth(t *testing.T) {
	var all strings.Builder
	if err := WriteList(&all, problem.Style{}); err != nil {
		t.Fatal(err)
	}
	for rule := range problem.Rules() {
		if !strings.Contains(all.String(), "\n  "+string(rule)+" ") {
			t.Errorf("the list is without %s", rule)
		}
		p := page(t, rule)
		if !hasFiles(p.Wrong) {
			continue
		}
		if err := p.WriteText(&all, problem.Style{}); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(all.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > columns {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestWrap(t *testing.T) {
	for name, test := range map[string]struct{ text, indent, want string }{
		"nothing":       {"", "  ", "\n"},
		"one line":      {"a b", "  ", "  a b\n"},
		"just fits":     {strings.Repeat("a", 38) + " " + strings.Repeat("b", 39), "  ", "  " + strings.Repeat("a", 38) + " " + strings.Repeat("b", 39) + "\n"},
		"one too many":  {strings.Repeat("a", 38) + " " + strings.Repeat("b", 40), "  ", "  " + strings.Repeat("a", 38) + "\n  " + strings.Repeat("b", 40) + "\n"},
		"a long word":   {"a " + strings.Repeat("b", 90) + " c", "", "a\n" + strings.Repeat("b", 90) + "\nc\n"},
		"wide letters":  {strings.Repeat("é", 80), "", strings.Repeat("é", 80) + "\n"},
		"spaces inside": {"a  b\nc", "", "a b c\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := wrap(test.text, test.indent); got != test.want {
				t.Errorf("%q, not %q", got, test.want)
			}
		})
	}
}
