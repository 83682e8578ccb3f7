package generators

import (
	rbacv1 "k8s.io/api/rbac/v1"
)

// members makes a RoleBinding for each of the tenant's people.
func members(in input) []Object {
	var objects []Object
	for _, m := range in.tenant.Members {
		subject := rbacv1.Subject{Kind: m.Kind, Name: m.Name, Namespace: m.Namespace}
		if m.Kind != rbacv1.ServiceAccountKind {
			subject.APIGroup = rbacv1.GroupName
		}
		role := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kindClusterRole.Kind, Name: m.Role}
		objects = append(objects, roleBinding(in.object(kindRoleBinding, nameMember(m)), fileNamespace(in.namespace.Name), role, subject))
	}
	return objects
}
