package rbactest

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// askers are all that are worth asking about: everybody bound, and some who are not.
func (w *World) askers() []rbac.Subject {
	red, blue := w.Namespaces[0], w.Namespaces[1]
	askers := []rbac.Subject{
		rbac.ServiceAccount(red, "a"), rbac.ServiceAccount(blue, "a"), rbac.ServiceAccount(red, "b"),
		rbac.ServiceAccount(w.name+"-green", "z"), rbac.User("system:serviceaccount:" + red),
		rbac.User(w.name + "-ann"), rbac.User(w.name + "-bob"), rbac.User("system:anonymous"),
		rbac.Group(rbac.Authenticated), rbac.Group(rbac.AllAccounts), rbac.Group("system:serviceaccounts:" + red),
		rbac.Group(w.name + "-ops"), rbac.Group(w.name + "-nobodies"),
	}
	if !w.taken {
		askers = append(askers, rbac.ServiceAccount(red, "a:b"), rbac.ServiceAccount(red+":a", "b"))
	}
	return askers
}

// request is half the time what some rule is about, or nearly, and else anything.
func (w *World) request() rbac.Request {
	rules := w.allRules()
	if w.random.IntN(2) == 0 {
		return w.ofRule(pick(w, rules))
	}
	if w.random.IntN(6) == 0 {
		return rbac.Request{
			Verb:           pick(w, verbs),
			NonResourceURL: pick(w, []string{"/metrics", "/healthz", "/healthz/etcd", "/health", "*", "/" + w.name, "/" + w.name + "/x"}),
		}
	}
	return rbac.Request{
		Verb: pick(w, append(slices.Clone(verbs), "watch", "impersonate-on:serviceaccount:get")), Group: pick(w, []string{"", "apps", "batch", "*", w.apiGroup()}),
		Resource:    pick(w, []string{"secrets", "serviceaccounts", "pods", "tokens", "*"}),
		Subresource: pick(w, []string{"", "token", "exec", "*"}),
		Name:        pick(w, append(slices.Clone(names), "c")), Namespace: w.namespace(),
	}
}

func (w *World) namespace() string {
	return pick(w, append(slices.Clone(w.Namespaces), w.Namespaces[0], w.Namespaces[1], "", w.name+"-green"))
}

func (w *World) allRules() []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, role := range w.Roles {
		rules = append(rules, role.Rules...)
	}
	for _, role := range w.ClusterRoles {
		rules = append(rules, role.Rules...)
	}
	return rules
}

// ofRule asks for something that a rule allows, but for one part now and then.
func (w *World) ofRule(rule rbacv1.PolicyRule) rbac.Request {
	request := rbac.Request{Verb: w.one(rule.Verbs, "update")}
	if len(rule.NonResourceURLs) > 0 {
		request.NonResourceURL = strings.TrimRight(pick(w, rule.NonResourceURLs), "*") + pick(w, []string{"", "x", "/x"})
		if request.NonResourceURL == "" { // is no path
			request.NonResourceURL = "/"
		}
		return request
	}
	request.Group, request.Namespace = w.one(rule.APIGroups, "batch"), w.namespace()
	request.Resource, request.Subresource, _ = strings.Cut(w.one(rule.Resources, "pods"), "/")
	if len(rule.ResourceNames) > 0 && w.random.IntN(4) > 0 {
		request.Name = pick(w, rule.ResourceNames)
	}
	return request
}

// one is one of a rule's words; for a star, anything.
func (w *World) one(from []string, other string) string {
	word := pick(w, from)
	if word == "*" || w.random.IntN(12) == 0 {
		return other
	}
	return word
}

// Groups are those that a subject is in, as the API server puts it: the user's name, and groups.
func (q Question) Groups() (user string, groups []string) {
	user = q.Subject.Username()
	for _, identity := range q.Subject.Identities() {
		if identity.Kind == rbac.KindGroup {
			groups = append(groups, identity.Name)
		}
	}
	if user == "" { // somebody of that group, of whom no binding speaks
		user = "nobody-else"
	}
	return user, groups
}
