package reference

import data.lib.fence

violation contains {"msg": msg} if {
	fence.matched
	fence.changed
	fence.looked_at
	some msg in wrong
}

wrong contains "this kind is not used here; the Platform's externalSecrets.features says what is" if not used

wrong contains msg if {
	used
	some msg in wrong_use
}

wrong_use contains "a store of this kind is not used here; name a SecretStore of this namespace, or have the platform team share a store" if {
	some store in stores
	not fence.field(store, "kind", "") in input.parameters.stores
}

wrong_use contains "a generator that logs in somewhere, or calls somebody, is not used here; use a store, or have the platform team deliver the secret" if {
	some source in sources
	"generatorRef" in object.keys(source)
	not fence.field(source, ["generatorRef", "kind"], "") in input.parameters.generators
}

wrong_use contains "External Secrets Operator writes Secrets here, and no other kind; take target.manifest out" if {
	not input.parameters.genericTargets
	fence.field(spec, ["target", "manifest"], null) != null
}

wrong_use contains "the keys that are asked for, or pushed, begin with the tenant's own prefix, as the Platform's tenantPolicy.keyPrefixes says" if {
	count(input.parameters.keyPrefixes) > 0
	some key in keys
	not own(key)
}

used if input.review.kind.kind in input.parameters.kinds

spec := input.review.object.spec

data_ := fence.field(spec, "data", [])

from := fence.field(spec, "dataFrom", [])

to := fence.field(spec, "dataTo", [])

sources := array.concat(
	[fence.field(item, "sourceRef", {}) | some item in array.concat(data_, from)],
	[fence.field(spec, "selector", {})],
)

stores := array.concat(
	array.concat([fence.field(spec, "secretStoreRef", {})], fence.field(spec, "secretStoreRefs", [])),
	[fence.field(item, "storeRef", {}) | some item in array.concat(sources, to)],
)

pushes if input.review.kind.kind == "PushSecret"

# Where a pattern, or labels, stand in place of a key, the key is empty, and
# begins with nothing.
keys := array.concat(
	[fence.field(item, ["match", "remoteRef", "remoteKey"], "") | some item in data_],
	[fence.field(item, "remoteKey", "") | some item in to],
) if {
	pushes
} else := array.concat(
	[fence.field(item, ["remoteRef", "key"], "") | some item in data_],
	[key(item) | some item in from; not generated(item)],
)

generated(item) if fence.field(item, ["sourceRef", "generatorRef"], null) != null

key(item) := fence.field(item, ["extract", "key"], fence.field(item, ["find", "path"], fence.field(item, "key", "")))

own(key_) if {
	not contains(key_, "..")
	some prefix in input.parameters.keyPrefixes
	applies(prefix)
	startswith(key_, replace(replace(prefix, "{tenant}", fence.tenant), "{namespace}", fence.namespace))
}

# In a Namespace that is not ours nobody says who the tenant is.
applies(prefix) if not contains(prefix, "{tenant}")

applies(_) if fence.tenant != ""
