package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// Covers tells whether somebody with the owner's rules may do all that the wanted ones allow, and what not. It is the
// check that the API server makes before it lets somebody write a role or a binding without the verbs escalate and bind.
//
// It is exact for one rule and strict for many: names that two of the owner's rules list apart are fine, but two rules
// that only together are a wildcard are not one. It breaks the wanted rules into single verbs, groups, resources and names, so
// its cost is the product of their lengths times the owner's rules.
func Covers(owner, wanted []rbacv1.PolicyRule) (bool, []rbacv1.PolicyRule) {
	return validation.Covers(owner, wanted)
}
