package eso

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
)

//go:embed testdata/needs.json
var needsJSON []byte

// need is what one call in ESO's controllers needs, written down from that call and not from upstream's role.
type need struct {
	Feature   Feature  `json:"feature"` // "": core
	Also      Feature  `json:"also"`    // needed only if this one is on too
	Scope     string   `json:"scope"`   // cluster, or namespace: a Role in the tenant's namespace is enough
	Since     string   `json:"since"`
	Until     string   `json:"until"`
	Group     string   `json:"group"`
	Resources []string `json:"resources"`
	Verbs     []string `json:"verbs"`
	Why       string   `json:"why"`
	Evidence  []string `json:"evidence"`
}

// TestTrim holds every release under every combination of trims and features to what a trimmed role must be.
// Releases that differ in nothing that bears on it are checked once.
func TestTrim(t *testing.T) {
	needs := readNeeds(t)
	alike := map[string]string{}
	for _, v := range Versions() {
		r := mustLookup(t, v)
		key := fmt.Sprint(r.Controller, r.Switches, r.Toggles, r.NeverTrimmed(), r.Uses(), needsOf(needs, v, Features()))
		if first, ok := alike[key]; ok {
			t.Logf("%s is as %s", v, first)
			continue
		}
		alike[key] = v
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			checkRelease(t, r, needs)
		})
	}
}

func checkRelease(t *testing.T, r *Release, needs []need) {
	t.Helper()
	facts := readFacts(t, neverTrimJSON)
	for _, features := range subsets(Features()) {
		upstream := setOf(r.Controller)
		if slices.Contains(features, FeatureGenericTargets) && r.Supports(FeatureGenericTargets) {
			for a := range setOf(r.Toggles["genericTargets.enabled"].Adds) {
				upstream[a] = true
			}
		}
		needed := needsOf(needs, r.Chart, features)
		for _, trims := range subsets(Trims()) {
			o := Options{Trims: trims, Features: features}
			for _, problem := range check(r, o, facts, upstream, needed) {
				t.Fatalf("trims %v, features %v: %s", trims, features, problem)
			}
		}
	}
}

// check returns what is wrong with a trimmed role.
func check(r *Release, o Options, never []Fact, upstream map[Atom]bool, needed []scoped) []string {
	var problems []string
	got := r.Trim(o)
	cluster, namespace := setOf(got.ClusterRole), setOf(got.NamespaceRole)
	problems = append(problems, notWithin(cluster, upstream, "the ClusterRole")...)
	problems = append(problems, notWithin(namespace, upstream, "the namespace Role")...)
	problems = append(problems, notWithin(setOf(got.CARole), namespace, "the CA Role")...)
	if slices.ContainsFunc(slices.Concat(got.ClusterRole, got.NamespaceRole, got.CARole), odd) {
		problems = append(problems, "a rule is empty or has a wildcard")
	}
	problems = append(problems, uncovered(got, needed)...)
	problems = append(problems, breaches(o, got)...)
	for a := range upstream {
		if neverTrimmed(never, r, a) && !cluster[a] {
			problems = append(problems, "never to be trimmed: "+text(a))
		}
		if !cluster[a] && !slices.ContainsFunc(got.Removed, func(x Removal) bool { return x.Atom == a && x.Moved == namespace[a] && x.Reason != "" }) {
			problems = append(problems, "not named among Removed: "+text(a))
		}
	}
	for _, x := range got.Removed {
		if cluster[x.Atom] {
			problems = append(problems, "named among Removed but kept: "+text(x.Atom))
		}
	}
	if again := r.Trim(o); !reflect.DeepEqual(got, again) {
		problems = append(problems, "a second Trim differs")
	}
	return problems
}

