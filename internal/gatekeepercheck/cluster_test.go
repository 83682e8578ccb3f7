package gatekeepercheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	templatesv1 "github.com/open-policy-agent/frameworks/constraint/pkg/apis/templates/v1"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client/drivers/rego"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client/reviews"
	"github.com/open-policy-agent/frameworks/constraint/pkg/core/templates"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/drivers/k8scel"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/target"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/util"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

const table = "../admissioncheck/testdata/"

var binary string

// TestMain builds the command that is tested, as its own module has it.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gatekeepercheck")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		binary = filepath.Join(dir, "eso-tenant")
		build := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "./cmd/eso-tenant")
		build.Dir = "../.."
		if out, err := build.CombinedOutput(); err != nil {
			_, _ = os.Stderr.Write(out)
			return 1
		}
		return m.Run()
	}())
}

// cluster is what Gatekeeper has of a cluster with our output applied.
type cluster struct {
	templates, constraints, others []*unstructured.Unstructured
	namespaces                     map[string]*corev1.Namespace
	synced                         map[string]bool // kinds, by group/version/kind
	blind                          bool            // Gatekeeper hands templates no Namespace
}

// render expands the table's specification, for Gatekeeper, with some of its text
// replaced (old, new, …).
func render(t testing.TB, replace ...string) *cluster {
	t.Helper()
	text, err := os.ReadFile(table + "spec.yaml")
	if err != nil {
		t.Fatal(err)
	}
	replace = append(replace, "  admission:\n", "  admission:\n    engine: Gatekeeper\n")
	spec := filepath.Join(t.TempDir(), "spec.yaml")
	if err := os.WriteFile(spec, []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(t.Context(), binary, "render", spec)
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	c := &cluster{namespaces: map[string]*corev1.Namespace{}, synced: map[string]bool{}}
	for _, name := range []string{"eso", "shop", "shared", "kube-system", "somebody", "web", "web-plain"} {
		c.namespaces[name] = namespace(name)
	}
	// Kubernetes' own binding, by which administrators hold every grant there is.
	c.add(t, parse(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: cluster-admin}, rules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]}`))
	c.add(t, parse(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: cluster-admin}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}, subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:masters"}]}`))
	for _, text := range decoys {
		c.add(t, parse(t, text))
	}
	for docs := utilyaml.NewYAMLOrJSONDecoder(&stdout, 4096); ; {
		o := &unstructured.Unstructured{}
		if err := docs.Decode(o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		c.add(t, o)
	}
	return c
}

func namespace(name string) *corev1.Namespace {
	ns := &corev1.Namespace{}
	ns.APIVersion, ns.Kind, ns.Name = "v1", "Namespace", name
	return ns
}

func (c *cluster) add(t testing.TB, o *unstructured.Unstructured) {
	t.Helper()
	switch {
	case o.GetKind() == "ConstraintTemplate":
		c.templates = append(c.templates, o)
	case strings.HasPrefix(o.GetAPIVersion(), "constraints.gatekeeper.sh/"):
		c.constraints = append(c.constraints, o)
	case o.GetKind() == "SyncSet":
		list, _, _ := unstructured.NestedSlice(o.Object, "spec", "gvks")
		for _, item := range list {
			kind, _ := item.(map[string]any)
			c.synced[kind["group"].(string)+"/"+kind["version"].(string)+"/"+kind["kind"].(string)] = true
		}
	case o.GetKind() == "Namespace":
		ns := &corev1.Namespace{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, ns); err != nil {
			t.Fatal(err)
		}
		c.namespaces[ns.Name] = ns
	default:
		c.others = append(c.others, o)
	}
}

// parse reads an object.
func parse(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	return o
}

// engine is Gatekeeper's, with all that is there.
func (c *cluster) engine(t testing.TB) *client.Client {
	t.Helper()
	engine, err := c.load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// load is the same with some of the templates, by the word in their names; all,
// where none is named.
func (c *cluster) load(ctx context.Context, only ...string) (*client.Client, error) {
	cel, err := k8scel.New()
	if err != nil {
		return nil, err
	}
	opa, err := rego.New()
	if err != nil {
		return nil, err
	}
	engine, err := client.NewClient(client.Targets(&target.K8sValidationTarget{}), client.Driver(cel), client.Driver(opa),
		client.EnforcementPoints(util.WebhookEnforcementPoint))
	if err != nil {
		return nil, err
	}
	wanted := func(name string) bool { return len(only) == 0 || slices.Contains(only, word(name)) }
	for _, o := range c.templates {
		if !wanted(o.GetName()) {
			continue
		}
		typed, internal := &templatesv1.ConstraintTemplate{}, &templates.ConstraintTemplate{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, typed); err != nil {
			return nil, err
		}
		if err := scheme.Convert(typed, internal, nil); err != nil {
			return nil, err
		}
		if _, err := engine.AddTemplate(ctx, internal); err != nil {
			return nil, fmt.Errorf("%s: %w", o.GetName(), err)
		}
	}
	for _, o := range c.constraints {
		if !wanted(o.GetName()) {
			continue
		}
		if _, err := engine.AddConstraint(ctx, o); err != nil {
			return nil, fmt.Errorf("%s: %w", o.GetName(), err)
		}
	}
	for _, o := range c.others {
		gvk := o.GroupVersionKind()
		if !c.synced[gvk.Group+"/"+gvk.Version+"/"+gvk.Kind] {
			continue
		}
		if _, err := engine.AddData(ctx, o); err != nil {
			return nil, err
		}
	}
	return engine, nil
}

var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	if err := templatesv1.AddToScheme(s); err != nil {
		panic(err)
	}
	return s
}()

func word(name string) string { return strings.TrimPrefix(name, "eso-tenant-blue-") }

// refusal is what a Constraint says of a request, and what is done about it.
type refusal struct{ policy, says, action string }

// judge has the engine decide as Gatekeeper's webhook does.
// Source: gatekeeper v3.23.1, pkg/webhook/policy.go:651-708.
func (c *cluster) judge(t testing.TB, engine *client.Client, request *admissionv1.AdmissionRequest) []refusal {
	t.Helper()
	ns := c.namespaces[request.Namespace]
	if ns == nil && request.Namespace != "" && request.Kind.Kind != "Namespace" {
		t.Fatalf("no namespace %s", request.Namespace)
	}
	if c.blind {
		ns = nil
	}
	return review(t, engine, request, ns)
}

func review(t testing.TB, engine *client.Client, request *admissionv1.AdmissionRequest, ns *corev1.Namespace) []refusal {
	t.Helper()
	request = request.DeepCopy()
	asked := &target.AugmentedReview{AdmissionRequest: request, IsAdmission: true}
	opts := []reviews.ReviewOpt{reviews.EnforcementPoint(util.WebhookEnforcementPoint)}
	if request.Kind.Kind == "Namespace" && request.Kind.Group == "" {
		request.Namespace = ""
	} else if ns != nil {
		written, err := runtime.DefaultUnstructuredConverter.ToUnstructured(ns)
		if err != nil {
			t.Fatal(err)
		}
		asked.Namespace = ns
		opts = append(opts, reviews.Namespace(written))
	}
	answer, err := engine.Review(t.Context(), asked, opts...)
	if err != nil {
		return []refusal{{says: "error: " + err.Error()}} // Gatekeeper refuses then
	}
	var all []refusal
	for _, result := range answer.Results() {
		all = append(all, refusal{word(result.Constraint.GetName()), result.Msg, result.EnforcementAction})
	}
	return all
}
