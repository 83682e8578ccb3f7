package deploy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	kustomizev1 "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/controller"
	"github.com/eso-tenant/eso-tenant/internal/controller/v1alpha1"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

const folder = "../../deploy"

// build is what kustomize makes of a folder.
func build(t testing.TB, dir string) []byte {
	t.Helper()
	kustomize := os.Getenv("KUSTOMIZE")
	if kustomize == "" {
		kustomize = "../../.cache/bin/kustomize"
	}
	if _, err := exec.LookPath(kustomize); err != nil {
		t.Fatalf("this test runs the real kustomize; run `make tools`, or name one in KUSTOMIZE: %v", err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(kustomize, "build", dir)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	return out
}

// everywhere is the base with the component for all namespaces.
func everywhere(t testing.TB) []byte {
	t.Helper()
	return with(t, "all-namespaces")
}

// with is the base with a component, and the image of another registry, as docs/flux.md has it.
func with(t testing.TB, component string) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "deploy"), os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(kustomizev1.Kustomization{
		Resources: []string{"deploy"}, Components: []string{"deploy/" + component},
		Images: []kustomizev1.Image{{Name: "localhost/eso-tenant-controller", NewName: "registry.example.com/c", NewTag: "v1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return build(t, dir)
}

func objects(t testing.TB, stream []byte) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for decoder := yamlutil.NewYAMLOrJSONDecoder(bytes.NewReader(stream), 4096); ; {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if len(o.Object) > 0 {
			all = append(all, o)
		}
	}
}

// one is the object of a kind and name, as its own type.
func one[T any](t testing.TB, all []*unstructured.Unstructured, kind, name string) *T {
	t.Helper()
	for _, o := range all {
		if o.GetKind() == kind && o.GetName() == name {
			typed := new(T)
			if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, typed, true); err != nil {
				t.Fatalf("%s %s: %v", kind, name, err)
			}
			return typed
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return nil
}

// Our own proof of what we install, beside an operator. Without the applier,
// who delivers the fence, nothing is found; with it, what it is for.
func TestVerify(t *testing.T) {
	known := []problem.Rule{problem.StoreWritable, problem.OperatorOpen} // it delivers stores, and the operator's own roles
	applier := rbac.ServiceAccount("flux-system", "eso-tenant-applier")
	for name, stream := range map[string][]byte{"base": build(t, folder), "all namespaces": everywhere(t), "a shard": with(t, "samples/shard")} {
		set, unread := fn.ReadObjects([]string{"-"}, bytes.NewReader(stream), verify.Kinds)
		in := verify.Input{Objects: set.Objects, Unread: unread, ESO: []rbac.Subject{rbac.ServiceAccount("external-secrets", "external-secrets")}}
		found := 0
		for _, p := range verify.Check(in).Problems {
			found++
			if !slices.Contains(known, p.Rule) || !strings.HasPrefix(p.Message, "system:serviceaccount:flux-system:eso-tenant-applier can ") {
				t.Errorf("%s: %s", name, p.Line())
			}
		}
		if found == 0 {
			t.Errorf("%s: the proof does not see the applier", name)
		}
		in.Writers = []rbac.Subject{applier}
		for _, p := range verify.Check(in).Problems {
			if p.IsError() {
				t.Errorf("%s, with a writer: %s", name, p.Line())
			}
		}
	}
}

// The controller reads no Secret and no ConfigMap, mints no token, is nobody
// else, and writes ExternalArtifacts and what is about itself.
func TestControllerRights(t *testing.T) {
	allowed := map[string]string{
		"flux.eso-tenant.dev/tenantgenerators":              "get list watch patch",
		"flux.eso-tenant.dev/tenantgenerators/status":       "get patch",
		"flux.eso-tenant.dev/tenantgenerators/finalizers":   "update",
		"source.toolkit.fluxcd.io/gitrepositories":          "get list watch",
		"source.toolkit.fluxcd.io/ocirepositories":          "get list watch",
		"source.toolkit.fluxcd.io/buckets":                  "get list watch",
		"source.toolkit.fluxcd.io/externalartifacts":        "get list watch create patch delete",
		"source.toolkit.fluxcd.io/externalartifacts/status": "get patch",
		"/events":                    "create patch",
		"coordination.k8s.io/leases": "create get update patch",
	}
	for name, stream := range map[string][]byte{"base": build(t, folder), "all namespaces": everywhere(t)} {
		all := objects(t, stream)
		rules := one[rbacv1.Role](t, all, "Role", "eso-tenant-controller").Rules
		if name != "base" {
			rules = append(rules, one[rbacv1.ClusterRole](t, all, "ClusterRole", "eso-tenant-controller").Rules...)
		}
		for _, rule := range rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						if !slices.Contains(strings.Fields(allowed[group+"/"+resource]), verb) {
							t.Errorf("%s: it may %s %s/%s", name, verb, group, resource)
						}
					}
				}
			}
		}
		for _, o := range all { // and there is no other role
			subjects, _, _ := unstructured.NestedSlice(o.Object, "subjects")
			for _, s := range subjects {
				if who := fmt.Sprint(s); strings.Contains(who, "eso-tenant-controller") && o.GetName() != "eso-tenant-controller" {
					t.Errorf("%s: %s %s binds the controller too", name, o.GetKind(), o.GetName())
				}
			}
		}
	}
}

