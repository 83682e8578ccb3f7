package fn

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// yamlObject is any object that we have no Go type for.
type yamlObject = map[string]any

func sampleMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:      name,
		Namespace: "web-prod",
		Labels: map[string]string{
			"app.kubernetes.io/managed-by": "eso-tenant",
			"app.kubernetes.io/version":    "1.2.3",
			"eso-tenant.io/tenant":         "web",
			"eso-tenant.io/shared":         "true",
		},
		Annotations: map[string]string{"eso-tenant.io/source": "tenants/web.yaml:12:3", "cost-centre": "0123"},
	}
}

func sampleServiceAccount() *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:                     metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta:                   sampleMeta("eso-main"),
		AutomountServiceAccountToken: new(bool),
	}
}

func sampleRole() *rbacv1.Role {
	return &rbacv1.Role{
		TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"},
		ObjectMeta: sampleMeta("eso-main-token"),
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{"eso-main"}, Verbs: []string{"create"}},
			{APIGroups: []string{"external-secrets.io"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch"}},
			{NonResourceURLs: []string{"/healthz", "/metrics/*"}, Verbs: []string{"*"}},
		},
	}
}

func sampleNetworkPolicy() *networkingv1.NetworkPolicy {
	udp, dns, https, end := corev1.ProtocolUDP, intstr.FromInt32(53), intstr.FromString("https"), int32(9000)
	return &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: sampleMeta("default"),
		Spec: networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Egress: []networkingv1.NetworkPolicyEgressRule{{
				To: []networkingv1.NetworkPolicyPeer{
					{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8", Except: []string{"10.1.0.0/16", "fd00::/8"}}},
					{NamespaceSelector: &metav1.LabelSelector{}},
					{PodSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "In", Values: []string{"a", "on"}}}}},
				},
				Ports: []networkingv1.NetworkPolicyPort{{Protocol: &udp, Port: &dns}, {Port: &https, EndPort: &end}},
			}},
		},
	}
}

func sampleSecretStore() yamlObject {
	return yamlObject{
		"apiVersion": "external-secrets.io/v1", "kind": "SecretStore",
		"metadata": yamlObject{"name": "main", "namespace": "web-prod"},
		"spec": yamlObject{
			"refreshInterval": 300,
			"provider": yamlObject{"vault": yamlObject{
				"server": "https://vault.example.com:8200", "path": "kv/data", "version": "v2",
				"caProvider": yamlObject{"type": "ConfigMap", "name": "ca", "key": "ca.crt"},
				"auth": yamlObject{"kubernetes": yamlObject{
					"mountPath": "jwt-eu-1", "role": "web-prod",
					"serviceAccountRef": yamlObject{"name": "eso-main", "audiences": []string{"vault"}},
				}},
			}},
			"conditions": []any{},
		},
	}
}

func sampleNamespace() *corev1.Namespace {
	return &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: sampleMeta("web-prod")}
}

