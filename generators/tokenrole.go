package generators

import (
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/eso-tenant/eso-tenant/schema"
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
	// tenantNamespaces is named <namespace>, and is there only where the Namespace
	// is not ours, and so has no label.
	tenantNamespaces = "tenantnamespaces"
)

// tokenRoles lets ESO mint for each fenced service account, and for no other.
func tokenRoles(in input) []Object {
	var objects []Object
	for _, a := range accounts(in.namespace) {
		name := nameToken(a.name)
		objects = append(objects, boundRole(
			in.object(kindRole, name), in.object(kindRoleBinding, name), fileNamespace(in.namespace.Name),
			tokenRules(in.namespace, a), esoSubject(in.platform),
		)...)
	}
	return objects
}

func tokenRules(ns *schema.Namespace, a serviceAccount) []rbacv1.PolicyRule {
	var grants []string
	for _, audience := range a.audiences(ns.Name) {
		grants = append(grants, a.name+"="+audience)
	}
	rules := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{a.name}, Verbs: []string{"create"}},
		{APIGroups: []string{virtualGroup}, Resources: []string{fencedAccounts}, ResourceNames: []string{a.name}, Verbs: []string{verbUse}},
		{APIGroups: []string{virtualGroup}, Resources: []string{mintGrants}, ResourceNames: grants, Verbs: []string{verbUse}},
	}
	if !ns.Managed {
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{virtualGroup}, Resources: []string{tenantNamespaces}, ResourceNames: []string{ns.Name}, Verbs: []string{verbUse}})
	}
	return rules
}
