package admissioncheck

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/authentication/user"
)

// swaps are the mistakes that are planted, each where it fits, one at a time.
var swaps = [][2]string{
	{" && ", " || "},
	{" || ", " && "},
	{" == ", " != "},
	{" != ", " == "},
	{" <= ", " < "},
	{" <= ", " <= 1 + "},
	{" >= ", " > "},
	{"!(", "("},
	{"!variables", "variables"},
	{"!namespaceObject", "namespaceObject"},
	{"!has", "has"},
	{"[0]", "[1]"},
	{"[1]", "[0]"},
	{"[2]", "[0]"},
	{"[3]", "[0]"},
	{"'use'", "'get'"},
	{".name(", ".subresource("},
	{".namespace(request.namespace)", ""},
	{".group('eso-tenant.dev')", ".group('')"},
	{".resource('fencedserviceaccounts')", ".resource('mintgrants')"},
	{".resource('mintgrants')", ".resource('fencedserviceaccounts')"},
	{"authorizer.serviceAccount('eso', 'blue-external-secrets')", "authorizer"},
	{"request.userInfo.username", "request.name"},
	{"oldObject", "object"},
	{" > 0", " >= 0"},
	{" ? ", " && false ? "},
	{" ? ", " || true ? "},
	{".startsWith(", ".endsWith("},
	{".all(", ".exists("},
	{".exists(", ".all("},
	{"variables.home", "variables.within"},
	{"variables.before[", "variables.after["},
	{".?labels", ".?annotations"},
	{".?ownerReferences", ".?labels"},
	{".?finalizers", ".?labels"},
	{".?automountServiceAccountToken", ".?imagePullSecrets"},
	{".?secrets", ".?imagePullSecrets"},
	{"request.name + '='", "'='"},
}

// literals are the texts in an expression: each says something that matters.
var literals = regexp.MustCompile(`'[^']*'`)

// harmless are changes that no request tells from the policy as it is, by where they are and what they have in them, and why.
var harmless = []struct{ place, has, why string }{
	{"mint validation 2", "size(variables.audiences) < 0", "an empty list is refused by validation 1 already"},
	{"pod variable account", ".orValue('nothing')", "the API server fills in default, which is never fenced, and nor is nothing"},
	{"reference variable generators", ".orValue('nothing')", "no generator is of that kind either"},
	{"reference variable keys", ".orValue('nothing')", "no prefix begins so"},
	{"store variable entries", ".exists(m, ", "the list has one item"},
	{"token-secret variable account", ".orValue('nothing')", "no account is called so"},
	{"token-secret validation 2", "'nothing'", "nobody's name is not fenced either"},
}

// harmlessAt is where in harmless a change is, or -1.
func harmlessAt(place, mutant string) int {
	for i, h := range harmless {
		if h.place == place && strings.Contains(mutant, h.has) {
			return i
		}
	}
	return -1
}

// place is an expression of a policy that can be changed.
type place struct {
	name    string
	text    *string
	logical bool // it is true or false
}

var catalogued = regexp.MustCompile(`^(provider[0-9]+|catalogue)$`)

func placesOf(p *admissionv1.ValidatingAdmissionPolicy) []place {
	var all []place
	short := p.Name[len("eso-tenant-blue-"):]
	for i := range p.Spec.MatchConditions {
		c := &p.Spec.MatchConditions[i]
		all = append(all, place{short + " condition " + c.Name, &c.Expression, true})
	}
	for i := range p.Spec.Variables {
		v := &p.Spec.Variables[i]
		if catalogued.MatchString(v.Name) {
			continue // what the Platform says; TestCatalogue changes that
		}
		all = append(all, place{short + " variable " + v.Name, &v.Expression, v.Name == "fenced" || v.Name == "own" || v.Name == "bound" || v.Name == "logsin" || v.Name == "shared" || v.Name == "used" || v.Name == "looked" || v.Name == "pushes"})
	}
	for i := range p.Spec.Validations {
		all = append(all, place{fmt.Sprintf("%s validation %d", short, i), &p.Spec.Validations[i].Expression, true})
	}
	return all
}