func samples() map[string]any {
	quota := resource.MustParse("1500m")
	return map[string]any{
		"ServiceAccount": sampleServiceAccount(),
		"Role":           sampleRole(),
		"NetworkPolicy":  sampleNetworkPolicy(),
		"SecretStore":    sampleSecretStore(),
		"Namespace":      sampleNamespace(),
		"RoleBinding": rbacv1.RoleBinding{
			TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding"}, ObjectMeta: sampleMeta("x"),
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "external-secrets", Namespace: "eso"}, {Kind: "Group", Name: "oidc:web"}},
			RoleRef:  rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: "x"},
		},
		"ResourceQuota": corev1.ResourceQuota{ObjectMeta: sampleMeta("q"), Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
			"pods": resource.MustParse("20"), "requests.cpu": quota, "limits.memory": resource.MustParse("4Gi"), "count/secrets": resource.MustParse("1e3"),
		}}},
		"LimitRange": &corev1.LimitRange{ObjectMeta: sampleMeta("l"), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypeContainer, Default: corev1.ResourceList{"cpu": quota}, DefaultRequest: corev1.ResourceList{"cpu": resource.MustParse("0")},
		}}}},
		"ConfigMap": &corev1.ConfigMap{ObjectMeta: sampleMeta("c"), Immutable: new(bool), BinaryData: map[string][]byte{"b": {0, 255}, "e": {}}, Data: map[string]string{
			"ca.crt": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "no-end": "a\n  b\n\nc", "keep": "a\n\n\n", "tab": "a\n\tb\n", "crlf": "a\r\nb\r\n",
			"trailing": "a \nb", "last": "a\nb ", "number": "1\n", "html": "<a href=\"x\">&</a>", "empty": "",
			"german": "Grüße", "cjk": "秘密", "emoji": "🔑", "template": "{{ .x | toString }}", "url": "https://a/b?c=d#e", "comment": "a #b", "colon": "a: b", "yes": "yes", "n": "no",
			"quote": "it's", "both": "'a': \"b\"", "null": "~", "ip": "10.0.0.1", "arn": "arn:aws:iam::012345678901:role/x", "account": "012345678901", "octal": "0777",
			"date": "2001-01-01", "flag": "--x=y", "dash": "-", "dots": "...", "tilde": "~/x", "pipe": "|", "star": "*.example.com", "at": "@x", "percent": "%x",
			"bang": "!x", "amp": "&x", "space": " x", "space-end": "x ", "hex": "0x1F", "exp": "1e3", "inf": ".inf", "under": "1_000", "sexagesimal": "1:20", "guid": "12345678-90ab-4def-8123-1234567890ab",
		}},
		"Secret":  corev1.Secret{ObjectMeta: sampleMeta("s"), Type: corev1.SecretTypeOpaque, StringData: map[string]string{"a": "b"}},
		"nested":  []any{[]any{1, []any{"a", yamlObject{"b": []any{}, "c": yamlObject{}}}}, []any{}, yamlObject{}, nil, "x\ny", yamlObject{"k": "x\ny\n", "l": []any{"p\nq"}}},
		"strings": []string{"", "a\n\tb", "x:y", "x#y", "a,b", "[", "]a", "a]", "\"", "\\", "a\\b", "\x00\x1b\u2028\ufeff", "a'b: c"},
		"keys":    yamlObject{"": 1, "true": 2, "1": 3, "a: b": 4, "*": 5, " ": 6, "ü": 7, strings.Repeat("k", 128): 1, strings.Repeat("l", 129): yamlObject{"a": []any{1, 2}, "b": "c"}, strings.Repeat("m", 129): []any{1, yamlObject{"a": 1, "b": 2}}},
		"scalars": []any{true, false, nil, 0, -1, math.MaxInt64, uint64(math.MaxUint64), 0.5, float32(0.25), -1.75},
		"string":  "x",
		"block":   "x\ny",
		"number":  12,
		"empty":   yamlObject{},
		"nothing": []any{},
		"nil":     nil,
	}
}

func mustYAML(t testing.TB, v any) string {
	t.Helper()
	b, err := appendYAML(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// kept takes from a document, as encoding/json decodes it, what appendYAML leaves out.
func kept(doc any) any {
	o, ok := doc.(yamlObject)
	if !ok {
		return doc
	}
	delete(o, "status")
	if spec, ok := o["spec"].(yamlObject); ok && len(spec) == 0 {
		delete(o, "spec")
	}
	if m, ok := o["metadata"].(yamlObject); ok {
		if v, ok := m["creationTimestamp"]; ok && v == nil {
			delete(m, "creationTimestamp")
		}
	}
	return o
}

// viaJSON is what encoding/json makes of v, but for what appendYAML leaves out.
func viaJSON(t testing.TB, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return kept(doc)
}

func TestAppendYAMLEqualsKubernetes(t *testing.T) {
	for name, v := range samples() {
		want, err := yaml.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if name == "Namespace" || name == "ResourceQuota" {
			want = []byte(strings.NewReplacer("spec: {}\n", "", "status: {}\n", "").Replace(string(want)))
		}
		if diff := cmp.Diff(string(want), mustYAML(t, v)); diff != "" {
			t.Errorf("%s (-sigs.k8s.io/yaml +ours):\n%s", name, diff)
		}
	}
}

// What we write differently from sigs.k8s.io/yaml, and how.
func TestAppendYAMLDiffersFromKubernetes(t *testing.T) {
	long := strings.Repeat("many words ", 20) + "end"
	for _, tt := range []struct {
		why  string
		v    any
		want string
	}{
		{"never folded", yamlObject{"a": long}, "a: " + long + "\n"},
		{"a date without its end", "2001-1abc", "\"2001-1abc\"\n"},
		{"the value type of YAML 1.1 is an error in Python", "=", "\"=\"\n"},
		{"words in any case", "tRue", "\"tRue\"\n"},
		{"a float of YAML 1.1 and of syck", ".", "\".\"\n"},
		{"an integer in Ruby", "1,000", "\"1,000\"\n"},
		{"a float to npm's yaml", []string{"e0", "-E+9", "e123456", "e-x"}, "- \"e0\"\n- \"-E+9\"\n- \"e123456\"\n- e-x\n"},
		{"a symbol in Ruby", ":x", "':x'\n"},
		{"an indicator", "?x", "'?x'\n"},
		{"sigs reads NEL as a space", "a\u0085b", "\"a\\Nb\"\n"},
		{"invisible", "a\u00a0b\u200b\u202ec", "\"a\\_b\\u200B\\u202Ec\"\n"},
		{"no indentation indicators", "  a\nb", "\"  a\\nb\"\n"},
		{"nor before breaks", "\na\n", "\"\\na\\n\"\n"},
		{"keys in one line", yamlObject{"a\nb": 1}, "\"a\\nb\": 1\n"},
		{"keys in byte order, not in natural order", yamlObject{"a10": 1, "a9": 2, "b": 0, "B": 0}, "B: 0\na10: 1\na9: 2\nb: 0\n"},
		{"floats as in JSON, and floats in YAML 1.1", []any{123456789.5, 1e21, 1.5e-9, math.Copysign(0, -1)}, "- 123456789.5\n- 1.0e+21\n- 1.5e-9\n- -0\n"},
	} {
		if got := mustYAML(t, tt.v); got != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.why, got, tt.want)
		}
	}
}

