package pod

import data.lib.fence

violation contains {"msg": sprintf("no pod runs as %v, which a store of External Secrets Operator uses", [account])} if {
	fence.matched
	fence.fenced(fence.namespace, account)
}

account := object.get(input.review.object.spec, "serviceAccountName", "default")
