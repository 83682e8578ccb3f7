package generators

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// podPolicy keeps pods from running as a fenced service account: a pod may ask
// for its token with any audience. A pod's service account never changes, so
// its creation is all there is to see; what makes pods (a Deployment, a Job) is
// told when its controller makes them.
func podPolicy(p *schema.Platform) policy {
	refusal := forbid("!variables.fenced", "no pod runs as a service account that a store of External Secrets Operator uses")
	refusal.MessageExpression = "'no pod runs as ' + variables.account + ', which a store of External Secrets Operator uses'"
	return policy{
		what:  "pod",
		rules: []admissionv1.NamedRuleWithOperations{on("CREATE", "", "v1", "pods")},
		variables: append([]admissionv1.Variable{
			{Name: "account", Expression: "object.spec.?serviceAccountName.orValue('default')"},
		}, fenced(p, "variables.account")...),
		validations: []admissionv1.Validation{refusal},
	}
}