func TestAppendYAMLLeavesOut(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"status", `{"status":{"a":1},"kind":"X"}`, "kind: X\n"},
		{"status that is not an object", `{"status":"x","kind":"X"}`, "kind: X\n"},
		{"first, middle and last", `{"spec":{},"a":1,"status":{},"b":2,"metadata":{"creationTimestamp":null}}`, "a: 1\nb: 2\nmetadata: {}\n"},
		{"everything", `{"spec":{},"status":{}}`, "{}\n"},
		{"spec with something", `{"spec":{"a":{}}}`, "spec:\n  a: {}\n"},
		{"spec that is not an object", `{"spec":[]}`, "spec: []\n"},
		{"null spec", `{"spec":null}`, "spec: null\n"},
		{"creationTimestamp that is set", `{"metadata":{"creationTimestamp":"x"}}`, "metadata:\n  creationTimestamp: x\n"},
		{"only at the top", `{"a":{"metadata":{"creationTimestamp":null},"spec":{},"status":{}}}`, "a:\n  metadata:\n    creationTimestamp: null\n  spec: {}\n  status: {}\n"},
		{"not in metadata of metadata", `{"metadata":{"metadata":{"creationTimestamp":null}}}`, "metadata:\n  metadata:\n    creationTimestamp: null\n"},
		{"not in a list", `[{"status":{}}]`, "- status: {}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := mustYAML(t, json.RawMessage(tt.in)); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

type valueText struct{ s string }

func (t valueText) MarshalText() ([]byte, error) { return []byte(t.s), nil }

type pointerText struct{ s string }

func (t *pointerText) MarshalText() ([]byte, error) { return []byte(t.s), nil }

type embedded struct {
	Name  string `json:"name"`
	Count int    `json:"count,omitempty"`
	Both  string
}

type embeddedPointer struct {
	Both string
	Deep string `json:"deep"`
}

type everyTag struct {
	embedded
	*embeddedPointer
	metav1.TypeMeta `json:",inline"`
	Zeta            string            `json:"a-first"`
	Alpha           *int              `json:"z-last,omitempty"`
	Zero            metav1.Time       `json:"zero,omitzero"`
	Time            metav1.Time       `json:"time"`
	Skip            string            `json:"-"`
	Dash            string            `json:"-,"` //nolint:staticcheck // the odd tag is what is tested
	Quoted          int               `json:"quoted,string"`
	Bytes           []byte            `json:"bytes"`
	Array           [2]byte           `json:"array"`
	Any             any               `json:"any"`
	Text            valueText         `json:"text"`
	Pointer         pointerText       `json:"pointer"`
	ByText          map[valueText]int `json:"byText"`
	ByInt           map[int8]string   `json:"byInt"`
	Quantity        resource.Quantity `json:"quantity"`
	Number          json.Number       `json:"number"`
	hidden          int
}

// The value of a Go value is what encoding/json makes of it.
func TestAppendYAMLEqualsJSON(t *testing.T) {
	seven := 7
	all := samples()
	all["zero"] = everyTag{}
	all["full"] = &everyTag{
		embedded: embedded{Name: "n", Count: 1, Both: "lost"}, embeddedPointer: &embeddedPointer{Both: "lost too", Deep: "d"}, TypeMeta: metav1.TypeMeta{Kind: "K"},
		Zeta: "z", Alpha: &seven, Time: metav1.NewTime(time.Unix(1e9, 0)), Skip: "s", Dash: "-", Quoted: 3, Bytes: []byte("\xff\x00"), Any: &embedded{},
		Text: valueText{"<null>"}, Pointer: pointerText{"p"}, ByText: map[valueText]int{{"b"}: 1, {"a: "}: 2}, ByInt: map[int8]string{-1: "on", 10: "1"},
		Quantity: resource.MustParse("1e3"), Number: "1E4", hidden: 1,
	}
	all["deployment"] = yamlObject{"spec": yamlObject{"template": corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Name: "c", Args: []string{"--a=b", "-", "on"}, Env: []corev1.EnvVar{{Name: "A", Value: "1"}},
		Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{"cpu": resource.MustParse("0.5")}},
	}}}}}}
	all["invalid UTF-8"] = yamlObject{"a\xff": "\xc3\x28", "raw": json.RawMessage("\"\\ud83d\\ude00\\/\xff\\ud800\"")}
	for name, v := range all {
		t.Run(name, func(t *testing.T) { parsesTo(t, mustYAML(t, v), viaJSON(t, v)) })
	}
}

