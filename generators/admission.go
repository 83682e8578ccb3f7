package generators

import (
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// policy is a ValidatingAdmissionPolicy and its one binding. There is one set
// for each ESO, whatever the number of tenants: what differs between tenants, a
// policy asks the API server's authorizer for (virtualGroup).
type policy struct {
	what        string // in its name and its file's
	resource    string // of the core group's v1
	operations  []admissionv1.OperationType
	conditions  []admissionv1.MatchCondition // all hold, or the policy has nothing to say
	variables   []admissionv1.Variable
	validations []admissionv1.Validation
	audit       []admissionv1.AuditAnnotation
}

// admission makes the policies of the Platform.
func admission(x *Expander) []Object {
	var objects []Object
	for _, shape := range []func(*schema.Platform) policy{mintPolicy, minterPolicy, tokenSecretPolicy, podPolicy} {
		objects = append(objects, x.policy(shape(x.platform))...)
	}
	return objects
}

func (x *Expander) policy(p policy) []Object {
	definition := x.object(kindPolicy, "", p.what)
	binding := x.object(kindPolicyBinding, "", p.what)
	file := fileAdmission + p.what
	fail, equivalent := admissionv1.Fail, admissionv1.Equivalent
	return []Object{
		{Meta: definition, File: file, Body: &admissionv1.ValidatingAdmissionPolicy{
			TypeMeta: definition.typeMeta(), ObjectMeta: definition.objectMeta(),
			Spec: admissionv1.ValidatingAdmissionPolicySpec{
				FailurePolicy:    &fail,
				MatchConstraints: &admissionv1.MatchResources{MatchPolicy: &equivalent, ResourceRules: p.rules()},
				MatchConditions:  p.conditions,
				Variables:        p.variables,
				Validations:      p.validations,
				AuditAnnotations: p.audit,
			},
		}},
		{Meta: binding, File: file, Body: &admissionv1.ValidatingAdmissionPolicyBinding{
			TypeMeta: binding.typeMeta(), ObjectMeta: binding.objectMeta(),
			Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: definition.Name, ValidationActions: actions(x.platform)},
		}},
	}
}

func (p policy) rules() []admissionv1.NamedRuleWithOperations {
	return []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: p.operations,
		Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{p.resource}},
	}}}
}

// actions are what follows from a refusal. Observing, the requester is warned
// and the request goes on.
func actions(p *schema.Platform) []admissionv1.ValidationAction {
	if p.Enforcement == schema.Observe {
		return []admissionv1.ValidationAction{admissionv1.Audit, admissionv1.Warn}
	}
	return []admissionv1.ValidationAction{admissionv1.Deny, admissionv1.Audit}
}

// forbid is a validation: unless the expression holds, 403 with the message.
func forbid(expression, message string) admissionv1.Validation {
	reason := metav1.StatusReasonForbidden
	return admissionv1.Validation{Expression: expression, Message: message, Reason: &reason}
}

// fenced are the variables by which a policy knows whether a service account,
// given as an expression, is fenced: ESO's controller holds the virtual grant
// of that name in the request's namespace. The token Role gives it, and no
// tenant can, since nobody may grant what he does not hold.
//
// It is never "what ESO may mint for". Where a role for all tokens is still
// bound, that would be every service account of the cluster, and no pod could
// start. The same goes for a role with all rights, so a grant without a name is
// taken for no grant at all: ESO is then no longer fenced, which the mint policy
// says, but the rest of the cluster is left alone.
func fenced(p *schema.Platform, account string) []admissionv1.Variable {
	return []admissionv1.Variable{
		{Name: "grants", Expression: "authorizer.serviceAccount(" + quote(p.ESO.Namespace) + ", " + quote(p.ESO.ServiceAccount) + ")" + virtual(fencedAccounts)},
		{Name: "fenced", Expression: "variables.grants.name(" + account + ")." + mayUse + " && !variables.grants." + mayUse},
	}
}

// virtual continues an expression for an authorizer with the virtual resource in
// the request's namespace.
func virtual(resource string) string {
	return ".group(" + quote(virtualGroup) + ").resource(" + quote(resource) + ").namespace(request.namespace)"
}

const mayUse = "check('" + verbUse + "').allowed()"

// users is a list of the user names of ESO's own service accounts: a webhook or
// a cert-controller that was taken over is not to have what the controller has
// not.
func users(p *schema.Platform) string {
	var names []string
	for _, account := range p.ESO.ServiceAccounts() {
		names = append(names, quote(userName(p.ESO.Namespace, account)))
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// userName is how the API server calls a service account as a user.
func userName(namespace, account string) string {
	return "system:serviceaccount:" + namespace + ":" + account
}

// quote writes a text of ours in CEL. None has a quote in it: names of
// Kubernetes cannot.
func quote(s string) string { return "'" + s + "'" }
