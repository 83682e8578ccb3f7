package adopt

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

func with(texts ...string) string { return strings.Join(append([]string{base}, texts...), "---\n") }

// one is a store with a provider, written in one line, and its service account.
func one(kind, provider string) string {
	namespace := ", namespace: web"
	if kind == "ClusterSecretStore" {
		namespace = ""
	}
	return "apiVersion: external-secrets.io/v1\nkind: " + kind + "\nmetadata: {name: main" + namespace + "}\nspec: {provider: {" + provider + "}}\n" +
		"---\n" + account("web", "sa") + "---\n" + account("external-secrets", "sa")
}

const usesCluster = `
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: a, namespace: web}
spec: {secretStoreRef: {kind: ClusterSecretStore, name: main}}
`

func TestLeftOut(t *testing.T) {
	vault := func(auth string) string { return `vault: {server: "https://v.example.com", version: v2, ` + auth + `}` }
	kubernetes := func(ref string) string {
		return vault("path: kv, auth: {kubernetes: {mountPath: kubernetes, role: r, serviceAccountRef: {" + ref + "}}}")
	}
	tests := map[string]struct {
		dump   string
		why    string
		rule   problem.Rule
		breaks bool
	}{
		"its own identity":            {one("SecretStore", vault("auth: {kubernetes: {mountPath: kubernetes, role: r}}")), "logs in as itself", problem.StoreOwnIdentity, false},
		"no login at all":             {one("SecretStore", "aws: {service: SecretsManager, region: eu-west-1}"), "logs in as itself", problem.StoreOwnIdentity, false},
		"a stored credential":         {one("SecretStore", vault("auth: {tokenSecretRef: {name: t, key: t}}")), "auth.tokenSecretRef", problem.ProviderOwnIdentity, false},
		"a stored access key":         {one("SecretStore", "akeyless: {akeylessGWApiURL: \"https://a\", authSecretRef: {secretRef: {accessID: {name: a, key: b}}}}"), "stored credential", problem.ProviderOwnIdentity, false},
		"a provider without tokens":   {one("SecretStore", "gitlab: {auth: {SecretRef: {accessToken: {name: a, key: b}}}}"), "takes no service account", problem.ProviderOwnIdentity, false},
		"both":                        {one("SecretStore", vault("auth: {tokenSecretRef: {name: t, key: t}, kubernetes: {role: r, serviceAccountRef: {name: sa}}}")), "beside a service account", problem.ProviderOwnIdentity, true},
		"two accounts":                {one("SecretStore", vault("auth: {kubernetes: {role: r, serviceAccountRef: {name: sa}}, jwt: {role: r, kubernetesServiceAccountToken: {serviceAccountRef: {name: other}}}}")), "more than one", problem.ProviderAuth, true},
		"the default account":         {strings.ReplaceAll(one("SecretStore", kubernetes("name: default")), "name: sa,", "name: default,"), "every pod runs as", problem.ServiceAccountReserved, true},
		"an account that is not":      {one("SecretStore", kubernetes("name: gone")), "does not work today", problem.StoreAccountMissing, false},
		"another namespace's account": {one("SecretStore", kubernetes("name: sa, namespace: crm")), "of another namespace", problem.StoreAccountMissing, false},
		"no role":                     {one("SecretStore", vault("path: kv, auth: {jwt: {path: jwt, kubernetesServiceAccountToken: {serviceAccountRef: {name: sa}}}}")), "differs from it at spec.provider.vault.auth.jwt.role", problem.SchemaOther, true},
		"a field of ours not":         {one("SecretStore", kubernetes("name: sa")[:len(kubernetes("name: sa"))-1]+", checkAndSet: {required: true}, unheard: 1}"), "unheard", problem.FieldUnknown, true},
		"another controller's":        {strings.Replace(one("SecretStore", kubernetes("name: sa")), "spec: {", "spec: {controller: dev, ", 1), "class \"dev\"", problem.StoreUnfenced, true},
		"two providers":               {one("SecretStore", kubernetes("name: sa")+", fake: {}"), "2 providers", problem.ProviderKind, true},
		"of whoever uses it":          {one("ClusterSecretStore", kubernetes("name: sa")) + "---" + usesCluster, "of whichever namespace", problem.StoreUnfenced, true},
		"of nobody who is there":      {one("ClusterSecretStore", kubernetes("name: nobody")) + "---" + usesCluster, "of whichever namespace", problem.StoreUnfenced, false},
		"another's certificates": {
			one("ClusterSecretStore", strings.Replace(kubernetes("name: sa, namespace: external-secrets"), "version: v2", "version: v2, caProvider: {type: ConfigMap, name: ca, key: k, namespace: web}", 1)) + "---" + usesCluster,
			"caProvider is of namespace \"web\"", problem.SharedStoreUsers, true,
		},
		"another's for all":           {one("ClusterSecretStore", kubernetes("name: sa, namespace: web")) + "---" + usesCluster, "lets other namespaces use", problem.StoreUnfenced, true},
		"used by nobody":              {one("ClusterSecretStore", kubernetes("name: sa, namespace: external-secrets")), "no ExternalSecret", problem.SharedStoreUsers, true},
		"in the operator's namespace": {strings.ReplaceAll(one("SecretStore", kubernetes("name: sa")), "namespace: web", "namespace: external-secrets"), "own namespace", problem.NamespaceReserved, true},
		"the API server's token":      {one("SecretStore", "crd: {server: {url: \"https://kubernetes.default.svc\"}, resource: {group: a.b, version: v1, kind: C}, auth: {serviceAccount: {name: sa}}}"), "same cluster", problem.SameClusterSecrets, true},
		"all Secrets of a namespace":  {one("SecretStore", "kubernetes: {server: {url: kubernetes.default}, remoteNamespace: web, auth: {serviceAccount: {name: sa}}}"), "no ExternalSecret says which", problem.SameClusterSecrets, true},
		"the wrong type of login":     {one("SecretStore", "azurekv: {vaultUrl: \"https://a.vault.azure.net\", authType: ManagedIdentity, serviceAccountRef: {name: sa}}"), "ManagedIdentity", problem.ProviderAuth, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, problems := made(t, Input{Objects: read(t, with(test.dump))})
			s := &r.Stores[0]
			if s.Tenant != "" || !strings.Contains(s.Why, test.why) || s.Breaks != test.breaks {
				t.Errorf("got tenant %q, breaks %t, because %q; want %t, %q", s.Tenant, s.Breaks, s.Why, test.breaks, test.why)
			}
			i := slices.IndexFunc(problems, func(p problem.Problem) bool { return p.Rule == test.rule })
			if i < 0 {
				t.Fatalf("there is no %s:\n%s", test.rule, lines(problems))
			}
			if stops := strings.Contains(problems[i].Because[0], "STOPS"); stops != test.breaks || problems.Errors() > 0 {
				t.Errorf("got %s", problems[i].Line())
			}
		})
	}
}

