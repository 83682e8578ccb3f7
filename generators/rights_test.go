package generators

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"golang.org/x/mod/semver"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/schema"
)

// need is a right that ESO was found to use, by package eso's own record.
type need struct {
	Feature, Also, Scope, Since, Until, Group string
	Resources, Verbs                          []string
}

// holds tells whether ESO needs it at this version with these features.
func (n need) holds(chart string, features []eso.Feature) bool {
	has := func(f string) bool {
		included := eso.Feature(f) == eso.FeaturePushSecrets && slices.Contains(features, eso.FeatureClusterPushSecrets) && semver.Compare("v"+chart, "v0.15.0") >= 0
		return f == "" || included || slices.Contains(features, eso.Feature(f))
	}
	return has(n.Feature) && has(n.Also) &&
		(n.Since == "" || semver.Compare("v"+chart, "v"+n.Since) >= 0) && (n.Until == "" || semver.Compare("v"+chart, "v"+n.Until) <= 0)
}

func readNeeds(t *testing.T) []need {
	t.Helper()
	data, err := os.ReadFile("eso/testdata/needs.json")
	if err != nil {
		t.Fatal(err)
	}
	var needs []need
	if err := json.Unmarshal(data, &needs); err != nil {
		t.Fatal(err)
	}
	return needs
}

// request is what a subject asks of the API server. An empty namespace asks for all of them, an empty name for any.
type request struct {
	subject, verb, group, resource, namespace, name string
}

// allowed is RBAC over rendered objects, read without any of the generators' code.
func allowed(objects []Object, q request) bool {
	roles := map[string][]rbacv1.PolicyRule{}
	for _, o := range objects {
		switch body := o.Body.(type) {
		case *rbacv1.ClusterRole:
			roles["ClusterRole//"+body.Name] = body.Rules
		case *rbacv1.Role:
			roles["Role/"+body.Namespace+"/"+body.Name] = body.Rules
		}
	}
	for _, o := range objects {
		var subjects []rbacv1.Subject
		var rules []rbacv1.PolicyRule
		switch body := o.Body.(type) {
		case *rbacv1.ClusterRoleBinding:
			subjects, rules = body.Subjects, roles["ClusterRole//"+body.RoleRef.Name]
		case *rbacv1.RoleBinding:
			if body.Namespace != q.namespace {
				continue
			}
			subjects, rules = body.Subjects, roles["Role/"+body.Namespace+"/"+body.RoleRef.Name]
		}
		isSubject := func(s rbacv1.Subject) bool { return s.Kind+" "+s.Namespace+"/"+s.Name == q.subject }
		if slices.ContainsFunc(subjects, isSubject) && slices.ContainsFunc(rules, q.allowedBy) {
			return true
		}
	}
	return false
}

func (q request) allowedBy(r rbacv1.PolicyRule) bool {
	has := func(list []string, want string) bool {
		return slices.Contains(list, want) || slices.Contains(list, "*")
	}
	return has(r.APIGroups, q.group) && has(r.Resources, q.resource) && has(r.Verbs, q.verb) &&
		(len(r.ResourceNames) == 0 || slices.Contains(r.ResourceNames, q.name))
}

const operator = "ServiceAccount external-secrets/external-secrets"

// combinations yields options: every set of trims with tokens among them, and the features none, all, and each alone.
func combinations(release *eso.Release) []eso.Options {
	supported := slices.DeleteFunc(eso.Features(), func(f eso.Feature) bool { return !release.Supports(f) })
	sets := [][]eso.Feature{nil, supported}
	for _, f := range supported {
		sets = append(sets, []eso.Feature{f})
	}
	var all []eso.Options
	for _, trims := range [][]eso.Trim{
		{eso.TrimTokens}, {eso.TrimTokens, eso.TrimSecretWrites}, {eso.TrimTokens, eso.TrimConfigMaps}, eso.Trims(),
	} {
		for _, features := range sets {
			all = append(all, eso.Options{Trims: trims, Features: features})
		}
	}
	return all
}

