package audit

import (
	"bytes"
	"strings"
	"testing"
)

func parsed(t *testing.T, text string) *Policy {
	t.Helper()
	p, problems := ParsePolicy("p.yaml", strings.NewReader(text))
	if len(problems) > 0 {
		t.Fatalf("%s\n%s", lines(problems), text)
	}
	return p
}

// What we print needs nothing added.
func TestPolicyText(t *testing.T) {
	if found := parsed(t, PolicyText).Check(); len(found) > 0 {
		t.Error(lines(found))
	}
	merged, notes, problems, err := parsed(t, PolicyText).Merge()
	if err != nil || len(problems) > 0 || len(notes) > 0 || strings.Count(string(merged), "level:") != strings.Count(PolicyText, "level:") {
		t.Errorf("%v %s %q\n%s", err, lines(problems), notes, merged)
	}
}

const policyStart = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n"

// rule texts, for policies of tests.
const (
	catchAll      = "- level: Metadata # the rest\n"
	catchAllHigh  = "- level: RequestResponse\n"
	nodesNone     = "- {level: None, userGroups: [system:nodes]}\n"
	healthNone    = "- {level: None, nonResourceURLs: [/healthz*]}\n"
	rolesRequest  = "- level: Request\n  resources: [{group: rbac.authorization.k8s.io, resources: ['*']}]\n"
	tokensRequest = "- {level: Request, verbs: [create], resources: [{group: '', resources: [serviceaccounts/token]}]}\n"
)

func TestPolicyCheck(t *testing.T) {
	tests := map[string]struct {
		rules string
		want  string // one line for each problem, "" for none
	}{
		"a catch-all":              {catchAll, "p.yaml:4:3: this rule logs some requests to create serviceaccounts/token at level Metadata [audit-policy-level]"},
		"tokens before it":         {tokensRequest + catchAll, ""},
		"tokens behind it":         {catchAll + tokensRequest, "p.yaml:4:3: "},
		"others' rules before":     {healthNone + tokensRequest + catchAll, ""},
		"tokens of one namespace":  {strings.Replace(tokensRequest, "verbs", "namespaces: [web], verbs", 1) + catchAll, "p.yaml:5:3: this rule logs some requests to create serviceaccounts/token"},
		"tokens of some users":     {strings.Replace(tokensRequest, "verbs", "users: [bob], verbs", 1) + catchAll, "p.yaml:5:3: "},
		"tokens of some names":     {strings.Replace(tokensRequest, "token]", "token], resourceNames: [x]", 1) + catchAll, "p.yaml:5:3: "},
		"tokens of everybody":      {strings.Replace(tokensRequest, "verbs", "userGroups: [system:authenticated], verbs", 1) + catchAll, ""},
		"tokens without an answer": {strings.Replace(tokensRequest, "verbs", "omitStages: [ResponseComplete], verbs", 1) + catchAll, "p.yaml:4:3: this rule logs some requests to create serviceaccounts/token at level None"},
		"all subresources":         {"- {level: Request, resources: [{resources: ['*/token']}]}\n" + catchAll, ""},
		"of all accounts":          {"- {level: Request, resources: [{resources: ['serviceaccounts/*']}]}\n" + catchAll, ""},
		"accounts, not tokens":     {"- {level: Request, resources: [{resources: [serviceaccounts]}]}\n" + catchAll, "p.yaml:5:3: "},
		"nodes left out":           {nodesNone + tokensRequest + catchAll, "p.yaml:4:3: this rule logs some requests to create serviceaccounts, update serviceaccounts, patch serviceaccounts and 32 more at level None"},
		"too high": {
			catchAllHigh,
			"p.yaml:4:3: this rule logs some requests to create secrets, update secrets, patch secrets and 2 more at level RequestResponse, which writes what is secret into the log [audit-policy-secret]\n" +
				"p.yaml:4:3: this rule logs some requests to create serviceaccounts/token at level RequestResponse, which writes what is secret into the log [audit-policy-secret]\n" +
				"p.yaml:4:3: this rule logs some requests to create tokenreviews.authentication.k8s.io at level RequestResponse, which writes what is secret into the log [audit-policy-secret]\n" +
				"p.yaml:4:3: this rule logs some requests to get secrets, list secrets, watch secrets at level RequestResponse",
		},
		"nothing": {tokensRequest, "p.yaml:4:1: no rule decides on some requests to"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := lines(parsed(t, policyStart+test.rules).Check())
			if (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %s\nwant %s", got, test.want)
			}
		})
	}
}

// A merged policy lacks nothing, and has the rules in this order: t for tokens,
// s for written Secrets, r for all of Secrets, c for changes, and a digit for
// each of its own.
func TestPolicyMerge(t *testing.T) {
	tests := map[string]struct {
		rules []string
		want  string
		note  string
	}{
		"a catch-all":             {[]string{catchAll}, "t1", "your rule 1 (line 4) would have swallowed create serviceaccounts/token at level Metadata: a rule was added before it"},
		"others' first":           {[]string{healthNone, catchAll}, "1t2", ""},
		"a catch-all, too high":   {[]string{catchAllHigh}, "tsrv1", "your rule 1 (line 4) would have written what is secret into the log"},
		"nodes left out":          {[]string{nodesNone, catchAll}, "tsc12", ""},
		"more of roles than need": {[]string{rolesRequest, catchAll}, "1t2", ""},
		"nothing else":            {[]string{healthNone}, "1tsc", "no rule of yours decides on all requests to create serviceaccounts/token: one was added"},
		"tokens there":            {[]string{tokensRequest, healthNone}, "12sc", ""},
		"a list in brackets":      {[]string{"  [{level: Metadata}]\n"}, "t1", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			merged, notes, problems, err := parsed(t, policyStart+strings.Join(test.rules, "")).Merge()
			if err != nil || len(problems) > 0 {
				t.Fatalf("%v %s", err, lines(problems))
			}
			p := parsed(t, string(merged))
			if left := p.Check(); len(left) > 0 {
				t.Errorf("%s\n%s", lines(left), merged)
			}
			own := 0
			got := ""
			for i := range p.rules {
				got += letter(&p.rules[i], &own)
			}
			if got != test.want || !strings.Contains(strings.Join(notes, "\n"), test.note) {
				t.Errorf("got %s, want %s; notes %q\n%s", got, test.want, notes, merged)
			}
		})
	}
}