// A right that is there already does not go with the right for all; but where
// there are admission policies, these take it.
func TestNamedRightStays(t *testing.T) {
	named := `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: mint, namespace: web}
rules: [{apiGroups: [""], resources: [serviceaccounts/token], resourceNames: [gone], verbs: [create]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: mint, namespace: web}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: mint}
subjects: [{kind: ServiceAccount, name: external-secrets, namespace: external-secrets}]
`
	dump := read(t, with(vaultStore("web", "main", "r", "default"), account("web", "default"), strings.ReplaceAll(named, "gone", "default")))
	for version, breaks := range map[string]bool{"": true, "1.34": true, "1.29": false} {
		r, _ := made(t, Input{Objects: dump, Kubernetes: version})
		if s := r.Stores[0]; s.Why == "" || s.Today != Named || s.Breaks != breaks {
			t.Errorf("Kubernetes %q: got %+v", version, s)
		}
		if none := strings.Contains(specification(r), "admission:\n    engine: none"); none == breaks {
			t.Errorf("Kubernetes %q: %s", version, specification(r))
		}
	}
}

// A provider that asks for long tokens goes on doing so.
func TestLongTokens(t *testing.T) {
	r, problems := made(t, Input{Objects: read(t, with(
		one("SecretStore", `vault: {server: "https://v.example.com", version: v2, auth: {jwt: {path: jwt, role: r, kubernetesServiceAccountToken: {expirationSeconds: 7200, serviceAccountRef: {name: sa}}}}}`)))})
	if r.Stores[0].Tenant != "web" || !strings.Contains(specification(r), "maxTokenSeconds: 7200") {
		t.Errorf("%s\n%s", specification(r), lines(problems))
	}
}

