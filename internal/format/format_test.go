package format

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/jstemmer/go-junit-report/v2/junit"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// unsorted has each kind of place, each severity, and text that every format
// has to escape in its own way.
var unsorted = problem.List{
	{
		Rule: problem.NamespaceShared, Position: problem.Position{File: "tenants/web shop.yaml", Line: 31, Column: 11}, Path: "spec.namespaces.pay",
		Message: `namespace "pay" belongs to tenant "a,b" <100%>`, Because: []string{"one\nhas it", "the other::error ]]> too"}, Hint: "merge them: [see](https://example.com)",
	},
	{Rule: problem.ProviderPlaintext, Position: problem.Position{File: "platform.yaml", Line: 4, Column: 9}, Message: "over http"},
	{Rule: problem.SourceUnreadable, Position: problem.Position{File: "/home/somebody/repo/x.yaml"}, Message: "this cannot be read"},
	{Rule: problem.FieldUnknown, Position: problem.Position{Subject: "Tenant/web"}, Path: "spec.x", Message: "there is no field \"x\""},
	{Rule: problem.FieldValue, Position: problem.Position{File: "platform.yaml", Line: 10, Column: 1}, Path: "spec.a", Message: "not one"},
	{Rule: problem.FieldValue, Position: problem.Position{File: "platform.yaml", Line: 10, Column: 1}, Path: "spec.a", Message: "not the other"},
	{Rule: problem.FieldValue, Position: problem.Position{File: "platform.yaml", Line: 10, Column: 1}, Path: "spec.a", Message: "not the other"},
	{Rule: "unheard-of", Message: "nowhere"},
}

var options = Options{Version: "v1.2.3", Folder: "/home/somebody/repo"}

func written(t interface {
	Helper()
	Fatal(...any)
}, f Format, l problem.List,
) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, f, l, options); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWrite(t *testing.T) {
	for _, f := range All() {
		for name, l := range map[string]problem.List{"problems": unsorted, "empty": nil} {
			file := filepath.Join("testdata", name+"."+string(f))
			got := written(t, f, l)
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
			if again := written(t, f, slices.Concat(l[len(l)/2:], l[:len(l)/2])); again != got {
				t.Errorf("%s: the order of the input shows:\n%s", file, cmp.Diff(got, again))
			}
		}
	}
}

// rulesIn finds the rules that a report names, in its order.
var rulesIn = map[Format]*regexp.Regexp{
	Text:   regexp.MustCompile(`(?m) \[([a-z-]+)\]$`),
	JSON:   regexp.MustCompile(`"rule": "([a-z-]+)"`),
	SARIF:  regexp.MustCompile(`"ruleId": "([a-z-]+)"`),
	JUnit:  regexp.MustCompile(`type="([a-z-]+)"`),
	GitHub: regexp.MustCompile(`title=([a-z-]+)::`),
}

func TestOneOrder(t *testing.T) {
	var want []string
	for _, p := range unsorted.Sorted() {
		want = append(want, string(p.Rule))
	}
	for _, f := range All() {
		var got []string
		for _, match := range rulesIn[f].FindAllStringSubmatch(written(t, f, unsorted), -1) {
			got = append(got, match[1])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f, diff)
		}
	}
}

func TestRefusedFormat(t *testing.T) {
	for _, f := range []Format{"", "xml", "JSON"} {
		var b bytes.Buffer
		if err := Write(&b, f, unsorted, options); err == nil || b.Len() > 0 {
			t.Errorf("%q: wrote %q", f, b.String())
		}
	}
}

