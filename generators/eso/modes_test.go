package eso

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
)

var patchedIndex = regexp.MustCompile(`(?s)^- op: test\n  path: /rules/([0-9]+)\n.*- op: remove\n  path: /rules/([0-9]+)\n$`)

// TestModes holds every release, in each way of installing its chart and with every set of features, to what we
// promise of it. internal/chartcheck holds the same data to real charts.
func TestModes(t *testing.T) {
	for _, v := range Versions() {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			r := mustLookup(t, v)
			never := readFacts(t, neverTrimJSON)
			for _, features := range subsets(Features()) {
				o := Options{Trims: Trims(), Features: features}
				for _, problem := range slices.Concat(checkReplace(r, o), checkHelmValues(r, o, never), checkNone(r, o)) {
					t.Errorf("features %v: %s", features, problem)
				}
			}
		})
	}
}

func checkReplace(r *Release, o Options) []string {
	got := r.Trim(o)
	all := slices.Concat(got.ClusterRole, got.NamespaceRole, got.CARole)
	problems := checkValues(r, "replace", r.ChartValues(o), withheldBy("rbac.create"))
	if allows(all, mintAny) {
		problems = append(problems, "replace: ESO may mint")
	}
	return append(problems, notWithin(setOf(all), setOf(r.Untrimmed(o)), "replace")...)
}

func checkHelmValues(r *Release, o Options, never []Fact) []string {
	got := setOf(r.HelmRules(o))
	problems := checkValues(r, "helmValues", r.HelmValues(o), withheldBy("rbac.serviceAccountTokenCreate"))
	if got[mintAny] {
		problems = append(problems, "helmValues: ESO may mint")
	}
	problems = append(problems, notWithin(got, setOf(r.Untrimmed(o)), "helmValues")...)
	for a := range setOf(r.Controller) {
		if neverTrimmed(never, r, a) && !got[a] {
			problems = append(problems, "helmValues: never to be trimmed: "+text(a))
		}
	}
	if !r.HasValue("rbac.serviceAccountTokenCreate") {
		problems = append(problems, checkPatch(r, o)...)
	}
	return problems
}

// checkPatch does what the patch does to the role that the chart renders, which still has the right to mint.
func checkPatch(r *Release, o Options) []string {
	rendered := r.HelmRules(Options{Features: o.Features})
	match := patchedIndex.FindStringSubmatch(lastPatch(r.PostRenderers("external-secrets", o)))
	if len(match) != 3 || match[1] != match[2] {
		return []string{"helmValues: no patch, or it does not test what it removes"}
	}
	at, err := strconv.Atoi(match[1])
	if err != nil || at >= len(rendered) {
		return []string{"helmValues: the patch is for rule " + match[1]}
	}
	want := map[Atom]bool{mintAny: true}
	if got := setOf(rendered[at : at+1]); !maps.Equal(got, want) {
		return []string{fmt.Sprintf("helmValues: the patch removes %v", got)}
	}
	if left := slices.Delete(slices.Clone(rendered), at, at+1); !maps.Equal(setOf(left), setOf(r.HelmRules(o))) {
		return []string{"helmValues: the patch leaves other rules than HelmRules"}
	}
	return nil
}

// lastPatch returns the last patch of the first post-renderer; "" when the list is not shaped as Flux wants it.
func lastPatch(postRenderers []any) string {
	var list struct {
		Kustomize struct {
			Patches []struct{ Patch string }
		}
	}
	if len(postRenderers) == 0 {
		return ""
	}
	text, err := json.Marshal(postRenderers[0])
	if err != nil || json.Unmarshal(text, &list) != nil || len(list.Kustomize.Patches) == 0 {
		return ""
	}
	return list.Kustomize.Patches[len(list.Kustomize.Patches)-1].Patch
}

// checkNone: we say nothing about the chart, which then renders its own role, right to mint included.
func checkNone(r *Release, o Options) []string {
	if !allows(r.Controller, mintAny) || !allows(r.Untrimmed(o), mintAny) {
		return []string{"none: upstream's role is without the right to mint"}
	}
	return nil
}

// withheldBy returns what a chart's values must say where the chart knows it: off with a value, and no cert-controller.
func withheldBy(value string) map[string]bool {
	return map[string]bool{value: false, "webhook.certManager.enabled": true, "certController.create": false}
}

// checkValues returns what is wrong with a chart's values: that the chart does not know, that it needs and lacks, or
// that it refuses.
func checkValues(r *Release, mode string, values map[string]any, must map[string]bool) []string {
	var problems []string
	flat := flatten(values)
	for path := range flat {
		if !r.HasValue(path) {
			problems = append(problems, mode+": the chart does not know "+path)
		}
	}
	for path, want := range must {
		if got, set := flat[path]; r.HasValue(path) && (!set || got != want) {
			problems = append(problems, mode+": "+path+" is not as it must be")
		}
	}
	if flat["processClusterPushSecret"] && !flat["processPushSecret"] {
		problems = append(problems, mode+": the chart refuses ClusterPushSecrets without PushSecrets")
	}
	return problems
}

// Each check notices what it is there for.
func TestModesCanFail(t *testing.T) {
	o := Options{Trims: Trims()}
	r := mustLookup(t, "2.4.1")
	mint := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, Verbs: []string{"create"}}
	noMint := mustLookup(t, "2.4.1")
	noMint.Controller = filter(noMint.Controller, func(a Atom) bool { return a != mintAny })
	twice := mustLookup(t, "2.4.1")
	wider := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token", "x"}, Verbs: []string{"create"}}
	twice.Controller = append(twice.Controller, wider)
	moved := mustLookup(t, "2.4.1")
	moved.Controller = slices.Insert(moved.Controller, 0, wider)
	for name, problems := range map[string][]string{
		"unknown value":   checkValues(r, "replace", map[string]any{"rbac": map[string]any{"unknown": true}}, nil),
		"missing value":   checkValues(r, "replace", map[string]any{}, map[string]bool{"rbac.create": false}),
		"refused values":  checkValues(r, "replace", map[string]any{"processClusterPushSecret": true, "processPushSecret": false}, nil),
		"no mint in none": checkNone(noMint, o),
		"mint in replace": checkReplace(r, Options{}),
		"mint in helm":    checkHelmValues(r, Options{}, nil),
		"two mint rules":  checkPatch(twice, o),
		"a wider rule":    checkPatch(moved, o),
	} {
		if len(problems) == 0 {
			t.Errorf("%s: not noticed", name)
		}
	}
	if !maps.Equal(setOf(rules(mint)), map[Atom]bool{mintAny: true}) {
		t.Error("mintAny is not the right to mint")
	}
}