// The audience that ESO adds by itself may be stated, by a field that is deprecated. Another one there takes its place, and a
// specification has no place for that.
func TestStatedDefaultAudience(t *testing.T) {
	for audiences, adopted := range map[string]bool{"[vault]": true, "[other]": false, "[vault, other]": false, "[]": false} {
		r, problems := made(t, Input{Objects: read(t, with(one("SecretStore", `vault: {server: "https://v.example.com", version: v2, `+
			`auth: {jwt: {path: jwt, role: r, kubernetesServiceAccountToken: {audiences: `+audiences+`, serviceAccountRef: {name: sa}}}}}`)))})
		if (r.Stores[0].Tenant == "web") != adopted {
			t.Errorf("audiences %s: %s\n%s", audiences, specification(r), lines(problems))
		}
	}
}

func TestOperator(t *testing.T) {
	store := vaultStore("web", "main", "r", "sa") + "---\n" + account("web", "sa")
	replace := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(base) + "---\n" + store }
	tests := map[string]struct {
		dump string
		want string
	}{
		"the chart's":                 {replace(), "external-secrets/external-secrets external-secrets 0.20.4 helmValues []"},
		"another release":             {replace("app.kubernetes.io/instance: external-secrets", "app.kubernetes.io/instance: eso", "name: external-secrets-controller", "name: eso-external-secrets-controller"), "external-secrets/external-secrets eso 0.20.4 helmValues []"},
		"another service account":     {replace("serviceAccountName: external-secrets", "serviceAccountName: eso", "kind: ServiceAccount, name: external-secrets", "kind: ServiceAccount, name: eso"), "external-secrets/eso external-secrets 0.20.4 helmValues []"},
		"no chart label":              {replace("helm.sh/chart: external-secrets-0.20.4", "a: b"), "external-secrets/external-secrets external-secrets 0.20.4 helmValues []"},
		"no Helm":                     {replace(", helm.sh/chart: external-secrets-0.20.4, app.kubernetes.io/managed-by: Helm", ""), "external-secrets/external-secrets external-secrets 0.20.4 none []"},
		"no label at all, but image":  {replace("app.kubernetes.io/name: external-secrets, ", "", "helm.sh/chart", "x"), "external-secrets/external-secrets external-secrets 0.20.4 none []"},
		"a UBI image":                 {replace("helm.sh/chart", "x", ":v0.20.4", ":v0.19.2-ubi@sha256:abc"), "external-secrets/external-secrets external-secrets 0.19.2 helmValues []"},
		"generic targets are not yet": {replace("--concurrent=1", "--unsafe-allow-generic-targets"), "external-secrets/external-secrets external-secrets 0.20.4 helmValues []"},
		"what is in use": {
			replace() + "---\n{apiVersion: external-secrets.io/v1alpha1, kind: PushSecret, metadata: {name: p, namespace: web}, spec: {selector: {generatorRef: {kind: UUID, name: u}}}}\n",
			"external-secrets/external-secrets external-secrets 0.20.4 helmValues [pushSecrets generators]",
		},
		"what is switched off": {
			replace("--concurrent=1", "--enable-push-secret-reconciler=false") + "---\n{apiVersion: external-secrets.io/v1alpha1, kind: PushSecret, metadata: {name: p, namespace: web}, spec: {}}\n",
			"external-secrets/external-secrets external-secrets 0.20.4 helmValues []",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, _ := made(t, Input{Objects: read(t, test.dump)})
			op := r.Operator
			got := fmt.Sprintf("%s %s %s %s %v", op.Account(), op.HelmRelease, op.Release.Chart, op.RBAC, op.Features)
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if r.Stores[0].Today != Blanket {
				t.Errorf("the right for all was not found: %+v", r.Stores[0])
			}
		})
	}
}