// breaches returns what the trims promised to take away and did not.
func breaches(o Options, got Trimmed) []string {
	var problems []string
	refuse := func(rules []rbacv1.PolicyRule, a Atom) {
		if allows(rules, a) {
			problems = append(problems, "still allowed: "+text(a))
		}
	}
	if slices.Contains(o.Trims, TrimTokens) {
		refuse(slices.Concat(got.ClusterRole, got.NamespaceRole), Atom{"", "serviceaccounts/token", "create"})
	}
	if slices.Contains(o.Trims, TrimSecretWrites) {
		for _, verb := range []string{"create", "update", "patch", "delete", "deletecollection"} {
			refuse(got.ClusterRole, Atom{"", "secrets", verb})
		}
	}
	if slices.Contains(o.Trims, TrimConfigMaps) {
		refuse(got.ClusterRole, Atom{"", "configmaps", "get"})
		if !slices.Contains(o.Features, FeatureGenericTargets) {
			refuse(got.ClusterRole, Atom{"", "configmaps", "list"})
			refuse(got.ClusterRole, Atom{"", "configmaps", "watch"})
		}
	}
	for _, verb := range []string{"create", "update", "patch", "delete"} {
		refuse(got.ClusterRole, Atom{"", "configmaps", verb})
	}
	return problems
}

// TestNeedsCanFail takes each needed right out of the trimmed role and expects it to be missed.
func TestNeedsCanFail(t *testing.T) {
	needs := readNeeds(t)
	for _, v := range Versions() {
		r := mustLookup(t, v)
		needed := needsOf(needs, v, Features())
		got := r.Trim(Options{Trims: Trims(), Features: Features()})
		for _, n := range needed {
			without := func(a Atom) bool { return a != n.Atom }
			less := Trimmed{ClusterRole: filter(got.ClusterRole, without), NamespaceRole: filter(got.NamespaceRole, without)}
			if len(uncovered(less, needed)) == 0 {
				t.Errorf("%s: nothing misses %s", v, text(n.Atom))
			}
		}
	}
}

// TestFeatureOff says in a few words what the features are worth on the newest release.
func TestFeatureOff(t *testing.T) {
	r := mustLookup(t, "2.9.0")
	all := Options{Features: Features()}
	for feature, gone := range map[Feature][]Atom{
		FeatureClusterSecretStores:    {{"external-secrets.io", "clustersecretstores/status", "patch"}, {"external-secrets.io", "clustersecretstores", "update"}},
		FeatureClusterExternalSecrets: {{"external-secrets.io", "externalsecrets", "create"}, {"", "namespaces", "update"}, {"external-secrets.io", "clusterexternalsecrets", "list"}},
		FeatureClusterPushSecrets:     {{"external-secrets.io", "pushsecrets", "create"}, {"external-secrets.io", "clusterpushsecrets", "get"}},
		FeatureGenerators:             {{"generators.external-secrets.io", "generatorstates", "create"}},
		FeatureGenericTargets:         {{"", "configmaps", "create"}},
	} {
		o := Options{Features: slices.DeleteFunc(slices.Clone(all.Features), func(f Feature) bool { return f == feature })}
		for _, a := range gone {
			with, without := r.Trim(all), r.Trim(o)
			if !allows(slices.Concat(with.ClusterRole, with.NamespaceRole), a) || allows(slices.Concat(without.ClusterRole, without.NamespaceRole), a) {
				t.Errorf("%s does not decide over %s", feature, text(a))
			}
		}
	}
	none := r.Trim(Options{})
	for _, a := range []Atom{
		{"external-secrets.io", "secretstores", "update"}, // whoever may write a store can point it elsewhere
		{"external-secrets.io", "clustersecretstores", "patch"},
		{"external-secrets.io", "pushsecrets", "list"},
	} {
		if allows(none.ClusterRole, a) {
			t.Errorf("without features ESO still has %s", text(a))
		}
	}
}

// Before 0.9.2 no chart value turns the PushSecret reconciler off, so its rights stay.
func TestReconcilerWithoutSwitchStays(t *testing.T) {
	list := Atom{"external-secrets.io", "pushsecrets", "list"}
	for version, want := range map[string]bool{"0.9.1": true, "0.9.2": false} {
		if got := allows(mustLookup(t, version).Trim(Options{}).ClusterRole, list); got != want {
			t.Errorf("%s: list on pushsecrets %v, want %v", version, got, want)
		}
	}
}