// The pod holds to the restricted Pod Security Standard, and writes to its storage only.
func TestPodIsRestricted(t *testing.T) {
	pod := one[appsv1.Deployment](t, objects(t, build(t, folder)), "Deployment", "eso-tenant-controller").Spec.Template.Spec
	if pod.HostNetwork || pod.HostPID || pod.HostIPC || !*pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.SeccompProfile.Type != "RuntimeDefault" {
		t.Errorf("the pod: %+v", pod.SecurityContext)
	}
	if len(pod.Containers) != 1 || len(pod.InitContainers) > 0 {
		t.Fatalf("containers: %d", len(pod.Containers))
	}
	c := pod.Containers[0].SecurityContext
	if *c.AllowPrivilegeEscalation || !*c.ReadOnlyRootFilesystem || c.Privileged != nil || len(c.Capabilities.Add) > 0 || !slices.Contains(c.Capabilities.Drop, "ALL") {
		t.Errorf("the container: %+v", c)
	}
	for _, v := range pod.Volumes {
		if v.EmptyDir == nil || v.EmptyDir.SizeLimit == nil {
			t.Errorf("volume %s: %+v", v.Name, v.VolumeSource)
		}
	}
	if limit := pod.Containers[0].Resources.Limits.Memory(); limit.String() != "512Mi" {
		t.Errorf("memory %s", limit)
	}
}

// The applier may write every object that eso-tenant makes with the chart's own names.
func TestApplierRights(t *testing.T) {
	all := objects(t, build(t, folder))
	authorizer := rbac.New(rbac.Objects{
		Roles:               []*rbacv1.Role{one[rbacv1.Role](t, all, "Role", "eso-tenant-applier")},
		RoleBindings:        []*rbacv1.RoleBinding{one[rbacv1.RoleBinding](t, all, "RoleBinding", "eso-tenant-applier")},
		ClusterRoles:        []*rbacv1.ClusterRole{one[rbacv1.ClusterRole](t, all, "ClusterRole", "eso-tenant-applier")},
		ClusterRoleBindings: []*rbacv1.ClusterRoleBinding{one[rbacv1.ClusterRoleBinding](t, all, "ClusterRoleBinding", "eso-tenant-applier")},
	}, rbac.Options{})
	applier := rbac.ServiceAccount("flux-system", "eso-tenant-applier")
	goldens, err := filepath.Glob("../../golden/*/stream*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, file := range goldens {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("name: eso-tenant-external-secrets-controller")) {
			continue // another Helm release, or none of ours
		}
		for _, o := range objects(t, text) {
			gvk := o.GroupVersionKind()
			resource := strings.ToLower(gvk.Kind) + "s"
			if stem, found := strings.CutSuffix(resource, "ys"); found {
				resource = stem + "ies"
			}
			verbs := []string{"get", "create", "patch", "delete"}
			if gvk.Kind == "Role" || gvk.Kind == "ClusterRole" {
				verbs = append(verbs, "escalate")
			}
			for _, verb := range verbs {
				tried++
				request := rbac.Request{Verb: verb, Group: gvk.Group, Resource: resource, Namespace: o.GetNamespace(), Name: o.GetName()}
				if _, allowed := authorizer.Allowed(applier, request); !allowed {
					t.Errorf("%s: it may not %s %s %s/%s", file, verb, resource, o.GetNamespace(), o.GetName())
				}
			}
		}
	}
	if tried < 100 {
		t.Errorf("only %d requests were tried", tried)
	}
}

