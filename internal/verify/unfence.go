package verify

import (
	"slices"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// Admission knows a fenced account by a grant that ESO holds. Who may take away
// the Role or the binding that gives it, takes the fence away, and can then do
// what was refused.

// unfences is the right by which the requester may take an account's fence away
// before a move; nil where it may not, or where the move is refused without it,
// too: token Secrets are, wherever a Namespace says that it is a tenant's.
func (p *prover) unfences(f *Fence, m *move) *hold {
	if m.rule == problem.MintTokenSecret && p.labelled[f.Namespace] {
		return nil
	}
	for _, h := range p.pool[removeFences] {
		if h.in(f.Namespace) && p.namesFence(h, f) && p.policies.closesFor(closingRoles, p.eso, h.owner.subject) == nil {
			return h
		}
	}
	return nil
}

// namesFence tells whether a right is for the Role or the binding of a fence.
func (w *world) namesFence(h *hold, f *Fence) bool {
	if h.Names == nil {
		return true
	}
	grant, held := w.auth.Allowed(w.eso[0], rbac.Request{Verb: virtualVerb, Group: virtualGroup, Resource: "fencedserviceaccounts", Namespace: f.Namespace, Name: f.Name})
	return held && (slices.Contains(h.Names, grant.Role.Name) || slices.Contains(h.Names, grant.Binding.Name))
}

// unfencing says how a fence that admission keeps is taken away first.
func (p *prover) unfencing(got spoils) []string {
	if got.first.noToken || p.policies.closes(fenceClosings[got.first.rule], p.eso) == nil {
		return nil
	}
	for _, f := range got.fences {
		if h := p.unfences(f, got.first); h != nil {
			return because(p.why(h.Grant, "take away the Role or the binding by which admission knows the account as fenced"))
		}
	}
	return nil
}

// keptOut tells whether admission keeps the requester out of ESO's pods, where
// that is all that a move does.
func (p *prover) keptOut(m *move) bool {
	return m.enters && p.policies.closesFor(closingExec, p.eso, m.via[0].owner.subject) != nil
}

// keptFromOwn is the policy that refuses the requester tokens of ESO's own
// accounts, where to mint is all that a move does; nil where none does. Whoever
// is taken for a node may have them for a pod.
func (p *prover) keptFromOwn(m *move) *inventory.Object {
	if m.rule != problem.MintAny {
		return nil
	}
	return p.refusesOwn(m.via[0].owner.subject)
}

// refusesOwn is the policy that refuses somebody tokens of ESO's own accounts.
func (w *world) refusesOwn(s rbac.Subject) *inventory.Object {
	if s == rbac.Group(nodesGroup) {
		return nil
	}
	return w.policies.closes(closingOperatorMint, w.eso)
}

// nodesGroup is the group that the policy knows kubelets by.
const nodesGroup = "system:nodes"

// storesClosed is the policy that keeps stores to the catalogue wherever a right
// to write them holds; nil where it does not.
func (p *prover) storesClosed(h *hold) *inventory.Object {
	policy := p.policies.closesFor(closingStores, p.eso, h.owner.subject)
	if policy == nil || h.Everywhere || !p.isTenants(h.Namespace) {
		return nil
	}
	if !p.isOperators(h.Namespace) && p.labelled[h.Namespace] && p.unlabels(h.Namespace) {
		return nil
	}
	return policy
}

// isTenants tells whether the policies know a namespace as a tenant's.
func (w *world) isTenants(namespace string) bool {
	return w.isOperators(namespace) || w.labelled[namespace] || w.saidTenants(namespace)
}

// saidTenants tells whether ESO holds the grant of a namespace's name, which
// stands for the label.
func (w *world) saidTenants(namespace string) bool {
	request := rbac.Request{Verb: virtualVerb, Group: virtualGroup, Resource: "tenantnamespaces", Namespace: namespace, Name: namespace}
	_, named := w.auth.Allowed(w.eso[0], request)
	request.Name = ""
	_, all := w.auth.Allowed(w.eso[0], request)
	return named && !all
}

// unlabels tells whether the requester may take off what says that a namespace
// is a tenant's.
func (p *prover) unlabels(namespace string) bool {
	return slices.ContainsFunc(p.pool[changeNamespaces], func(h *hold) bool {
		return h.in(namespace) && h.named(namespace) && p.policies.closesFor(closingNamespaces, p.eso, h.owner.subject) == nil
	})
}
