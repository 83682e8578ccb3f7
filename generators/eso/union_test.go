package eso

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"pgregory.net/rapid"
)

// TestUnion takes two releases and options at random: rights of the union are those of the two and no other.
func TestUnion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := rapid.SampledFrom(Versions())
		options := rapid.SampledFrom(allOptions())
		o := options.Draw(t, "options")
		ra, rb := drawRelease(t, versions, "a"), drawRelease(t, versions, "b")
		a, b := ra.Trim(o), rb.Trim(o)
		union := Union(a, b)
		for what, field := range map[string]func(Trimmed) []rbacv1.PolicyRule{
			"ClusterRole":   func(x Trimmed) []rbacv1.PolicyRule { return x.ClusterRole },
			"NamespaceRole": func(x Trimmed) []rbacv1.PolicyRule { return x.NamespaceRole },
			"CARole":        func(x Trimmed) []rbacv1.PolicyRule { return x.CARole },
		} {
			checkUnion(t, what, field(a), field(b), field(union))
		}
		checkUnion(t, "leader election", ra.LeaderElection, rb.LeaderElection, UnionRules(ra.LeaderElection, rb.LeaderElection))
		view := UnionRole(ra.View, rb.View)
		checkUnion(t, "view", ra.View.Rules, rb.View.Rules, view.Rules)
		for label := range view.Labels {
			if ra.View.Labels[label] != "true" && rb.View.Labels[label] != "true" {
				t.Fatalf("label %s is from neither", label)
			}
		}
		if len(view.Labels) < max(len(ra.View.Labels), len(rb.View.Labels)) {
			t.Fatalf("labels are lost: %v", view.Labels)
		}
		checkUnionRemoved(t, a, b, union)
	})
}

