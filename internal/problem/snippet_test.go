package problem

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// snippet is what is shown of a source for a problem, without colours.
func snippet(source string, p Problem) string {
	var b strings.Builder
	shown := &snippets{source: func(string) []byte { return []byte(source) }}
	shown.write(&b, p, Style{})
	return b.String()
}

func at(line, column int) Problem {
	return Problem{Rule: FieldValue, Position: Position{File: "a.yaml", Line: line, Column: column}}
}

func TestSnippet(t *testing.T) {
	for _, test := range []struct {
		source       string
		line, column int
		want         string
	}{
		{"kind: Tenant", 1, 7, "  1 | kind: Tenant\n    |       ^\n"},
		{"\ufeffkind: Tenant\r\n", 1, 1, "  1 | kind: Tenant\n    | ^\n"}, // as columns are counted
		{"a: 1\nb:", 2, 3, "  2 | b:\n    |   ^\n"},                       // where something is missing
		{strings.Repeat("\n", 99) + "a: b", 100, 4, "  100 | a: b\n      |    ^\n"},
		{"a:\tb\tc", 1, 6, "  1 | a:    b    c\n    |            ^\n"},
		{"日本: 語", 1, 5, "  1 | 日本: 語\n    |       ^\n"},
		{"cafe\u0301: x", 1, 8, "  1 | cafe\u0301: x\n    |       ^\n"},
		{"🔑: x", 1, 4, "  1 | 🔑: x\n    |     ^\n"},
		{"ｶﾅ: x", 1, 5, "  1 | ｶﾅ: x\n    |     ^\n"}, // half as wide
		{"a: \x1b[31mx", 1, 10, "  1 | a: \\x1b[31mx\n    |             ^\n"},
		{"a\xff: \u202ex", 1, 6, "  1 | a\\xff: \\u202ex\n    |              ^\n"},
		{"a: b # hunter2", 1, 4, "  1 | a: b\n    |    ^\n"},
		{"a: b\t# hunter2", 1, 4, "  1 | a: b\n    |    ^\n"},
		{"a: b # hunter2", 1, 9, ""},
		{"# hunter2", 1, 3, ""},
		{"a: b", 2, 1, ""},
		{"a: b", 0, 0, ""},
		{"a: b", 1, 0, ""},
		{"a: b", 1, 6, ""},
		{"a: b\n\n", 2, 1, ""},
		{"", 1, 1, ""},
	} {
		if diff := cmp.Diff(test.want, snippet(test.source, at(test.line, test.column))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.source, diff)
		}
	}
	if got := snippet("a: b"+strings.Repeat("\n", maxSnippetBytes), at(1, 1)); got != "" {
		t.Errorf("of a source that is too large: %s", got)
	}
}

