package schema

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// elsewhere are the rules without a case below testdata/rules, and why.
var elsewhere = map[problem.Rule]string{
	problem.SourceUnreadable: "reported by fn, which reads files",
	problem.SourceEscapes:    "reported by fn, which reads folders",
	problem.SourceTooLarge:   "takes megabytes: TestBounds",
	problem.SourceEmpty:      "reported by fn, which reads folders",
	problem.TooManyProblems:  "takes a thousand problems: TestBounds",
	problem.CUETooLong:       "takes time: TestCUETooLong",
	problem.ObjectUnreadable: "reported by internal/inventory, which reads objects",
	problem.SchemaOther:      "the net below diagnosis; nothing is known to fall into it: TestSchemaOther",
}

// proven are the rules of the proof, which is about objects: internal/verify has a mutant for each.
var proven = []problem.Rule{
	problem.MintAny, problem.MintTokenSecret, problem.MintLegacySecret, problem.MintBootstrapToken, problem.MintPod,
	problem.MintExec, problem.MintImpersonate, problem.MintBind, problem.MintEscalate, problem.MintCSR,
	problem.MintNodeProxy, problem.MintAttest, problem.AdmissionWritable, problem.NamespaceWritable, problem.CRDWritable,
	problem.ForeignMint, problem.ForeignSubject, problem.ForeignReach, problem.OperatorOpen, problem.OperatorSecond, problem.OperatorVersion, problem.OperatorSwitch, problem.PushOpen, problem.NetworkWidened,
	problem.FencedRole, problem.FencedIdentity, problem.FencedPod, problem.FencedSecrets, problem.StoreOwnIdentity,
	problem.SharedStoreOpen, problem.OperatorIdentity, problem.StoreUnsafe, problem.StoreAudience, problem.StoreWritable,
	problem.StoreUnfenced, problem.StoreAccountMissing, problem.StoreCannotMint, problem.MintUnexplained, problem.WriteSecrets,
	problem.ReadSecrets, problem.GatekeeperUnseen, problem.GatekeeperInactive, problem.RequesterUnknown, problem.RBACOpen, problem.AllowInvalid, problem.AllowExpired,
	problem.AllowUnused, problem.ExemptionOpen, problem.ExemptionUnknown, problem.ExemptionOver,
}

// audited are the rules of audit logs and their policies: internal/audit has a case for each.
var audited = []problem.Rule{
	problem.AuditRequester, problem.AuditOutside, problem.AuditAudience, problem.AuditRefused, problem.AuditUnused,
	problem.AuditLegacyToken, problem.AuditImpersonation, problem.AuditFenceChanged,
	problem.AuditLogLevel, problem.AuditLogSecret, problem.AuditLogIncomplete,
	problem.AuditPolicyInvalid, problem.AuditPolicyLevel, problem.AuditPolicySecret,
}

// want is a problem that a comment in a case asks for.
type want struct {
	file, substring string
	line            int
	rule            problem.Rule
}

var (
	wantComment = regexp.MustCompile(`(?:#|//) want (.*)$`)
	wantItem    = regexp.MustCompile(`^([a-z-]+) ("(?:[^"\\]|\\.)*") ?`)
)

// wants reads the comments of a file: # want rule-id "substring", once or more, at the end of the line it is about.
func wants(t *testing.T, file, text string) []want {
	t.Helper()
	var all []want
	for i, line := range strings.Split(text, "\n") {
		m := wantComment.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		for rest := m[1]; rest != ""; {
			item := wantItem.FindStringSubmatch(rest)
			if item == nil {
				t.Fatalf("%s:%d: %q is not: rule-id \"substring\"", file, i+1, rest)
			}
			substring, err := strconv.Unquote(item[2])
			if err != nil {
				t.Fatalf("%s:%d: %s: %v", file, i+1, item[2], err)
			}
			all = append(all, want{file: file, line: i + 1, rule: problem.Rule(item[1]), substring: substring})
			rest = rest[len(item[0]):]
		}
	}
	return all
}

// ruleCase is the sources of one case: a file, read beside testdata/platform.yaml unless it holds a Platform itself, or
// a folder, read as it is.
func ruleCase(t *testing.T, name string) []Source {
	t.Helper()
	var sources []Source
	err := filepath.WalkDir(name, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(file)
		sources = append(sources, Source{File: filepath.ToSlash(file), Data: data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(sources[0].Data); !info.IsDir() && !strings.Contains(text, "kind: Platform\n") && !strings.Contains(text, "kind: TenantSet\n") {
		sources = append(sources, Source{File: "testdata/platform.yaml", Data: []byte(platformText(t))})
	}
	return sources
}

// TestRules: each case gives exactly the problems that its comments ask for, each on its line.
func TestRules(t *testing.T) {
	seen := map[problem.Rule]bool{}
	folders, err := os.ReadDir("testdata/rules")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		cases, err := os.ReadDir(filepath.Join("testdata", "rules", folder.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			t.Run(folder.Name()+"/"+c.Name(), func(t *testing.T) {
				found := checkRuleCase(t, filepath.Join("testdata", "rules", folder.Name(), c.Name()))
				if !slices.Contains(found, problem.Rule(folder.Name())) {
					t.Errorf("no comment asks for the rule that the folder is named after")
				}
				seen[problem.Rule(folder.Name())] = true
			})
		}
	}
	for rule := range problem.Rules() {
		reason := elsewhere[rule]
		if slices.Contains(proven, rule) || slices.Contains(audited, rule) {
			reason = "a rule of the proof"
		}
		switch {
		case !seen[rule] && reason == "":
			t.Errorf("rule %s has no case in testdata/rules and no reason in elsewhere", rule)
		case seen[rule] && reason != "":
			t.Errorf("rule %s has a case and a reason to have none: %s", rule, reason)
		}
	}
}

// checkRuleCase matches the problems of a case with its comments, and returns the rules that the comments name.
func checkRuleCase(t *testing.T, name string) []problem.Rule {
	t.Helper()
	sources := ruleCase(t, name)
	texts := map[string]string{}
	var open []want
	var rules []problem.Rule
	for _, src := range sources {
		texts[src.File] = string(src.Data)
		open = append(open, wants(t, src.File, string(src.Data))...)
	}
	for _, w := range open {
		rules = append(rules, w.rule)
	}
	_, problems, _ := Decode(sources)
	for _, p := range problems {
		if complaint := misplaced(p, texts); complaint != "" {
			t.Errorf("%s: %s", p.Line(), complaint)
		}
		i := slices.IndexFunc(open, func(w want) bool {
			return w.file == p.Position.File && w.line == p.Position.Line && w.rule == p.Rule && strings.Contains(p.Message, w.substring)
		})
		if i < 0 {
			t.Errorf("not asked for: %s", p.Line())
			continue
		}
		open = slices.Delete(open, i, i+1)
	}
	for _, w := range open {
		t.Errorf("%s:%d: no problem %s with %q", w.file, w.line, w.rule, w.substring)
	}
	return rules
}
