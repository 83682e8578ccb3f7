package problem

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRules(t *testing.T) {
	kebab := regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)*$`)
	summaries := map[string]Rule{}
	for rule, info := range Rules() {
		if !kebab.MatchString(string(rule)) {
			t.Errorf("%q is not kebab-case", rule)
		}
		if info.Severity != Error && info.Severity != Warning {
			t.Errorf("%s: severity %q", rule, info.Severity)
		}
		switch first, _ := utf8.DecodeRuneInString(info.Summary); {
		case info.Summary == "":
			t.Errorf("%s has no summary", rule)
		case strings.HasSuffix(info.Summary, ".") || strings.ToLower(string(first)) != string(first):
			t.Errorf("%s: summary %q is a sentence", rule, info.Summary)
		}
		if other, taken := summaries[info.Summary]; taken {
			t.Errorf("%s and %s have one summary", rule, other)
		}
		summaries[info.Summary] = rule
		if rule.Severity() != info.Severity {
			t.Errorf("%s: severity %q, in the table %q", rule, rule.Severity(), info.Severity)
		}
	}
}

// TestRuleOutOfTheTable: a rule that somebody forgot to enter must not become a warning.
func TestRuleOutOfTheTable(t *testing.T) {
	if p := (Problem{Rule: "unheard-of"}); !p.IsError() {
		t.Error("a problem without severity lets the output be made")
	}
}

func TestPosition(t *testing.T) {
	for want, p := range map[string]Position{
		"a.yaml:3:7":       {File: "a.yaml", Line: 3, Column: 7},
		"a.yaml":           {File: "a.yaml"},
		"-:1:1":            {File: "-", Line: 1, Column: 1},
		"Tenant/web":       {Subject: "Tenant/web"},
		"b.yaml:1:2":       {File: "b.yaml", Subject: "Tenant/web", Line: 1, Column: 2},
		`a\x1b[31mb:1:1`:   {File: "a\x1b[31mb", Line: 1, Column: 1},
		`Tenant/we\nb`:     {Subject: "Tenant/we\nb"},
		`a\u202eb.yaml`:    {File: "a\u202eb.yaml"}, // would turn the text around
		`caf\xe9.yaml:1:1`: {File: "caf\xe9.yaml", Line: 1, Column: 1},
		"":                 {},
	} {
		if got := p.String(); got != want {
			t.Errorf("%+v is %q, want %q", p, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	at := Position{File: "web.yaml", Line: 7, Column: 17}
	for want, p := range map[string]Problem{
		`web.yaml:7:17: spec.x: "azur" is no provider [provider-unknown]`: {Rule: ProviderUnknown, Position: at, Path: "spec.x", Message: `"azur" is no provider`},
		`web.yaml:7:17: this is not YAML [yaml-syntax]`:                   {Rule: YAMLSyntax, Position: at, Message: "this is not YAML"},
		`web.yaml:7:17: warning: over http [provider-plaintext]`:          {Rule: ProviderPlaintext, Position: at, Message: "over http"},
		`web.yaml:7:17: spec.x: warning: soft [yaml-syntax]`:              {Rule: YAMLSyntax, Severity: Warning, Position: at, Path: "spec.x", Message: "soft"},
		`web.yaml:7:17: hard [provider-plaintext]`:                        {Rule: ProviderPlaintext, Severity: Error, Position: at, Message: "hard"},
		`Tenant/web: spec.a: none [field-value]`:                          {Rule: FieldValue, Position: Position{Subject: "Tenant/web"}, Path: "spec.a", Message: "none"},
		`web.yaml:7:17: a\nb: c\x1bd [field-value]`:                       {Rule: FieldValue, Position: at, Path: "a\nb", Message: "c\x1bd"},
	} {
		if got := p.Line(); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

var list = List{
	{Rule: NamespaceShared, Position: Position{File: "b.yaml", Line: 2, Column: 1}, Path: "spec", Message: "shared", Because: []string{"one has it", "the other\x07 too"}, Hint: "merge\nthem"},
	{Rule: ProviderPlaintext, Position: Position{File: "a.yaml", Line: 10, Column: 1}, Message: "over http", Hint: "use https"},
	{Rule: YAMLSyntax, Position: Position{File: "a.yaml", Line: 9, Column: 1}, Message: "not YAML"},
}

func TestWriteText(t *testing.T) {
	want := `a.yaml:9:1: not YAML [yaml-syntax]
a.yaml:10:1: warning: over http [provider-plaintext]
  hint: use https
b.yaml:2:1: spec: shared [namespace-shared]
  because: one has it
  because: the other\a too
  hint: merge\nthem
2 problems, 1 warning
`
	var b strings.Builder
	if err := list.WriteText(&b, Style{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var coloured strings.Builder
	if err := list.WriteText(&coloured, Color()); err != nil {
		t.Fatal(err)
	}
	stripped := regexp.MustCompile("\x1b\\[[0-9]+m").ReplaceAllString(coloured.String(), "")
	if diff := cmp.Diff(want, stripped); diff != "" || stripped == coloured.String() {
		t.Errorf("in colour it is more than coloured (-plain +colour):\n%s", diff)
	}
}

func TestWriteNothing(t *testing.T) {
	var b strings.Builder
	if err := (List{}).WriteText(&b, Color()); err != nil || b.Len() > 0 {
		t.Errorf("wrote %q, error %v", b.String(), err)
	}
}

var errFull = errors.New("no space left")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteTextFails(t *testing.T) {
	if err := list.WriteText(full{}, Style{}); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

func TestSummary(t *testing.T) {
	oops, beware := Problem{Rule: YAMLSyntax}, Problem{Rule: ProviderPlaintext}
	for want, l := range map[string]List{
		"0 problems": {}, "1 problem": {oops}, "2 problems": {oops, oops}, "1 warning": {beware}, "2 warnings": {beware, beware},
		"1 problem, 1 warning": {oops, beware}, "2 problems, 2 warnings": {oops, beware, oops, beware},
	} {
		if got := l.Summary(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// drawProblem draws from few values, so that problems often differ in one thing only.
func drawProblem(t *rapid.T) Problem {
	text := rapid.SampledFrom([]string{"", "a", "b"})
	number := rapid.IntRange(0, 2)
	return Problem{
		Rule:     rapid.SampledFrom([]Rule{YAMLSyntax, ProviderPlaintext}).Draw(t, "rule"),
		Severity: rapid.SampledFrom([]Severity{"", Error, Warning}).Draw(t, "severity"),
		Position: Position{File: text.Draw(t, "file"), Subject: text.Draw(t, "subject"), Line: number.Draw(t, "line"), Column: number.Draw(t, "column")},
		Path:     text.Draw(t, "path"), Message: text.Draw(t, "message"), Hint: text.Draw(t, "hint"),
		Because: rapid.SliceOfN(text, 0, 2).Draw(t, "because"),
	}
}

// TestSortedIsATotalOrder: the same problems come in the same order, each once, however they were found.
func TestSortedIsATotalOrder(t *testing.T) {
	problems := rapid.SliceOfN(rapid.Custom(drawProblem), 0, 12)
	rapid.Check(t, func(t *rapid.T) {
		found := List(problems.Draw(t, "problems"))
		if n := len(found); n > 0 {
			found = append(found, found[rapid.IntRange(0, n-1).Draw(t, "twice")])
		}
		before := slices.Clone(found)
		sorted := found.Sorted()
		if diff := cmp.Diff(before, found); diff != "" {
			t.Fatalf("the list itself was changed:\n%s", diff)
		}
		shuffled := rapid.Permutation(found).Draw(t, "shuffled")
		// Severity is compared as it counts: stated or the rule's own makes no difference to a reader.
		if diff := cmp.Diff(texts(sorted), texts(shuffled.Sorted())); diff != "" {
			t.Fatalf("(-one order +another):\n%s", diff)
		}
		for i := 1; i < len(sorted); i++ {
			if a, b := sorted[i-1], sorted[i]; compare(a, b) >= 0 || compare(b, a) <= 0 {
				t.Fatalf("%+v does not come before %+v", a, b)
			}
		}
		for _, p := range found {
			if !slices.ContainsFunc(sorted, func(q Problem) bool { return compare(p, q) == 0 }) {
				t.Fatalf("%+v was lost", p)
			}
		}
	})
}

// TestSortedKeepsApart: problems that differ in one thing, whichever, are two, and in one order.
func TestSortedKeepsApart(t *testing.T) {
	plain := Problem{Rule: FieldValue, Position: Position{File: "a", Subject: "a", Line: 1, Column: 1}, Path: "a", Message: "a", Hint: "a", Because: []string{"a"}}
	for name, change := range map[string]func(*Problem){
		"rule":     func(p *Problem) { p.Rule = YAMLSyntax },
		"severity": func(p *Problem) { p.Severity = Warning },
		"file":     func(p *Problem) { p.Position.File = "b" },
		"subject":  func(p *Problem) { p.Position.Subject = "b" },
		"line":     func(p *Problem) { p.Position.Line = 2 },
		"column":   func(p *Problem) { p.Position.Column = 2 },
		"path":     func(p *Problem) { p.Path = "b" },
		"message":  func(p *Problem) { p.Message = "b" },
		"hint":     func(p *Problem) { p.Hint = "b" },
		"because":  func(p *Problem) { p.Because = []string{"b"} },
	} {
		other := plain
		change(&other)
		one, another := List{plain, other}.Sorted(), List{other, plain}.Sorted()
		if diff := cmp.Diff(List{plain, other}, one); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(one, another); diff != "" {
			t.Errorf("%s: the order depends on the input's (-one +another):\n%s", name, diff)
		}
	}
}

func texts(l List) []string {
	var all []string
	for _, p := range l {
		p.Severity = p.SeverityOf()
		var b strings.Builder
		writeProblem(&b, p, Style{}, &snippets{})
		all = append(all, b.String()+p.Position.Subject)
	}
	return all
}

func TestErrors(t *testing.T) {
	if got := list.Errors(); got != 2 {
		t.Errorf("%d errors, want 2", got)
	}
}

func TestQuote(t *testing.T) {
	long := strings.Repeat("x", maxQuoted)
	for s, want := range map[string]string{
		"":                      `""`,
		"web":                   `"web"`,
		`say "x"`:               `"say \"x\""`,
		"a\nb\tc\x00":           `"a\nb\tc\x00"`,
		"\x1b[31mred\x1b[0m":    `"\x1b[31mred\x1b[0m"`,
		"\u202egnp.yaml":        `"\u202egnp.yaml"`,
		"\u009b31m":             `"\u009b31m"`,
		"é🔑":                    `"é🔑"`,
		"\xff":                  `"\xff"`,
		long:                    `"` + long + `"`,
		long + "y":              `"` + long + `"…`,
		long[1:] + "é" + "tail": `"` + long[1:] + `"…`, // the é would be cut in two
	} {
		if got := Quote(s); got != want {
			t.Errorf("Quote(%q) = %s, want %s", s, got, want)
		}
	}
	if got := QuoteAll([]string{"a", `b"`}); got != `"a", "b\""` {
		t.Errorf("QuoteAll: %s", got)
	}
}

func TestClean(t *testing.T) {
	for s, want := range map[string]string{
		"":                   "",
		"plain":              "plain",
		`"quoted"`:           `"quoted"`,
		"é🔑":                 "é🔑",
		"a\nb":               `a\nb`,
		"\x1b]0;title\x07":   `\x1b]0;title\a`,
		"\xff":               `\xff`,
		"\u2028":             `\u2028`,
		"\ufffd\n":           "\ufffd" + `\n`, // valid, and not a broken byte
		"\"a\"\n":            `"a"\n`,         // a quote of ours stays one
		"back\\slash\x01":    `back\slash\x01`,
		"ends with \"x\"\n":  `ends with "x"\n`,
		"\n\"x\" is nothing": `\n"x" is nothing`,
	} {
		if got := Clean(s); got != want {
			t.Errorf("Clean(%q) = %s, want %s", s, got, want)
		}
	}
}

// TestForeignTextStaysOnItsLine: whatever users write, a problem is one line of printable text, valid UTF-8 and bounded
// where it quotes.
func TestForeignTextStaysOnItsLine(t *testing.T) {
	foreign := rapid.Custom(func(t *rapid.T) string {
		return "x" + string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
	})
	rapid.Check(t, func(t *rapid.T) {
		text := foreign.Draw(t, "foreign")
		p := Problem{Rule: FieldValue, Position: Position{File: text, Line: 1, Column: 1}, Path: text, Message: Quote(text) + text, Hint: text, Because: []string{text}}
		for _, s := range []string{p.Line(), Quote(text), Clean(text)} {
			if !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable) {
				t.Fatalf("%q is not printable", s)
			}
		}
		if quoted := Quote(text); len(quoted) > 2+10*maxQuoted+len("…") {
			t.Fatalf("%d bytes quoted from %d", len(quoted), len(text))
		}
		var b strings.Builder
		_ = List{p}.WriteText(&b, Style{}) // a Builder takes everything
		if lines := strings.Count(b.String(), "\n"); lines != 4 {
			t.Fatalf("%d lines, want 4:\n%s", lines, b.String())
		}
	})
}
