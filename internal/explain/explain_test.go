package explain

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// withoutExample are the rules whose pages have no files, and why.
var withoutExample = map[problem.Rule]string{
	problem.SourceUnreadable: "it is about what is named: a console block, run by TestREADMEs of fn in docs/rules.md",
	problem.PlatformMissing:  "it is about what is named: a console block, run by TestREADMEs of fn in docs/rules.md",
	problem.SourceTooLarge:   "takes megabytes",
	problem.SourceEscapes:    "takes a symbolic link",
	problem.YAMLEncoding:     "takes a character that no editor shows",
	problem.ObjectUnreadable: "it is about objects of a cluster, which no specification holds",
	problem.TooManyProblems:  "takes a thousand problems",
	problem.CUETooLong:       "takes as long as the bound is",
	problem.SchemaOther:      "no document is known that gives it",
	problem.NetworkWidened:   "is about a Platform that says network: tests of verify",
	problem.MintUnexplained:  "is about an audit log: tests of adopt",
	problem.AllowInvalid:     "is about an allow file: tests of fn",
	problem.AllowExpired:     "is about an allow file and a date: tests of fn",
	problem.AllowUnused:      "is about an allow file: tests of fn",
	problem.ExemptionOpen:    "is about a date: tests of verify",
	problem.ExemptionUnknown: "is about a policy and a specification: tests of verify",
	problem.ExemptionOver:    "is about a date: tests of verify",

	problem.AuditRequester:     "is about an audit log: tests of audit",
	problem.AuditOutside:       "is about an audit log: tests of audit",
	problem.AuditAudience:      "is about an audit log: tests of audit",
	problem.AuditRefused:       "is about an audit log: tests of audit",
	problem.AuditUnused:        "is about an audit log: tests of audit",
	problem.AuditLegacyToken:   "is about an audit log: tests of audit",
	problem.AuditImpersonation: "is about an audit log: tests of audit",
	problem.AuditFenceChanged:  "is about an audit log: tests of audit",
	problem.AuditLogLevel:      "is about an audit log: tests of audit",
	problem.AuditLogSecret:     "is about an audit log: tests of audit",
	problem.AuditLogIncomplete: "is about an audit log: tests of audit",
	problem.AuditPolicyInvalid: "is about an audit policy: tests of audit",
	problem.AuditPolicyLevel:   "is about an audit policy: tests of audit",
	problem.AuditPolicySecret:  "is about an audit policy: tests of audit",
}

// beside are other problems that an example gives, and why.
var beside = map[problem.Rule]map[problem.Rule]string{
	problem.UpgradeTooFar:      {problem.ESOAdvisory: "releases as old as these have some"},
	problem.MintBootstrapToken: {problem.WriteSecrets: "no tenant has a store in kube-system"},
	problem.GatekeeperInactive: {problem.MintTokenSecret: "what the Constraint would refuse"},
	problem.ForeignReach:       {problem.MintTokenSecret: "the operator makes Secrets there, and can be the account, too"},
	problem.RequesterUnknown: {
		problem.ForeignSubject:  "who is not known to be the operator is somebody else",
		problem.MintTokenSecret: "so is who makes Secrets there",
	},
}

// Bounds of an example, so that it is read.
const (
	maxLines   = 25 // of a side
	maxColumns = columns - 2
)

func page(t *testing.T, rule problem.Rule) Page {
	t.Helper()
	p, err := Rule(rule)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Every rule has a page, and every page a rule.
func TestPages(t *testing.T) {
	for rule := range problem.Rules() {
		page(t, rule)
	}
	files, err := fs.Glob(pages, "rules/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, known := problem.Rules()[problem.Rule(strings.TrimSuffix(path.Base(file), ".md"))]; !known {
			t.Errorf("%s is the page of no rule", file)
		}
	}
}

// The wrong side of each example gives problems of its rule and of no other,
// the right side none.
func TestExamples(t *testing.T) {
	for rule := range problem.Rules() {
		t.Run(string(rule), func(t *testing.T) {
			p := page(t, rule)
			if reason := withoutExample[rule]; reason != "" {
				if hasFiles(p.Wrong) || hasFiles(p.Right) {
					t.Errorf("there is an example, and a reason to have none: %s", reason)
				}
				return
			}
			wrong, right := found(t, p, p.Wrong), found(t, p, p.Right)
			if !slices.ContainsFunc(wrong, func(found problem.Problem) bool { return found.Rule == rule }) {
				t.Errorf("what is wrong gives no problem of the rule")
			}
			for _, found := range wrong {
				if found.Rule != rule && beside[rule][found.Rule] == "" {
					t.Errorf("what is wrong gives another problem: %s", found.Line())
				}
			}
			for _, found := range right {
				if beside[rule][found.Rule] == "" {
					t.Errorf("what is right gives a problem: %s", found.Line())
				}
			}
		})
	}
}

// An exception that no example makes use of is out of date.
func TestExceptionsAreUsed(t *testing.T) {
	for rule, others := range beside {
		p := page(t, rule)
		all := slices.Concat(found(t, p, p.Wrong), found(t, p, p.Right))
		for other := range others {
			if !slices.ContainsFunc(all, func(f problem.Problem) bool { return f.Rule == other }) {
				t.Errorf("the example of %s gives no %s", rule, other)
			}
		}
	}
}

// found are the problems of a side: the proof's examples are objects, all
// others specifications.
func found(t *testing.T, p Page, s Side) problem.List {
	t.Helper()
	if ofProof(p.Rule) {
		return provenBeyondWorld(t, p.Rule, s)
	}
	return s.problems(t)
}

