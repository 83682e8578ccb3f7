package eso

import (
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

var mintAny = Atom{Group: "", Resource: "serviceaccounts/token", Verb: "create"}

// HelmRules returns what ESO's service account may do cluster-wide when the chart keeps its own role and is installed
// with HelmValues and, where there are any, PostRenderers of the same options. Rules are in the chart's order.
func (r *Release) HelmRules(o Options) []rbacv1.PolicyRule {
	rules := r.chartRules(o)
	if !slices.Contains(o.Trims, TrimTokens) {
		return rules
	}
	return filter(rules, func(a Atom) bool { return a != mintAny })
}

// chartRules returns the role that the chart renders with HelmValues, but for the right to mint, which stays in.
func (r *Release) chartRules(o Options) []rbacv1.PolicyRule {
	values := flatten(r.HelmValues(o))
	removed := map[Atom]bool{}
	var added []rbacv1.PolicyRule
	for path, toggle := range r.Toggles {
		if value, known := values[path]; !known || value != toggle.SetTo {
			continue
		}
		added = append(added, toggle.Adds...) // of one toggle at most: generic targets
		for _, a := range atoms(toggle.Removes) {
			removed[a] = a != mintAny
		}
	}
	rules := filter(r.Controller, func(a Atom) bool { return !removed[a] })
	// The rules of generic targets come between those of Secrets and of tokens.
	return slices.Insert(rules, slices.IndexFunc(rules, isMint), added...)
}

// PostRenderers returns, for a chart that has no value to withhold the right to mint, the spec.postRenderers of a
// HelmRelease which take it out of the chart's ClusterRole; nil where HelmValues does that, or nothing is to be taken.
//
// The first patch changes nothing and is there to fail when the role has another name: a patch with a target would
// be passed over in silence. The second fails when the rule is not where this release has it, as with rules added
// through genericTargets.resources.
func (r *Release) PostRenderers(helmRelease string, o Options) []any {
	if !slices.Contains(o.Trims, TrimTokens) || r.HasValue("rbac.serviceAccountTokenCreate") {
		return nil
	}
	name := ControllerRoleName(helmRelease)
	patches := []any{
		map[string]any{"patch": fmt.Sprintf(namedRole, name)},
		map[string]any{
			"patch":  fmt.Sprintf(withoutMint, slices.IndexFunc(r.chartRules(o), isMint)),
			"target": map[string]any{"group": rbacv1.GroupName, "version": "v1", "kind": "ClusterRole", "name": name},
		},
	}
	return []any{map[string]any{"kustomize": map[string]any{"patches": patches}}}
}

const (
	namedRole = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: %s
`
	withoutMint = `- op: test
  path: /rules/%[1]d
  value: {apiGroups: [""], resources: [serviceaccounts/token], verbs: [create]}
- op: remove
  path: /rules/%[1]d
`
)

// isMint reports whether a rule is the chart's one about tokens, which is about nothing else.
func isMint(rule rbacv1.PolicyRule) bool {
	return slices.Contains(rule.Resources, mintAny.Resource)
}

// ControllerRoleName returns the name of the ClusterRole that the chart makes for a Helm release with this name.
func ControllerRoleName(helmRelease string) string { return FullName(helmRelease) + "-controller" }

// FullName returns what the chart calls its objects, ESO's service account among them, for a Helm release with this
// name. The chart's values nameOverride and fullnameOverride, which would change it, are not known here.
func FullName(helmRelease string) string {
	const chart, longest = "external-secrets", 63
	fullname := helmRelease
	if !strings.Contains(fullname, chart) {
		fullname += "-" + chart
	}
	if len(fullname) > longest {
		fullname = fullname[:longest]
	}
	return strings.TrimSuffix(fullname, "-")
}
