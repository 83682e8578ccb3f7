package generators

import (
	rbacv1 "k8s.io/api/rbac/v1"
)

// Virtual resources: nothing serves them. Admission policies ask the API
// server's authorizer for them, so that what ESO may mint, and for which
// audience, stands in the one Role that lets it mint; and RBAC's own
// escalation check keeps tenants from granting them.
const (
	virtualGroup   = "eso-tenant.dev"
	verbUse        = "use"
	mintGrants     = "mintgrants"            // named <service account>=<audience>
	fencedAccounts = "fencedserviceaccounts" // named <service account>
)

// tokenRoles lets ESO mint for each fenced service account, and for no other.
func tokenRoles(in input) []Object {
	var objects []Object
	for _, a := range accounts(in.namespace) {
		name := nameToken(a.name)
		objects = append(objects, boundRole(
			in.object(kindRole, name), in.object(kindRoleBinding, name), fileNamespace(in.namespace.Name),
			tokenRules(in.namespace.Name, a), esoSubject(in.platform),
		)...)
	}
	return objects
}

func tokenRules(namespace string, a serviceAccount) []rbacv1.PolicyRule {
	var grants []string
	for _, audience := range a.audiences(namespace) {
		grants = append(grants, a.name+"="+audience)
	}
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{a.name}, Verbs: []string{"create"}},
		{APIGroups: []string{virtualGroup}, Resources: []string{fencedAccounts}, ResourceNames: []string{a.name}, Verbs: []string{verbUse}},
		{APIGroups: []string{virtualGroup}, Resources: []string{mintGrants}, ResourceNames: grants, Verbs: []string{verbUse}},
	}
}
