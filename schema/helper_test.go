package schema

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// platformText is a Platform with one provider of each kind, as testdata has it.
func platformText(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("testdata/platform.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// decodeText decodes one source called spec.yaml.
func decodeText(text string) (*Spec, problem.List) {
	spec, problems, _ := Decode([]Source{{File: "spec.yaml", Data: []byte(text)}})
	return spec, problems
}

// tenantText is a Tenant called web with the spec given, indented by two.
func tenantText(spec string) string {
	return "apiVersion: " + APIVersion + "\nkind: Tenant\nmetadata: {name: web}\nspec:\n" + spec
}

// minimalPlatform is a Platform called eu-1 with more of a spec below it, indented by two.
func minimalPlatform(more string) string {
	return "apiVersion: " + APIVersion + "\nkind: Platform\nmetadata: {name: eu-1}\nspec:\n" +
		"  externalSecrets: {version: 2.9.0}\n  enforcement: enforce\n" + more
}

// brief lists problems as line:col [rule], which is what most tests are about.
func brief(problems problem.List) []string {
	var lines []string
	for _, p := range problems {
		lines = append(lines, fmt.Sprintf("%d:%d %s", p.Position.Line, p.Position.Column, p.Rule))
	}
	return lines
}

// written is all that a user would see of the problems.
func written(problems problem.List) string {
	var b strings.Builder
	_ = problems.WriteText(&b, problem.Style{}) // a Builder takes everything
	return b.String()
}

// misplaced says what is wrong with the place or the rule of a problem, or "". sources maps files to their text.
func misplaced(p problem.Problem, sources map[string]string) string {
	if _, known := problem.Rules()[p.Rule]; !known {
		return "the rule is not in the table"
	}
	text, known := sources[p.Position.File]
	if !known {
		return "the file is not one of the sources"
	}
	lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
	if p.Position.Line < 1 || p.Position.Line > len(lines) {
		return fmt.Sprintf("the file has %d lines", len(lines))
	}
	line := strings.TrimSuffix(lines[p.Position.Line-1], "\r")
	if width := len([]rune(line)); p.Position.Column < 1 || p.Position.Column > width+1 {
		return fmt.Sprintf("the line has %d columns", width)
	}
	return ""
}