// What no cluster is without makes the dump a part of one, of which nothing is
// made.
func TestDumpIsNotWhole(t *testing.T) {
	store := vaultStore("web", "main", "r", "sa") + "---\n" + account("web", "sa")
	drop := func(kind string) string {
		return strings.Join(slices.DeleteFunc(strings.Split(base+"---\n"+store, "---\n"), func(d string) bool {
			return strings.Contains(d, "\nkind: "+kind+"\n") || strings.HasPrefix(d, "kind: "+kind+"\n")
		}), "---\n")
	}
	tests := map[string]struct {
		dump string
		rule problem.Rule
	}{
		"no operator":       {drop("Deployment"), problem.RequesterUnknown},
		"two operators":     {base + "---\n" + strings.ReplaceAll(base, "namespace: external-secrets", "namespace: second") + "---\n" + store, problem.RequesterUnknown},
		"an unknown one":    {strings.ReplaceAll(base, "0.20.4", "0.1.0") + "---\n" + store, problem.ESOVersionUnknown},
		"no roles":          {drop("ClusterRole"), problem.RBACOpen},
		"no bindings":       {drop("ClusterRoleBinding"), problem.RBACOpen},
		"no accounts":       {drop("ServiceAccount"), problem.StoreAccountMissing},
		"no stores":         {base, problem.SourceEmpty},
		"nothing whatever":  {"{apiVersion: v1, kind: Namespace, metadata: {name: web}}", problem.RequesterUnknown},
		"a name of no kind": {strings.ReplaceAll(base, "app.kubernetes.io/instance: external-secrets", `app.kubernetes.io/instance: "Not A Release"`) + "---\n" + store, problem.FieldValue},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, problems := Make(Input{Objects: read(t, test.dump)})
			if r != nil || !slices.ContainsFunc(problems, func(p problem.Problem) bool {
				return p.Rule == test.rule && p.IsError() && p.Position.File == "dump.yaml"
			}) {
				t.Errorf("made %v, problems:\n%s", r != nil, lines(problems))
			}
		})
	}
}

