package generators

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/schema"
)

// gatekeeperRego has a file for each policy that asks for grants, and one that
// all of them use. Gatekeeper's CEL engine has no authorizer, so what RBAC
// grants is read in Gatekeeper's inventory, which its Rego engine alone has.
// Source: gatekeeper v3.23.1, pkg/drivers/k8scel/driver.go:84,218.
//
//go:embed gatekeeper/*.rego
var gatekeeperRego embed.FS

// gatekeeperKinds are what each policy's resources are called as kinds, by which
// a Constraint matches. Subresources have kinds of their own.
var gatekeeperKinds = map[string][]gatekeeperMatch{
	"mint":         {{[]string{"authentication.k8s.io"}, []string{"TokenRequest"}}},
	"minter":       {{[]string{"authentication.k8s.io"}, []string{"TokenRequest"}}},
	"token-secret": {{[]string{""}, []string{"Secret"}}},
	"pod":          {{[]string{""}, []string{"Pod"}}},
	"store": {
		{[]string{storeGroup}, []string{"SecretStore", "ClusterSecretStore"}},
		{[]string{generatorGroup}, []string{"*"}},
	},
	"reference": {{[]string{storeGroup}, []string{"ExternalSecret", "ClusterExternalSecret", "PushSecret", "ClusterPushSecret"}}},
	"role":      {{[]string{"rbac.authorization.k8s.io"}, []string{"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}}},
	"account":   {{[]string{""}, []string{"ServiceAccount"}}},
	"namespace": {{[]string{""}, []string{"Namespace"}}},
	"exec":      {{[]string{""}, []string{"Pod", "PodExecOptions", "PodAttachOptions", "PodPortForwardOptions"}}},
}

// The kinds of Gatekeeper's API, as far as they are generated.
type (
	constraintTemplate struct {
		metav1.TypeMeta `json:",inline"`
		ObjectMeta      metav1.ObjectMeta      `json:"metadata"`
		Spec            constraintTemplateSpec `json:"spec"`
	}
	constraintTemplateSpec struct {
		CRD     map[string]any     `json:"crd"`
		Targets []gatekeeperTarget `json:"targets"`
	}
	gatekeeperTarget struct {
		Target string           `json:"target"`
		Code   []gatekeeperCode `json:"code"`
	}
	gatekeeperCode struct {
		Engine string `json:"engine"`
		Source any    `json:"source"`
	}
	regoSource struct {
		Version string   `json:"version"`
		Rego    string   `json:"rego"`
		Libs    []string `json:"libs"`
	}
	celSource struct {
		FailurePolicy admissionv1.FailurePolicyType `json:"failurePolicy"`
		// GenerateVAP keeps Gatekeeper from making policies of the API server's
		// of this: whoever wants those has them made here.
		GenerateVAP bool                         `json:"generateVAP"`
		Conditions  []admissionv1.MatchCondition `json:"matchCondition"` // the field's name in v3.23.1
		Variables   []admissionv1.Variable       `json:"variables,omitempty"`
		Validations []celValidation              `json:"validations"`
	}
	celValidation struct {
		Expression        string `json:"expression"`
		Message           string `json:"message"`
		MessageExpression string `json:"messageExpression,omitempty"`
	}
	constraint struct {
		metav1.TypeMeta `json:",inline"`
		ObjectMeta      metav1.ObjectMeta `json:"metadata"`
		Spec            constraintSpec    `json:"spec"`
	}
	constraintSpec struct {
		EnforcementAction string                       `json:"enforcementAction"`
		Match             map[string][]gatekeeperMatch `json:"match"`
		Parameters        map[string]any               `json:"parameters,omitempty"`
	}
	gatekeeperMatch struct {
		APIGroups []string `json:"apiGroups"`
		Kinds     []string `json:"kinds"`
	}
	syncSet struct {
		metav1.TypeMeta `json:",inline"`
		ObjectMeta      metav1.ObjectMeta `json:"metadata"`
		Spec            syncSetSpec       `json:"spec"`
	}
	syncSetSpec struct {
		GVKs []syncedKind `json:"gvks"`
	}
	syncedKind struct {
		Group   string `json:"group"`
		Version string `json:"version"`
		Kind    string `json:"kind"`
	}
)

// gatekeeperTargetName is Gatekeeper's one target.
const gatekeeperTargetName = "admission.k8s.gatekeeper.sh"

// gatekeeper makes the same policies for Gatekeeper: a ConstraintTemplate and a
// Constraint each. Those that ask for no grant are the very expressions; the
// others are Rego, and the Platform's facts are their Constraints' parameters.
func gatekeeper(x *Expander) []Object {
	var objects []Object
	for _, p := range policiesOf(x.platform) {
		objects = append(objects, x.constrained(p)...)
	}
	sync := x.object(kindSyncSet, "", "grants")
	sync.Name = gatekeeperName(sync.Name)
	set := &syncSet{TypeMeta: sync.typeMeta(), ObjectMeta: sync.objectMeta()}
	for _, kind := range []string{"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"} {
		set.Spec.GVKs = append(set.Spec.GVKs, syncedKind{"rbac.authorization.k8s.io", "v1", kind})
	}
	return append(objects, Object{Meta: sync, File: fileAdmission + "grants", Body: set}, x.gatekeeperValues())
}

func (x *Expander) constrained(p policy) []Object {
	template := x.object(kindTemplate, "", p.what)
	template.Name = gatekeeperName(template.Name)
	// A Constraint's kind is its template's. A hyphen may be in it, and keeps the
	// names of two releases apart.
	check := x.object(Kind{"constraints.gatekeeper.sh/v1beta1", template.Name}, "", p.what)
	check.Name = template.Name
	check.Annotations = p.annotations
	file := fileAdmission + p.what
	spec := constraintSpec{EnforcementAction: "deny", Match: map[string][]gatekeeperMatch{"kinds": gatekeeperKinds[p.what]}}
	if x.platform.Enforcement == schema.Observe {
		spec.EnforcementAction = "warn"
	}
	code := gatekeeperCode{Engine: "K8sNativeValidation"}
	if source, err := gatekeeperRego.ReadFile("gatekeeper/" + p.what + ".rego"); err == nil {
		library, _ := gatekeeperRego.ReadFile("gatekeeper/fence.rego")
		code = gatekeeperCode{Engine: "Rego", Source: regoSource{Version: "v1", Rego: spaced(source), Libs: []string{spaced(library)}}}
		spec.Parameters = parameters(x.platform, p)
	} else {
		code.Source = p.cel()
	}
	return []Object{
		{Meta: template, File: file, Body: &constraintTemplate{
			TypeMeta: template.typeMeta(), ObjectMeta: template.objectMeta(),
			Spec: constraintTemplateSpec{
				CRD: map[string]any{"spec": map[string]any{
					"names":      map[string]any{"kind": template.Name},
					"validation": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
				}},
				Targets: []gatekeeperTarget{{Target: gatekeeperTargetName, Code: []gatekeeperCode{code}}},
			},
		}},
		{Meta: check, File: file, Body: &constraint{TypeMeta: check.typeMeta(), ObjectMeta: check.objectMeta(), Spec: spec}},
	}
}

// cel is a policy as Gatekeeper's CEL engine takes it. What the policy looks at
// is a condition there, since a Constraint matches kinds alone.
func (p policy) cel() celSource {
	var matched []string
	for _, rule := range p.rules {
		var operations []string
		for _, operation := range rule.Operations {
			operations = append(operations, string(operation))
		}
		matched = append(matched, "request.operation in "+list(operations...)+" && request.resource.group in "+list(rule.APIGroups...)+
			" && request.resource.resource + (request.?subResource.orValue('') == '' ? '' : '/' + request.subResource) in "+list(rule.Resources...))
	}
	source := celSource{
		FailurePolicy: admissionv1.Fail,
		Conditions:    append([]admissionv1.MatchCondition{{Name: "matched", Expression: strings.Join(matched, " || ")}}, p.conditions...),
		Variables:     p.variables,
	}
	for _, v := range p.validations {
		source.Validations = append(source.Validations, celValidation{v.Expression, v.Message, v.MessageExpression})
	}
	return source
}

// parameters are what the Rego of a policy has to know of the Platform.
func parameters(p *schema.Platform, of policy) map[string]any {
	var rules []any
	for _, rule := range of.rules {
		var operations []any
		for _, operation := range rule.Operations {
			operations = append(operations, string(operation))
		}
		rules = append(rules, map[string]any{"operations": operations, "group": rule.APIGroups[0], "resources": texts(rule.Resources)})
	}
	all := map[string]any{
		"rules":      rules,
		"namespace":  p.ESO.Namespace,
		"controller": userName(p.ESO.Namespace, p.ESO.ServiceAccount),
		"users":      texts(userNames(p)),
		"label":      LabelTenant,
	}
	if list := exemptions(p, of.what); len(list) > 0 {
		all["exemptions"], all["exempt"] = list, texts(exemptedIn[of.what])
	}
	switch of.what {
	case "mint":
		all["maxAudiences"], all["maxTokenSeconds"] = schema.MaxAudiences, p.Admission.MaxTokenSeconds
	case "account":
		all["writers"] = texts(p.Admission.Writers)
	case "store":
		entries := []any{}
		for _, e := range catalogue(p) {
			entries = append(entries, e.value())
		}
		all["catalogue"], all["offline"], all["offlineSpecs"] = entries, texts(offline), texts(offlineSpecs)
		all["writers"] = texts(p.Admission.Writers)
	case "reference":
		all["kinds"], all["stores"], all["generators"] = texts(usedKinds(p)), texts(usedStores(p)), texts(usedGenerators())
		all["keyPrefixes"] = texts(p.KeyPrefixes)
		all["genericTargets"] = slices.Contains(p.ESO.Options.Features, eso.FeatureGenericTargets)
	}
	return all
}

// gatekeeperName is a name that Gatekeeper takes: its webhook refuses longer
// ones than a label's value, and a Constraint's kind is one too.
// Source: gatekeeper v3.23.1, pkg/webhook/policy.go:386.
func gatekeeperName(name string) string {
	if len(name) < maxLabel {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:maxLabel-17] + "-" + hex.EncodeToString(sum[:8])
}

// gatekeeperValues makes the ConfigMap with what Gatekeeper's chart has to be
// installed with: by default its webhook is asked neither for tokens nor for
// what is deleted, and a request passes where it does not answer.
func (x *Expander) gatekeeperValues() Object {
	meta := x.object(kindConfigMap, x.platform.ESO.Namespace, "gatekeeper-values")
	var b strings.Builder
	b.WriteString("# Values for Gatekeeper's chart, 3.23: without them its webhook does not see what these\n" +
		"# Constraints are about. A list replaces the chart's own, so its items are here as well.\n")
	b.WriteString("validatingWebhookFailurePolicy: Fail\nenableDeleteOperations: true\nenableConnectOperations: true\nenableK8sNativeValidation: true\n")
	b.WriteString("# No Constraint is about Leases: nodes and controllers stay alive by them, also while Gatekeeper does not answer.\n" +
		"validatingWebhookMatchConditions:\n  - name: not-leases\n    expression: request.resource.group != 'coordination.k8s.io'\n")
	b.WriteString("validatingWebhookSubResources:\n")
	for _, name := range gatekeeperSubresources {
		fmt.Fprintf(&b, "  - %s\n", name)
	}
	return Object{Meta: meta, File: fileAdmission + "grants", Body: &corev1.ConfigMap{
		TypeMeta: meta.typeMeta(), ObjectMeta: meta.objectMeta(), Data: map[string]string{ValuesKey: b.String()},
	}}
}

// gatekeeperSubresources are the chart's own, and the first three.
// Source: gatekeeper v3.23.1, charts/gatekeeper/values.yaml:20.
var gatekeeperSubresources = []string{
	"serviceaccounts/token", "namespaces/status", "namespaces/finalize",
	"pods/ephemeralcontainers", "pods/exec", "pods/log", "pods/eviction", "pods/portforward", "pods/proxy", "pods/attach", "pods/binding", "pods/resize",
	"deployments/scale", "replicasets/scale", "statefulsets/scale", "replicationcontrollers/scale", "services/proxy", "nodes/proxy", "services/status",
}

// spaced is a text without tabs, which YAML would write on one line.
func spaced(text []byte) string { return strings.ReplaceAll(string(text), "\t", "  ") }
