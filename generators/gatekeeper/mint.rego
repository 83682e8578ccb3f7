package mint

import data.lib.fence

violation contains {"msg": msg} if {
	fence.matched
	fence.from_eso
	some msg in wrong
}

wrong contains "External Secrets Operator holds a role with all rights, which no fence bounds" if "" in held

wrong contains sprintf("a token has 1 to %v audiences", [input.parameters.maxAudiences]) if not count_fits

wrong contains sprintf("External Secrets Operator may not mint tokens of %v/%v for the audience %v", [fence.namespace, input.review.name, audience]) if {
	some audience in audiences
	not may(audience)
}

wrong contains sprintf("a token lives for %v seconds at most", [input.parameters.maxTokenSeconds]) if not life_fits

wrong contains "External Secrets Operator has no use for tokens that are bound to an object" if not unbound

held := fence.grants(fence.requester, fence.namespace, "mintgrants")

audiences := input.review.object.spec.audiences

count_fits if {
	count(audiences) >= 1
	count(audiences) <= input.parameters.maxAudiences
}

may(_) if "" in held

may(audience) if sprintf("%s=%s", [input.review.name, audience]) in held

life_fits if {
	is_number(input.review.object.spec.expirationSeconds)
	input.review.object.spec.expirationSeconds <= input.parameters.maxTokenSeconds
}

unbound if object.get(input.review.object.spec, "boundObjectRef", null) == null
