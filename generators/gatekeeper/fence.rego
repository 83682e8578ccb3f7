# What all templates of eso-tenant ask: what a request is about, and, by RBAC
# as the API server evaluates it, what External Secrets Operator holds. The
# Constraint's parameters say who that is.
package lib.fence

review := input.review

namespace := object.get(review, "namespace", "")

# Kinds are matched by the Constraint. This tells the operation, and the
# subresource, which a kind does not.
matched if {
	some rule in input.parameters.rules
	review.operation in rule.operations
	review.resource.group == rule.group
	named(rule.resources)
}

named(resources) if resource in resources

named(resources) if {
	"*" in resources
	not contains(resource, "/")
}

resource := sprintf("%s/%s", [review.resource.resource, review.subResource]) if {
	object.get(review, "subResource", "") != ""
} else := review.resource.resource

# A request that makes something, or changes its spec.
changed if not same_spec

same_spec if {
	review.operation == "UPDATE"
	review.object.spec == review.oldObject.spec
}

from_eso if review.userInfo.username in input.parameters.users

# Tenants' namespaces have a label. One that is not known is taken for one.
tenant := object.get(review, ["namespaceObject", "metadata", "labels", input.parameters.label], "")

in_tenant if tenant != ""

in_tenant if {
	namespace != ""
	not review.namespaceObject.metadata.name
}

rbac := "rbac.authorization.k8s.io/v1"

# The inventory is there if what fences are known by is: a Role, and its binding.
known if {
	has_role
	has_binding
}

has_role if data.inventory.namespace[_][rbac].Role[_]

has_binding if data.inventory.namespace[_][rbac].RoleBinding[_]

requester := {"name": review.userInfo.username, "groups": object.get(review.userInfo, "groups", [])}

controller := {"name": input.parameters.controller, "groups": [
	"system:serviceaccounts",
	sprintf("system:serviceaccounts:%s", [input.parameters.namespace]),
	"system:authenticated",
]}

# grants are what a user may "use" of a virtual resource in a namespace: the
# names, and "" for all there are.
grants(user, place, what) := {name |
	some rule in array.concat(rules_in(user, place), rules_everywhere(user))
	one_of(rule.verbs, "use")
	one_of(rule.apiGroups, "eso-tenant.dev")
	one_of(rule.resources, what)
	some name in names(rule)
}

rules_in(user, place) := [rule |
	binding := data.inventory.namespace[place][rbac].RoleBinding[_]
	bound(binding, user)
	some rule in role_rules(binding.roleRef, place)
]

rules_everywhere(user) := [rule |
	binding := data.inventory.cluster[rbac].ClusterRoleBinding[_]
	bound(binding, user)
	some rule in role_rules(binding.roleRef, "")
]

role_rules(ref, place) := data.inventory.namespace[place][rbac].Role[ref.name].rules if ref.kind == "Role"

role_rules(ref, _) := data.inventory.cluster[rbac].ClusterRole[ref.name].rules if ref.kind == "ClusterRole"

bound(binding, user) if {
	some subject in binding.subjects
	is(subject, user)
}

is(subject, user) if {
	subject.kind == "ServiceAccount"
	sprintf("system:serviceaccount:%s:%s", [subject.namespace, subject.name]) == user.name
}

is(subject, user) if {
	subject.kind == "User"
	subject.name == user.name
}

is(subject, user) if {
	subject.kind == "Group"
	subject.name in user.groups
}

one_of(list, item) if item in list

one_of(list, _) if "*" in list

names(rule) := rule.resourceNames if {
	count(object.get(rule, "resourceNames", [])) > 0
} else := [""]

# A grant of all there is counts as none: no pod of the cluster could start.
granted(what, place, name) if {
	held := grants(controller, place, what)
	name in held
	not "" in held
}

fenced(place, account) if granted("fencedserviceaccounts", place, account)

# Where the inventory is not there, nobody knows what is fenced. In tenants'
# namespaces, and in the operator's own but for its own, that is: everything.
fenced(_, account) if {
	not known
	account != ""
	guarded(account)
}

guarded(_) if in_tenant

guarded(account) if {
	namespace == input.parameters.namespace
	not is_eso(account)
}

# A service account of the request's namespace that External Secrets Operator runs as.
is_eso(account) if sprintf("system:serviceaccount:%s:%s", [namespace, account]) in input.parameters.users

# What stores and references are looked at in.
looked_at if namespace in {"", input.parameters.namespace}

looked_at if in_tenant

looked_at if granted("tenantnamespaces", namespace, namespace)

# A field, or what is there instead.
field(value, path, otherwise) := object.get(value, path, otherwise) if is_object(value)

field(value, _, otherwise) := otherwise if not is_object(value)
