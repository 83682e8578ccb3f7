package eso

import (
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Union returns what two releases need together, for as long as either may run: each field holds the rights of a
// and of b and no other. Removed is what neither has cluster-wide any more.
func Union(a, b Trimmed) Trimmed {
	union := Trimmed{
		ClusterRole:   UnionRules(a.ClusterRole, b.ClusterRole),
		NamespaceRole: UnionRules(a.NamespaceRole, b.NamespaceRole),
		CARole:        UnionRules(a.CARole, b.CARole),
	}
	union.Removed = unionRemoved(a.Removed, b.Removed, union.ClusterRole)
	return union
}

// unionRemoved leaves out what the other release keeps. A right that one release moves to the tenants' Roles and
// the other drops is moved.
func unionRemoved(a, b []Removal, kept []rbacv1.PolicyRule) []Removal {
	granted := rightsOf(kept)
	var all []Removal
	for _, removal := range slices.Concat(a, b) {
		if granted[right{Atom: removal.Atom}] {
			continue
		}
		known := slices.IndexFunc(all, func(x Removal) bool { return x.Atom == removal.Atom })
		switch {
		case known < 0:
			all = append(all, removal)
		case removal.Moved && !all[known].Moved:
			all[known] = removal
		}
	}
	return all
}

// UnionRole returns the role that lets people do what a and b let them do, aggregated wherever either is.
func UnionRole(a, b Role) Role {
	labels := map[string]string{}
	maps.Copy(labels, b.Labels)
	maps.Copy(labels, a.Labels)
	return Role{Labels: labels, Rules: UnionRules(a.Rules, b.Rules)}
}

// UnionRules returns rules that grant what a or b grants and nothing else: a's in their order, grown by what of b
// fits into them, then the rest of b's. It shares no memory with either.
func UnionRules(a, b []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	granted := rightsOf(a)
	var union []rbacv1.PolicyRule
	for i := range a {
		union = append(union, *a[i].DeepCopy())
	}
	for _, rule := range b {
		names := strings.Join(rule.ResourceNames, "\n")
		missing := func(x Atom) bool { return !granted[right{x, names}] }
		for _, rest := range filter([]rbacv1.PolicyRule{rule}, missing) {
			union = mergeRule(union, rest)
			maps.Copy(granted, rightsOf([]rbacv1.PolicyRule{rest}))
		}
	}
	return union
}

// mergeRule adds a rule of one API group: to the first rule that has all but its resources or all but its verbs in
// common with it, so that no right comes in that neither had, or else behind the others.
func mergeRule(rules []rbacv1.PolicyRule, add rbacv1.PolicyRule) []rbacv1.PolicyRule {
	for i := range rules {
		r := &rules[i]
		if !sameSet(r.APIGroups, add.APIGroups) || !sameSet(r.ResourceNames, add.ResourceNames) {
			continue
		}
		switch {
		case sameSet(r.Verbs, add.Verbs):
			r.Resources = appendMissing(r.Resources, add.Resources)
			return rules
		case sameSet(r.Resources, add.Resources):
			r.Verbs = appendMissing(r.Verbs, add.Verbs)
			return rules
		}
	}
	return append(rules, add)
}

// right is an atom on the objects of these names, one a line; "" is all objects.
type right struct {
	Atom
	names string
}

func rightsOf(rules []rbacv1.PolicyRule) map[right]bool {
	set := map[right]bool{}
	for i := range rules {
		names := strings.Join(rules[i].ResourceNames, "\n")
		for _, a := range atoms(rules[i : i+1]) {
			set[right{a, names}] = true
		}
	}
	return set
}

func sameSet(a, b []string) bool {
	within := func(inner, outer []string) bool {
		return !slices.ContainsFunc(inner, func(s string) bool { return !slices.Contains(outer, s) })
	}
	return within(a, b) && within(b, a)
}

func appendMissing(list, more []string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// UnionValues returns the chart values for an upgrade from one chart to another: those of both. Either chart takes
// them, since a chart takes no notice of a value that it does not know; and a right that only the newer chart can
// withhold is withheld from its first minute on. A reconciler that only one of the two turns off stays on.
// Differs lists, sorted, the dotted paths that only one has or that the two set differently.
func UnionValues(a, b map[string]any) (values map[string]any, differs []string) {
	values = map[string]any{}
	flatA, flatB := flatten(a), flatten(b)
	all := maps.Clone(flatB)
	maps.Copy(all, flatA)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		inA, knownA := flatA[path]
		inB, knownB := flatB[path]
		if inA != inB || !knownA || !knownB {
			differs = append(differs, path)
		}
		put(values, path, inA || inB)
	}
	return values, differs
}

// flatten returns the scalars of nested values, all of which are booleans, by dotted path.
func flatten(values map[string]any) map[string]bool {
	flat := map[string]bool{}
	for key, value := range values {
		switch v := value.(type) {
		case bool:
			flat[key] = v
		case map[string]any:
			for path, inner := range flatten(v) {
				flat[key+"."+path] = inner
			}
		}
	}
	return flat
}
