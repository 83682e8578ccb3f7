package generators

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// tokenSecretPolicy closes the way round TokenRequest: Kubernetes fills a Secret
// of the right type with a token that never ends, for the API server and for any
// service account that an annotation names, and a Secret with a bootstrap token
// lets its holder join as a node. ESO makes neither, anywhere. Nobody makes them
// in a tenant's namespace, which bars an account that is to be fenced tomorrow,
// too; and nobody makes one for a fenced service account in a namespace that
// something else owns.
//
// Changing such a Secret is let through as long as it stays the same service
// account's, whoever does it: the controller that fills it in has no certain
// name, since the flags of the controller manager decide it, and a Secret's type
// cannot change. ESO is no such controller.
func tokenSecretPolicy(p *schema.Platform) policy {
	eso := "request.userInfo.username in " + users(p)
	return policy{
		what:  "token-secret",
		rules: []admissionv1.NamedRuleWithOperations{on("CREATE UPDATE", "", "v1", "secrets")},
		conditions: []admissionv1.MatchCondition{
			{Name: "token", Expression: "has(object.type) && object.type in [" + quote(string(corev1.SecretTypeServiceAccountToken)) + ", " + quote(string(corev1.SecretTypeBootstrapToken)) + "]"},
			{Name: "new", Expression: "request.operation == 'CREATE' || " + eso + " || " + accountOf("object") + " != " + accountOf("oldObject")},
		},
		variables: append([]admissionv1.Variable{{Name: "account", Expression: accountOf("object")}}, fenced(p, "variables.account")...),
		validations: []admissionv1.Validation{
			forbid("!("+eso+")", "External Secrets Operator may not make Secrets of this type"),
			forbid("!namespaceObject.metadata.?labels[?"+quote(LabelTenant)+"].hasValue()",
				"Secrets of this type are not made in tenants' namespaces; a TokenRequest gives a token that ends"),
			forbid("variables.account == '' || !variables.fenced",
				"only External Secrets Operator may have tokens of this service account, which a store uses"),
		},
	}
}

// accountOf is the service account that a token Secret is for; empty for none.
func accountOf(object string) string {
	return object + ".metadata.?annotations[?" + quote(corev1.ServiceAccountNameKey) + "].orValue('')"
}