func TestTrimLeavesUpstreamAlone(t *testing.T) {
	r := mustLookup(t, "2.9.0")
	got := r.Trim(Options{Features: Features()})
	if len(got.Removed) != 4 { // the writes of generic targets, which are never cluster-wide
		t.Errorf("removed without a trim: %v", got.Removed)
	}
	if !reflect.DeepEqual(got.ClusterRole, r.Controller) {
		t.Errorf("all features and no trims change upstream's role: %v", got.ClusterRole)
	}
	got.ClusterRole[0].Verbs[0] = "changed"
	if !reflect.DeepEqual(r, mustLookup(t, "2.9.0")) {
		t.Error("a trimmed role shares memory with the release")
	}
}

// Nothing on record is both never to be trimmed and a feature's, so the precedence is shown with made-up facts.
func TestNeverTrimWins(t *testing.T) {
	never := []Fact{{Group: "g", Resources: []string{"*"}, Verbs: []string{"get"}}, {Resources: []string{"secrets"}, Verbs: []string{"create"}}}
	uses := []Fact{{Features: []Feature{FeatureGenerators}, Group: "g", Resources: []string{"r"}, Verbs: []string{"get", "list"}, Reason: "unused"}}
	tr := trimmer{options: Options{Trims: Trims()}, never: never, uses: uses, on: func(Feature) bool { return false }}
	for a, want := range map[Atom]fate{
		{"g", "r", "get"}: keep, {"g", "r", "list"}: drop, {"", "secrets", "create"}: keep, {"", "secrets", "update"}: move,
	} {
		if got, _ := tr.decide(a); got != want {
			t.Errorf("%s: fate %q, want %q", text(a), got, want)
		}
	}
}

func TestFactsAreFounded(t *testing.T) {
	place := regexp.MustCompile(`^[a-z0-9A-Z_/.]+\.go:[0-9]+@v[0-9]+\.[0-9]+\.[0-9]+$|^run on ESO [0-9.]+: `)
	for _, f := range slices.Concat(readFacts(t, neverTrimJSON), readFacts(t, usesJSON)) {
		if f.Reason == "" || len(f.Evidence) == 0 || len(f.Resources) == 0 || len(f.Verbs) == 0 {
			t.Errorf("incomplete: %+v", f)
		}
		for _, e := range f.Evidence {
			if !place.MatchString(e) {
				t.Errorf("not a place in ESO's source: %q", e)
			}
		}
		if !slices.ContainsFunc(Versions(), func(v string) bool { return bites(t, v, f) }) {
			t.Errorf("covers nothing of any release: %+v", f)
		}
	}
	for _, n := range readNeeds(t) {
		if n.Why == "" || len(n.Evidence) == 0 || !slices.Contains([]string{"cluster", "namespace"}, n.Scope) {
			t.Errorf("incomplete: %+v", n)
		}
	}
}

// bites reports whether the fact is about rights that this release grants, each of them.
func bites(t *testing.T, version string, f Fact) bool {
	t.Helper()
	granted := mustLookup(t, version).Controller
	for _, a := range atoms([]rbacv1.PolicyRule{{APIGroups: []string{f.Group}, Resources: f.Resources, Verbs: f.Verbs}}) {
		same := func(b Atom) bool {
			return b.Group == a.Group && b.Verb == a.Verb && (a.Resource == "*" || b.Resource == a.Resource)
		}
		if !slices.ContainsFunc(atoms(granted), same) {
			return false
		}
	}
	return f.holdsFor(version)
}