func TestAppendYAMLErrors(t *testing.T) {
	cycle := yamlObject{}
	cycle["x"] = cycle
	for name, v := range map[string]any{
		"NaN": math.NaN(), "function": func() {}, "channel": yamlObject{"a": make(chan int)}, "number": json.Number("1x"),
		"IntOrString": intstr.IntOrString{Type: 9}, "cycle": cycle, "raw": json.RawMessage("{"),
	} {
		if _, err := json.Marshal(v); err == nil {
			t.Errorf("%s: encoding/json has no error", name)
		}
		got, err := appendYAML([]byte("before"), v)
		if err == nil || string(got) != "before" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	var unsupported *json.UnsupportedValueError
	if _, err := appendYAML(nil, math.Inf(1)); !errors.As(err, &unsupported) {
		t.Errorf("got %v, not what encoding/json says", err)
	}
	for _, v := range []any{json.RawMessage(`{"x":{"a":1,"b":2,"a":3}}`), yamlObject{"\xfe": 1, "\xff": 2}} {
		if got, err := appendYAML([]byte("before"), v); err == nil || string(got) != "before" {
			t.Errorf("a key twice: got %q, %v", got, err)
		}
	}
}

func TestAppendYAMLAppends(t *testing.T) {
	dst := []byte("---\n")
	for range 2 {
		var err error
		if dst, err = appendYAML(dst, yamlObject{"b": yamlObject{"d": 1, "c": 2}, "a": 1}); err != nil {
			t.Fatal(err)
		}
	}
	const doc = "a: 1\nb:\n  c: 2\n  d: 1\n"
	if string(dst) != "---\n"+doc+doc {
		t.Errorf("got %q", dst)
	}
}

func BenchmarkAppendYAML(b *testing.B) {
	writers := []struct {
		name  string
		write func([]byte, any) ([]byte, error)
	}{
		{"ours", appendYAML},
		{"json", func(_ []byte, v any) ([]byte, error) { return json.Marshal(v) }},
		{"sigs", func(_ []byte, v any) ([]byte, error) { return yaml.Marshal(v) }},
	}
	for _, o := range []struct {
		kind string
		v    any
	}{
		{"ServiceAccount", sampleServiceAccount()},
		{"Role", sampleRole()},
		{"NetworkPolicy", sampleNetworkPolicy()},
		{"SecretStore", sampleSecretStore()},
		{"Namespace", sampleNamespace()},
		{"ConfigMap", samples()["ConfigMap"]},
	} {
		for _, w := range writers {
			b.Run(o.kind+"/"+w.name, func(b *testing.B) {
				b.ReportAllocs()
				var dst []byte
				for b.Loop() {
					var err error
					if dst, err = w.write(dst[:0], o.v); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