// letter names a rule: ours leave out a stage in a list of one.
func letter(r *policyRule, own *int) string {
	if len(r.OmitStages) == 0 {
		*own++
		return string(rune('0' + *own))
	}
	switch r.Resources[0].Resources[0] {
	case "serviceaccounts/token":
		return "t"
	case "tokenreviews":
		return "v"
	case "secrets":
		if len(r.Verbs) == 0 {
			return "r"
		}
		return "s"
	default:
		return "c"
	}
}

// Comments stay where they are, and ours come along.
func TestMergeKeepsComments(t *testing.T) {
	const text = "# Ours.\napiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n  # First.\n  - level: None # beside\n    nonResourceURLs: [/healthz]\n  # Last.\n  - level: Metadata\n# The end.\n"
	merged, _, _, err := parsed(t, text).Merge()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if !strings.Contains(string(merged), strings.TrimSpace(line)) {
			t.Errorf("%q is gone:\n%s", line, merged)
		}
	}
	if !strings.Contains(string(merged), "# Who was given tokens") || bytes.Index(merged, []byte("# Last.")) < bytes.Index(merged, []byte("serviceaccounts/token")) {
		t.Errorf("%s", merged)
	}
}

func TestPolicyInvalid(t *testing.T) {
	for text, want := range map[string]string{
		"":               "p.yaml: this is no YAML: EOF",
		"a: [":           "p.yaml: this is no YAML: ",
		"[]":             "p.yaml:1:1: this is no object",
		"kind: Policy\n": `this is "Policy" of "", not a Policy`,
		"apiVersion: audit.k8s.io/v1beta1\nkind: Policy\nrules: [{level: None}]\n": `"audit.k8s.io/v1beta1", not a Policy of audit.k8s.io/v1`,
		policyStart[:len(policyStart)-len("rules:\n")]:                             "there are no rules",
		policyStart:                                    "rules is no list with something in it",
		policyStart + "- {}\n":                         `p.yaml:4:3: level is ""; it is one of None, Metadata, Request, RequestResponse`,
		policyStart + "- {level: Debug}\n":             `level is "Debug"`,
		policyStart + "- {level: None, verb: [get]}\n": "this is no rule: field verb not found",
		policyStart + "- {level: None, verbs: get}\n":  "this is no rule: cannot unmarshal",
		policyStart + "- text\n":                       "this is no rule",
		policyStart + "- {level: None, nonResourceURLs: [/x], namespaces: [a]}\n": "not for both",
		policyStart + "- {level: None, nonResourceURLs: [healthz]}\n":             "it is to begin with /",
		policyStart + "- {level: None, nonResourceURLs: ['/a*b']}\n":              "it is to begin with /",
		policyStart + "- {level: None, resources: [{group: rbac/v1}]}\n":          "is no API group",
		policyStart + "- {level: None, resources: [{resourceNames: [x]}]}\n":      "which are to be named beside them",
		policyStart + "- {level: None, omitStages: [Late]}\n":                     `"Late" is no stage`,
		policyStart + catchAll + "omitStages: [Late]\n":                           `"Late" is no stage`,
		policyStart + catchAll + "rule: []\n":                                     `p.yaml:5:1: a Policy has no field "rule"`,
		policyStart + catchAll + "---\na: b\n":                                    "more than one document",
		strings.Repeat("#", maxPolicy+1):                                          "larger than an audit policy can be",
	} {
		p, problems := ParsePolicy("p.yaml", strings.NewReader(text))
		if got := lines(problems); p != nil || !strings.Contains(got, want) || !strings.HasPrefix(got, "p.yaml:") {
			t.Errorf("%.80q: got %s, want %s", text, got, want)
		}
	}
}

// A policy that leaves out every answer cannot be mended by rules.
func TestPolicyOmitsAnswers(t *testing.T) {
	p := parsed(t, policyStart+tokensRequest+catchAll+"omitStages: [RequestReceived, ResponseComplete]\n")
	const want = "p.yaml:6:13: omitStages of the whole policy leaves out ResponseComplete"
	if got := lines(p.Check()); !strings.HasPrefix(got, want) {
		t.Error(got)
	}
	if merged, _, problems, _ := p.Merge(); merged != nil || !strings.HasPrefix(lines(problems), want) {
		t.Error(lines(problems))
	}
}

// Whatever is read as a policy can be merged, and lacks nothing then.
func FuzzPolicy(f *testing.F) {
	f.Add(PolicyText)
	f.Add(policyStart + nodesNone + catchAllHigh)
	f.Add(policyStart + "- &a {level: Metadata}\n- *a\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, problems := ParsePolicy("p.yaml", strings.NewReader(text))
		if (p == nil) == (len(problems) == 0) {
			t.Fatalf("%v %s", p, lines(problems))
		}
		if p == nil || p.omits {
			return
		}
		merged, _, problems, err := p.Merge()
		if err != nil || len(problems) > 0 {
			t.Fatalf("%v %s\n%s", err, lines(problems), merged)
		}
	})
}
