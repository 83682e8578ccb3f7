package fn

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// acceptWith accepts with an allow file of the text given.
func acceptWith(t *testing.T, text string, found problem.List) problem.List {
	t.Helper()
	file := filepath.Join(t.TempDir(), "allow.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Accept(file, found, time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
}

func TestAccept(t *testing.T) {
	found := problem.List{
		{Rule: problem.MintPod, Position: problem.Position{File: "a.yaml", Line: 1, Column: 1}, Message: "one can run pods", Because: []string{"step"}},
		{Rule: problem.MintPod, Position: problem.Position{File: "a.yaml", Line: 2, Column: 1}, Message: "another can run pods"},
		{Rule: problem.ReadSecrets, Position: problem.Position{File: "a.yaml", Line: 3, Column: 1}, Message: "reads"},
	}
	for name, test := range map[string]struct {
		text   string
		errors int
		rules  string // of what is new
	}{
		"all of a rule":          {"- {rule: mint-pod, reason: known, until: 2026-12-31}", 0, ""},
		"one of them":            {"- {rule: mint-pod, contains: another, reason: known, until: 2026-12-31}", 1, ""},
		"its last day":           {"- {rule: mint-pod, reason: known, until: 2026-11-24}", 0, ""},
		"over":                   {"- {rule: mint-pod, reason: known, until: 2026-11-23}", 3, "allow-expired"},
		"no reason":              {"- {rule: mint-pod, until: 2026-12-31}", 3, "allow-invalid"},
		"a blank reason":         {"- {rule: mint-pod, reason: ' ', until: 2026-12-31}", 3, "allow-invalid"},
		"no end":                 {"- {rule: mint-pod, reason: known}", 3, "allow-invalid"},
		"no date":                {"- {rule: mint-pod, reason: known, until: soon}", 3, "allow-invalid"},
		"no rule of ours":        {"- {rule: mint, reason: known, until: 2026-12-31}", 3, "allow-invalid"},
		"another field":          {"- {rule: mint-pod, reason: known, until: 2026-12-31, path: x}", 3, "allow-invalid"},
		"a map":                  {"rule: mint-pod", 3, "allow-invalid"},
		"a text in the list":     {"- mint-pod", 3, "allow-invalid"},
		"no YAML":                {"- [", 3, "yaml-syntax"},
		"nothing matches":        {"- {rule: mint-csr, reason: known, until: 2026-12-31}", 2, "allow-unused"},
		"a warning needs no use": {"- {rule: read-secrets, reason: known, until: 2026-12-31}", 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := acceptWith(t, test.text+"\n", found)
			var rules []string
			for _, p := range got {
				if p.Rule != problem.MintPod && p.Rule != problem.ReadSecrets {
					rules = append(rules, string(p.Rule))
				}
			}
			if got.Errors() != test.errors || strings.Join(rules, " ") != test.rules {
				t.Errorf("%d errors, new %q; want %d, %q: %v", got.Errors(), rules, test.errors, test.rules, got)
			}
		})
	}
	got := acceptWith(t, "- {rule: mint-pod, reason: known, until: 2026-12-31}\n", found)
	if because := strings.Join(got[0].Because, "; "); because != "step; accepted until 2026-12-31: known" {
		t.Errorf("because %q", because)
	}
	if len(found[0].Because) != 1 || found[0].Severity != "" {
		t.Error("the problems themselves were changed")
	}
}

// TestAcceptUnreadable: without the file, nothing is accepted.
func TestAcceptUnreadable(t *testing.T) {
	found := problem.List{{Rule: problem.MintPod, Message: "one"}}
	for _, file := range []string{"/nonexistent/allow.yaml", t.TempDir()} {
		if got := Accept(file, found, time.Now()); got.Errors() != 2 {
			t.Errorf("%s: %v", file, got)
		}
	}
}