func drawRelease(t *rapid.T, versions *rapid.Generator[string], label string) *Release {
	t.Helper()
	r, err := Lookup(versions.Draw(t, label))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func checkUnion(t *rapid.T, what string, a, b, union []rbacv1.PolicyRule) {
	t.Helper()
	want := rightsOf(a)
	maps.Copy(want, rightsOf(b))
	if diff := cmp.Diff(want, rightsOf(union), cmp.AllowUnexported(right{})); diff != "" {
		t.Fatalf("%s (-both +union):\n%s", what, diff)
	}
	if again := UnionRules(union, b); !cmp.Equal(again, union) {
		t.Fatalf("%s: once more with b changes it: %s", what, cmp.Diff(union, again))
	}
	if len(union) > len(a)+len(rightsOf(b)) || len(union) > 0 && slices.ContainsFunc(union, emptyRule) {
		t.Fatalf("%s: too many rules, or empty ones: %v", what, union)
	}
}

func emptyRule(r rbacv1.PolicyRule) bool {
	return len(r.APIGroups) == 0 || len(r.Resources) == 0 || len(r.Verbs) == 0
}

func checkUnionRemoved(t *rapid.T, a, b, union Trimmed) {
	t.Helper()
	for _, x := range slices.Concat(a.Removed, b.Removed) {
		kept := allows(union.ClusterRole, x.Atom)
		named := slices.ContainsFunc(union.Removed, func(y Removal) bool {
			return y.Atom == x.Atom && y.Moved == allows(union.NamespaceRole, x.Atom) && y.Reason != ""
		})
		if kept == named {
			t.Fatalf("%s: kept %v, named among Removed %v", text(x.Atom), kept, named)
		}
	}
}

func allOptions() []Options {
	var all []Options
	for _, features := range subsets(Features()) {
		for _, trims := range subsets(Trims()) {
			all = append(all, Options{Trims: trims, Features: features})
		}
	}
	return all
}

func TestUnionOfTheSame(t *testing.T) {
	for _, v := range Versions() {
		r := mustLookup(t, v)
		got := r.Trim(Options{Trims: Trims()})
		if diff := cmp.Diff(got, Union(got, got)); diff != "" {
			t.Errorf("%s with itself changes:\n%s", v, diff)
		}
		union := UnionRules(r.LeaderElection, r.LeaderElection)
		union[0].Verbs[0] = "changed"
		if r.LeaderElection[0].Verbs[0] == "changed" {
			t.Errorf("%s: the union shares memory with the release", v)
		}
	}
}

func TestUnionRulesIsCompact(t *testing.T) {
	rule := func(group string, resources, verbs []string, names ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: verbs, ResourceNames: names}
	}
	type list = []string
	one := func(resources, verbs list, names ...string) []rbacv1.PolicyRule {
		return rules(rule("", resources, verbs, names...))
	}
	for name, tc := range map[string]struct{ a, b, want []rbacv1.PolicyRule }{
		"nothing": {},
		"new resource": {
			one(list{"x"}, list{"get", "list"}), one(list{"y", "x"}, list{"list", "get"}), one(list{"x", "y"}, list{"get", "list"}),
		},
		"new verb": {
			one(list{"x", "y"}, list{"get"}), one(list{"y", "x"}, list{"list", "get"}), one(list{"x", "y"}, list{"get", "list"}),
		},
		"no right between them": {
			one(list{"x"}, list{"get"}), one(list{"y"}, list{"list"}),
			rules(rule("", list{"x"}, list{"get"}), rule("", list{"y"}, list{"list"})),
		},
		"other group": {
			one(list{"x"}, list{"get"}), rules(rule("g", list{"x"}, list{"get"})),
			rules(rule("", list{"x"}, list{"get"}), rule("g", list{"x"}, list{"get"})),
		},
		"one object is not all": {
			one(list{"x"}, list{"get"}, "n"), one(list{"x"}, list{"get"}),
			rules(rule("", list{"x"}, list{"get"}, "n"), rule("", list{"x"}, list{"get"})),
		},
		"all is not one object": {
			one(list{"x"}, list{"get"}), one(list{"x"}, list{"get"}, "n"),
			rules(rule("", list{"x"}, list{"get"}), rule("", list{"x"}, list{"get"}, "n")),
		},
		"b's order": {
			nil, rules(rule("g", list{"x"}, list{"get"}), rule("", list{"x"}, list{"get"})),
			rules(rule("g", list{"x"}, list{"get"}), rule("", list{"x"}, list{"get"})),
		},
	} {
		if diff := cmp.Diff(tc.want, UnionRules(tc.a, tc.b)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func rules(all ...rbacv1.PolicyRule) []rbacv1.PolicyRule {
	return all
}

// What one release drops and the other hands to the tenants is handed to them; what one keeps is not removed.
func TestUnionRemovedPrefersMoved(t *testing.T) {
	moved, kept := Atom{"", "x", "get"}, Atom{"", "y", "get"}
	a := Trimmed{Removed: []Removal{{Atom: moved, Reason: "a"}, {Atom: kept, Reason: "a"}}}
	b := Trimmed{
		Removed:     []Removal{{Atom: moved, Moved: true, Reason: "b"}},
		ClusterRole: rules(rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"y"}, Verbs: []string{"get"}}),
	}
	want := []Removal{{Atom: moved, Moved: true, Reason: "b"}}
	if diff := cmp.Diff(want, Union(a, b).Removed); diff != "" {
		t.Error(diff)
	}
}

func TestUnionValues(t *testing.T) {
	o := Options{Trims: Trims()}
	values, differs := UnionValues(mustLookup(t, "2.4.1").HelmValues(o), mustLookup(t, "2.5.0").HelmValues(o))
	if mints, known := flatten(values)["rbac.serviceAccountTokenCreate"]; mints || !known {
		t.Errorf("the newer chart would give the right to mint again: %v", values)
	}
	if want := []string{"rbac.serviceAccountTokenCreate"}; !slices.Equal(differs, want) {
		t.Errorf("they differ in %v, want %v", differs, want)
	}
	// The older chart cannot turn the reconciler off and keep what ESO needs without it.
	older, newer := map[string]any{"processClusterStore": true}, map[string]any{"processClusterStore": false}
	for _, pair := range [][2]map[string]any{{older, newer}, {newer, older}} {
		values, differs := UnionValues(pair[0], pair[1])
		if !flatten(values)["processClusterStore"] || !slices.Equal(differs, []string{"processClusterStore"}) {
			t.Errorf("%v and %v: %v, differs %v", pair[0], pair[1], values, differs)
		}
	}
	same := mustLookup(t, "2.9.0").ChartValues(o)
	if values, differs := UnionValues(same, same); len(differs) > 0 || !cmp.Equal(values, same) {
		t.Errorf("with itself: %v, differs %v", values, differs)
	}
}

// HelmRules holds with the values of an upgrade as well: these set nothing that bears on rules otherwise than each
// release's own.
func TestUnionValuesChangeNoRules(t *testing.T) {
	for _, o := range []Options{{Trims: Trims()}, {Trims: Trims(), Features: Features()}} {
		toggles, values := map[string]map[string]Toggle{}, map[string]map[string]any{}
		for _, v := range Versions() {
			r := mustLookup(t, v)
			toggles[v], values[v] = r.Toggles, r.HelmValues(o)
		}
		for _, a := range Versions() {
			want := flatten(values[a])
			for b := range values {
				both, _ := UnionValues(values[a], values[b])
				got := flatten(both)
				for path := range toggles[a] {
					if got[path] != want[path] {
						t.Errorf("%s with %s, features %v: %s is %v", a, b, o.Features, path, got[path])
					}
				}
			}
		}
	}
}

func TestStoreAPIVersionFor(t *testing.T) {
	const v1, v1beta1 = "external-secrets.io/v1", "external-secrets.io/v1beta1"
	for _, tc := range []struct{ a, b, want string }{
		{"0.9.0", "0.15.1", v1beta1},
		{"0.15.1", "0.16.2", v1beta1},
		{"0.16.0", "0.16.2", v1},
		{"0.16.2", "2.9.0", v1},
		{"0.17.0", "2.9.0", v1},
		{"0.15.1", "0.17.0", ""},
	} {
		for _, pair := range [][2]string{{tc.a, tc.b}, {tc.b, tc.a}} {
			got, ok := StoreAPIVersionFor(mustLookup(t, pair[0]), mustLookup(t, pair[1]))
			if got != tc.want || ok != (tc.want != "") {
				t.Errorf("%v: %q %v, want %q", pair, got, ok, tc.want)
			}
		}
	}
}
