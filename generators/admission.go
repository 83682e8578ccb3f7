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
	what        string                                // in its name and its file's
	rules       []admissionv1.NamedRuleWithOperations // what it looks at
	conditions  []admissionv1.MatchCondition          // all hold, or the policy has nothing to say
	variables   []admissionv1.Variable
	validations []admissionv1.Validation
	audit       []admissionv1.AuditAnnotation
	annotations map[string]string // of the object
}

// admission makes the policies of the Platform.
func admission(x *Expander) []Object {
	var objects []Object
	for _, p := range policiesOf(x.platform) {
		objects = append(objects, x.policy(p)...)
	}
	return objects
}

// policiesOf are those that a Platform has, whatever engine judges, lifted as its
// exemptions say.
func policiesOf(p *schema.Platform) []policy {
	shapes := []func(*schema.Platform) policy{mintPolicy, minterPolicy, tokenSecretPolicy, podPolicy, storePolicy, referencePolicy}
	if len(p.Admission.Writers) > 0 {
		shapes = append(shapes, rolePolicy, accountPolicy, namespacePolicy, execPolicy)
	}
	all := make([]policy, len(shapes))
	for i, shape := range shapes {
		all[i] = exempting(p, shape(p))
	}
	return all
}

func (x *Expander) policy(p policy) []Object {
	definition := x.object(kindPolicy, "", p.what)
	definition.Annotations = p.annotations
	binding := x.object(kindPolicyBinding, "", p.what)
	file := fileAdmission + p.what
	fail, equivalent := admissionv1.Fail, admissionv1.Equivalent
	return []Object{
		{Meta: definition, File: file, Body: &admissionv1.ValidatingAdmissionPolicy{
			TypeMeta: definition.typeMeta(), ObjectMeta: definition.objectMeta(),
			Spec: admissionv1.ValidatingAdmissionPolicySpec{
				FailurePolicy:    &fail,
				MatchConstraints: &admissionv1.MatchResources{MatchPolicy: &equivalent, ResourceRules: p.rules},
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

// on is a rule: which operations on which resources, separated by spaces, of an
// API group, in a version or in all ("*").
func on(operations, group, version, resources string) admissionv1.NamedRuleWithOperations {
	var all []admissionv1.OperationType
	for operation := range strings.FieldsSeq(operations) {
		all = append(all, admissionv1.OperationType(operation))
	}
	return admissionv1.NamedRuleWithOperations{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: all,
		Rule:       admissionv1.Rule{APIGroups: []string{group}, APIVersions: []string{version}, Resources: strings.Fields(resources)},
	}}
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
	return fencedIn(p, requestNamespace, account)
}

// fencedIn is the same for a service account in a namespace, an expression too.
func fencedIn(p *schema.Platform, namespace, account string) []admissionv1.Variable {
	return []admissionv1.Variable{
		{Name: "grants", Expression: controller(p) + virtual(fencedAccounts, namespace)},
		{Name: "fenced", Expression: byName("variables.grants", account)},
	}
}

const requestNamespace = "request.namespace"

// controller asks for the rights of ESO's controller, whoever makes the request.
func controller(p *schema.Platform) string {
	return "authorizer.serviceAccount(" + quote(p.ESO.Namespace) + ", " + quote(p.ESO.ServiceAccount) + ")"
}

// byName tells whether a grant is held by that name, and not for all there is.
func byName(grants, name string) string {
	return grants + ".name(" + name + ")." + mayUse + " && !" + grants + "." + mayUse
}

// virtual continues an expression for an authorizer with the virtual resource in
// a namespace.
func virtual(resource, namespace string) string {
	return ".group(" + quote(virtualGroup) + ").resource(" + quote(resource) + ").namespace(" + namespace + ")"
}

const mayUse = "check('" + verbUse + "').allowed()"

// users is a list of the user names of ESO's own service accounts: a webhook or
// a cert-controller that was taken over is not to have what the controller has
// not.
func users(p *schema.Platform) string { return list(userNames(p)...) }

func userNames(p *schema.Platform) []string {
	var names []string
	for _, account := range p.ESO.ServiceAccounts() {
		names = append(names, userName(p.ESO.Namespace, account))
	}
	return names
}

// userName is how the API server calls a service account as a user.
func userName(namespace, account string) string {
	return accountUser + namespace + ":" + account
}

// accountUser is how the user name of every service account begins.
const accountUser = "system:serviceaccount:"

// quote writes a text in CEL.
func quote(s string) string { return "'" + escape.Replace(s) + "'" }

var escape = strings.NewReplacer(`\`, `\\`, "'", `\'`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

// list writes texts as a list in CEL.
func list(texts ...string) string {
	quoted := make([]string, len(texts))
	for i, s := range texts {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