func TestFactSpan(t *testing.T) {
	f := Fact{Since: "0.9.15-2", Until: "0.14.0"}
	for version, want := range map[string]bool{
		"0.9.14": false, "0.9.15-2": true, "0.9.16": true, "0.14.0": true, "0.14.1": false, "2.9.0": false,
	} {
		if got := f.holdsFor(version); got != want {
			t.Errorf("%s: %v, want %v", version, got, want)
		}
	}
	if open := (&Fact{}); !open.holdsFor("0.9.0") || !open.holdsFor("2.9.0") {
		t.Error("a fact without a span does not hold for every release")
	}
}

func BenchmarkLookupTrim(b *testing.B) {
	o := Options{Trims: Trims(), Features: []Feature{FeatureClusterSecretStores}}
	for b.Loop() {
		mustLookup(b, "2.9.0").Trim(o)
	}
}

type scoped struct {
	Atom
	clusterWide bool
}

func readFacts(t *testing.T, data string) []Fact {
	t.Helper()
	facts, err := decodeFacts(data, "")
	if err != nil {
		t.Fatal(err)
	}
	return facts
}

func readNeeds(t *testing.T) []need {
	t.Helper()
	var needs []need
	if err := json.Unmarshal(needsJSON, &needs); err != nil {
		t.Fatal(err)
	}
	return needs
}

func needsOf(needs []need, chart string, features []Feature) []scoped {
	has := func(f Feature) bool {
		return f == "" || slices.Contains(features, f) ||
			f == FeaturePushSecrets && slices.Contains(features, FeatureClusterPushSecrets) && compare(chart, "0.15.0") >= 0
	}
	var all []scoped
	for _, n := range needs {
		span := Fact{Since: n.Since, Until: n.Until}
		if !has(n.Feature) || !has(n.Also) || !span.holdsFor(chart) {
			continue
		}
		for _, resource := range n.Resources {
			for _, verb := range n.Verbs {
				all = append(all, scoped{Atom{n.Group, resource, verb}, n.Scope == "cluster"})
			}
		}
	}
	return all
}

func uncovered(got Trimmed, needed []scoped) []string {
	var problems []string
	for _, n := range needed {
		if !allows(got.ClusterRole, n.Atom) && (n.clusterWide || !allows(got.NamespaceRole, n.Atom)) {
			problems = append(problems, "ESO needs "+text(n.Atom))
		}
	}
	return problems
}

// allows is RBAC's own question, wildcards included, asked here without any of trim.go.
func allows(rules []rbacv1.PolicyRule, a Atom) bool {
	has := func(list []string, want string) bool {
		return slices.Contains(list, want) || slices.Contains(list, "*")
	}
	return slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool {
		return has(r.APIGroups, a.Group) && has(r.Resources, a.Resource) && has(r.Verbs, a.Verb)
	})
}

func setOf(rules []rbacv1.PolicyRule) map[Atom]bool {
	set := map[Atom]bool{}
	for _, a := range atoms(rules) {
		set[a] = true
	}
	return set
}

func notWithin(inner, outer map[Atom]bool, what string) []string {
	var problems []string
	for a := range inner {
		if !outer[a] {
			problems = append(problems, what+" goes beyond upstream: "+text(a))
		}
	}
	return problems
}

// neverTrimmed reads nevertrim.json without the code that Trim reads it with.
func neverTrimmed(facts []Fact, r *Release, a Atom) bool {
	for _, f := range facts {
		if (f.Since != "" && compare(r.Chart, f.Since) < 0) || (f.Until != "" && compare(r.Chart, f.Until) > 0) {
			continue
		}
		if f.Group == a.Group && slices.Contains(f.Verbs, a.Verb) && (f.Resources[0] == "*" || slices.Contains(f.Resources, a.Resource)) {
			return true
		}
	}
	return false
}

func subsets[T any](all []T) [][]T {
	sets := make([][]T, 1<<len(all))
	for bits := range sets {
		for i, x := range all {
			if bits>>i&1 == 1 {
				sets[bits] = append(sets[bits], x)
			}
		}
	}
	return sets
}

func text(a Atom) string {
	return a.Verb + " on " + a.Group + "/" + a.Resource
}
