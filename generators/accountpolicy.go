package generators

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// accountPolicy keeps fenced service accounts as they are delivered: one that is
// deleted and made anew keeps what the other side trusts, and its annotations
// say who it is in a cloud. An owner is refused with the rest, since the garbage
// collector would delete the account with it.
//
// OpenShift gives every service account a Secret to pull images with, and notes
// that in an annotation of its own; the controller manager takes Secrets off the
// list that are gone. Both may go on. imagePullSecrets are anybody's: no pod
// runs as a fenced service account.
// Source: openshift-controller-manager release-4.16, pkg/internalregistry; kubernetes v1.37.2,
// pkg/controller/serviceaccount/tokens_controller.go.
func accountPolicy(p *schema.Platform) policy {
	return policy{
		what:       "account",
		rules:      []admissionv1.NamedRuleWithOperations{on("CREATE UPDATE DELETE", "", "v1", "serviceaccounts")},
		conditions: []admissionv1.MatchCondition{notWriter(p), notCollected},
		variables:  append([]admissionv1.Variable{item}, fenced(p, "variables.item.metadata.name")...),
		validations: []admissionv1.Validation{
			forbid("!variables.fenced || request.operation == 'UPDATE' && "+unchanged, "a store uses this service account; change the tenant's file, and let the platform's pipeline apply it"),
		},
	}
}

const unchanged = "object.metadata.?labels == oldObject.metadata.?labels && " +
	"object.metadata.?ownerReferences == oldObject.metadata.?ownerReferences && " +
	"object.metadata.?finalizers == oldObject.metadata.?finalizers && " +
	"object.?automountServiceAccountToken == oldObject.?automountServiceAccountToken && " +
	"(object.?secrets == oldObject.?secrets || request.userInfo.username == '" + controllerManager + "' || " +
	"has(request.userInfo.groups) && request.userInfo.groups.exists(g, g in ['system:serviceaccounts:kube-system', 'system:serviceaccounts:openshift-infra'])) && " +
	"object.metadata.?annotations.orValue({}).all(k, k.startsWith('openshift.io/') || oldObject.metadata.?annotations[?k] == object.metadata.?annotations[?k]) && " +
	"oldObject.metadata.?annotations.orValue({}).all(k, k.startsWith('openshift.io/') || k in object.metadata.?annotations.orValue({}))"