// TestWriteTextShowsLines: beneath the problem, above the reasons; and where a
// source is not known, the text is as without.
func TestWriteTextShowsLines(t *testing.T) {
	l := List{
		{Rule: FieldUnknown, Position: Position{File: "a.yaml", Line: 2, Column: 3}, Path: "a.b", Message: "no b", Because: []string{"none"}, Hint: "c"},
		{Rule: FieldUnknown, Position: Position{File: "b.yaml", Line: 2, Column: 3}, Message: "no b"},
		{Rule: ProviderPlaintext, Position: Position{File: "a.yaml", Line: 1, Column: 1}, Message: "over http"},
	}
	style := Color()
	style.Source = func(file string) []byte {
		if file == "a.yaml" {
			return []byte("a:\n  b: 1\n")
		}
		return nil
	}
	want := "\x1b[33ma.yaml:1:1: warning: over http [provider-plaintext]\x1b[0m\n" +
		"\x1b[2m  1 | \x1b[0ma:\n\x1b[2m    | \x1b[0m\x1b[33m^\x1b[0m\n" +
		"\x1b[31ma.yaml:2:3: a.b: no b [field-unknown]\x1b[0m\n" +
		"\x1b[2m  2 | \x1b[0m  b: 1\n\x1b[2m    | \x1b[0m  \x1b[31m^\x1b[0m\n" +
		"\x1b[2m  because: none\x1b[0m\n\x1b[2m  hint: c\x1b[0m\n" +
		"\x1b[31mb.yaml:2:3: no b [field-unknown]\x1b[0m\n" +
		"2 problems, 1 warning\n"
	var b strings.Builder
	if err := l.WriteText(&b, style); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSnippetFits: whatever the line, what is shown of it fits a terminal, and
// the caret is beneath the column.
func TestSnippetFits(t *testing.T) {
	character := rapid.SampledFrom([]string{"a", "b", " ", "\t", "語", "\u0301", "\x1b", "\xff", "é"})
	rapid.Check(t, func(t *rapid.T) {
		line := "- a," + strings.Join(rapid.SliceOfN(character, rapid.SampledFrom([]int{0, 100}).Draw(t, "at least"), 200).Draw(t, "line"), ",")
		column := rapid.IntRange(2, utf8.RuneCountInString(line)).Draw(t, "column")
		var marked []rune // the line with the column's character replaced by a mark
		for i, r := range []rune(line) {
			if i == column-1 {
				r = '✗'
			}
			marked = append(marked, r)
		}
		shown := snippet(string(marked), at(1, column))
		text, caret, found := strings.Cut(shown, "\n")
		if !found || !utf8.ValidString(shown) {
			t.Fatalf("%q", shown)
		}
		before, _, found := strings.Cut(text, "✗")
		if !found || columns(text) > snippetWidth {
			t.Fatalf("%d columns:\n%s", columns(text), shown)
		}
		if want := strings.Repeat(" ", columns(before)-len("  1 | ")) + "^\n"; caret != "    | "+want {
			t.Fatalf("the caret is elsewhere:\n%s", shown)
		}
	})
}

// columns counts what a terminal needs for the test's characters.
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch r {
		case '語':
			n += 2
		case '\u0301':
		default:
			n++
		}
	}
	return n
}

func TestComplete(t *testing.T) {
	for line, want := range map[string]bool{
		"": true, "a: b": true, "a: {b: [c]}": true, "a: 'b' # {": true, `a: "{\\"`: true, `a: "\"}"`: true, "a: 'b''{'": true, "- - 'a'": true, "a: #}": true,
		"a: {": false, "a: }": false, "a: }{": false, "a: [b}]]": false, "a: 'b": false, `a: "b\"`: false, "a: { # }": false, "a: it's 'b'": false,
		"a: it's {b'": false, // no quotes of YAML's, so that the bracket counts
		"? a":         false, "- ? a": false,
	} {
		if got := complete(line); got != want {
			t.Errorf("%q: %t, want %t", line, got, want)
		}
	}
}

// Of these sources, the last line is not shown.
var notShown = []string{
	"headers: {X-Vault-Token: hunter2}",
	"headers:\n  X-Team: hunter2",
	"headers:\n\n# comment\n      X-Team: hunter2",
	"headers:\n- hunter2",
	"headers:\n- a: b\n  c: hunter2",
	"a:\n  headers:\n    - - c: hunter2",
	"a:\n- b: c\n  headers:\n    d: hunter2",
	"password: hunter2",
	"PASSWORD = hunter2",
	"'pass-word' : hunter2",
	`{"apiKey":"hunter2"}`,
	"- client_secret: hunter2",
	"- name: db-password\n  value: hunter2",
	"a: {b: c, token: hunter2}",
	"accessToken:\n  hunter2",
	"caBundle: |\n  hunter2",
	"caBundle: >-\n\n  hunter2\n  hunter2",
	"password: \"a\n  hunter2\"",
	"password: \"a\nhunter2: b\"",
	"a: {password:\nhunter2: b}",
	"{\n\"stringData\": {\n\"a\": \"hunter2\"",
	"{\n\"password\"\n: \"hunter2\"",
	"{a: b, password\n: hunter2}",
	"? password\n: hunter2",
	"? - password\n: hunter2",
	"stringData:\n  a: hunter2",
	"data: {a: hunter2}",
	`"pass\u0077ord": hunter2`,
	"a: b # password: hunter2",
	"a: the password is hunter2",
	"a: Bearer hunter2",
	"url: https://example.com/a?b=hunter2",
	"url: https://example.com/a#hunter2",
	"url: https://user:hunter2@example.com",
	"url: user:hunter2@example.com",
	"a: -----BEGIN RSA PRIVATE KEY-----",
	"a: |\n  -----BEGIN RSA PRIVATE KEY-----\n  hunter2==",
	"a: aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==",
	"a: hvs.CAESIJhunter2hunter2",
	"a: AKIAIOSFODNN7EXAMPLE",
	"a: some text of\n  several lines with hunter2",
	"a: " + strings.Repeat("b ", maxLineBytes),
	"a: {" + strings.Repeat("b ", maxLineBytes) + "}\n  c: d",
	"machine example.com login me password hunter2",
}

