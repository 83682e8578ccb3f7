package admissioncheck

import (
	"context"
	"slices"

	"github.com/eso-tenant/eso-tenant/generators"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// rbac is Kubernetes' role-based authorizer over objects, as far as the policies ask it.
type rbac struct {
	roles    map[string][]rbacv1.PolicyRule // by kind/namespace/name
	bindings []binding
	asked    int
}

type binding struct {
	namespace string // "" for all
	subjects  []rbacv1.Subject
	role      string
}

func newRBAC(objects []generators.Object) *rbac {
	r := &rbac{roles: map[string][]rbacv1.PolicyRule{}}
	for _, o := range objects {
		switch body := o.Body.(type) {
		case *rbacv1.Role:
			r.roles["Role/"+body.Namespace+"/"+body.Name] = body.Rules
		case *rbacv1.ClusterRole:
			r.roles["ClusterRole//"+body.Name] = body.Rules
		case *rbacv1.RoleBinding:
			r.bindings = append(r.bindings, binding{body.Namespace, body.Subjects, roleKey(body.RoleRef, body.Namespace)})
		case *rbacv1.ClusterRoleBinding:
			r.bindings = append(r.bindings, binding{"", body.Subjects, roleKey(body.RoleRef, "")})
		}
	}
	return r
}

func roleKey(ref rbacv1.RoleRef, namespace string) string {
	if ref.Kind == "ClusterRole" {
		namespace = ""
	}
	return ref.Kind + "/" + namespace + "/" + ref.Name
}

// Authorize allows what a rule allows, and has no opinion on the rest.
func (r *rbac) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	r.asked++
	for _, b := range r.bindings {
		if b.namespace != "" && b.namespace != a.GetNamespace() || !slices.ContainsFunc(b.subjects, func(s rbacv1.Subject) bool { return isSubject(s, a) }) {
			continue
		}
		if slices.ContainsFunc(r.roles[b.role], func(rule rbacv1.PolicyRule) bool { return allows(rule, a) }) {
			return authorizer.DecisionAllow, b.role, nil
		}
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func isSubject(s rbacv1.Subject, a authorizer.Attributes) bool {
	switch s.Kind {
	case rbacv1.ServiceAccountKind:
		return a.GetUser().GetName() == "system:serviceaccount:"+s.Namespace+":"+s.Name
	case rbacv1.GroupKind:
		return slices.Contains(a.GetUser().GetGroups(), s.Name)
	default:
		return a.GetUser().GetName() == s.Name
	}
}

func allows(rule rbacv1.PolicyRule, a authorizer.Attributes) bool {
	has := func(list []string, want string) bool {
		return slices.Contains(list, want) || slices.Contains(list, "*")
	}
	resource := a.GetResource()
	if a.GetSubresource() != "" {
		resource += "/" + a.GetSubresource()
	}
	return has(rule.Verbs, a.GetVerb()) && has(rule.APIGroups, a.GetAPIGroup()) && has(rule.Resources, resource) &&
		(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, a.GetName()))
}
