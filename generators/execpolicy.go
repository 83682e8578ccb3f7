package generators

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// execPolicy keeps people out of ESO's pods: whoever gets into one has its
// token.
func execPolicy(p *schema.Platform) policy {
	return policy{
		what: "exec",
		rules: []admissionv1.NamedRuleWithOperations{
			on("CONNECT", "", "v1", "pods/exec pods/attach pods/portforward"),
			on("UPDATE", "", "v1", "pods/ephemeralcontainers"),
		},
		conditions: []admissionv1.MatchCondition{notWriter(p)},
		validations: []admissionv1.Validation{
			forbid("request.namespace != "+quote(p.ESO.Namespace), "nobody gets into the pods of External Secrets Operator, which may mint for every tenant; read its logs, or see docs/admission.md on breaking glass"),
		},
	}
}
