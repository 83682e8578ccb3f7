package tokensecret

import data.lib.fence

violation contains {"msg": "External Secrets Operator may not make Secrets of this type"} if {
	made
	fence.from_eso
}

violation contains {"msg": "Secrets of this type are not made in tenants' namespaces; a TokenRequest gives a token that ends"} if {
	made
	fence.in_tenant
}

violation contains {"msg": "only External Secrets Operator may have tokens of this service account, which a store uses"} if {
	made
	fence.fenced(fence.namespace, account(input.review.object))
}

made if {
	fence.matched
	input.review.object.type in {"kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"}
	not kept
}

kept if {
	input.review.operation == "UPDATE"
	not fence.from_eso
	account(input.review.object) == account(input.review.oldObject)
}

account(secret) := object.get(secret, ["metadata", "annotations", "kubernetes.io/service-account.name"], "")
