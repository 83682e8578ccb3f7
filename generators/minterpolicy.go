package generators

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// minterPolicy keeps everybody but ESO from minting for a fenced service
// account: the built-in edit lets a tenant's members mint for all of their
// namespace, with any audience.
//
// The kubelet mints for the pods on its node, and says for which. Those are no
// new ones, by podPolicy, but one that ran before the fence was there would stop
// with its token. Nobody else is left out, not even cluster administrators:
// whoever must mint deletes the binding, which leaves a trace. The controller
// manager mints in kube-system only.
func minterPolicy(p *schema.Platform) policy {
	return policy{
		what:  "minter",
		rules: []admissionv1.NamedRuleWithOperations{on("CREATE", "", "v1", "serviceaccounts/token")},
		conditions: []admissionv1.MatchCondition{
			{Name: "not-external-secrets", Expression: "request.userInfo.username != " + quote(userName(p.ESO.Namespace, p.ESO.ServiceAccount))},
			{Name: "not-kubelet", Expression: "!(" + kubelet + ")"},
		},
		variables: fenced(p, "request.name"),
		validations: []admissionv1.Validation{
			forbid("!variables.fenced", "only External Secrets Operator may mint tokens of this service account, which a store uses"),
		},
	}
}

// kubelet tells a node's request for the token of a pod. The node authorizer and
// NodeRestriction see to it that the pod is the node's.
const kubelet = "has(request.userInfo.groups) && 'system:nodes' in request.userInfo.groups" +
	" && has(object.spec.boundObjectRef) && object.spec.boundObjectRef != null && object.spec.boundObjectRef.kind == 'Pod'"