func TestTenants(t *testing.T) {
	ns := func(name, labels string) string {
		return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + ", labels: {" + labels + "}}\n"
	}
	var texts []string
	for _, name := range []string{"shop-prod", "customers", "shop", "odd", "platform", "kube-system", "kustomization"} {
		texts = append(texts, vaultStore(name, "vault", name+"-vault", "vault-access-sa"), account(name, "vault-access-sa"))
	}
	texts = append(texts, ns("shop-prod", "team: shop"), ns("customers", "team: shop"), ns("odd", `team: "Not A Tenant"`))
	objects := read(t, with(texts...))

	r, _ := made(t, Input{Objects: objects})
	if got := strings.Join(r.Tenants, " "); got != "customers kustomization odd platform-namespace shop shop-prod" {
		t.Errorf("each namespace a tenant: got %s", got)
	}
	r, _ = made(t, Input{Objects: objects, TenantLabel: "team", Cluster: "eu-1", Kubernetes: "1.34"})
	if got := strings.Join(r.Tenants, " "); got != "kustomization odd platform-namespace shop shop-namespace" {
		t.Errorf("by label: got %s", got)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "odd") {
		t.Errorf("got notes %q", r.Notes)
	}
	text := specification(r)
	for _, want := range []string{
		"name: eu-1", `kubernetes: "1.34"`, "identities:\n      vault: [\"{namespace}-vault\"]",
		"    namespaces:\n      - customers\n      - platform\n      - shop\n      - \"{tenant}\"\n      - \"{tenant}-.*\"\n",
		"  namespaces:\n    kube-system:\n      manage: false",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	if !slices.ContainsFunc(r.Specifications, func(f File) bool { return f.Name == "tenants/kustomization/tenant.yaml" }) {
		t.Error("tenants/kustomization.yaml would be read by nobody")
	}
}

// Two tenants with one identity have it today, so both say that they share it.
func TestSharedIdentity(t *testing.T) {
	r, problems := made(t, Input{Objects: read(t, with(
		vaultStore("web", "vault", "same", "sa"), account("web", "sa"),
		vaultStore("crm", "vault", "same", "sa"), account("crm", "sa"),
		vaultStore("own", "vault", "other", "sa"), account("own", "sa"),
	))})
	if n := strings.Count(specification(r), "shared: true"); n != 2 {
		t.Errorf("%d stores are shared:\n%s\n%s", n, specification(r), lines(problems))
	}
}

// More problems than are shown at once are none of the store's that is there
// where the rest of them is counted.
func TestManyProblems(t *testing.T) {
	texts := []string{vaultStore("fine", "vault", "fine", "sa"), account("fine", "sa")}
	for i := range 1_500 {
		namespace := fmt.Sprintf("ns-%d", i)
		texts = append(texts, vaultStore(namespace, "vault", "same", "sa"), account(namespace, "sa"))
	}
	r, problems := made(t, Input{Objects: read(t, with(texts...))})
	if n := strings.Count(specification(r), "shared: true"); n != 1_500 || len(r.Tenants) != 1_501 {
		t.Errorf("%d of 1500 stores are shared, %d of 1501 tenants made:\n%s", n, len(r.Tenants), lines(problems))
	}
}

func TestEntries(t *testing.T) {
	aws := func(namespace, region, service string) string {
		return "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: aws-" + strings.ToLower(service) + ", namespace: " + namespace + "}\n" +
			"spec: {provider: {aws: {service: " + service + ", region: " + region + ", auth: {jwt: {serviceAccountRef: {name: sa}}}}}}\n---\n" +
			"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: sa, namespace: " + namespace + ", annotations: {eks.amazonaws.com/role-arn: \"arn:aws:iam::123456789012:role/" + namespace + "\"}}\n"
	}
	r, problems := made(t, Input{Objects: read(t, with(
		aws("a", "eu-west-1", "SecretsManager"), aws("b", "eu-west-1", "SecretsManager"), aws("c", "eu-west-1", "ParameterStore"), aws("d", "us-east-1", "SecretsManager"),
		vaultStore("a", "vault", "a", "vault-access-sa"), account("a", "vault-access-sa"),
	))})
	var names []string
	for _, s := range r.Stores {
		names = append(names, s.Namespace+"="+s.Provider)
	}
	want := "a=aws-eu-west-1-secretsmanager a=vault b=aws-eu-west-1-secretsmanager c=aws-eu-west-1-parameterstore d=aws-us-east-1"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got  %s\nwant %s\n%s", got, want, lines(problems))
	}
}

// Stores that ask for other audiences are of other entries, and all are adopted.
func TestAudiences(t *testing.T) {
	asking := func(namespace, audiences string) string {
		return strings.Replace(vaultStore(namespace, "vault", namespace, "sa"), ", audiences: [vault]", audiences, 1) + "---\n" + account(namespace, "sa")
	}
	r, problems := made(t, Input{Objects: read(t, with(asking("a", ", audiences: [one]"), asking("b", ", audiences: [two]"), asking("c", ", audiences: [one]"), asking("d", "")))})
	var got []string
	for _, s := range r.Stores {
		got = append(got, s.Namespace+"="+s.Provider+fmt.Sprint(s.Audience))
	}
	if want := "a=vault-one[] b=vault-two[] c=vault-one[] d=vault[vault]"; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s\n%s", got, want, lines(problems))
	}
}

// What only the Platform uses, no tenant may.
func TestPlatformsOwn(t *testing.T) {
	r, _ := made(t, Input{Objects: read(t, with(vaultStore("default", "vault", "r", "sa"), account("default", "sa")))})
	if text := specification(r); !strings.Contains(text, "      vault: []\n") || len(r.Tenants) != 0 || r.Stores[0].Tenant != "platform" {
		t.Errorf("got %s", text)
	}
}

