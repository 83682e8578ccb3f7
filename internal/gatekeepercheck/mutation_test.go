package gatekeepercheck

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// harmless are parts without which no request is decided on otherwise, and why.
var harmless = map[string]string{
	"account: violation / fence.matched":                                  byKind,
	"mint: violation / fence.matched":                                     byKind,
	"minter: violation / fence.matched":                                   byKind,
	"token-secret: made / fence.matched":                                  byKind,
	"role matchCondition 0":                                               byKind,
	"token-secret: kept / input.review.operation == \"UPDATE\"":           made,
	"store: offline / kind == \"ClusterGenerator\"":                       "no other kind has a field of that name",
	"fence: matched / review.resource.group == rule.group":                byKind,
	"fence: named(resources) / \"*\" in resources":                        byKind,
	"fence: resource / object.get(review, \"subResource\", \"\") != \"\"": "without a subresource the text is undefined, and the other one counts",
	"fence: same_spec / review.operation == \"UPDATE\"":                   made,
	"fence: in_tenant / namespace != \"\"":                                "what is in no namespace is looked at anyway",
	"fence: rbac":                                                         "only one version of one group has Roles",
	"fence: field(value, _, otherwise)":                                   "the API server lets no other than objects be there",
}

const (
	byKind = "what is of that kind is that resource, and the rules have all that is done to it"
	made   = "what is made was not there before"
)

// label is how harmless calls a part: the rule's name, and the line.
func label(part string) string {
	rule, line, inside := strings.Cut(part, "\x00")
	for strings.HasPrefix(rule, "#") {
		_, rule, _ = strings.Cut(rule, "\n")
	}
	head, _, _ := strings.Cut(rule, " if ")
	head, _, _ = strings.Cut(head, " := ")
	head, _, _ = strings.Cut(head, " contains ")
	if inside {
		return head + " / " + strings.TrimSpace(line)
	}
	return head
}

// TestEveryRule: without a rule of a template, or a condition in one, a request
// is decided on otherwise, or Gatekeeper does not take the template.
func TestEveryRule(t *testing.T) {
	if testing.Short() {
		t.Skip("minutes: make gatekeeper-mutation")
	}
	clusters := variants(t)
	all, count, used := rows(t), 0, map[string]bool{}
	for i, template := range clusters[0].templates {
		policy := word(template.GetName())
		want, err := outcomes(t, clusters, all, policy)
		if err != nil {
			t.Fatal(err)
		}
		try := func(what string, change func(source map[string]any)) {
			count++
			source := sourceOf(t, template)
			before, err := json.Marshal(source)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range clusters {
				change(sourceOf(t, c.templates[i]))
			}
			got, err := outcomes(t, clusters, all, policy)
			if known := harmless[what] != ""; (err == nil && slices.Equal(got, want)) != known {
				t.Errorf("missed: %v: %s", !known, what)
			} else if known {
				used[what] = true
			}
			for _, c := range clusters {
				restored := sourceOf(t, c.templates[i])
				clear(restored)
				if err := json.Unmarshal(before, &restored); err != nil {
					t.Fatal(err)
				}
			}
		}
		source := sourceOf(t, template)
		for _, list := range []string{"validations", "matchCondition"} {
			items, _ := source[list].([]any)
			for n := range items {
				try(fmt.Sprintf("%s %s %d", policy, list, n), func(s map[string]any) {
					s[list] = slices.Delete(slices.Clone(s[list].([]any)), n, n+1)
				})
			}
		}
		if text, is := source["rego"].(string); is {
			for _, part := range parts(text) {
				try(policy+": "+label(part), func(s map[string]any) { s["rego"] = cut(text, part) })
			}
		}
	}
	for what := range harmless {
		if !used[what] && !strings.HasPrefix(what, "fence: ") {
			t.Errorf("there is no %s", what)
		}
	}
	t.Logf("%d changes", count)
}

