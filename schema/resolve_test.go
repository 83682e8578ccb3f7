package schema

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// resolved decodes what has no error in it.
func resolved(t *testing.T, text string) *Spec {
	t.Helper()
	spec, problems := decodeText(text)
	if problems.Errors() > 0 {
		t.Fatal(written(problems))
	}
	return spec
}

// TestSettings: what a namespace states lies over the Platform's defaults, labels and annotations key by key.
func TestSettings(t *testing.T) {
	const platform = `  providers: {}
  tenantPolicy: {labels: [a, b], annotations: [note], overrides: [quota, limits, network, manage, prune], podSecurity: baseline}
  namespaceDefaults:
    podSecurity: {enforce: restricted, warn: restricted}
    labels: {a: "1", c: "3"}
    annotations: {m: x}
    quota: {pods: 50}
    limits: [{type: Container, default: {memory: 512Mi}}]
    network: {defaultDeny: true}
`
	spec := resolved(t, minimalPlatform(platform)+"---\n"+tenantText(`  namespaces:
    web: {}
    web-all:
      podSecurity: baseline
      labels: {a: "2", b: "2"}
      annotations: {note: kept}
      quota: {cpu: "2"}
      limits: [{type: Pod, max: {cpu: 1500m}}]
      network: {defaultDeny: false, allowDNS: true}
      manage: false
      prune: true
    web-none:
      quota: {}
      limits: []
`))
	byDefault := Namespace{
		Name: "web", Managed: true, Labels: map[string]string{"a": "1", "c": "3"}, Annotations: map[string]string{"m": "x"},
		PodSecurity: PodSecurity{Enforce: "restricted", Warn: "restricted"}, Quota: map[string]string{"pods": "50"},
		Limits: []Limit{{Type: "Container", Default: map[string]string{"memory": "512Mi"}}}, DefaultDeny: true,
	}
	none := byDefault
	none.Name, none.Quota, none.Limits = "web-none", map[string]string{}, nil
	want := []*Namespace{&byDefault, {
		Name: "web-all", Prune: true, Labels: map[string]string{"a": "2", "b": "2", "c": "3"}, Annotations: map[string]string{"m": "x", "note": "kept"},
		PodSecurity: PodSecurity{Enforce: "baseline", Warn: "baseline", Audit: "baseline"}, Quota: map[string]string{"cpu": "2"},
		Limits: []Limit{{Type: "Pod", Max: map[string]string{"cpu": "1500m"}}}, AllowDNS: true,
	}, &none}
	if diff := cmp.Diff(want, spec.Clusters[0].Tenants[0].Namespaces, cmpopts.IgnoreTypes(problem.Position{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPlacement: a tenant is on a cluster with just the namespaces that are there.
func TestPlacement(t *testing.T) {
	platforms := ""
	for _, name := range []string{"us-1", "eu-1", "ap-1"} {
		platforms += strings.Replace(minimalPlatform("  providers: {}\n"), "eu-1", name, 1) + "---\n"
	}
	for spec, want := range map[string]string{
		"  clusters: [eu-1]\n  namespaces: {web: {}, web-2: {}}\n":                       "ap-1[] eu-1[web web-2] us-1[]",
		"  clusters: [eu-1, us-1]\n  namespaces: {web: {}, web-2: {clusters: [ap-1]}}\n": "ap-1[web-2] eu-1[web] us-1[web]",
		"  namespaces: {web: {clusters: [ap-1]}, web-2: {clusters: [ap-1, us-1]}}\n":     "ap-1[web web-2] eu-1[] us-1[web-2]",
	} {
		var got []string
		for _, cluster := range resolved(t, platforms+tenantText(spec)).Clusters {
			var namespaces []string
			for _, tenant := range cluster.Tenants {
				for _, ns := range tenant.Namespaces {
					namespaces = append(namespaces, ns.Name)
				}
			}
			got = append(got, fmt.Sprint(cluster.Platform.Name, namespaces))
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s(-want +got):\n%s", spec, diff)
		}
	}
}

// TestIdentities: what the store is to the other side, stated or by default.
func TestIdentities(t *testing.T) {
	const id, directory = "5e5f1f3e-0000-4000-8000-000000000001", "5e5f1f3e-0000-4000-8000-000000000000"
	spec := resolved(t, platformText(t)+"---\n"+tenantText(`  namespaces:
    web:
      stores:
        a-vault: {provider: vault}
        b-vault: {provider: vault, serviceAccount: sa, identity: {role: web-x, path: kv2}}
        c-aws: {provider: aws-eu, identity: {roleARN: "arn:aws:iam::123456789012:role/web-x"}}
        d-azure: {provider: azure-any, identity: {clientID: `+id+", tenantID: "+directory+`}}
        e-gcp: {provider: gcp-eu}
        f-hub: {provider: hub}
        g-here: {provider: here, identity: {remoteNamespace: common}}
`))
	type store struct {
		Account  string
		Identity Identity
		Remote   string
		Asked    []string // audiences in the reference
		Carried  []string // audiences of the token
	}
	want := map[string]store{
		"a-vault": {"a-vault-access-sa", Identity{"role": "web-a-vault"}, "", []string{"vault"}, []string{"vault"}},
		"b-vault": {"sa", Identity{"role": "web-x", "path": "kv2"}, "", []string{"vault"}, []string{"vault"}},
		"c-aws":   {"c-aws-access-sa", Identity{"roleARN": "arn:aws:iam::123456789012:role/web-x"}, "", nil, []string{"sts.amazonaws.com"}},
		"d-azure": {"d-azure-access-sa", Identity{"clientID": id, "tenantID": directory}, "", nil, []string{"api://AzureADTokenExchange"}},
		"e-gcp":   {"e-gcp-access-sa", Identity{}, "", nil, []string{"acme.svc.id.goog"}},
		"f-hub":   {"f-hub-access-sa", Identity{}, "shared", []string{"hub"}, []string{"hub"}},
		"g-here":  {"g-here-access-sa", Identity{"remoteNamespace": "common"}, "common", defaultAPIAudiences, defaultAPIAudiences},
	}
	got := map[string]store{}
	for _, s := range spec.Clusters[0].Tenants[0].Namespaces[0].Stores {
		got[s.Name] = store{s.ServiceAccount, s.Identity, s.RemoteNamespace(), s.Provider.ReferenceAudiences(), s.TokenAudiences("web")}
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestProviderPassedOn: what ESO reads of a provider is what was written, numbers and lists too.
func TestProviderPassedOn(t *testing.T) {
	spec := resolved(t, minimalPlatform(`  providers:
    aws:
      aws:
        service: SecretsManager
        region: eu-west-1
        sessionTags: [{key: team, value: "1"}]
        secretsManager: {recoveryWindowInDays: 7, forceDeleteWithoutRecovery: false}
`))
	want := map[string]any{
		"service": "SecretsManager", "region": "eu-west-1",
		"sessionTags":    []any{map[string]any{"key": "team", "value": "1"}},
		"secretsManager": map[string]any{"recoveryWindowInDays": int64(7), "forceDeleteWithoutRecovery": false},
	}
	if diff := cmp.Diff(want, spec.Clusters[0].Platform.Providers["aws"].Spec); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOperator: how ESO is installed, stated or by default.
func TestOperator(t *testing.T) {
	stated := strings.Replace(minimalPlatform(`  providers: {}
  flux:
    sourceRef: {kind: OCIRepository, name: fleet, namespace: sources}
    path: ./rendered/
    namespace: flux
    interval: 10m
    serviceAccountName: applier
`), "{version: 2.9.0}", "{version: 2.9.0, namespace: eso, release: eso-a, serviceAccount: eso-sa, trim: [tokens], features: [pushSecrets]}", 1)
	type operator struct{ Namespace, Account, Release, Trims, Features string }
	for text, want := range map[string]operator{
		minimalPlatform("  providers: {}\n"): {"external-secrets", "external-secrets", "external-secrets", "[tokens secretWrites configMaps]", "[]"},
		strings.Replace(minimalPlatform("  providers: {}\n"), "enforcement: enforce", "enforcement: observe", 1): {"external-secrets", "external-secrets", "external-secrets", "[]", "[]"},
		stated: {"eso", "eso-sa", "eso-a", "[tokens]", "[pushSecrets]"},
	} {
		o := resolved(t, text).Clusters[0].Platform.ESO
		got := operator{o.Namespace, o.ServiceAccount, o.HelmRelease, fmt.Sprint(o.Options.Trims), fmt.Sprint(o.Options.Features)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s(-want +got):\n%s", text, diff)
		}
	}
	want := &Flux{SourceKind: "OCIRepository", SourceName: "fleet", SourceNamespace: "sources", Path: "rendered", Namespace: "flux", Interval: "10m", ServiceAccountName: "applier"}
	if diff := cmp.Diff(want, resolved(t, stated).Clusters[0].Platform.Flux); diff != "" {
		t.Errorf("flux (-want +got):\n%s", diff)
	}
	oci := minimalPlatform(`  providers: {}
  flux: {oci: {url: oci://registry.example.com/fleet, verify: {provider: cosign, matchOIDCIdentity: [{issuer: "^i$", subject: "^s$"}]}}}
`)
	want = &Flux{Namespace: "flux-system", Interval: "1h", OCI: &FluxOCI{
		URL: "oci://registry.example.com/fleet", Tag: "latest", Interval: "5m",
		Verify: &FluxVerify{Provider: "cosign", Identities: []FluxIdentity{{"^i$", "^s$"}}},
	}}
	if diff := cmp.Diff(want, resolved(t, oci).Clusters[0].Platform.Flux); diff != "" {
		t.Errorf("flux with artifacts (-want +got):\n%s", diff)
	}
	_, problems := decodeText(stated + "---\n" + tenantText("  namespaces: {eso: {}, flux: {}}\n"))
	if got := rulesOf(problems); got != "namespace-reserved" || len(problems) != 2 {
		t.Errorf("namespaces of ESO and Flux that are not the default ones:\n%s", written(problems))
	}
}

// TestAdmission: the policies are the API server's own and of an hour, unless stated; and they refuse only where both that
// engine and enforcement are on.
func TestAdmission(t *testing.T) {
	for _, tc := range []struct {
		more, enforcement string
		want              Admission
		refuses           bool
	}{
		{"", "enforce", Admission{Engine: ValidatingAdmissionPolicy, MaxTokenSeconds: 3600}, true},
		{"", "observe", Admission{Engine: ValidatingAdmissionPolicy, MaxTokenSeconds: 3600}, false},
		{"  admission: {}\n", "enforce", Admission{Engine: ValidatingAdmissionPolicy, MaxTokenSeconds: 3600}, true},
		{"  admission: {maxTokenSeconds: 7200}\n", "enforce", Admission{Engine: ValidatingAdmissionPolicy, MaxTokenSeconds: 7200}, true},
		{"  admission: {writers: [b, a, b]}\n", "enforce", Admission{Engine: ValidatingAdmissionPolicy, MaxTokenSeconds: 3600, Writers: []string{"a", "b"}}, true},
		{"  admission: {engine: none}\n", "enforce", Admission{Engine: NoAdmission, MaxTokenSeconds: 3600}, false},
	} {
		text := strings.Replace(minimalPlatform("  providers: {}\n"+tc.more), "enforcement: enforce", "enforcement: "+tc.enforcement, 1)
		p := resolved(t, text).Clusters[0].Platform
		if diff := cmp.Diff(tc.want, p.Admission); diff != "" || p.Refuses() != tc.refuses {
			t.Errorf("%s%s: %+v, refuses %v", tc.more, tc.enforcement, p.Admission, p.Refuses())
		}
	}
}

// TestServiceAccounts: all parts of ESO count, however its release is called.
func TestServiceAccounts(t *testing.T) {
	for release, want := range map[string][]string{
		"external-secrets": {"external-secrets", "external-secrets-cert-controller", "external-secrets-webhook"},
		"eso":              {"eso-cert-controller", "eso-external-secrets", "eso-webhook", "external-secrets-cert-controller", "external-secrets-webhook"},
	} {
		text := strings.Replace(minimalPlatform("  providers: {}\n"), "{version: 2.9.0}", "{version: 2.9.0, release: "+release+"}", 1)
		if diff := cmp.Diff(want, resolved(t, text).Clusters[0].Platform.ESO.ServiceAccounts()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", release, diff)
		}
	}
}

// TestMembers: a member stated twice is one, and who can mint is one warning however many they are.
func TestMembers(t *testing.T) {
	text := minimalPlatform("  providers: {}\n")
	for i := range 6 {
		text += "---\n" + strings.ReplaceAll(tenantText("  members: [{kind: Group, name: x, role: admin}, {kind: Group, name: x, role: admin}, {kind: Group, name: x, role: view}]\n  namespaces: {web: {}}\n"), "web", fmt.Sprint("t", i))
	}
	spec, problems := decodeText(text)
	if len(problems) != 1 || !strings.HasPrefix(problems[0].Message, "members of t0, t1, t2, and 3 more hold admin or cluster-admin") {
		t.Error(written(problems))
	}
	want := []Member{{Kind: "Group", Name: "x", Role: "admin"}, {Kind: "Group", Name: "x", Role: "view"}}
	if diff := cmp.Diff(want, spec.Clusters[0].Tenants[0].Members, cmpopts.IgnoreUnexported(Member{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestForeign: other kinds are counted and left alone; what configures the function is ours and says nothing of tenants.
func TestForeign(t *testing.T) {
	spec, problems, foreign := Decode([]Source{{File: "a.yaml", Data: []byte(
		"apiVersion: v1\nkind: ConfigMap\n---\napiVersion: example.com/v1\nkind: Tenant\n---\napiVersion: eso-tenant.dev/v1alpha1\nkind: TenantValidator\n")}})
	if len(problems) > 0 || foreign != 2 || len(spec.Clusters) > 0 {
		t.Errorf("%d foreign, %v, clusters %v", foreign, problems, spec.Clusters)
	}
}

// TestOneCauseOneProblem: what follows from a mistake is not reported beside it.
func TestOneCauseOneProblem(t *testing.T) {
	tenant := "---\n" + tenantText("  namespaces: {web: {stores: {vault: {provider: vault}}}}\n")
	vault := func(fields string) string {
		return minimalPlatform("  providers: {vault: {audiences: [vault], vault: {server: \"https://vault.example.com\", "+fields+"}}}\n") + tenant
	}
	for name, test := range map[string]struct{ text, rule string }{
		"the Platform is not YAML":              {"a: [\n", "yaml-syntax"},
		"the Platform's kind is misspelt":       {strings.Replace(minimalPlatform("  providers: {}\n"), "Platform", "Platfrom", 1), "kind-unknown"},
		"the Platform's name is missing":        {strings.Replace(minimalPlatform("  providers: {}\n"), "name: eu-1", "", 1), "field-missing"},
		"the Platform is too deep":              {minimalPlatform("  providers: " + strings.Repeat("[", 80) + strings.Repeat("]", 80) + "\n"), "yaml-too-deep"},
		"the provider logs in otherwise":        {vault("auth: {appRole: {path: x}}"), "provider-own-identity"},
		"the provider's login is not there":     {vault("path: kv"), "field-missing"},
		"the provider's login states a role":    {vault("auth: {kubernetes: {role: x}}"), "field-unknown"},
		"the provider's kind is a list":         {minimalPlatform("  providers: {vault: {vault: []}}\n") + tenant, "field-type"},
		"the provider's kind is misspelt":       {minimalPlatform("  providers: {vault: {volt: {}}}\n") + tenant, "field-unknown"},
		"the provider is no map":                {minimalPlatform("  providers: {vault: 1}\n") + tenant, "field-type"},
		"the provider's audiences are no list":  {minimalPlatform("  providers: {vault: {audiences: vault, vault: {server: \"https://x.example.com\", auth: {kubernetes: {}}}}}\n") + tenant, "field-type"},
		"the provider's audience is no text":    {minimalPlatform("  providers: {vault: {audiences: [1], vault: {server: \"https://x.example.com\", auth: {kubernetes: {}}}}}\n") + tenant, "field-type"},
		"the version is no text":                {strings.Replace(minimalPlatform("  providers: {}\n"), "2.9.0", "2.9", 1), "field-type"},
		"a feature is misspelt":                 {strings.Replace(minimalPlatform("  providers: {}\n"), "{version: 2.9.0}", "{version: 2.9.0, features: [pushSecret]}", 1), "field-value"},
		"a pattern is empty":                    {minimalPlatform("  providers: {}\n  tenantPolicy: {labels: [\"\"]}\n"), "field-value"},
		"a store names its account in capitals": {vault("auth: {kubernetes: {}}") + "        \n" + "---\n" + strings.ReplaceAll(tenantText("  namespaces: {web: {stores: {vault: {provider: vault, serviceAccount: SA}}}}\n"), "web", "shop"), "field-value"},
	} {
		t.Run(name, func(t *testing.T) {
			text := test.text
			if !strings.Contains(text, "kind: Tenant") && test.rule != "yaml-syntax" && test.rule != "yaml-too-deep" {
				text += "---\n" + tenantText("  namespaces: {web: {}}\n")
			}
			_, problems, _ := Decode([]Source{{File: "a.yaml", Data: []byte(text)}, {File: "b.yaml", Data: []byte(strings.ReplaceAll(tenantText("  namespaces: {web: {}}\n"), "web", "other"))}})
			if len(problems) != 1 || string(problems[0].Rule) != test.rule {
				t.Errorf("want %s alone:\n%s", test.rule, written(problems))
			}
		})
	}
}

// TestMatches: a pattern is anchored at both ends, and what is filled in is taken literally.
func TestMatches(t *testing.T) {
	for _, test := range []struct {
		pattern, claim string
		want           bool
	}{
		{"{tenant}(-.*)?", "web", true},
		{"{tenant}(-.*)?", "web-1", true},
		{"{tenant}(-.*)?", "webs", false},
		{"{tenant}(-.*)?", "a-web", false},
		{"{namespace}(-.*)?", "web-ns", true},
		{"{namespace}(-.*)?", "web-ns-x", true},
		{"{namespace}(-.*)?", "web", false},
		{"{tenant}-x", "web-x", true},
		{"{tenant}-x", "web-xy", false},
		{"{tenant}-x", "a-web-x", false},
		{"a|b", "a", true},
		{"a|b", "ab", false},
		{"a|b", "xb", false},
		{"x.*", "x\ny", false},
		{"[", "[", false},
		{"", "x", false},
	} {
		if got := matches([]string{test.pattern}, test.claim, "web", "web-ns"); got != test.want {
			t.Errorf("%q matches %q: %t", test.pattern, test.claim, got)
		}
	}
	if matches([]string{"{tenant}-x"}, "webs-x", "web.", "ns") {
		t.Error("a dot in what is filled in stands for any character")
	}
}

// TestNetworkDefaults: what a Platform that says the least gets.
func TestNetworkDefaults(t *testing.T) {
	dns := NetworkDNS{Pods: NetworkPods{Namespace: "kube-system", Labels: map[string]string{"k8s-app": "kube-dns"}}, Ports: []int32{53}}
	for text, want := range map[string]*Network{
		"  providers: {}\n": nil,
		"  providers: {}\n  network: {flavour: Cilium, apiServer: {ports: [6443, 443, 443]}}\n": {
			Flavour: CiliumNetworkPolicy, APIServer: NetworkPeer{Ports: []int32{443, 6443}}, DNS: dns,
		},
		`  providers:
    a: {audiences: [v], vault: {server: "https://198.51.100.7:8200", auth: {kubernetes: {}}}}
    b: {audiences: [v], vault: {server: "https://vault.vault-b.svc.cluster.local:8200", auth: {kubernetes: {}}}}
    c: {audiences: [k], kubernetes: {remoteNamespace: shared}}
    d: {audiences: [v], vault: {server: "https://vault.example.com:8200", auth: {iam: {}}}}
  network:
    flavour: NetworkPolicy
    apiServer: {cidrs: ["2001:db8::1/128", 192.0.2.7/32], ports: [6443]}
    providers:
      b: {pods: {labels: {app: vault}}}
      d: {cidrs: [203.0.113.0/24]}
    webhook: {any: true}
`: {
			Flavour: PlainNetworkPolicy, APIServer: NetworkPeer{CIDRs: []string{"192.0.2.7/32", "2001:db8::1/128"}, Ports: []int32{6443}}, DNS: dns,
			Providers: []NetworkPeer{
				{Provider: "a", CIDRs: []string{"198.51.100.7/32"}, Ports: []int32{8200}},
				{Provider: "b", Pods: &NetworkPods{Namespace: "vault-b", Labels: map[string]string{"app": "vault"}}, Ports: []int32{8200}},
				{Provider: "d", CIDRs: []string{"203.0.113.0/24"}, Ports: []int32{443, 8200}},
			},
			Webhook: NetworkWebhook{Any: true},
		},
	} {
		got := resolved(t, minimalPlatform(text)).Clusters[0].Platform.Network
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s(-want +got):\n%s", text, diff)
		}
	}
}
