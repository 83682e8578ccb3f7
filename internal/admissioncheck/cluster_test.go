package admissioncheck

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/generators"
	"github.com/eso-tenant/eso-tenant/schema"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/generic"
	"k8s.io/apiserver/pkg/admission/plugin/policy/matching"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/warning"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// cluster is what the API server of a cluster has with our output applied.
type cluster struct {
	objects    []generators.Object
	policies   []*admissionv1.ValidatingAdmissionPolicy
	bindings   []*admissionv1.ValidatingAdmissionPolicyBinding
	namespaces cache.Indexer
}

// render expands testdata/spec.yaml with some of its text replaced (old, new, …).
func render(t testing.TB, replace ...string) *cluster {
	t.Helper()
	text, err := os.ReadFile("testdata/spec.yaml")
	if err != nil {
		t.Fatal(err)
	}
	source := schema.Source{File: "spec.yaml", Data: []byte(strings.NewReplacer(replace...).Replace(string(text)))}
	spec, problems, _ := schema.Decode([]schema.Source{source})
	if problems.Errors() > 0 {
		t.Fatal(problems)
	}
	c := expanded(t, spec.Clusters[0])
	for _, name := range []string{"eso", "shop", "shared", "kube-system", "somebody"} { // that nothing of ours makes
		c.add(t, generators.Object{Body: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}})
	}
	return c
}

func newCluster() *cluster {
	return &cluster{namespaces: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})}
}

func (c *cluster) add(t testing.TB, objects ...generators.Object) {
	t.Helper()
	for _, o := range objects {
		c.objects = append(c.objects, o)
		switch body := o.Body.(type) {
		case *admissionv1.ValidatingAdmissionPolicy:
			c.policies = append(c.policies, body.DeepCopy())
		case *admissionv1.ValidatingAdmissionPolicyBinding:
			c.bindings = append(c.bindings, body)
		case *corev1.Namespace:
			if err := c.namespaces.Add(body); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// hooks are all policies with their bindings.
func (c *cluster) hooks() []validating.PolicyHook {
	var hooks []validating.PolicyHook
	for _, p := range c.policies {
		hooks = append(hooks, c.hook(p))
	}
	return hooks
}

// hook is a policy with its bindings, as the API server keeps it.
func (c *cluster) hook(p *admissionv1.ValidatingAdmissionPolicy) validating.PolicyHook {
	p = p.DeepCopy()
	// The API server's defaults.
	p.Spec.MatchConstraints.NamespaceSelector, p.Spec.MatchConstraints.ObjectSelector = &metav1.LabelSelector{}, &metav1.LabelSelector{}
	hook := validating.PolicyHook{Policy: p, Evaluator: compile(p)}
	for _, b := range c.bindings {
		if b.Spec.PolicyName == p.Name {
			hook.Bindings = append(hook.Bindings, b)
		}
	}
	return hook
}

// compile does what the plugin's own compilePolicy does, which is not exported.
// Source: k8s.io/apiserver v0.37.2, pkg/admission/plugin/policy/validating/plugin.go:150.
func compile(p *admissionv1.ValidatingAdmissionPolicy) validating.Validator {
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		return validating.NewValidator(nil, nil, nil, nil, p.Spec.FailurePolicy, err)
	}
	e := expressionsOf(p)
	asking := cel.OptionalVariableDeclarations{HasAuthorizer: true}
	var conditions matchconditions.Matcher
	compiler.CompileAndStoreVariables(e.variables, asking, environment.StoredExpressions)
	if len(e.conditions) > 0 {
		conditions = matchconditions.NewMatcher(compiler.CompileCondition(e.conditions, asking, environment.StoredExpressions), p.Spec.FailurePolicy, "policy", "validate", p.Name)
	}
	return validating.NewValidator(
		compiler.CompileCondition(e.validations, asking, environment.StoredExpressions),
		conditions,
		compiler.CompileCondition(e.audit, asking, environment.StoredExpressions),
		compiler.CompileCondition(e.messages, cel.OptionalVariableDeclarations{}, environment.StoredExpressions),
		p.Spec.FailurePolicy, nil,
	)
}

// expressions are a policy's, as the API server's compiler takes them.
type expressions struct {
	conditions, validations, messages, audit []cel.ExpressionAccessor
	variables                                []cel.NamedExpressionAccessor
}

func expressionsOf(p *admissionv1.ValidatingAdmissionPolicy) expressions {
	var e expressions
	for i := range p.Spec.MatchConditions {
		e.conditions = append(e.conditions, (*matchconditions.MatchCondition)(&p.Spec.MatchConditions[i]))
	}
	for _, v := range p.Spec.Variables {
		e.variables = append(e.variables, &validating.Variable{Name: v.Name, Expression: v.Expression})
	}
	e.messages = make([]cel.ExpressionAccessor, len(p.Spec.Validations))
	for i, v := range p.Spec.Validations {
		e.validations = append(e.validations, &validating.ValidationCondition{Expression: v.Expression, Message: v.Message, Reason: v.Reason})
		if v.MessageExpression != "" {
			e.messages[i] = &validating.MessageExpressionCondition{MessageExpression: v.MessageExpression}
		}
	}
	for _, a := range p.Spec.AuditAnnotations {
		e.audit = append(e.audit, &validating.AuditAnnotationCondition{Key: a.Key, ValueExpression: a.ValueExpression})
	}
	return e
}

// verdict is what the API server makes of a request.
type verdict struct {
	refused  string // the message; "" where it is let through
	warnings []string
	audit    map[string]string
	asked    int // questions to the authorizer
}

// judge has the API server's dispatcher decide on a request.
func (c *cluster) judge(t testing.TB, hooks []validating.PolicyHook, q request) verdict {
	t.Helper()
	return c.judgeAttributes(t, hooks, q.attributes())
}

func (c *cluster) judgeAttributes(t testing.TB, hooks []validating.PolicyHook, attributes admission.Attributes) verdict {
	t.Helper()
	v := verdict{audit: map[string]string{}}
	matcher := generic.NewPolicyMatcher(matching.NewMatcher(listers.NewNamespaceLister(c.namespaces), nil))
	authorizer := newRBAC(c.objects)
	dispatcher := validating.NewDispatcher(authorizer, matcher)
	ctx := warning.WithWarningRecorder(context.Background(), &v)
	err := dispatcher.Dispatch(ctx, noted{attributes, v.audit}, admission.NewObjectInterfacesFromScheme(runtime.NewScheme()), hooks)
	v.asked = authorizer.asked
	if err != nil {
		v.refused = err.Error()
		var status interface{ Status() metav1.Status }
		if !errors.As(err, &status) || status.Status().Code != 403 {
			v.refused = "not as 403: " + v.refused
		}
	}
	return v
}

// AddWarning keeps what the requester would be told.
func (v *verdict) AddWarning(_, text string) { v.warnings = append(v.warnings, text) }

// noted keeps a request's audit annotations.
type noted struct {
	admission.Attributes
	annotations map[string]string
}

func (n noted) AddAnnotation(key, value string) error {
	n.annotations[key] = value
	return nil
}