// TestEveryRuleOfAll is the same for what all templates share.
func TestEveryRuleOfAll(t *testing.T) {
	if testing.Short() {
		t.Skip("minutes: make gatekeeper-mutation")
	}
	clusters := variants(t)
	all := rows(t)
	var policies []string
	var library string
	for _, template := range clusters[0].templates {
		if libs, is := sourceOf(t, template)["libs"].([]any); is {
			policies, library = append(policies, word(template.GetName())), libs[0].(string)
		}
	}
	want, err := outcomes(t, clusters, all, policies...)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts(library) {
		for _, c := range clusters {
			for _, template := range c.templates {
				if source := sourceOf(t, template); source["libs"] != nil {
					source["libs"] = []any{cut(library, part)}
				}
			}
		}
		got, err := outcomes(t, clusters, all, policies...)
		what := "fence: " + label(part)
		if known := harmless[what] != ""; (err == nil && slices.Equal(got, want)) != known {
			t.Errorf("missed: %v: %s", !known, what)
		}
	}
}

// variants are the table's cluster, those where the inventory says otherwise, and
// one whose Platform uses all, and one that uses little.
func variants(t testing.TB) []*cluster {
	t.Helper()
	all := []*cluster{
		render(t), render(t).allRights(t), render(t).granted(t),
		render(t).without(everything), render(t).without(isKind("Role")), render(t).without(isKind("RoleBinding")),
		render(t, "[clusterSecretStores, pushSecrets]", "[clusterSecretStores, clusterPushSecrets, clusterExternalSecrets, genericTargets]", `, keyPrefixes: ["{tenant}/", "team-{namespace}-"]`, ""),
		render(t, "features: [clusterSecretStores, pushSecrets]", "features: []", "sharedStores:", "retired: [old] #", "    everyone:", "    #"),
		render(t),
	}
	all[len(all)-1].blind = true
	return all
}

func isKind(kind string) func(*unstructured.Unstructured) bool {
	return func(o *unstructured.Unstructured) bool { return o.GetKind() == kind }
}

// sourceOf is a template's code.
func sourceOf(t testing.TB, template *unstructured.Unstructured) map[string]any {
	t.Helper()
	targets, _, err := unstructured.NestedFieldNoCopy(template.Object, "spec", "targets")
	if err != nil {
		t.Fatal(err)
	}
	return targets.([]any)[0].(map[string]any)["code"].([]any)[0].(map[string]any)["source"].(map[string]any)
}

// parts are what can be taken out of a Rego module: rules, which an empty line
// is between, and the lines in their bodies. A line that is there twice is told
// apart by the rule that it is in.
func parts(module string) []string {
	var all []string
	for rule := range strings.SplitSeq(module, "\n\n") {
		rule = strings.TrimSpace(rule)
		if strings.Contains(rule, "package ") || strings.HasPrefix(rule, "import ") {
			continue
		}
		all = append(all, rule)
		for line := range strings.SplitSeq(rule, "\n") {
			if strings.HasPrefix(line, "  ") && !strings.HasSuffix(line, "{") && !strings.HasSuffix(line, "(") {
				all = append(all, rule+"\x00"+line)
			}
		}
	}
	return all
}

// cut takes a part out.
func cut(module, part string) string {
	rule, line, inside := strings.Cut(part, "\x00")
	if !inside {
		return strings.Replace(module, rule, "", 1)
	}
	return strings.Replace(module, rule, strings.Replace(rule, "\n"+line, "", 1), 1)
}

// telling are the kinds that the clusters differ on.
var telling = []string{"TokenRequest", "Pod", "Secret", "SecretStore", "ExternalSecret", "PushSecret", "ClusterExternalSecret", "ClusterPushSecret"}

// outcomes are what some policies make of all requests in all clusters.
func outcomes(t testing.TB, clusters []*cluster, all []row, policies ...string) ([]string, error) {
	t.Helper()
	var found []string
	for i, c := range clusters {
		engine, err := c.load(context.Background(), policies...)
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			if i > 0 && !slices.Contains(telling, r.Request.Kind.Kind) {
				continue
			}
			found = append(found, said(c.judge(t, engine, r.Request)))
		}
	}
	return found, nil
}

func said(all []refusal) string {
	var texts []string
	for _, f := range all {
		texts = append(texts, f.policy+": "+f.says)
	}
	slices.Sort(texts)
	return strings.Join(texts, "\n")
}
