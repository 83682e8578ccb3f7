package admissioncheck

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/cel/environment"
)

// TestCompiles compiles each expression as the first API server that serves the policies does for a new one: with what
// the release before it knew.
func TestCompiles(t *testing.T) {
	policies := render(t).policies
	for minor := uint(29); minor <= 37; minor++ {
		for _, p := range policies {
			for _, complaint := range complaints(t, p, minor) {
				t.Errorf("Kubernetes 1.%d: %s", minor, complaint)
			}
		}
	}
}

// reserved are words that CEL keeps for languages around it.
// Source: k8s.io/kubernetes v1.36.3, pkg/apis/admissionregistration/validation, by k8s.io/apiserver/pkg/cel/lazy.
var reserved = []string{
	"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop",
	"package", "namespace", "return", "var", "void", "while",
}

// complaints compiles a policy's expressions, and says what does not compile.
func complaints(t *testing.T, p *admissionv1.ValidatingAdmissionPolicy, minor uint) []string {
	t.Helper()
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(version.MajorMinor(1, minor)))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	try := func(expression cel.ExpressionAccessor, asking bool) {
		options := cel.OptionalVariableDeclarations{HasAuthorizer: asking}
		if expression == nil {
			return
		}
		if result := compiler.CompileCELExpression(expression, options, environment.NewExpressions); result.Error != nil {
			found = append(found, fmt.Sprintf("%s: %s\n%v", p.Name, expression.GetExpression(), result.Error))
		}
	}
	e := expressionsOf(p)
	for _, variable := range p.Spec.Variables { // some compile, and are refused all the same
		if slices.Contains(reserved, variable.Name) {
			found = append(found, fmt.Sprintf("%s: a variable cannot be called %s", p.Name, variable.Name))
		}
	}
	for _, variable := range e.variables {
		result := compiler.CompileAndStoreVariable(variable, cel.OptionalVariableDeclarations{HasAuthorizer: true}, environment.NewExpressions)
		if result.Error != nil {
			found = append(found, fmt.Sprintf("%s: %s\n%v", p.Name, variable.GetExpression(), result.Error))
		}
	}
	for _, list := range [][]cel.ExpressionAccessor{e.conditions, e.validations, e.audit} {
		for _, expression := range list {
			try(expression, true)
		}
	}
	for _, expression := range e.messages {
		try(expression, false)
	}
	return found
}

// TestTypes has the API server's type checker look at each expression, with the types of what the policy matches.
func TestTypes(t *testing.T) {
	checker := &validating.TypeChecker{SchemaResolver: types{}, RestMapper: types{}}
	for _, p := range render(t).policies {
		rule := p.Spec.MatchConstraints.ResourceRules[0]
		if rule.APIVersions[0] == "*" || rule.Resources[0] == "pods/exec" {
			continue // the API server does not check these: it does not know which types there are
		}
		p = allToo(p)
		for _, w := range checker.Check(p) {
			t.Errorf("%s: %s: %s", p.Name, w.FieldRef, w.Warning)
		}
		p.Spec.Validations[0].Expression += " && has(object.metadata.misspelt)"
		if len(checker.Check(p)) == 0 {
			t.Errorf("%s: the type checker does not see a field that is not there", p.Name)
		}
	}
}

// allToo makes validations of what the checker passes by: match conditions, variables, and tokens as a resource.
func allToo(p *admissionv1.ValidatingAdmissionPolicy) *admissionv1.ValidatingAdmissionPolicy {
	p = p.DeepCopy()
	for _, c := range p.Spec.MatchConditions {
		p.Spec.Validations = append(p.Spec.Validations, admissionv1.Validation{Expression: c.Expression})
	}
	for _, v := range p.Spec.Variables {
		p.Spec.Validations = append(p.Spec.Validations, admissionv1.Validation{Expression: v.Expression})
	}
	if resources := p.Spec.MatchConstraints.ResourceRules[0].Resources; resources[0] == "serviceaccounts/token" {
		resources[0] = resourceTokens
	}
	return p
}

// TestQuestions: a policy asks the authorizer as often as it may and no more, and what most of a cluster does costs one
// question or none.
func TestQuestions(t *testing.T) {
	c := render(t)
	for _, tc := range []struct {
		name string
		request
		want int
	}{
		{"four audiences", mint(controller, "web", "wide-access-sa", audiences("one", "two", "three", "four")), 5},
		{"a member's own account", mint(member, "web", "default"), 1},
		{"a member, a fenced account", mint(member, "web", "vault-access-sa"), 2},
		{"a kubelet", mint(kubelet, "web", "default", boundTo("Pod")), 0},
		{"a pod", pod(replicaSets, "somebody", "default"), 1},
		{"a Secret", secret(member, "web", "Opaque", ""), 0},
		{"a store", makes(member, secretStore, "web/vault", vault), 2},
		{"a store where a namespace is not ours", makes(member, secretStore, "shop/vault", vault), 4},
		{"a store where a namespace is nobody's", makes(member, secretStore, "somebody/vault", vault), 1},
		{"an ExternalSecret", makes(member, externalSecret, "web/x", asks), 0},
		{"a service account", makes(member, serviceAccounts, "web/mine", `{}`), 1},
		{"a Role", makes(member, role, "web/mine", rules), 0},
	} {
		if got := c.judge(t, c.hooks(), tc.request).asked; got != tc.want {
			t.Errorf("%s: %d questions, want %d", tc.name, got, tc.want)
		}
	}
}

// TestNoTenantData: the policies are the same whichever tenants there are.
func TestNoTenantData(t *testing.T) {
	all := render(t)
	for _, p := range all.policies {
		p.Spec.MatchConditions = slices.DeleteFunc(p.Spec.MatchConditions, func(c admissionv1.MatchCondition) bool { return strings.HasPrefix(c.Name, "exempt-") }) // the Platform's
		for _, name := range []string{"web", "shop", "vault-access", "everyone"} {
			if strings.Contains(fmt.Sprint(p.Spec), "'"+name) {
				t.Errorf("%s names %s", p.Name, name)
			}
		}
	}
}