// mutants are the texts that an expression could be by mistake.
func mutants(pl place) []string {
	found := map[string]bool{}
	for _, swap := range swaps {
		for at := 0; ; {
			i := strings.Index((*pl.text)[at:], swap[0])
			if i < 0 {
				break
			}
			at += i
			found[(*pl.text)[:at]+swap[1]+(*pl.text)[at+len(swap[0]):]] = true
			at += len(swap[0])
		}
	}
	for _, at := range literals.FindAllStringIndex(*pl.text, -1) {
		found[(*pl.text)[:at[0]]+"'nothing'"+(*pl.text)[at[1]:]] = true
	}
	if pl.logical {
		found["true"], found["false"] = true, true
	}
	delete(found, *pl.text)
	return slices.Sorted(maps.Keys(found))
}

// TestMutations: whatever is changed in an expression, a decision of that policy changes with it.
func TestMutations(t *testing.T) {
	clusters := [2]*cluster{render(t), render(t).give(t, "*", "*", "use")}
	used, count := map[int]bool{}, 0
	for _, p := range clusters[0].policies {
		want := outcomes(t, clusters, p)
		for _, pl := range placesOf(p) {
			original := *pl.text
			for _, mutant := range mutants(pl) {
				count++
				*pl.text = mutant
				known := harmlessAt(pl.name, mutant)
				if caught := !slices.Equal(outcomes(t, clusters, p), want); caught == (known >= 0) {
					t.Errorf("caught: %v\n%s: %s", caught, pl.name, mutant)
				}
				used[known] = true
			}
			*pl.text = original
		}
	}
	for i, h := range harmless {
		if !used[i] {
			t.Errorf("there is no change of %s with %s", h.place, h.has)
		}
	}
	t.Logf("%d changes", count)
}

// mutationDecisions are all, with a few of the cluster's controllers.
var mutationDecisions = slices.Concat(aboutPolicies(), clusterDecisions([]user.Info{replicaSets, administrator}))

// resources are what each policy is about; where it says so is changed, too. Generators are all of their group.
var resources = map[string]map[string]bool{
	"mint": named("serviceaccounts"), "minter": named("serviceaccounts"), "account": named("serviceaccounts"),
	"pod": named("pods"), "exec": named("pods"), "token-secret": named("secrets"), "namespace": named("namespaces"),
	"reference": named("externalsecrets", "clusterexternalsecrets", "pushsecrets", "clusterpushsecrets"),
	"role":      named("roles", "rolebindings", "clusterroles", "clusterrolebindings"),
	"store": named("secretstores", "clustersecretstores", "clustergenerators", "generatorstates", "passwords", "uuids", "fakes", "sshkeys", "mfas", "webhooks",
		"ecrauthorizationtokens", "acraccesstokens", "gcraccesstokens", "stssessiontokens", "quayaccesstokens", "githubaccesstokens", "tomorrows", "vaultdynamicsecrets"),
}

func named(names ...string) map[string]bool {
	set := map[string]bool{}
	for _, name := range names {
		set[name] = true
	}
	return set
}

// outcomes are what comes of all decisions by a policy alone: in a cluster as it is to be, and where ESO has all rights.
func outcomes(t *testing.T, clusters [2]*cluster, p *admissionv1.ValidatingAdmissionPolicy) []string {
	t.Helper()
	var all []string
	for i, list := range [][]decision{mutationDecisions, allRights()} {
		hooks := []validating.PolicyHook{clusters[i].hook(p)}
		for _, d := range list {
			if !resources[strings.TrimPrefix(p.Name, "eso-tenant-blue-")][d.resource] {
				continue // the policy is about others
			}
			all = append(all, clusters[i].judge(t, hooks, d.request).refused)
		}
	}
	return all
}

// TestUnbound: each binding is missed.
func TestUnbound(t *testing.T) {
	c := render(t)
	for _, p := range c.policies {
		unbound := &cluster{objects: c.objects, namespaces: c.namespaces}
		if with, without := outcomes(t, [2]*cluster{c, c}, p), outcomes(t, [2]*cluster{unbound, unbound}, p); slices.Equal(with, without) {
			t.Errorf("%s refuses nothing", p.Name)
		}
	}
}