func TestPatterns(t *testing.T) {
	for _, test := range []struct{ value, tenant, namespace, want string }{
		{"web-prod-role", "web", "web-prod", "{namespace}-role"},
		{"role/web", "web", "web-prod", "role/{tenant}"},
		{"website", "web", "web", "website"},
		{"site-web", "web", "web", "site-{namespace}"},
		{"a.b+web (x)", "web", "web", `a\.b\+{namespace}\x20\(x\)`},
		{"websiteweb web", "web", "web", `websiteweb\x20{namespace}`},
		{"{tenant}", "x", "y", `\{tenant\}`},
	} {
		if got := pattern(test.value, test.tenant, test.namespace); got != test.want {
			t.Errorf("%s: got %s, want %s", test.value, got, test.want)
		}
	}
}

// Azure's directory is stated once, though it is in both places today.
func TestAzureDirectory(t *testing.T) {
	const directory = "5e5f1f3e-0000-4000-8000-000000000000"
	r, problems := made(t, Input{Objects: read(t, with(
		one("SecretStore", `azurekv: {vaultUrl: "https://a.vault.azure.net", authType: WorkloadIdentity, tenantId: `+directory+`, serviceAccountRef: {name: azure}}`),
		"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: azure, namespace: web, annotations: {azure.workload.identity/client-id: "+directory+", azure.workload.identity/tenant-id: "+directory+"}}\n",
	))})
	if r.Stores[0].Tenant != "web" || strings.Contains(specification(r), "tenantID") {
		t.Errorf("got %s\n%s", specification(r), lines(problems))
	}
}

// What runs as a store's account is named once: not what others own.
func TestRunning(t *testing.T) {
	_, problems := made(t, Input{Objects: read(t, with(vaultStore("web", "vault", "web", "sa"), account("web", "sa"),
		"{apiVersion: apps/v1, kind: Deployment, metadata: {name: app, namespace: web}, spec: {template: {spec: {serviceAccountName: sa}}}}\n",
		"{apiVersion: batch/v1, kind: CronJob, metadata: {name: nightly, namespace: web}, spec: {jobTemplate: {spec: {template: {spec: {serviceAccountName: sa}}}}}}\n",
		"{apiVersion: v1, kind: Pod, metadata: {name: app-x, namespace: web, ownerReferences: [{kind: ReplicaSet, name: app}]}, spec: {serviceAccountName: sa}}\n",
		"{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: old, namespace: web, annotations: {kubernetes.io/service-account.name: sa}}}\n",
	))})
	for _, want := range []string{"what CronJob nightly, Deployment app runs as", "tokens without end in Secrets: old"} {
		if !strings.Contains(lines(problems), want) {
			t.Errorf("there is no %q in\n%s", want, lines(problems))
		}
	}
}

// Another way to the right for all is said, since nothing rendered takes it away.
func TestOtherGrant(t *testing.T) {
	_, problems := made(t, Input{Objects: read(t, with(vaultStore("web", "vault", "web", "sa"), account("web", "sa"), `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: helpful}
rules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: helpful}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: helpful}
subjects: [{kind: Group, name: "system:serviceaccounts"}]
`))})
	i := slices.IndexFunc(problems, func(p problem.Problem) bool { return p.Rule == problem.MintAny })
	if i < 0 || !strings.Contains(problems[i].Message, "helpful") || problems[i].IsError() {
		t.Error(lines(problems))
	}
}

func TestGenerators(t *testing.T) {
	r, problems := made(t, Input{Objects: read(t, with(vaultStore("web", "vault", "web", "sa"), account("web", "sa"), `
apiVersion: generators.external-secrets.io/v1alpha1
kind: ECRAuthorizationToken
metadata: {name: ecr, namespace: web}
spec: {region: eu-west-1, auth: {jwt: {serviceAccountRef: {name: ecr}}}}
`))})
	if len(r.Generators) != 1 || !r.Generators[0].Breaks || !slices.Contains(r.Operator.Features, eso.FeatureGenerators) {
		t.Errorf("got %+v", r.Generators)
	}
	if !strings.Contains(lines(problems), "ECRAuthorizationToken web/ecr uses service account web/ecr") {
		t.Error(lines(problems))
	}
}