var errFull = errors.New("no space left")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteFails(t *testing.T) {
	for _, f := range All() {
		if err := Write(full{}, f, unsorted, options); !errors.Is(err, errFull) {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// sarifSchema is OASIS' own, see testdata/README.md.
func sarifSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile(filepath.Join("testdata", "sarif-schema-2.1.0.json"))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestSARIFSchema(t *testing.T) {
	schema := sarifSchema(t)
	for _, l := range []problem.List{nil, unsorted} {
		report, err := jsonschema.UnmarshalJSON(strings.NewReader(written(t, SARIF, l)))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(report); err != nil {
			t.Error(err)
		}
	}
	// The schema is one that refuses.
	wrong := strings.Replace(written(t, SARIF, unsorted), `"startLine": 4`, `"startLine": 0`, 1)
	report, err := jsonschema.UnmarshalJSON(strings.NewReader(wrong))
	if err != nil || schema.Validate(report) == nil {
		t.Errorf("a line 0 passes; error %v", err)
	}
}

func TestURI(t *testing.T) {
	for file, want := range map[string]string{
		"a.yaml":                   "a.yaml",
		"./a/../b.yaml":            "b.yaml",
		"../a.yaml":                "../a.yaml",
		"-":                        "-",
		"a b#c?d%e.yaml":           "a%20b%23c%3Fd%25e.yaml",
		"a:b.yaml":                 "./a:b.yaml", // or a would be a scheme
		"caf\xe9\n.yaml":           "caf%E9%0A.yaml",
		"日本.yaml":                  "%E6%97%A5%E6%9C%AC.yaml",
		"/home/somebody/repo/t/a":  "t/a",
		"/home/somebody/repo":      ".",
		"/home/somebody/other/a":   "a",
		"/home/somebody/repo/../a": "a",
	} {
		if got := uri(file, "/home/somebody/repo"); got != want {
			t.Errorf("%q is %q, want %q", file, got, want)
		}
	}
	if got := uri("/home/somebody/a.yaml", ""); got != "a.yaml" {
		t.Errorf("without a folder: %q", got)
	}
}

// TestFingerprint: an alert stays the same one if a line is added above it, and
// is another if it is about something else.
func TestFingerprint(t *testing.T) {
	p := problem.Problem{Rule: problem.FieldValue, Position: problem.Position{File: "a", Line: 1, Column: 1}, Path: "spec", Message: "no", Hint: "x"}
	moved := p
	moved.Position.Line, moved.Hint = 2, "y"
	if fingerprint(moved) != fingerprint(p) {
		t.Error("it depends on the line or the hint")
	}
	for name, change := range map[string]func(*problem.Problem){
		"rule":    func(p *problem.Problem) { p.Rule = problem.FieldType },
		"path":    func(p *problem.Problem) { p.Path = "metadata" },
		"message": func(p *problem.Problem) { p.Message = "yes" },
	} {
		other := p
		change(&other)
		if fingerprint(other) == fingerprint(p) {
			t.Errorf("it does not depend on the %s", name)
		}
	}
}

// hostile draws text that tries to leave its place: other formats' syntax,
// control characters, broken UTF-8.
func hostile() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.OneOf(
			rapid.SampledFrom([]string{
				"\n::error::", "\r\n::add-mask::x", "%0A::warning::", "::", ",", ":", "%", "]]>", "<![CDATA[", "</failure>", "&amp;", `"`, `\`, "{0}", "[a](b)",
				"\x00", "\x1b[31m", "\u2028", "\u202e", "\ufffe", "\xff", "\xed\xa0\x80", "/", "..", "?x=y#z", "a",
			}),
			rapid.String(),
		), 0, 5).Draw(t, "parts")
		return strings.Join(parts, "")
	})
}

func hostileProblem() *rapid.Generator[problem.Problem] {
	return rapid.Custom(func(t *rapid.T) problem.Problem {
		number := rapid.IntRange(0, 3)
		return problem.Problem{
			Rule:     rapid.SampledFrom([]problem.Rule{problem.FieldValue, problem.ProviderPlaintext, "unheard-of"}).Draw(t, "rule"),
			Position: problem.Position{File: hostile().Draw(t, "file"), Subject: hostile().Draw(t, "subject"), Line: number.Draw(t, "line"), Column: number.Draw(t, "column")},
			Path:     hostile().Draw(t, "path"), Message: hostile().Draw(t, "message"), Hint: hostile().Draw(t, "hint"),
			Because: rapid.SliceOfN(hostile(), 0, 2).Draw(t, "because"),
		}
	})
}

// TestHostileText: whatever users write, a report is well-formed, and has as
// many problems as there are.
func TestHostileText(t *testing.T) {
	schema := sarifSchema(t)
	rapid.Check(t, func(t *rapid.T) {
		l := problem.List(rapid.SliceOfN(hostileProblem(), 0, 4).Draw(t, "problems"))
		sorted := l.Sorted()
		checkJSON(t, written(t, JSON, l), sorted)
		checkJUnit(t, written(t, JUnit, l), sorted)
		checkGitHub(t, written(t, GitHub, l), sorted)
		report, err := jsonschema.UnmarshalJSON(strings.NewReader(written(t, SARIF, l)))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(report); err != nil {
			t.Fatal(err)
		}
		for _, f := range All() {
			if text := written(t, f, l); !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
				return r != '\n' && r != '\t' && !unicode.IsPrint(r) // junit indents with tabs
			}) {
				t.Fatalf("%s: %q", f, text)
			}
		}
	})
}

func checkJSON(t *rapid.T, text string, l problem.List) {
	var report jsonReport
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Problems) != len(l) || report.Errors+report.Warnings != len(l) || report.Errors != l.Errors() {
		t.Fatalf("%d problems, in JSON:\n%s", len(l), text)
	}
	for i, p := range l {
		if report.Problems[i].Message != problem.Clean(p.Message) {
			t.Fatalf("message %q is %q", p.Message, report.Problems[i].Message)
		}
	}
}

func checkJUnit(t *rapid.T, text string, l problem.List) {
	var report junit.Testsuites
	if err := xml.Unmarshal([]byte(text), &report); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if report.Tests != max(len(l), 1) || report.Failures != l.Errors() || report.Skipped != len(l)-l.Errors() {
		t.Fatalf("%d problems, as a test report:\n%s", len(l), text)
	}
	var details []string
	names := map[string]bool{}
	for _, suite := range report.Suites {
		for _, test := range suite.Testcases {
			if key := test.Classname + "\x00" + test.Name; names[key] {
				t.Fatalf("two tests are called %q", test.Name)
			} else {
				names[key] = true
			}
			for _, result := range []*junit.Result{test.Failure, test.Skipped} {
				if result != nil {
					details = append(details, result.Data)
				}
			}
		}
	}
	for i, p := range l {
		if want := strings.Join(append([]string{p.Line()}, p.Details()...), "\n  "); details[i] != want {
			t.Fatalf("problem %d is %q, want %q", i, details[i], want)
		}
	}
}

// githubCommand is a line as GitHub's runner reads it: properties end at the
// first "::".
var githubCommand = regexp.MustCompile(`^::(error|warning) ([^:]*)::(.*)$`)

func checkGitHub(t *rapid.T, text string, l problem.List) {
	lines := slices.Collect(strings.Lines(text))
	if len(lines) != len(l) {
		t.Fatalf("%d lines for %d problems:\n%s", len(lines), len(l), text)
	}
	unescape := strings.NewReplacer("%0A", "\n", "%0D", "\r", "%3A", ":", "%2C", ",", "%25", "%")
	for i, line := range lines {
		p, match := l[i], githubCommand.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if len(match) == 0 || match[1] != string(level(p)) {
			t.Fatalf("this is no command for a problem: %s", line)
		}
		got := map[string]string{}
		for property := range strings.SplitSeq(match[2], ",") {
			name, value, _ := strings.Cut(property, "=")
			got[name] = unescape.Replace(value)
		}
		want := map[string]string{"title": string(p.Rule)}
		if p.Position.File != "" {
			want["file"] = problem.Clean(p.Position.File)
		}
		if p.Position.Line > 0 {
			want["line"], want["col"] = strconv.Itoa(p.Position.Line), strconv.Itoa(p.Position.Column)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", line, diff)
		}
	}
}