// Of these, it is.
var shown = []string{
	"externalSecrets: {version: v2.9}",
	"externalSecrets:\n  version: v2.9",
	"  service: SecretManager",
	"kind: Secrets",
	"certSecretRef: {name: a}",
	"tokenSecretRef:\n  name: a",
	"clusterSecretStores:\n  a: b",
	"headers:\n  a: b\nspec: c",
	"headers:\n- a\nspec: c",
	"a: {token: x}\nb:\n  c: {d: e}",
	"- b: c\n  headers: x\n- d: e",
	"trim: [tokens]",
	"- {kind: Group, name: \"system:masters\", role: view}",
	"- {kind: User, name: jane@example.com}",
	"server: https://vault.example.com:8200/a",
	"roleARN: \"arn:aws:iam::123456789012:role/payments-prod\"",
	"namespaces: ['{tenant}-.*', \"a]\"]",
	"serviceAccount: payments@my-project.iam.gserviceaccount.com",
	"a: {\n  b: c",
	"# it's\na: b",
	"keycloak: {podSecurity: weak}",
	"{\n\"kind\": \"Tenat\"",
	"apiVersion: \"eso-tenant.dev/v1\"",
	"- a: b\n  'c: d'",
}

func TestSnippetHidesSecrets(t *testing.T) {
	last := func(source string) Problem { return at(1+strings.Count(source, "\n"), 1) }
	for _, source := range notShown {
		for _, before := range []string{"", "kind: Tenant\n---\n", "a: b\n"} {
			if got := snippet(before+source, last(before+source)); got != "" {
				t.Errorf("shown of\n%s\n:\n%s", before+source, got)
			}
		}
	}
	for _, source := range shown {
		if got := snippet(source, last(source)); got == "" {
			t.Errorf("not shown:\n%s", source)
		}
	}
}

// TestSnippetHidesByPath: what the parser knows counts as well.
func TestSnippetHidesByPath(t *testing.T) {
	for path, hidden := range map[string]bool{
		"": false, "spec.externalSecrets.version": false, "spec.auth.secretRef.name": false,
		"spec.headers.x": true, "spec.x.token": true, "spec.password[0]": true,
	} {
		p := at(1, 1)
		p.Path = path
		if got := snippet("a: hunter2", p); (got == "") != hidden {
			t.Errorf("path %q: shows %q", path, got)
		}
	}
}

// TestSnippetOfBrokenSource: where no parser knows what belongs to what, nothing
// is shown below the first name of a secret.
func TestSnippetOfBrokenSource(t *testing.T) {
	for _, rule := range []Rule{YAMLSyntax, YAMLEncoding, CUESyntax} {
		for source, hidden := range map[string]bool{
			"kind: Tenant\n a: hunter2":                   false,
			"kind: Tenant\nhunter2":                       false,
			"password: x\nkind: hunter2":                  true,
			"password\nkind: hunter2":                     true,
			"kind: Secret\nhunter2":                       true,
			"a: -----BEGIN CERTIFICATE-----\nb: hunter2":  true,
			"# the password is below\nkind: hunter2":      true, // it might be a key
			"externalSecrets: {version: 1}\nb: [hunter2]": false,
		} {
			p := at(2, 1)
			p.Rule = rule
			if got := snippet(source, p); (got == "") != hidden {
				t.Errorf("%s, %q: shows %q", rule, source, got)
			}
		}
	}
}

// TestSnippetOfCUE: its comments are others, and its indentation says nothing.
func TestSnippetOfCUE(t *testing.T) {
	for source, want := range map[string]string{
		"#A: {\nb: #B & {c: 1} // hunter2":      "  2 | b: #B & {c: 1}\n    | ^\n",
		"// the headers:\nb: 1":                 "",
		"password: #A & {\nb: \"hunter2\"":      "",
		"headers: a: {}\nb: 1":                  "",
		"a: 1\n// hunter2":                      "",
		"externalSecrets: version: 1\n\tb: 2":   "  2 |     b: 2\n    | ^\n",
		"a: \"\"\"\nhunter2 is the password: x": "",
	} {
		p := at(2, 1)
		p.Position.File = "a.cue"
		if diff := cmp.Diff(want, snippet(source, p)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", source, diff)
		}
	}
}

