package account

import data.lib.fence

violation contains {"msg": "a store uses this service account; change the tenant's file, and let the platform's pipeline apply it"} if {
	fence.matched
	not input.review.userInfo.username in input.parameters.writers
	not collected
	fence.fenced(fence.namespace, item.metadata.name)
	not unchanged
}

item := input.review.oldObject if {
	input.review.operation == "DELETE"
} else := input.review.object

# The controllers that empty a namespace, and that delete what belonged to
# something.
collected if {
	input.review.operation == "DELETE"
	input.review.userInfo.username in {
		"system:serviceaccount:kube-system:namespace-controller",
		"system:serviceaccount:kube-system:generic-garbage-collector",
		"system:kube-controller-manager",
	}
}

unchanged if {
	input.review.operation == "UPDATE"
	every path in [["metadata", "labels"], ["metadata", "ownerReferences"], ["metadata", "finalizers"], ["automountServiceAccountToken"]] {
		object.get(input.review.object, path, null) == object.get(input.review.oldObject, path, null)
	}
	secrets_fit
	every key, value in annotations(input.review.object) {
		may_be(key, value, annotations(input.review.oldObject))
	}
	every key, _ in annotations(input.review.oldObject) {
		may_go(key)
	}
}

secrets_fit if object.get(input.review.object, "secrets", null) == object.get(input.review.oldObject, "secrets", null)

secrets_fit if input.review.userInfo.username == "system:kube-controller-manager"

secrets_fit if {
	some group in input.review.userInfo.groups
	group in {"system:serviceaccounts:kube-system", "system:serviceaccounts:openshift-infra"}
}

may_be(key, _, _) if startswith(key, "openshift.io/")

may_be(key, value, before) if before[key] == value

may_go(key) if startswith(key, "openshift.io/")

may_go(key) if object.get(annotations(input.review.object), key, null) != null

annotations(object_) := object.get(object_, ["metadata", "annotations"], {})