// Where eso-tenant's role is there already, and the right for all gone, it does
// not come back.
func TestEnforcedStays(t *testing.T) {
	ours := strings.NewReplacer("name: external-secrets-controller\n  labels: {", "name: eso-tenant-external-secrets-controller\n  labels: {app.kubernetes.io/managed-by: eso-tenant} # {", "resources: [serviceaccounts/token]", "resources: [secrets]").Replace(base)
	r, _ := made(t, Input{Objects: read(t, ours, vaultStore("web", "vault", "web", "sa")+"---\n"+account("web", "sa"))})
	if r.Operator.RBAC != schema.Replace || !strings.Contains(specification(r), "enforcement: enforce") {
		t.Errorf("got %s in\n%s", r.Operator.RBAC, specification(r))
	}
}

// codeSpan is code in Markdown, in which nothing has a meaning.
var codeSpan = regexp.MustCompile("`[^`\n]*`")

// Names that no cluster takes, in a dump that somebody wrote, get into no
// document as anything but text.
func TestHostileNames(t *testing.T) {
	for _, name := range []string{
		"`; rm -rf ~`", "a\nkind: Platform", "x | y", "{{.}}", "../../etc", "<script>", "-", "yes", strings.Repeat("a", 5000), "a: b", "# c", "\u202e", "&a *a", "---",
	} {
		t.Run(fmt.Sprintf("%.10q", name), func(t *testing.T) {
			quoted := fmt.Sprintf("%q", name)
			r, problems := Make(Input{TenantLabel: "team", Objects: read(t, with(
				vaultStore("web", quoted, "r", "sa"), account("web", "sa"),
				vaultStore(quoted, "vault", "r", "sa"), account(quoted, "sa"),
				vaultStore("crm", "vault", quoted, "sa"), account("crm", "sa"),
				vaultStore("acct", "vault", "r", quoted), account("acct", quoted),
				"{apiVersion: v1, kind: Namespace, metadata: {name: crm, labels: {team: "+quoted+"}}}\n",
			))})
			if r == nil {
				t.Fatal(lines(problems))
			}
			rendered(t, r) // or it fails
			plan := codeSpan.ReplaceAllString(string(r.Plan().Data), "")
			for _, bad := range []string{"\nkind: Platform", "<script>", "`; rm", "\u202e"} {
				if strings.Contains(plan, bad) {
					t.Errorf("%q is in the plan", bad)
				}
			}
			for _, f := range r.Specifications {
				if strings.Contains(f.Name, "..") || strings.Count(f.Name, "/") > 2 || strings.ContainsAny(f.Name, "\n`<|:") {
					t.Errorf("file %q", f.Name)
				}
			}
		})
	}
}

func TestPlan(t *testing.T) {
	r, _ := made(t, Input{Cluster: "eu-1", Objects: read(t, with(vaultStore("web", "vault", "web", "sa"), account("web", "sa"), vaultStore("crm", "vault", "r", "default"), account("crm", "default")))})
	plan := string(r.Plan().Data)
	at := -1
	for _, want := range []string{
		"| `SecretStore` `crm/vault` | `vault` |  | `crm/default` | the right for all | **stops working** |",
		"eso-tenant render . -o rendered", "kubectl apply --server-side --force-conflicts -k rendered/eu-1/tenants/web",
		"eso-tenant verify --live --platform .", "- SecretStore `crm/vault`: a specification cannot say it: service account",
		"enforcement: enforce", "post-renderers.yaml", "helm upgrade external-secrets", "kubectl auth can-i",
	} {
		next := strings.Index(plan, want)
		if next < at || next < 0 {
			t.Errorf("%q is missing, or out of order", want)
		}
		at = next
	}
}