// A shard differs from the base by its name, its address and its selector, and has the image that the user says. It is the
// base's copy: this keeps it one.
func TestShard(t *testing.T) {
	const selector, rest = "--watch-label-selector=sharding.fluxcd.io/key=shard1", "--watch-label-selector=!sharding.fluxcd.io/key"
	all := objects(t, with(t, "samples/shard"))
	base := one[appsv1.Deployment](t, all, "Deployment", "eso-tenant-controller").Spec
	shard := one[appsv1.Deployment](t, all, "Deployment", "eso-tenant-controller-shard1").Spec
	args := base.Template.Spec.Containers[0].Args
	if last := args[len(args)-1]; last != rest {
		t.Errorf("the base ends with %s", last)
	}
	args[len(args)-1] = selector
	want, err := json.Marshal(base)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(shard)
	if err != nil {
		t.Fatal(err)
	}
	renamed := strings.NewReplacer(`"app":"eso-tenant-controller"`, `"app":"eso-tenant-controller-shard1"`,
		"adv-addr=eso-tenant-controller.", "adv-addr=eso-tenant-controller-shard1.").Replace(string(want))
	if string(got) != renamed {
		t.Errorf("the shard is\n%s\nwant\n%s", got, renamed)
	}
	if image := shard.Template.Spec.Containers[0].Image; image != "registry.example.com/c:v1" {
		t.Errorf("its image is %s", image)
	}
	policy := one[admissionregistrationv1.ValidatingAdmissionPolicy](t, all, "ValidatingAdmissionPolicy", "eso-tenant-artifacts").Spec
	if servers := policy.Variables[0].Expression; !strings.Contains(servers, "'http://eso-tenant-controller-shard1.flux-system.svc.cluster.local./'") {
		t.Errorf("artifacts may be at %s", servers)
	}
	network := one[networkingv1.NetworkPolicy](t, all, "NetworkPolicy", "eso-tenant-controller").Spec.PodSelector
	if values := network.MatchExpressions[0].Values; len(network.MatchLabels) > 0 || !slices.Contains(values, "eso-tenant-controller-shard1") {
		t.Errorf("the NetworkPolicy is for %+v", network)
	}
}

func TestDefinition(t *testing.T) {
	for _, o := range objects(t, build(t, folder)) {
		if o.GetKind() == "CustomResourceDefinition" {
			if o.GetLabels()["kustomize.toolkit.fluxcd.io/substitute"] != "disabled" {
				t.Error("Flux would substitute variables in it")
			}
			return
		}
	}
	t.Error("there is none")
}

// Samples are of kinds as they are, and name what the base makes.
func TestSamples(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(folder, "samples", "tenantgenerator.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	generator := one[v1alpha1.TenantGenerator](t, objects(t, text), "TenantGenerator", "tenants")
	text, err = os.ReadFile(filepath.Join(folder, "samples", "kustomization-flux.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	k := objects(t, text)[0]
	source, _, _ := unstructured.NestedString(k.Object, "spec", "sourceRef", "name")
	account, _, _ := unstructured.NestedString(k.Object, "spec", "serviceAccountName")
	if source != generator.Name+"-flux" || account != "eso-tenant-applier" {
		t.Errorf("it applies %s as %s", source, account)
	}
	text, err = os.ReadFile(filepath.Join(folder, "samples", "feature-gate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var patch []map[string]any
	if err := yaml.UnmarshalStrict(text, &patch); err != nil || len(patch) != 1 {
		t.Errorf("%v, %v", patch, err)
	}
}

// The dashboard and the alerts are about metrics that there are.
func TestMetricsExist(t *testing.T) {
	described := controller.MetricNames()
	name := regexp.MustCompile(`eso_tenant_[a-z_]+`)
	for _, file := range []string{"dashboard.json", "alerts.yaml"} {
		text, err := os.ReadFile(filepath.Join(folder, "monitoring", file))
		if err != nil {
			t.Fatal(err)
		}
		used := map[string]bool{}
		for _, found := range name.FindAllString(string(text), -1) {
			found = strings.TrimSuffix(found, "_bucket")
			used[found] = true
			if !slices.Contains(described, found) {
				t.Errorf("%s: there is no metric %s", file, found)
			}
		}
		if len(used) < 3 {
			t.Errorf("%s: metrics %v", file, used)
		}
		if strings.HasSuffix(file, ".json") && !json.Valid(text) {
			t.Errorf("%s is no JSON", file)
		}
	}
}
