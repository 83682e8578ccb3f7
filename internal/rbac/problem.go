package rbac

import (
	"cmp"
	"slices"
)

// Flaw is what is wrong with an object of RBAC.
type Flaw string

// The flaws.
const (
	// RoleMissing: a binding names a role that is neither among the objects nor Kubernetes' own. It gives nothing now,
	// and everything that somebody writes into a role of that name.
	RoleMissing Flaw = "role-missing"
	// RoleInvalid: a binding's roleRef cannot be one: another kind, another API group, or a Role for the whole cluster.
	RoleInvalid Flaw = "role-invalid"
	// SubjectInvalid: a subject of another kind or API group, without a name, or a service account without a namespace.
	// The API server would refuse the object; where its authorizer would nevertheless match, so does this one.
	SubjectInvalid Flaw = "subject-invalid"
	// AggregationEmpty: a ClusterRole is the union of others, none of which is here, and states no rules. What it gives
	// is not known.
	AggregationEmpty Flaw = "aggregation-empty"
	// AggregationInvalid: a selector that cannot be read. The controller leaves such a role alone.
	AggregationInvalid Flaw = "aggregation-invalid"
	// AggregationTooLarge: so many ClusterRoles are aggregated into each other that it was given up. Only what this one
	// states itself counts, so nothing about it is sure.
	AggregationTooLarge Flaw = "aggregation-too-large"
	// AggregationCycle: ClusterRoles that are aggregated into each other, so that all have the rules of all.
	AggregationCycle Flaw = "aggregation-cycle"
	// Ambiguous: two different objects have one name. The rights of both count.
	Ambiguous Flaw = "ambiguous"
	// Restored: a role that is called as one of Kubernetes' own and has less. What the API server puts back counts.
	Restored Flaw = "role-restored"
	// NamespaceMissing: a Role or RoleBinding without a namespace. It is left out.
	NamespaceMissing Flaw = "namespace-missing"
)

// Problem is something that leaves an answer open, or that can never have an effect.
type Problem struct {
	Flaw   Flaw
	Object Ref
	Other  Ref    // the role that a binding names, the other role of a cycle; or nothing
	Detail string // in words
}

// String is "RoleBinding web/deploy: names Role web/deployer, which is not there".
func (p Problem) String() string { return p.Object.String() + ": " + p.Detail }

func sortProblems(all []Problem) []Problem {
	slices.SortFunc(all, func(p, q Problem) int {
		return cmp.Or(p.Object.compare(q.Object), cmp.Compare(p.Flaw, q.Flaw), p.Other.compare(q.Other), cmp.Compare(p.Detail, q.Detail))
	})
	return slices.Compact(all)
}
