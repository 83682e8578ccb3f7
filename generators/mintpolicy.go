package generators

import (
	"fmt"
	"strconv"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// mintPolicy bounds what RBAC cannot: the audiences, the life and the binding of
// the tokens that ESO mints. It asks for the requester's own grants, so that
// another role that lets ESO mint lets it mint nothing.
func mintPolicy(p *schema.Platform) policy {
	return policy{
		what:       "mint",
		rules:      []admissionv1.NamedRuleWithOperations{on("CREATE", "", "v1", "serviceaccounts/token")},
		conditions: []admissionv1.MatchCondition{{Name: "external-secrets", Expression: "request.userInfo.username in " + users(p)}},
		variables: []admissionv1.Variable{
			{Name: "grants", Expression: "authorizer" + virtual(mintGrants, requestNamespace)},
			{Name: "audiences", Expression: audiences},
		},
		validations: mintValidations(p.Admission.MaxTokenSeconds),
		audit: []admissionv1.AuditAnnotation{{
			Key: "mint", ValueExpression: "request.namespace + '/' + request.name + ' audiences=' + variables.audiences.join(',')",
		}},
	}
}

// audiences is the list that was asked for. Null is none here: an expression
// that ends in an error refuses the request even where only warnings are wanted
// if it is an audit annotation's.
const audiences = "has(object.spec.audiences) && type(object.spec.audiences) == list ? object.spec.audiences : []"

func mintValidations(maxSeconds int) []admissionv1.Validation {
	all := []admissionv1.Validation{
		forbid("!variables.grants."+mayUse,
			"External Secrets Operator holds a role with all rights, which no fence bounds"),
		forbid(fmt.Sprintf("size(variables.audiences) >= 1 && size(variables.audiences) <= %d", schema.MaxAudiences),
			fmt.Sprintf("a token has 1 to %d audiences", schema.MaxAudiences)),
	}
	for i := range schema.MaxAudiences {
		audience := fmt.Sprintf("variables.audiences[%d]", i)
		v := forbid(fmt.Sprintf("size(variables.audiences) <= %d || variables.grants.name(request.name + '=' + %s).%s", i, audience, mayUse),
			"External Secrets Operator may not mint this service account's tokens for this audience")
		v.MessageExpression = "'External Secrets Operator may not mint tokens of ' + request.namespace + '/' + request.name + ' for the audience ' + " + audience
		all = append(all, v)
	}
	seconds := strconv.Itoa(maxSeconds)
	return append(all,
		// This and the next field are there and null where nothing was asked for.
		forbid("has(object.spec.expirationSeconds) && type(object.spec.expirationSeconds) == int && object.spec.expirationSeconds <= "+seconds,
			"a token lives for "+seconds+" seconds at most"),
		forbid("!has(object.spec.boundObjectRef) || object.spec.boundObjectRef == null",
			"External Secrets Operator has no use for tokens that are bound to an object"),
	)
}
