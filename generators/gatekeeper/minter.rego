package minter

import data.lib.fence

violation contains {"msg": "only a kubelet may mint tokens of External Secrets Operator's own service accounts, for its pods; to see what they may do, use kubectl auth can-i with --as; to have one all the same, see docs/admission.md on breaking glass"} if {
	fence.matched
	not kubelet
	fence.is_eso(input.review.name)
}

violation contains {"msg": "only External Secrets Operator may mint tokens of this service account, which a store uses"} if {
	fence.matched
	input.review.userInfo.username != input.parameters.controller
	not kubelet
	fence.fenced(fence.namespace, input.review.name)
}

# A node asks for a pod's token. The node authorizer and NodeRestriction see to
# it that the pod is the node's.
kubelet if {
	"system:nodes" in input.review.userInfo.groups
	input.review.object.spec.boundObjectRef.kind == "Pod"
}