const planted = "hunter2"

// garden writes a document with a secret in it.
type garden struct {
	*rapid.T
	strings.Builder
}

func (g *garden) choose(label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(g.T, label)
}

func (g *garden) line(indent int, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		g.WriteString(strings.Repeat(" ", indent) + line + "\n")
	}
}

func (g *garden) noise(indent int) {
	for range rapid.IntRange(0, 2).Draw(g.T, "noise") {
		g.line(indent, g.choose("harmless", "a: b", "b: {c: d}", "c: [x, \"y]\"]", "d: it's", "e:\n  f: g", "h: 'i'", "", "# comment", "j: \"{\"", "k:\n- l\n- m"))
	}
}

// plant writes a map with the secret in one of its fields, or below one.
func (g *garden) plant(indent, depth int) {
	g.noise(indent)
	switch {
	case depth > 0:
		g.line(indent, g.choose("parent", "n:", "\"o\":", "p-q:"))
		g.plant(indent+g.step(), depth-1)
	case rapid.Bool().Draw(g.T, "evident"):
		g.line(indent, g.choose("secret text", "r: https://example.com/?x=hunter2", "r: {s: 'https://x:hunter2@example.com'}", "- https://example.com/#hunter2",
			"r: hunter2hunter2hunter2hunter2hunter2", "r: |\n  -----BEGIN X-----\n  hunter2\n  -----END X-----", "r: Bearer hunter2", "r: https://e.com/hunter2/hunter2/a?b"))
	default:
		g.line(indent, strings.ReplaceAll(g.choose("place", "K: hunter2", "\"K\": 'hunter2'", "K: {a: 1, b: hunter2}", "K:\n  a: 1\n  b: hunter2", "K:\n- a: 1\n  b: hunter2",
			"K:\n- - hunter2", "K: |\n  text\n\n  hunter2\n  # hunter2", "K: >-\n      hunter2", "K: \"text\n  hunter2\"", "K: 'a\n  hunter2: b'", "K:\n  text\n  hunter2",
			"o: {K:\n  hunter2,\n  z: 1}", "o: [{a: b, K\n  : hunter2}]", "? K\n: hunter2", "K: &a\n  hunter2", "K: # comment\n  hunter2", "- name: K\n  value: hunter2",
			"{\"K\": {\n\"a\": [\n\"hunter2\"\n]\n}}", "K: !!str\n\n  hunter2", "K:\n  o:\n  - p:\n      q: {r: hunter2}"),
			"K", g.choose("key", "password", "X-Vault-Token", "clientSecret", "headers", "stringData", "API_KEY", "caBundle", "credentials", "db.passwd", "private-key")))
	}
	g.noise(indent)
}

func (g *garden) step() int { return rapid.IntRange(1, 4).Draw(g.T, "step") }

// TestSnippetNeverShowsAPlantedSecret: wherever in a document a secret stands,
// and whatever a problem points at.
func TestSnippetNeverShowsAPlantedSecret(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &garden{T: t}
		g.plant(0, rapid.IntRange(0, 3).Draw(t, "depth"))
		source := g.String()
		for i, line := range strings.Split(source, "\n") {
			for _, rule := range []Rule{FieldValue, YAMLSyntax} {
				for _, column := range []int{1, len(line)/2 + 1, len(line) + 1} {
					p := at(i+1, column)
					p.Rule = rule
					if got := snippet(source, p); strings.Contains(got, planted) {
						t.Fatalf("%s of\n%s\n", got, source)
					}
				}
			}
		}
	})
}

// BenchmarkSnippets: as many problems as are reported, in a large source.
func BenchmarkSnippets(b *testing.B) {
	var source strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&source, "- a%d:\n    b: [c, {d: \"e\"}]\n", i)
	}
	style := Style{Source: func(string) []byte { return []byte(source.String()) }}
	var l List
	for i := range 1_000 {
		l = append(l, at(200_000-i, 5))
	}
	for b.Loop() {
		var out strings.Builder
		if err := l.WriteText(&out, style); err != nil {
			b.Fatal(err)
		}
	}
}