// What the Platform and a tenant are given, together, lets ESO do in the tenant's namespace all that it was found to
// do, for every release, trim and feature; and mint for the tenant's two service accounts and for nobody else.
func TestESOCanWorkAndMintsByNameOnly(t *testing.T) {
	needs := readNeeds(t)
	for _, version := range eso.Versions() {
		platform := platformOn(t, version, eso.Options{})
		for _, options := range combinations(platform.ESO.Release) {
			for _, enforcement := range []schema.Enforcement{schema.Enforce, schema.Observe} {
				platform.ESO.Options, platform.Enforcement = options, enforcement
				for _, problem := range unfit(platform, needs) {
					t.Errorf("%s, %s, trims %v, features %v: %s", version, enforcement, options.Trims, options.Features, problem)
				}
			}
		}
	}
}

// unfit says what ESO needs and may not do, and for whom it may mint and should not.
func unfit(p *schema.Platform, needs []need) []string {
	x := New(p)
	objects := slices.Concat(x.Platform(), x.Tenant(someTenant()))
	var problems []string
	for _, n := range needs {
		if !n.holds(p.ESO.Release.Chart, p.ESO.Options.Features) {
			continue
		}
		namespace := ""
		if n.Scope == "namespace" {
			namespace = "payments-prod"
		}
		for _, resource := range n.Resources {
			for _, verb := range n.Verbs {
				if !allowed(objects, request{operator, verb, n.Group, resource, namespace, ""}) {
					problems = append(problems, fmt.Sprintf("ESO may not %s %s of %q in %q", verb, resource, n.Group, namespace))
				}
			}
		}
	}
	for _, account := range []string{"aws-access-sa", "vault-access-sa"} {
		if !allowed(objects, request{operator, "create", "", "serviceaccounts/token", "payments-prod", account}) {
			problems = append(problems, "ESO may not mint for "+account)
		}
	}
	if p.Enforcement == schema.Observe {
		return problems // everybody's token, as upstream has it
	}
	for _, q := range []request{
		{operator, "create", "", "serviceaccounts/token", "payments-prod", "default"},
		{operator, "create", "", "serviceaccounts/token", "payments-prod", ""},
		{operator, "create", "", "serviceaccounts/token", "external-secrets", "external-secrets"},
		{operator, "create", "", "serviceaccounts/token", "shared", "vault-access-sa"},
		{operator, "create", "", "serviceaccounts/token", "", ""},
		{"ServiceAccount payments-prod/vault-access-sa", "create", "", "serviceaccounts/token", "payments-prod", "vault-access-sa"},
		{"ServiceAccount payments-prod/vault-access-sa", "list", "", "secrets", "shared", ""},
		{"ServiceAccount payments-prod/aws-access-sa", "get", "", "secrets", "shared", "payments-ca"},
	} {
		if allowed(objects, q) {
			problems = append(problems, fmt.Sprintf("%+v is allowed", q))
		}
	}
	if !allowed(objects, request{"ServiceAccount payments-prod/vault-access-sa", "get", "", "secrets", "shared", "payments-ca"}) {
		problems = append(problems, "the local store may not read its Secret")
	}
	return problems
}

// Secrets that ESO may write without a store of the namespace's own need the right there too.
func TestWritesFollowWhatCanWrite(t *testing.T) {
	bare := &schema.Tenant{Name: "bare", Namespaces: []*schema.Namespace{{Name: "bare"}}}
	for _, tc := range []struct {
		trims    []eso.Trim
		features []eso.Feature
		want     bool
	}{
		{eso.Trims(), nil, false},
		{eso.Trims(), []eso.Feature{eso.FeaturePushSecrets}, false},
		{eso.Trims(), []eso.Feature{eso.FeatureClusterSecretStores}, true},
		{eso.Trims(), []eso.Feature{eso.FeatureGenerators}, true},
		{[]eso.Trim{eso.TrimTokens}, []eso.Feature{eso.FeatureClusterSecretStores}, false}, // still a right in the whole cluster
	} {
		x := New(platformOn(t, "2.9.0", eso.Options{Trims: tc.trims, Features: tc.features}))
		got := allowed(x.Tenant(bare), request{operator, "create", "", "secrets", "bare", ""})
		if got != tc.want {
			t.Errorf("trims %v, features %v: ESO may write in a namespace without stores: %v", tc.trims, tc.features, got)
		}
	}
}
