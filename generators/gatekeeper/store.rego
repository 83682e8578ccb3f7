package store

import data.lib.fence

violation contains {"msg": msg} if {
	fence.matched
	fence.changed
	some msg in wrong
}

wrong contains "a generator that logs in somewhere, or calls somebody, is not made here; use a store, or have the platform team deliver the secret" if {
	fence.looked_at
	not logging
	not offline
}

wrong contains msg if {
	logs_in
	some msg in wrong_login
}

wrong contains "a ClusterSecretStore has conditions, and each lists namespaces by name; else namespaces that nobody thought of may use it" if {
	shared
	not by_name
}

wrong_login contains "this store's provider is none that the Platform has: the server, how it logs in, and all but the tenant's own part are as in the Platform's providers. Name one there, or have the platform team add it" if {
	count(entries) == 0
}

wrong_login contains "a store names, with serviceAccountRef, a service account that the tenant's file declares for a store of this namespace; declare it there" if {
	not fenced
	not foreseen
}

wrong_login contains "a SecretStore's serviceAccountRef names no namespace, and a ClusterSecretStore's that of External Secrets Operator" if {
	fence.field(reference, "namespace", "") != reference_namespace
}

wrong_login contains "the audiences in serviceAccountRef are not those of the Platform's provider" if not audiences_fit

kind := input.review.kind.kind

default shared := false

shared if kind == "ClusterSecretStore"

logs_in if {
	fence.looked_at
	logging
}

logging if input.review.kind.group == "external-secrets.io"

logging if kind == "VaultDynamicSecret"

offline if kind in input.parameters.offline

offline if {
	kind == "GeneratorState"
	input.review.userInfo.username == input.parameters.controller
}

offline if {
	kind == "ClusterGenerator"
	input.review.object.spec.kind in input.parameters.offline
	every key, _ in input.review.object.spec.generator {
		key in input.parameters.offlineSpecs
	}
}

provider := input.review.object.spec.provider if {
	input.review.kind.group == "external-secrets.io"
} else := {"vault": input.review.object.spec.provider}

# The Platform's providers that the store is as.
entries := [entry |
	some entry in input.parameters.catalogue
	entry.shared == shared
	count(provider) == 1
	content := provider[entry.kind]
	every level in entry.levels {
		fits(below(content, level.at), level)
	}
]

below(content, path) := content if count(path) == 0

below(content, path) := fence.field(content, path, {}) if count(path) > 0

fits(fields, level) if {
	every key, value in fields {
		may_say(key, value, level)
	}
	every key, _ in level.fixed {
		key in object.keys(fields)
	}
}

may_say(key, _, level) if key in level.open

may_say(key, value, level) if level.fixed[key] == value

# No key is in both.
may_say(key, value, level) if level.may[key] == value

default reference := {}

reference := fence.field(below(provider[entries[0].kind], entries[0].at), entries[0].reference, {})

audiences := fence.field(reference, "audiences", [])

audiences_fit if {
	some entry in entries
	every audience in entry.audiences {
		audience in audiences
	}
	every audience in audiences {
		audience in entry.audiences
	}
}

home := input.parameters.namespace if {
	shared
} else := fence.namespace

account := fence.field(reference, "name", "")

fenced if fence.granted("fencedserviceaccounts", home, account)

# A dry run may be of what is not there by then, and who delivers the Role by
# which an account is fenced does not wait for it to be known. An account is
# named all the same.
foreseen if {
	account != ""
	input.review.dryRun
}

foreseen if {
	account != ""
	input.review.userInfo.username in input.parameters.writers
}

reference_namespace := input.parameters.namespace if {
	shared
} else := ""

by_name if {
	conditions := input.review.object.spec.conditions
	count(conditions) > 0
	every condition in conditions {
		count(condition) == 1
		count(condition.namespaces) > 0
	}
}
