package generators

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// rolePolicy keeps the fence's Roles and bindings for those who deliver them:
// the Role that lets ESO mint is also what says that a service account is
// fenced, so whoever may delete it could mint. Nobody else binds anybody to such
// a Role either.
func rolePolicy(p *schema.Platform) policy {
	return policy{
		what:       "role",
		rules:      []admissionv1.NamedRuleWithOperations{on("CREATE UPDATE DELETE", "rbac.authorization.k8s.io", "*", "roles rolebindings clusterroles clusterrolebindings")},
		conditions: []admissionv1.MatchCondition{notWriter(p), notCollected},
		variables:  []admissionv1.Variable{item},
		validations: []admissionv1.Validation{
			forbid("!variables.item.metadata.name.startsWith("+quote(prefix)+")", "this is part of the fence around External Secrets Operator; change the tenant's file, and let the platform's pipeline apply it"),
			forbid("!has(variables.item.roleRef) || variables.item.roleRef.name != "+quote(nameRelease(p, "controller"))+
				" && !(variables.item.roleRef.kind == 'Role' && variables.item.roleRef.name.startsWith("+quote(prefix)+"))",
				"this binds to a role of the fence around External Secrets Operator, which nobody but it is bound to"),
		},
	}
}

// item is what a request is about. Its name is not always in the request: where
// many are deleted at once, or a name is generated, there is none.
var item = admissionv1.Variable{Name: "item", Expression: "request.operation == 'DELETE' ? oldObject : object"}

// notWriter leaves out those who deliver the fence.
func notWriter(p *schema.Platform) admissionv1.MatchCondition {
	return admissionv1.MatchCondition{Name: "not-writer", Expression: "!(request.userInfo.username in " + list(p.Admission.Writers...) + ")"}
}

// controllerManager is Kubernetes' controller manager where its controllers have
// no service accounts of their own.
const controllerManager = "system:kube-controller-manager"

// notCollected leaves out the controllers that empty a namespace which is
// deleted, and that delete what belonged to something: a namespace would never
// end without them.
// Source: kubernetes v1.37.2, plugin/pkg/auth/authorizer/rbac/bootstrappolicy/controller_policy.go.
var notCollected = admissionv1.MatchCondition{Name: "not-collected", Expression: "request.operation != 'DELETE' || !(request.userInfo.username in " + list(
	"system:serviceaccount:kube-system:namespace-controller", "system:serviceaccount:kube-system:generic-garbage-collector", controllerManager,
) + ")"}
