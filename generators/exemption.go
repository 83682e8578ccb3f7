package generators

import (
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// exempted are what the names of an exemption are compared with, by policy.
var exempted = map[string]string{
	"minter":       "request.name",
	"pod":          "object.spec.?serviceAccountName.orValue('')",
	"token-secret": accountOf("object"),
	"store":        "object.metadata.?name.orValue('')",
	"reference":    "object.metadata.?name.orValue('')",
}

// exemptedIn are the same as paths in what Gatekeeper is sent.
var exemptedIn = map[string][]string{
	"minter":       {"name"},
	"pod":          {"object", "spec", "serviceAccountName"},
	"token-secret": {"object", "metadata", "annotations", corev1.ServiceAccountNameKey},
	"store":        {"object", "metadata", "name"},
	"reference":    {"object", "metadata", "name"},
}

// exempting adds to a policy what it is lifted for: a condition for each of the
// Platform's exemptions, and its reason where people look.
//
// The API server's clock ends an exemption, and no rendering: what is made has
// the time on it by when a policy looks, whatever the requester wrote there. A
// change has not, so only what is made is exempt.
// Source: Kubernetes v1.30.14 and v1.37.2, k8s.io/apiserver
// pkg/registry/generic/registry/store.go (what is stored is given its time, then
// shown to validating admission), and pkg/registry/core/serviceaccount/storage/
// token.go, which does the same with token requests.
func exempting(p *schema.Platform, of policy) policy {
	for i := range p.Admission.Exemptions {
		e := &p.Admission.Exemptions[i]
		if e.Policy != of.what {
			continue
		}
		of.conditions = append(of.conditions, admissionv1.MatchCondition{Name: "exempt-" + e.Name, Expression: "!(" + exemption(p, e) + ")"})
		if of.annotations == nil {
			of.annotations = map[string]string{}
		}
		of.annotations[AnnotationExempt+e.Name] = e.Reason
	}
	return of
}

// exemption tells whether a request is exempt.
func exemption(p *schema.Platform, e *schema.Exemption) string {
	terms := []string{
		"request.operation == 'CREATE'",
		"request.?namespace.orValue('') in " + list(e.Namespaces...),
		exempted[e.Policy] + " in " + list(e.Names...),
	}
	var who []string
	if len(e.Users) > 0 {
		who = append(who, "request.userInfo.username in "+list(e.Users...))
	}
	if len(e.Groups) > 0 {
		who = append(who, "has(request.userInfo.groups) && request.userInfo.groups.exists(g, g in "+list(e.Groups...)+")")
	}
	if len(who) > 0 {
		terms = append(terms, "("+strings.Join(who, " || ")+")")
	} else {
		terms = append(terms, "!(request.userInfo.username in "+users(p)+")")
	}
	return strings.Join(append(terms, "has(object.metadata.creationTimestamp) && type(object.metadata.creationTimestamp) == string && "+
		"timestamp(object.metadata.creationTimestamp) < timestamp("+quote(e.End)+")"), " && ")
}

// exemptions are those of a policy as parameters of its Rego.
func exemptions(p *schema.Platform, of string) []any {
	all := []any{}
	for i := range p.Admission.Exemptions {
		e := &p.Admission.Exemptions[i]
		if e.Policy == of {
			all = append(all, map[string]any{
				"name": e.Name, "users": texts(e.Users), "groups": texts(e.Groups), "namespaces": texts(e.Namespaces), "names": texts(e.Names),
				"until": e.End,
			})
		}
	}
	return all
}
