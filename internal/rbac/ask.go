package rbac

import (
	"iter"
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Allowed tells whether the subject may do what is asked, and the first of Grants.
func (a *Authorizer) Allowed(s Subject, r Request) (Grant, bool) {
	for g := range a.grants(s, r.question()) {
		return g, true
	}
	return Grant{}, false
}

// Grants returns all that allows it, each way by itself: taking one away leaves the others. ClusterRoleBindings come
// first, then the subject itself before its groups, then by the binding's name.
func (a *Authorizer) Grants(s Subject, r Request) []Grant {
	return slices.Collect(a.grants(s, r.question()))
}

func (a *Authorizer) grants(s Subject, q question) iter.Seq[Grant] {
	return func(yield func(Grant) bool) {
		for h := range a.held(s, q.namespace) {
			if !h.visit(q, func(g Grant, _ *rule) bool { return yield(g) }) {
				return
			}
		}
	}
}

// held is one binding of one subject.
type held struct {
	*binding
	by Subject
}

// held yields what is bound to the subject in the whole cluster and in a namespace, if one is named: no RoleBinding is in
// the namespace without a name.
func (a *Authorizer) held(s Subject, namespace string) iter.Seq[held] {
	return func(yield func(held) bool) {
		identities := s.Identities()
		for _, id := range identities {
			if h := a.holders[id]; h != nil && !each(h.cluster, id, yield) {
				return
			}
		}
		for _, id := range identities {
			if h := a.holders[id]; h != nil && !each(h.namespaced[namespace], id, yield) {
				return
			}
		}
	}
}

func each(bindings []*binding, by Subject, yield func(held) bool) bool {
	for _, b := range bindings {
		if !yield(held{b, by}) {
			return false
		}
	}
	return true
}

// visit calls do for every rule that allows the question, until it says no.
func (h held) visit(q question, do func(Grant, *rule) bool) bool {
	if h.role == nil {
		return true
	}
	rules := h.role.rules
	for i := range rules {
		if r := &rules[i]; q.allowedBy(r.PolicyRule) && !do(h.grant(r), r) {
			return false
		}
	}
	return true
}

func (h held) grant(r *rule) Grant {
	return Grant{
		Binding: h.ref, Subject: h.by, Role: h.role.ref,
		Source: r.source.ref, Rule: r.index, Bootstrap: r.source.bootstrap,
	}
}

// WhoCan returns everybody who is bound to something that allows the request, sorted. A group stands for its members:
// whoever may do it is listed, or one of its Identities is.
func (a *Authorizer) WhoCan(r Request) []Holder {
	q := r.question()
	found := map[Subject][]Grant{}
	collect := func(bindings []*binding) {
		for _, b := range bindings {
			held{binding: b}.visit(q, func(g Grant, _ *rule) bool {
				for _, s := range b.subjects {
					g.Subject = s
					found[s] = append(found[s], g)
				}
				return true
			})
		}
	}
	collect(a.cluster)
	if q.namespace != "" {
		collect(a.namespaces[q.namespace])
	}
	holders := make([]Holder, 0, len(found))
	for _, s := range slices.SortedFunc(maps.Keys(found), Subject.compare) {
		holders = append(holders, Holder{s, found[s]})
	}
	return holders
}

// Rules yields all rules that the subject has in a namespace, those of the whole cluster included; with an empty
// namespace, these only. The namespaced ones do not count for non-resource URLs. Do not change a rule.
func (a *Authorizer) Rules(s Subject, namespace string) iter.Seq2[Grant, *rbacv1.PolicyRule] {
	return func(yield func(Grant, *rbacv1.PolicyRule) bool) {
		for h := range a.held(s, namespace) {
			if h.role == nil {
				continue
			}
			rules := h.role.rules
			for i := range rules {
				if r := &rules[i]; !yield(h.grant(r), r.PolicyRule) {
					return
				}
			}
		}
	}
}

// Places returns where the subject may do this to some object, and to which: one entry for each rule that allows it. The
// resource may have a subresource, "serviceaccounts/token". A request is allowed exactly if one of the places has its
// namespace and its name.
func (a *Authorizer) Places(s Subject, verb, group, resource string) []Place {
	q := newQuestion(verb, group, resource, "")
	var places []Place
	for h := range a.heldAnywhere(s) {
		h.visit(q, func(g Grant, r *rule) bool {
			p := Place{Namespace: h.ref.Namespace, Everywhere: h.ref.Namespace == "", Grant: g}
			if len(r.ResourceNames) > 0 {
				p.Names = r.ResourceNames
			}
			places = append(places, p)
			return true
		})
	}
	return places
}

// heldAnywhere yields all that is bound to the subject: in the whole cluster, then by namespace.
func (a *Authorizer) heldAnywhere(s Subject) iter.Seq[held] {
	return func(yield func(held) bool) {
		for h := range a.held(s, "") {
			if !yield(h) {
				return
			}
		}
		for _, id := range s.Identities() {
			h := a.holders[id]
			if h == nil {
				continue
			}
			for _, namespace := range slices.Sorted(maps.Keys(h.namespaced)) {
				if !each(h.namespaced[namespace], id, yield) {
					return
				}
			}
		}
	}
}

// Role yields the rules of a role, with all that is aggregated into it, whether anybody is bound to it or not: what
// somebody who may bind it can give. The grants have no binding and no subject. It is nil where there is no such role.
func (a *Authorizer) Role(ref Ref) iter.Seq2[Grant, *rbacv1.PolicyRule] {
	r := a.roles.find(ref)
	if r == nil {
		return nil
	}
	return func(yield func(Grant, *rbacv1.PolicyRule) bool) {
		rules := a.roles.effective(r)
		for i := range rules {
			h := held{binding: &binding{role: r}}
			if !yield(h.grant(&rules[i]), rules[i].PolicyRule) {
				return
			}
		}
	}
}
