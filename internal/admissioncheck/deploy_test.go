package admissioncheck

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemacel "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	apiservervalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
)

const deployFolder = "../../deploy"

// documents reads the objects of a file.
func documents(t testing.TB, file string) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(o.Object) > 0 {
			all = append(all, o)
		}
	}
}

// deployed are the policies that are installed beside the controller.
func deployed(t testing.TB) *cluster {
	t.Helper()
	c := render(t)
	c.policies, c.bindings = nil, nil
	for _, name := range []string{"admission-artifacts.yaml", "admission-applier.yaml"} {
		for _, o := range documents(t, filepath.Join(deployFolder, name)) {
			text, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			policy, binding := &admissionv1.ValidatingAdmissionPolicy{}, &admissionv1.ValidatingAdmissionPolicyBinding{}
			switch o.GetKind() {
			case "ValidatingAdmissionPolicy":
				err = json.Unmarshal(text, policy)
				c.policies = append(c.policies, policy)
			case "ValidatingAdmissionPolicyBinding":
				err = json.Unmarshal(text, binding)
				c.bindings = append(c.bindings, binding)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(c.policies) != 2 || len(c.bindings) != 2 {
		t.Fatalf("%d policies, %d bindings", len(c.policies), len(c.bindings))
	}
	return c
}

func TestDeployCompiles(t *testing.T) {
	for _, minor := range []uint{30, 37} {
		for _, p := range deployed(t).policies {
			for _, complaint := range complaints(t, p, minor) {
				t.Errorf("Kubernetes 1.%d: %s", minor, complaint)
			}
		}
	}
}

// Who writes what Flux applies.
var (
	artifactController = account("flux-system", "eso-tenant-controller")
	fluxApplier        = account("flux-system", "eso-tenant-applier")
	watcher            = account("flux-system", "source-watcher")
	fluxCollector      = account("kube-system", "generic-garbage-collector")
)

// onObject is a request about any object.
type onObject struct {
	user     user.Info
	verb     admission.Operation
	resource schema.GroupVersionResource
	sub      string
	object   *unstructured.Unstructured
	old      *unstructured.Unstructured
}

func (a onObject) attributes() admission.Attributes {
	any := a.object
	if any == nil {
		any = a.old
	}
	var object, old runtime.Object
	if a.object != nil {
		object = a.object
	}
	if a.old != nil {
		old = a.old
	}
	namespace := any.GetNamespace()
	if any.GetKind() == "Namespace" { // which the API server has in the namespace that it is
		namespace = any.GetName()
	}
	return admission.NewAttributesRecord(object, old, any.GroupVersionKind(), namespace, any.GetName(), a.resource, a.sub, a.verb, nil, false, a.user)
}

// parse is an object as YAML has it.
func parse(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return o
}

var plurals = map[string]string{
	"NetworkPolicy": "networkpolicies", "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
}

func resourceOf(o *unstructured.Unstructured) schema.GroupVersionResource {
	gvk := o.GroupVersionKind()
	plural, found := plurals[gvk.Kind]
	if !found {
		plural = strings.ToLower(gvk.Kind) + "s"
	}
	return gvk.GroupVersion().WithResource(plural)
}

func decide(t *testing.T, hooks []validating.PolicyHook, c *cluster, a onObject) string {
	t.Helper()
	a.resource = resourceOf(map[bool]*unstructured.Unstructured{true: a.object, false: a.old}[a.object != nil])
	attributes := a.attributes()
	if name := attributes.GetNamespace(); name != "" {
		if err := c.namespaces.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	return c.judgeAttributes(t, hooks, attributes).refused
}

const (
	ownArtifact = `
apiVersion: source.toolkit.fluxcd.io/v1
kind: ExternalArtifact
metadata: {name: tenants.web, namespace: flux-system, labels: {flux.eso-tenant.dev/generator: tenants}}
spec: {sourceRef: {kind: TenantGenerator, name: tenants}}
status: {artifact: {url: "http://eso-tenant-controller.flux-system.svc.cluster.local./externalartifact/flux-system/tenants.web/x.tar.gz"}}
`
	otherArtifact = `
apiVersion: source.toolkit.fluxcd.io/v1
kind: ExternalArtifact
metadata: {name: apps, namespace: flux-system}
spec: {sourceRef: {kind: ArtifactGenerator, name: apps}}
status: {artifact: {url: "http://source-watcher.flux-system.svc.cluster.local./x.tar.gz"}}
`
)

func TestArtifactsArePinned(t *testing.T) {
	c := deployed(t)
	hooks := c.hooks()
	own, other := parse(t, ownArtifact), parse(t, otherArtifact)
	with := func(o *unstructured.Unstructured, old, new string) *unstructured.Unstructured {
		text, _ := json.Marshal(o)
		if !strings.Contains(string(text), old) {
			t.Fatalf("%s is not in %s", old, text)
		}
		return parse(t, strings.ReplaceAll(string(text), old, new))
	}
	evil := with(own, "http://eso-tenant-controller.flux-system", "http://evil.somebody")
	bare := parse(t, "{apiVersion: source.toolkit.fluxcd.io/v1, kind: ExternalArtifact, metadata: {name: tenants.web, namespace: flux-system}}")
	for name, test := range map[string]struct {
		onObject
		refusal string
	}{
		"the controller":                           {onObject{user: artifactController, verb: admission.Create, object: own}, ""},
		"the controller, a status":                 {onObject{user: artifactController, verb: admission.Update, sub: "status", object: own, old: own}, ""},
		"the controller, elsewhere":                {onObject{user: artifactController, verb: admission.Create, object: with(own, "flux-system", "team")}, "below its own name"},
		"the controller, to another address":       {onObject{user: artifactController, verb: admission.Update, sub: "status", object: evil, old: own}, "below its own name"},
		"the controller, another's artifact":       {onObject{user: artifactController, verb: admission.Update, sub: "status", object: with(own, "tenants.web/x", "tenants.shop/x"), old: own}, "below its own name"},
		"an administrator":                         {onObject{user: administrator, verb: admission.Create, object: own}, "by eso-tenant-controller only"},
		"a member":                                 {onObject{user: member, verb: admission.Update, sub: "status", object: evil, old: own}, "by eso-tenant-controller only"},
		"a member, by taking off what says whose":  {onObject{user: member, verb: admission.Update, object: bare, old: own}, "by eso-tenant-controller only"},
		"a member, in another namespace":           {onObject{user: member, verb: admission.Create, object: with(own, "flux-system", "team")}, "by eso-tenant-controller only"},
		"a member, with our name and no label":     {onObject{user: member, verb: admission.Create, object: bare}, "that this policy lists"},
		"a member, of their own, in Flux's":        {onObject{user: member, verb: admission.Create, object: other}, "that this policy lists"},
		"a member, of their own, in theirs":        {onObject{user: member, verb: admission.Create, object: with(other, "flux-system", "team")}, ""},
		"the applier":                              {onObject{user: fluxApplier, verb: admission.Create, object: own}, "by eso-tenant-controller only"},
		"source-watcher":                           {onObject{user: watcher, verb: admission.Create, object: other}, ""},
		"source-watcher, ours":                     {onObject{user: watcher, verb: admission.Update, sub: "status", object: own, old: own}, "by eso-tenant-controller only"},
		"the garbage collector, taking off owners": {onObject{user: fluxCollector, verb: admission.Update, object: own, old: own}, ""},
	} {
		got := decide(t, hooks, c, test.onObject)
		if (got != "") != (test.refusal != "") || !strings.Contains(got, test.refusal) {
			t.Errorf("%s: %q, want %q", name, got, test.refusal)
		}
	}
}

// The applier may write all that eso-tenant makes, but for two things that whoever wants them writes into the policy: an
// operator in another namespace than external-secrets, and stores in Flux's own namespace, where a Role that names
// kustomize-controller's account would be the cluster.
func TestApplierWritesOurOutput(t *testing.T) {
	c := deployed(t)
	hooks := c.hooks()
	files, err := filepath.Glob("../../golden/*/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, file := range files {
		if !strings.Contains(filepath.Base(file), "stream") {
			continue
		}
		for _, o := range documents(t, file) {
			for _, a := range []onObject{
				{user: fluxApplier, verb: admission.Create, object: o}, {user: fluxApplier, verb: admission.Update, object: o, old: o}, {user: fluxApplier, verb: admission.Delete, old: o},
			} {
				tried++
				elsewhere := (o.GetKind() == "ClusterRoleBinding" || o.GetKind() == "RoleBinding" && strings.HasPrefix(o.GetName(), "eso-tenant-token-")) && bindsElsewhere(o) && a.verb != admission.Delete
				if refusal := decide(t, hooks, c, a); (refusal != "") != (elsewhere || o.GetNamespace() == "flux-system") {
					t.Errorf("%s: %s %s %s/%s: %s", file, a.verb, o.GetKind(), o.GetNamespace(), o.GetName(), refusal)
				}
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d requests were tried", tried)
	}
}

// bindsElsewhere tells whether a binding is for an operator in another namespace than external-secrets.
func bindsElsewhere(o *unstructured.Unstructured) bool {
	subjects, _, err := unstructured.NestedSlice(o.Object, "subjects")
	return err == nil && slices.ContainsFunc(subjects, func(s any) bool {
		subject, _ := s.(map[string]any)
		return subject["namespace"] != "external-secrets"
	})
}

func TestApplierIsHeld(t *testing.T) {
	c := deployed(t)
	hooks := c.hooks()
	head := func(apiVersion, kind, namespace, rest string) string {
		return "apiVersion: " + apiVersion + "\nkind: " + kind + "\nmetadata: {name: eso-tenant-x, namespace: '" + namespace + "', labels: {app.kubernetes.io/managed-by: eso-tenant}}\n" + rest
	}
	const rbac = "rbac.authorization.k8s.io/v1"
	role := func(rule string) string { return head(rbac, "Role", "web", "rules: ["+rule+"]") }
	token := func(namespace, account string) string {
		rule := `{apiGroups: [""], resources: [serviceaccounts/token], resourceNames: [` + account + `], verbs: [create]}`
		return strings.Replace(head(rbac, "Role", namespace, "rules: ["+rule+"]"), "eso-tenant-x", "eso-tenant-token-a", 1)
	}
	clusterRole := func(rule string) string { return head(rbac, "ClusterRole", "", "rules: ["+rule+"]") }
	binding := func(ref, subject string) string {
		return head(rbac, "RoleBinding", "web", "roleRef: "+ref+"\nsubjects: ["+subject+"]")
	}
	const ownRole, edit = "{kind: Role, name: eso-tenant-x}", "{kind: ClusterRole, name: edit}"
	for name, test := range map[string]struct{ text, refusal string }{
		"a token of a named account":        {token("web", "a"), ""},
		"a token, by a Role for others":     {role(`{apiGroups: [""], resources: [serviceaccounts/token], resourceNames: [a], verbs: [create]}`), "named service accounts"},
		"a token of a shared store's":       {token("external-secrets", "shared-access-sa"), ""},
		"a token of the operator":           {token("external-secrets", "a, external-secrets"), "none of the operator's own"},
		"a token Role for the operator":     {binding("{kind: Role, name: eso-tenant-token-a}", "{kind: ServiceAccount, name: external-secrets, namespace: external-secrets}"), ""},
		"a token Role for a tenant":         {binding("{kind: Role, name: eso-tenant-token-a}", "{kind: ServiceAccount, name: a, namespace: web}"), "to the operator's"},
		"a Role to read for a tenant":       {binding(ownRole, "{kind: ServiceAccount, name: a, namespace: web}"), ""},
		"a token of any account":            {role(`{apiGroups: [""], resources: [serviceaccounts/token], verbs: [create]}`), "named service accounts"},
		"a token of no named account":       {role(`{apiGroups: [""], resources: [serviceaccounts/token], resourceNames: [], verbs: [create]}`), "named service accounts"},
		"tokens among other things":         {role(`{apiGroups: [""], resources: [secrets, serviceaccounts/token], resourceNames: [a], verbs: [create]}`), "named service accounts"},
		"all of everything":                 {role(`{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}`), "named service accounts"},
		"all verbs":                         {role(`{apiGroups: [""], resources: [secrets], verbs: ["*"]}`), "named service accounts"},
		"pods":                              {role(`{apiGroups: [""], resources: [pods], verbs: [create]}`), "named service accounts"},
		"impersonation":                     {role(`{apiGroups: [""], resources: [serviceaccounts], verbs: [impersonate]}`), "named service accounts"},
		"roles":                             {role(`{apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [create]}`), "named service accounts"},
		"a Role of Flux's namespace":        {head(rbac, "Role", "flux-system", "rules: []"), "of the cluster and of Flux"},
		"a Role of kube-system":             {head(rbac, "Role", "kube-system", "rules: []"), "of the cluster and of Flux"},
		"a service account of kube-system":  {head("v1", "ServiceAccount", "kube-system", ""), "of the cluster and of Flux"},
		"the namespace kube-system":         {"apiVersion: v1\nkind: Namespace\nmetadata: {name: kube-system, labels: {app.kubernetes.io/managed-by: eso-tenant}}", "of the cluster and of Flux"},
		"the namespace of Flux":             {"apiVersion: v1\nkind: Namespace\nmetadata: {name: flux-system, labels: {app.kubernetes.io/managed-by: eso-tenant}}", "of the cluster and of Flux"},
		"no label":                          {"apiVersion: v1\nkind: Namespace\nmetadata: {name: web}", "labelled"},
		"another label":                     {"apiVersion: v1\nkind: Namespace\nmetadata: {name: web, labels: {app.kubernetes.io/managed-by: helm}}", "labelled"},
		"edit for a group":                  {binding(edit, "{kind: Group, name: devs}"), ""},
		"edit for all":                      {binding(edit, "{kind: Group, name: 'system:authenticated'}"), "nobody of the cluster"},
		"edit for the applier":              {binding(edit, "{kind: ServiceAccount, name: eso-tenant-applier, namespace: flux-system}"), "nobody of the cluster"},
		"edit for the operator":             {binding(edit, "{kind: ServiceAccount, name: external-secrets, namespace: external-secrets}"), "nobody of the cluster"},
		"a token Role for a group":          {binding(ownRole, "{kind: Group, name: devs}"), "nobody of the cluster"},
		"a token Role for kube-system's":    {binding(ownRole, "{kind: ServiceAccount, name: x, namespace: kube-system}"), "nobody of the cluster"},
		"a Role of somebody else's":         {binding("{kind: Role, name: powerful}", "{kind: ServiceAccount, name: x, namespace: external-secrets}"), "binds its own Roles"},
		"escalate":                          {clusterRole(`{apiGroups: [""], resources: [secrets], verbs: [escalate]}`), "less what was trimmed"},
		"a wildcard":                        {clusterRole(`{apiGroups: [""], resources: ["*"], verbs: [get]}`), "less what was trimmed"},
		"exec":                              {clusterRole(`{apiGroups: [""], resources: ["pods/exec"], verbs: [create]}`), "less what was trimmed"},
		"cluster roles":                     {clusterRole(`{apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], verbs: [update]}`), "less what was trimmed"},
		"URLs":                              {clusterRole(`{nonResourceURLs: ["/logs"], verbs: [get]}`), "less what was trimmed"},
		"cluster-admin":                     {head(rbac, "ClusterRoleBinding", "", "roleRef: {kind: ClusterRole, name: cluster-admin}\nsubjects: [{kind: ServiceAccount, name: external-secrets, namespace: external-secrets}]"), "operator's service accounts"},
		"our role for a person":             {head(rbac, "ClusterRoleBinding", "", "roleRef: {kind: ClusterRole, name: eso-tenant-x}\nsubjects: [{kind: User, name: alice}]"), "operator's service accounts"},
		"a Kustomization":                   {head("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system", "spec: {serviceAccountName: eso-tenant-applier}"), ""},
		"a Kustomization that is Flux":      {head("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system", "spec: {}"), "run as itself"},
		"a Kustomization with a kubeConfig": {head("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system", "spec: {serviceAccountName: eso-tenant-applier, kubeConfig: {}}"), "run as itself"},
		"a Kustomization elsewhere":         {head("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "web", "spec: {serviceAccountName: eso-tenant-applier}"), "of the cluster and of Flux"},
	} {
		o := parse(t, test.text)
		for _, a := range []onObject{{user: fluxApplier, verb: admission.Create, object: o}, {user: fluxApplier, verb: admission.Update, object: o, old: o}} {
			if got := decide(t, hooks, c, a); (got != "") != (test.refusal != "") || !strings.Contains(got, test.refusal) {
				t.Errorf("%s, %s: %q, want %q", name, a.verb, got, test.refusal)
			}
		}
		if got := decide(t, hooks, c, onObject{user: administrator, verb: admission.Create, object: o}); got != "" {
			t.Errorf("%s: an administrator is held too: %s", name, got)
		}
	}
	somebodys := parse(t, "{apiVersion: v1, kind: Namespace, metadata: {name: somebody}}")
	if got := decide(t, hooks, c, onObject{user: fluxApplier, verb: admission.Delete, old: somebodys}); !strings.Contains(got, "labelled") {
		t.Errorf("it may delete what is not ours: %q", got)
	}
}

// The API server takes our CustomResourceDefinition, rules and their costs included.
func TestDefinitionIsValid(t *testing.T) {
	for _, o := range documents(t, filepath.Join(deployFolder, "crd/flux.eso-tenant.dev_tenantgenerators.yaml")) {
		external, internal := &apiextensionsv1.CustomResourceDefinition{}, &apiextensions.CustomResourceDefinition{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, external); err != nil {
			t.Fatal(err)
		}
		apiextensionsv1.SetDefaults_CustomResourceDefinition(external)
		apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&external.Spec)
		if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(external, internal, nil); err != nil {
			t.Fatal(err)
		}
		for _, wrong := range validation.ValidateCustomResourceDefinition(context.Background(), internal) {
			if wrong.Field != "status.storedVersions" { // which the API server writes
				t.Error(wrong)
			}
		}
	}
}

// What the definition's rules refuse.
func TestDefinitionRefuses(t *testing.T) {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(documents(t, filepath.Join(deployFolder, "crd/flux.eso-tenant.dev_tenantgenerators.yaml"))[0].Object, crd); err != nil {
		t.Fatal(err)
	}
	props := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, props, nil); err != nil {
		t.Fatal(err)
	}
	structural, err := structuralschema.NewStructural(props)
	if err != nil {
		t.Fatal(err)
	}
	schemaValidator, _, err := apiservervalidation.NewSchemaValidator(props)
	if err != nil {
		t.Fatal(err)
	}
	rules := schemacel.NewValidator(structural, true, celconfig.PerCallLimit)
	const right = `{apiVersion: flux.eso-tenant.dev/v1alpha1, kind: TenantGenerator, metadata: {name: tenants, namespace: x}, spec: {sourceRef: {kind: GitRepository, name: fleet}, path: ./a/b..c, interval: 1h30m, maxDeletions: 0, commonMetadata: {labels: {team: x}}}}`
	for name, change := range map[string][2]string{
		"right":                        {"", ""},
		"a kind of source":             {"GitRepository", "HelmRepository"},
		"a path upwards":               {"./a/b..c", "a/../../b"},
		"an absolute path":             {"./a/b..c", "/a"},
		"an interval":                  {"1h30m", "soon"},
		"fewer than none":              {"maxDeletions: 0", "maxDeletions: -1"},
		"a label of ours":              {"team: x", "eso-tenant.dev/tenant: x"},
		"a label of ours, by the part": {"team: x", "flux.eso-tenant.dev/generator: x"},
		"who manages":                  {"team: x", "app.kubernetes.io/managed-by: x"},
		"a dot in the name":            {"name: tenants", "name: tenants.x"},
		"a long name":                  {"name: tenants", "name: " + strings.Repeat("x", 64)},
		"no source":                    {"sourceRef: {kind: GitRepository, name: fleet}, ", ""},
	} {
		o := parse(t, strings.Replace(right, change[0], change[1], 1))
		wrong := apiservervalidation.ValidateCustomResource(nil, o.Object, schemaValidator)
		more, _ := rules.Validate(context.Background(), nil, structural, o.Object, nil, celconfig.RuntimeCELCostBudget)
		if refused := len(wrong)+len(more) > 0; refused != (name != "right") {
			t.Errorf("%s: %v %v", name, wrong, more)
		}
	}
}
