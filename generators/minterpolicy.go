package generators

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// minterPolicy keeps everybody but ESO from minting for a fenced service
// account: the built-in edit lets a tenant's members mint for all of their
// namespace, with any audience. And it keeps everybody, ESO too, from minting
// for ESO's own service accounts: whoever has such a token mints for all that is
// fenced. Flux's controllers, for one, may mint for any service account. No store
// needs it, since one that logs in as ESO itself uses the token of its pod.
//
// The kubelet mints for the pods on its node, and says for which. Those are no
// new ones as fenced accounts, by podPolicy, but one that ran before the fence
// was there would stop with its token; and ESO's own pods get theirs so. Nobody
// else is left out, not even cluster administrators: whoever must mint deletes
// the binding, which leaves a trace. The controller manager mints in kube-system
// only, and fills Secrets in without asking for a token.
//
// OpenShift mints for every service account, bound to a Secret for its own
// registry that whoever reads Secrets there reads: that is refused, too.
// Source: openshift-controller-manager release-4.16, pkg/internalregistry/controllers/image_pull_secret_controller.go;
// flux2 v2.7.0, manifests/rbac/controller.yaml.
func minterPolicy(p *schema.Platform) policy {
	return policy{
		what:       "minter",
		rules:      []admissionv1.NamedRuleWithOperations{on("CREATE", "", "v1", "serviceaccounts/token")},
		conditions: []admissionv1.MatchCondition{{Name: "not-kubelet", Expression: "!(" + kubelet + ")"}},
		variables: append([]admissionv1.Variable{
			{Name: "own", Expression: "'" + accountUser + "' + request.namespace + ':' + request.name in " + users(p)},
		}, fenced(p, "request.name")...),
		validations: []admissionv1.Validation{
			forbid("!variables.own", "only a kubelet may mint tokens of External Secrets Operator's own service accounts, for its pods; "+
				"to see what they may do, use kubectl auth can-i with --as; to have one all the same, see docs/admission.md on breaking glass"),
			forbid("request.userInfo.username == "+quote(userName(p.ESO.Namespace, p.ESO.ServiceAccount))+" || !variables.fenced",
				"only External Secrets Operator may mint tokens of this service account, which a store uses"),
		},
	}
}

// kubelet tells a node's request for the token of a pod. The node authorizer and
// NodeRestriction see to it that the pod is the node's.
const kubelet = "has(request.userInfo.groups) && 'system:nodes' in request.userInfo.groups" +
	" && has(object.spec.boundObjectRef) && object.spec.boundObjectRef != null && object.spec.boundObjectRef.kind == 'Pod'"