func hasFiles(s Side) bool {
	return slices.ContainsFunc(s.Blocks, func(b Block) bool { return b.File != "" })
}

// problems reads a side as a folder: its files, and the Platform of the
// examples if it has none of its own.
func (s Side) problems(t *testing.T) problem.List {
	t.Helper()
	blocks := s.Blocks
	if !slices.ContainsFunc(blocks, func(b Block) bool { return strings.Contains(b.Text, "kind: Platform\n") }) {
		blocks = append(slices.Clone(blocks), Block{File: "platform.yaml", Text: PlatformYAML})
	}
	var sources []schema.Source
	var problems problem.List
	seen := map[string]bool{}
	for _, b := range blocks {
		if !filepath.IsLocal(b.File) || seen[b.File] {
			t.Fatalf("%q is outside of the example, or in it twice", b.File)
		}
		seen[b.File] = true
		read, unread := fn.ReadSources([]string{"-"}, strings.NewReader(b.Text))
		for _, src := range read {
			src.File = b.File
			sources = append(sources, src)
		}
		problems = append(problems, unread...)
	}
	_, found := fn.Build(sources)
	return append(problems, found...)
}

// Examples are short, and as wide as a terminal shows them.
func TestExamplesAreShort(t *testing.T) {
	for rule := range problem.Rules() {
		p := page(t, rule)
		for _, side := range []Side{p.Wrong, p.Right} {
			lines := 0
			for _, b := range side.Blocks {
				for line := range strings.Lines(b.Text) {
					lines++
					if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > maxColumns && b.Language != "console" {
						t.Errorf("%s: wider than %d: %s", rule, maxColumns, line)
					}
				}
			}
			if lines > maxLines {
				t.Errorf("%s: an example of %d lines; %d are enough", rule, lines, maxLines)
			}
		}
	}
}

func TestParse(t *testing.T) {
	const text = "Why,\nat length.\n\nAnd more.\n\n## Wrong\n\nWords.\n\n```yaml a/b.yaml\na: b\n\n# c\n```\n\n## Right\n\n```console\n$ ls\n```\n"
	want := Page{
		Why:   []string{"Why, at length.", "And more."},
		Wrong: Side{Words: []string{"Words."}, Blocks: []Block{{Language: "yaml", File: "a/b.yaml", Text: "a: b\n\n# c\n"}}},
		Right: Side{Blocks: []Block{{Language: "console", Text: "$ ls\n"}}},
	}
	got, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefuses(t *testing.T) {
	const why, wrong, right = "Why.\n", "\n## Wrong\n\n", "\n## Right\n\n"
	for name, text := range map[string]string{
		"nothing":            "",
		"no wrong side":      why + right + "b\n",
		"no right side":      why + wrong + "a\n",
		"sides turned round": why + right + "a\n" + wrong + "b\n",
		"no reason":          wrong + "a\n" + right + "b\n",
		"a file as reason":   why + "```yaml a.yaml\n```\n" + wrong + "a\n" + right + "b\n",
		"a third heading":    why + wrong + "a\n" + right + "b\n\n## See also\n",
		"a second wrong":     why + wrong + "a\n" + wrong + "a\n" + right + "b\n",
		"a title":            "# T\n\n" + why + wrong + "a\n" + right + "b\n",
		"an empty side":      why + wrong + right + "b\n",
		"an open block":      why + wrong + "a\n" + right + "```yaml a.yaml\n",
		"a file unnamed":     why + wrong + "```yaml\n```\n" + right + "b\n",
		"a language unknown": why + wrong + "```sh a.sh\n```\n" + right + "b\n",
		"another extension":  why + wrong + "```yaml a.cue\n```\n" + right + "b\n",
	} {
		t.Run(name, func(t *testing.T) {
			if page, err := parse(text); err == nil {
				t.Errorf("no error, but %+v", page)
			}
		})
	}
}

// The error names what could be meant.
func TestRuleUnknown(t *testing.T) {
	for name, want := range map[string]string{
		"namespce-shared": `there is no rule "namespce-shared"; did you mean namespace-shared?`,
		"yaml":            `there is no rule "yaml"; did you mean yaml-ambiguous or yaml-duplicate-key or yaml-encoding or yaml-syntax or yaml-too-deep or yaml-unsupported?`,
		"something else":  `there is no rule "something else"; eso-tenant explain lists all`,
		"":                `there is no rule ""; eso-tenant explain lists all`,
	} {
		if _, err := Rule(problem.Rule(name)); err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", name, err, want)
		}
	}
}

// The groups have every rule once, in the order of package problem.
func TestGroups(t *testing.T) {
	source, err := os.ReadFile("../problem/rule.go")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for line := range strings.Lines(string(source)) {
		if declared := strings.Fields(line); len(declared) == 4 && declared[1] == "Rule" && declared[2] == "=" {
			want = append(want, strings.Trim(declared[3], `"`))
		}
	}
	for _, g := range groups {
		for _, rule := range g.rules {
			got = append(got, string(rule))
		}
	}
	if len(want) != len(problem.Rules()) {
		t.Fatalf("found %d rules in rule.go, which has %d", len(want), len(problem.Rules()))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-rule.go +groups):\n%s", diff)
	}
}

const document = "../../docs/rules.md"

// What docs/rules.md says is what the pages say. UPDATE_GOLDEN=1 rewrites it.
func TestRulesDocument(t *testing.T) {
	var want strings.Builder
	if err := WriteRulesDoc(&want); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(document, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want.String()); diff != "" {
		t.Errorf("(-document +pages):\n%s", diff)
	}
}
