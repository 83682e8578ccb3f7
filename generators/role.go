package generators

import (
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// boundRole makes a Role and the RoleBinding of the same name.
func boundRole(role, binding Meta, file string, rules []rbacv1.PolicyRule, subject rbacv1.Subject) []Object {
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: role.Kind.Kind, Name: role.Name}
	return []Object{
		{Meta: role, File: file, Body: &rbacv1.Role{TypeMeta: role.typeMeta(), ObjectMeta: role.objectMeta(), Rules: rules}},
		roleBinding(binding, file, ref, subject),
	}
}

func roleBinding(meta Meta, file string, ref rbacv1.RoleRef, subject rbacv1.Subject) Object {
	return Object{Meta: meta, File: file, Body: &rbacv1.RoleBinding{
		TypeMeta: meta.typeMeta(), ObjectMeta: meta.objectMeta(), RoleRef: ref, Subjects: []rbacv1.Subject{subject},
	}}
}

// esoSubject is the operator's own service account.
func esoSubject(p *schema.Platform) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: p.ESO.ServiceAccount, Namespace: p.ESO.Namespace}
}
