package generators

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// namespacePolicy keeps the labels and annotations by which a Namespace is known
// as a tenant's: the other policies go by them. The rest of a Namespace is
// whoever's it was.
func namespacePolicy(p *schema.Platform) policy {
	const message = "labels and annotations of eso-tenant.dev say whose a namespace is; change the tenant's file, and let the platform's pipeline apply it"
	return policy{
		what:       "namespace",
		rules:      []admissionv1.NamedRuleWithOperations{on("CREATE UPDATE", "", "v1", "namespaces namespaces/status namespaces/finalize")},
		conditions: []admissionv1.MatchCondition{notWriter(p)},
		variables: []admissionv1.Variable{
			{Name: "before", Expression: "request.operation == 'CREATE' ? [{}, {}] : [oldObject.metadata.?labels.orValue({}), oldObject.metadata.?annotations.orValue({})]"},
			{Name: "after", Expression: "[object.metadata.?labels.orValue({}), object.metadata.?annotations.orValue({})]"},
		},
		validations: []admissionv1.Validation{
			forbid(sameOfOurs("variables.before[0]", "variables.after[0]"), message),
			forbid(sameOfOurs("variables.before[1]", "variables.after[1]"), message),
		},
	}
}

// sameOfOurs tells whether two maps have the same of our keys.
func sameOfOurs(before, after string) string {
	const ours = "k.startsWith('" + virtualGroup + "/')"
	return after + ".all(k, !" + ours + " || " + before + "[?k] == " + after + "[?k]) && " + before + ".all(k, !" + ours + " || k in " + after + ")"
}
