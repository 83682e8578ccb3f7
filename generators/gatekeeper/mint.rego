package mint

import data.lib.fence

violation contains {"msg": "External Secrets Operator holds a role with all rights, which no fence bounds"} if {
	asked
	"" in held
}

violation contains {"msg": sprintf("a token has 1 to %v audiences", [input.parameters.maxAudiences])} if {
	asked
	not count_fits
}

violation contains {"msg": sprintf("External Secrets Operator may not mint tokens of %v/%v for the audience %v", [fence.namespace, input.review.name, audience])} if {
	asked
	some audience in audiences
	not may(audience)
}

violation contains {"msg": sprintf("a token lives for %v seconds at most", [input.parameters.maxTokenSeconds])} if {
	asked
	not life_fits
}

violation contains {"msg": "External Secrets Operator has no use for tokens that are bound to an object"} if {
	asked
	not unbound
}

asked if {
	fence.matched
	fence.from_eso
}

held := fence.grants(fence.requester, fence.namespace, "mintgrants")

audiences := input.review.object.spec.audiences

count_fits if {
	is_array(audiences)
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
