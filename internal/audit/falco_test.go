package audit

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// falcoFields are those of Falco's plugin k8saudit that the example may use
// (falcosecurity/plugins, plugins/k8saudit/pkg/k8saudit/fields.go).
var falcoFields = []string{
	"ka.stage", "ka.verb", "ka.uri", "ka.user.name", "ka.impuser.name", "ka.useragent", "ka.response.code", "ka.auth.reason",
	"ka.target.name", "ka.target.namespace", "ka.target.resource", "ka.target.subresource",
}

// The example for Falco uses fields that there are, lists and macros that it
// has, and rules of ours.
func TestFalcoExample(t *testing.T) {
	data, err := os.ReadFile("../../examples/audit/falco-rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		List, Macro, Rule, Condition, Output, Source, Priority string
		Tags                                                   []string
	}
	if err := yaml.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`[a-z]+_[a-z_]+`)
	fields := regexp.MustCompile(`ka\.[a-z.]*[a-z]`)
	var defined []string
	rules := 0
	for _, one := range all {
		for _, field := range fields.FindAllString(one.Condition+one.Output, -1) {
			if !slices.Contains(falcoFields, field) {
				t.Errorf("%s: there is no field %s", one.Rule, field)
			}
		}
		for _, name := range names.FindAllString(fields.ReplaceAllString(one.Condition, ""), -1) {
			if !slices.Contains(defined, name) {
				t.Errorf("%s: %s is not defined before", one.Rule, name)
			}
		}
		defined = append(defined, one.List+one.Macro)
		if one.Rule == "" {
			continue
		}
		rules++
		if _, known := problem.Rules()[problem.Rule(strings.Join(one.Tags[1:], ""))]; !known || one.Source != "k8s_audit" || one.Priority == "" {
			t.Errorf("%s: tags %v, source %s, priority %s", one.Rule, one.Tags, one.Source, one.Priority)
		}
	}
	if rules < 6 {
		t.Errorf("%d rules", rules)
	}
}
