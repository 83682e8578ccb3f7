// Package rbac answers questions about Kubernetes' RBAC from objects alone: who may do what, where, and because of which
// rule.
//
// An answer is what the API server's own RBAC authorizer would give for the same objects (k8s.io/kubernetes v1.37.2,
// plugin/pkg/auth/authorizer/rbac, pkg/registry/rbac/validation, pkg/apis/rbac/v1/evaluation_helpers.go). Where the input
// leaves something open, the answer has rather more rights than fewer, so that "may not" can be relied on, and Problems
// says what was open.
//
// Outside of it are other authorizers (Node, Webhook, ABAC), the group system:masters, which the API server lets do
// everything before it looks at RBAC, impersonation, and which groups a user is in beyond those that Identities names.
//
// Nothing here keeps state after New, so an Authorizer may be used by many goroutines. Objects are read and never
// changed; whoever passes them must not change them either.
package rbac

import (
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Objects are what answers are drawn from. Their order has no influence.
//
// An object that is there twice counts once. Two that differ under one name count both, since it is not known which one
// the cluster will have: rules add up, and each binding binds. Problems names them.
type Objects struct {
	Roles               []*rbacv1.Role
	ClusterRoles        []*rbacv1.ClusterRole
	RoleBindings        []*rbacv1.RoleBinding
	ClusterRoleBindings []*rbacv1.ClusterRoleBinding
}

// Options say what the cluster has besides the objects.
type Options struct {
	// Minor is the cluster's version, such as "1.34". It decides which of Kubernetes' own roles are taken where a
	// binding or an aggregation needs one that the objects do not hold, and what the API server puts back into those that
	// they hold. Empty or unknown is the newest that is known, and nothing is put back.
	Minor string
	// DefaultBindings adds the bindings that the API server makes itself, but those that the objects hold.
	DefaultBindings bool
}

// Authorizer holds roles and bindings, indexed by whom and where they are for.
type Authorizer struct {
	roles      *roles
	holders    map[Subject]*holding
	cluster    []*binding            // of ClusterRoleBindings, sorted
	namespaces map[string][]*binding // of RoleBindings, sorted
	subjects   []Subject
	problems   []Problem
}

// holding is what one subject is bound to.
type holding struct {
	cluster    []*binding
	namespaced map[string][]*binding
}

// binding is a RoleBinding or ClusterRoleBinding whose role was looked up.
type binding struct {
	ref      Ref
	role     *role // nil if there is none
	subjects []Subject
}

// New indexes the objects. It never fails: what is malformed or missing grants what Kubernetes would grant for it, often
// nothing, and is named by Problems.
func New(o Objects, options Options) *Authorizer {
	own := newDefaults(options.Minor)
	if options.DefaultBindings {
		o = withBindings(o, own.objects())
	}
	return build(o, own)
}

func build(o Objects, own *defaults) *Authorizer {
	a := &Authorizer{
		holders:    map[Subject]*holding{},
		namespaces: map[string][]*binding{},
	}
	a.roles = newRoles(o, own, a.report)
	for _, b := range bindingsOf(o, a.report) {
		a.add(b)
	}
	r := &resolver{a.roles, a.report, mostSteps}
	r.resolve(append(r.link(), a.bound()...))
	a.subjects = slices.SortedFunc(maps.Keys(a.holders), Subject.compare)
	a.problems = sortProblems(a.problems)
	return a
}

// bound returns the roles that bindings name.
func (a *Authorizer) bound() (roles []*role) {
	add := func(bindings []*binding) {
		for _, b := range bindings {
			if b.role != nil {
				roles = append(roles, b.role)
			}
		}
	}
	add(a.cluster)
	for _, bindings := range a.namespaces {
		add(bindings)
	}
	return roles
}

// add looks the role of a binding up and indexes it.
func (a *Authorizer) add(raw rawBinding) {
	b := &binding{ref: raw.ref, role: a.roleOf(raw), subjects: a.subjectsOf(raw)}
	if b.ref.Namespace == "" {
		a.cluster = append(a.cluster, b)
	} else {
		a.namespaces[b.ref.Namespace] = append(a.namespaces[b.ref.Namespace], b)
	}
	for _, s := range b.subjects {
		h := a.holders[s]
		if h == nil {
			h = &holding{}
			a.holders[s] = h
		}
		h.add(b)
	}
}

func (h *holding) add(b *binding) {
	if b.ref.Namespace == "" {
		h.cluster = append(h.cluster, b)
		return
	}
	if h.namespaced == nil {
		h.namespaced = map[string][]*binding{}
	}
	h.namespaced[b.ref.Namespace] = append(h.namespaced[b.ref.Namespace], b)
}

// Subjects returns everybody who is bound to anything, sorted.
func (a *Authorizer) Subjects() []Subject { return slices.Clone(a.subjects) }

// Problems returns what leaves an answer open or can never have an effect, sorted.
func (a *Authorizer) Problems() []Problem { return slices.Clone(a.problems) }

func (a *Authorizer) report(p Problem) { a.problems = append(a.problems, p) }
