package generators

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// readRoles lets the service account of a store that reads this same cluster
// get the Secrets that the Platform names, in the remote namespace.
func readRoles(in input) []Object {
	var objects []Object
	for _, a := range accounts(in.namespace) {
		for _, remote := range remotes(a.stores) {
			name := nameRead(in.namespace.Name, a.name)
			role, binding := in.object(kindRole, name), in.object(kindRoleBinding, name)
			role.Namespace, binding.Namespace = remote, remote
			rules := []rbacv1.PolicyRule{{
				APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"},
				ResourceNames: in.readable(a.stores, remote),
			}}
			subject := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: a.name, Namespace: in.namespace.Name}
			objects = append(objects, boundRole(role, binding, fileNamespace(in.namespace.Name), rules, subject)...)
		}
	}
	return objects
}

// remotes lists the namespaces of this same cluster that the stores read.
func remotes(stores []*schema.Store) []string {
	var all []string
	for _, s := range stores {
		if s.Provider.SameCluster {
			all = append(all, s.RemoteNamespace())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// readable names the Secrets, with the placeholders filled in.
func (in input) readable(stores []*schema.Store, remote string) []string {
	fill := strings.NewReplacer("{tenant}", in.tenant.Name, "{namespace}", in.namespace.Name)
	var names []string
	for _, s := range stores {
		if !s.Provider.SameCluster || s.RemoteNamespace() != remote {
			continue
		}
		for _, name := range s.Provider.Secrets {
			names = append(names, fill.Replace(name))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
