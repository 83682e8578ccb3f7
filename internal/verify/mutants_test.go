package verify_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
	"github.com/eso-tenant/eso-tenant/internal/verify"
	"github.com/eso-tenant/eso-tenant/schema"
)

// mutant is a world with one thing planted, and what that has to be called. In
// names, E and a number is a way of whoever holds ESO, T and a number one of a
// tenant's; the page of the rule tells it.
type mutant struct {
	name   string
	base   string
	add    string                   // objects, as YAML
	change func([]inventory.Object) // of what is there
	remove string                   // an object, Kind namespace/name
	input  func(*verify.Input)
	rules  []problem.Rule // that are broken now, and were not; exactly these
	says   []string       // in what is said of it
}

// teams are two tenants with members, a shared store, and a cloud identity.
const teams = `
apiVersion: eso-tenant.dev/v1alpha1
kind: Platform
metadata: {name: eu-1}
spec:
  externalSecrets: {version: v2.9.0, features: [clusterSecretStores, pushSecrets]}
  enforcement: enforce
  admission: {writers: ["system:serviceaccount:flux-system:applier"]}
  providers:
    vault:
      audiences: [vault]
      vault: {server: "https://vault.example.com:8200", path: kv, version: v2, auth: {kubernetes: {mountPath: kubernetes}}}
    aws:
      aws: {service: SecretsManager, region: eu-west-1}
  tenantPolicy:
    memberKinds: [Group, ServiceAccount]
    identities: {aws: ["arn:aws:iam::123456789012:role/{tenant}-.*"]}
  sharedStores:
    registries: {provider: vault, tenants: [web], identity: {role: registries}}
---
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: web}
spec:
  members: [{kind: Group, name: web-devs, role: edit}]
  namespaces:
    web: {stores: {vault: {provider: vault}}}
---
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: pay}
spec:
  members: [{kind: Group, name: pay-ops, role: admin}, {kind: Group, name: pay-view, role: view}]
  namespaces:
    pay: {stores: {aws: {provider: aws, identity: {roleARN: "arn:aws:iam::123456789012:role/pay-prod"}}}}
`

// bases are the worlds that are not changed, without admission policies: these
// close some ways, and others are tested by themselves.
func bases(t testing.TB) map[string]verify.Input {
	t.Helper()
	worlds := guarded(t)
	for name, in := range worlds {
		in.Objects = slices.DeleteFunc(slices.Clone(in.Objects), func(o inventory.Object) bool { return o.Group() == "admissionregistration.k8s.io" })
		worlds[name] = in
	}
	return worlds
}

// guarded are the same with the policies that are rendered.
func guarded(t testing.TB) map[string]verify.Input {
	t.Helper()
	return map[string]verify.Input{
		"quickstart": worlds(t, example(t, "quickstart"))["eu-1"],
		"teams":      worlds(t, []schema.Source{{File: "teams.yaml", Data: []byte(teams)}})["eu-1"],
		"fleet":      worlds(t, example(t, "fleet"))["eu-1"],
		"brownfield": worlds(t, example(t, "brownfield"))["eu-1"],
	}
}

const (
	operator  = `{kind: ServiceAccount, name: external-secrets, namespace: external-secrets}`
	esoAsUser = `{kind: User, apiGroup: rbac.authorization.k8s.io, name: "system:serviceaccount:external-secrets:external-secrets"}`
)

func group(name string) string {
	return fmt.Sprintf(`{kind: Group, apiGroup: rbac.authorization.k8s.io, name: %q}`, name)
}

func account(namespace, name string) string {
	return fmt.Sprintf(`{kind: ServiceAccount, name: %s, namespace: %s}`, name, namespace)
}

// everywhere binds rules in the whole cluster.
func everywhere(to string, rules ...string) string {
	return clusterRole(rules...) + bindEverywhere(to, "planted")
}

// in binds rules in one namespace.
func in(namespace, to string, rules ...string) string {
	return fmt.Sprintf("---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: planted, namespace: %s}\nrules:\n- %s\n",
		namespace, strings.Join(rules, "\n- ")) + binding(namespace, to, "Role", "planted")
}

func clusterRole(rules ...string) string {
	return "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: planted}\nrules:\n- " + strings.Join(rules, "\n- ") + "\n"
}

func bindEverywhere(to, role string) string {
	return fmt.Sprintf("---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: planted}\n"+
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %s}\nsubjects:\n- %s\n", role, to)
}

func binding(namespace, to, kind, role string) string {
	return fmt.Sprintf("---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: planted, namespace: %s}\n"+
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: %s, name: %s}\nsubjects:\n- %s\n", namespace, kind, role, to)
}

// rule is one of a role's, in the core group or another.
func rule(verbs, resources string) string { return ruleOf("", verbs, resources) }

func ruleOf(group, verbs, resources string) string {
	return fmt.Sprintf(`{apiGroups: [%q], resources: [%s], verbs: [%s]}`, group, quoted(resources), quoted(verbs))
}

func only(name, rule string) string {
	return strings.TrimSuffix(rule, "}") + fmt.Sprintf(", resourceNames: [%q]}", name)
}

func quoted(list string) string { return `"` + strings.ReplaceAll(list, " ", `", "`) + `"` }

const (
	rolesAPI = "rbac.authorization.k8s.io"
	token    = "serviceaccounts/token"
)

// store is a store of some provider in a tenant's namespace.
func store(provider string) string {
	return "---\napiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: x, namespace: secure-ns}\nspec: {provider: " + provider + "}\n"
}

func shared(conditions string) string {
	return fmt.Sprintf("---\napiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {name: planted}\nspec:\n  provider: {fake: {data: []}}\n  conditions: %s\n", conditions)
}

func deployment(namespace, name, account, component string) string {
	return fmt.Sprintf("---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s, namespace: %s, labels: {app.kubernetes.io/name: %s}}\n"+
		"spec: {template: {spec: {serviceAccountName: %s, containers: [{args: [%s]}]}}}\n", name, namespace, component, account, reconcilersOff)
}

// reconcilersOff are the flags that go with roles which are trimmed of all that is optional.
const reconcilersOff = "--enable-cluster-store-reconciler=false, --enable-cluster-external-secret-reconciler=false, " +
	"--enable-push-secret-reconciler=false, --enable-cluster-push-secret-reconciler=false"

func tokenSecret(namespace, name, account string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: Secret\ntype: kubernetes.io/service-account-token\nmetadata: {name: %s, namespace: %s, annotations: {kubernetes.io/service-account.name: %s}}\n", name, namespace, account)
}

// edit changes the objects of a kind and name.
func edit(kind, name string, change func(fields map[string]any)) func([]inventory.Object) {
	return func(objects []inventory.Object) {
		for i := range objects {
			if objects[i].Kind == kind && objects[i].Name == name {
				change(objects[i].Fields)
			}
		}
	}
}

func set(value any, path ...string) func(map[string]any) {
	return func(fields map[string]any) {
		for _, key := range path[:len(path)-1] {
			inner, _ := fields[key].(map[string]any)
			if inner == nil {
				inner = map[string]any{}
				fields[key] = inner
			}
			fields = inner
		}
		if last := path[len(path)-1]; value == nil {
			delete(fields, last)
		} else {
			fields[last] = value
		}
	}
}

// first is the first item of a list.
func first(fields map[string]any, list string) map[string]any {
	item, _ := inventory.List(fields, list)[0].(map[string]any)
	return item
}

func rules(all ...problem.Rule) []problem.Rule { return all }

// operators names the webhook's and the certificate controller's accounts, too.
func operators(in *verify.Input) {
	in.ESO = append(in.ESO, rbac.ServiceAccount("external-secrets", "external-secrets-webhook"), rbac.ServiceAccount("external-secrets", "external-secrets-cert-controller"))
}

var mutants = slices.Concat(mintMutants, wayMutants, otherMutants, storeMutants, chainMutants, besideMutants)

// mintMutants are forms of the one right that all is about.
var mintMutants = []mutant{
	{
		name: "E1", add: everywhere(operator, rule("create", token)), rules: rules(problem.MintAny),
		says: []string{"any service account in every namespace", "ClusterRoleBinding planted gives ClusterRole planted to system:serviceaccount:external-secrets:external-secrets", "planted.yaml:5:1"},
	},
	{name: "E1 as a user", add: everywhere(esoAsUser, rule("create", token)), rules: rules(problem.MintAny)},
	{name: "E1 any verb", add: everywhere(operator, rule("*", token)), rules: rules(problem.MintAny)},
	{name: "E1 any token", add: everywhere(operator, rule("create", "*/token")), rules: rules(problem.MintAny)},
	{name: "E1 any resource", add: in("web", operator, rule("create", "*")), base: "teams", rules: rules(problem.MintAny), says: []string{"in namespace web", "run pods"}},
	{
		name: "E1 all there is", add: everywhere(operator, ruleOf("*", "*", "*")), rules: rules(problem.MintAny, problem.WriteSecrets),
		says: []string{"the same rule lets it", "write bindings", "approve certificates", "get into pods through kubelets"},
	},
	{name: "E1 cluster-admin", add: bindEverywhere(operator, "cluster-admin"), rules: rules(problem.MintAny, problem.WriteSecrets), says: []string{"ClusterRole cluster-admin (Kubernetes' own)"}},
	{name: "E1 any service account", add: everywhere(group("system:serviceaccounts"), rule("create", token)), rules: rules(problem.MintAny), says: []string{"to group system:serviceaccounts"}},
	{name: "E1 those of its namespace", add: everywhere(group("system:serviceaccounts:external-secrets"), rule("create", token)), rules: rules(problem.MintAny)},
	{name: "E1 everybody", add: everywhere(group("system:authenticated"), rule("create", token)), rules: rules(problem.MintAny)},
	{name: "E1 a ClusterRole in a namespace", base: "teams", add: clusterRole(rule("create", token)) + binding("web", operator, "ClusterRole", "planted"), rules: rules(problem.MintAny), says: []string{"any service account in namespace web"}},
	{
		name: "E1 a ClusterRole in another namespace", add: clusterRole(rule("create", token)) + binding("kube-system", operator, "ClusterRole", "planted"), rules: rules(problem.MintAny),
		says: []string{"in namespace kube-system; by way of them, any service account in every namespace"},
	},
	{
		name: "E1 aggregated", add: "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: sum}\naggregationRule: {clusterRoleSelectors: [{matchLabels: {sum: me}}]}\nrules: []\n" +
			"---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: part, labels: {sum: me}}\nrules:\n- " + rule("create", token) + "\n" + bindEverywhere(operator, "sum"),
		rules: rules(problem.MintAny), says: []string{"ClusterRole sum with ClusterRole part"},
	},
	{name: "E1 one name more", add: in("secure-ns", operator, only("default", rule("create", token))), rules: rules(problem.MintAny), says: []string{"system:serviceaccount:secure-ns:default"}},
	{name: "E1 a name in every namespace", base: "teams", add: everywhere(operator, only("vault-access-sa", rule("create", token))), rules: rules(problem.MintAny), says: []string{"system:serviceaccount:web:vault-access-sa"}},
	{name: "E1 names taken away", change: edit("Role", "eso-tenant-token-vault-access-sa", func(fields map[string]any) {
		delete(first(fields, "rules"), "resourceNames")
	}), rules: rules(problem.MintAny), says: []string{"any service account in namespace secure-ns"}},
	{name: "not E1: another group's token", add: everywhere(operator, ruleOf(authenticationAPI, "create", token))},
	{name: "not E1: serviceaccounts alone, and a star that is none", add: everywhere(operator, rule("create", "serviceaccounts serviceaccounts/*"))},
	{name: "not E1: a Role that nobody is bound to", add: clusterRole(ruleOf("*", "*", "*"))},
	{name: "not E1: the fenced account again", add: in("secure-ns", operator, only("vault-access-sa", rule("create", token)))},
	{name: "E1 brownfield, the chart's own role", base: "brownfield", add: everywhere(operator, rule("create", token)), rules: rules(problem.MintAny)},
	{name: "E1 fleet", base: "fleet", add: everywhere(operator, rule("create", token)), rules: rules(problem.MintAny)},
}

const authenticationAPI = "authentication.k8s.io"

// wayMutants are ways round, for ESO.
var wayMutants = []mutant{
	{name: "E2", add: everywhere(operator, rule("create", "secrets")), rules: rules(problem.MintTokenSecret, problem.WriteSecrets), says: []string{"any service account in every namespace", "make bootstrap tokens of nodes"}},
	{name: "E2 in one namespace", add: in("kube-system", operator, rule("create", "secrets")), rules: rules(problem.MintTokenSecret, problem.WriteSecrets), says: []string{"by way of them, any service account in every namespace", "(Kubernetes' own) to system:serviceaccount:kube-system:"}},
	{
		name: "E2 one creates, another reads", remove: "ClusterRoleBinding /eso-tenant-external-secrets-controller", base: "teams",
		add:   in("apps", account("external-secrets", "external-secrets-webhook"), rule("create", "secrets")) + strings.ReplaceAll(in("apps", account("external-secrets", "external-secrets-cert-controller"), rule("list", "secrets")), "planted", "reads"),
		input: operators, rules: rules(problem.MintTokenSecret, problem.WriteSecrets), says: []string{"RoleBinding apps/planted", "RoleBinding apps/reads"},
	},
	{name: "E2 by a server-side apply", add: in("apps", operator, only("x", rule("create patch", "secrets"))), rules: rules(problem.MintTokenSecret, problem.WriteSecrets), says: []string{"server-side apply"}},
	{name: "not E2: create by name grants nothing", add: in("apps", operator, only("x", rule("create", "secrets"))), rules: rules(problem.WriteSecrets)},
	{name: "E3 a token that is there", add: tokenSecret("monitoring", "old", "prometheus"), rules: rules(problem.MintLegacySecret), says: []string{"Secret monitoring/old holds a token of service account prometheus (planted.yaml:1:1)"}},
	{name: "E4", remove: "ClusterRoleBinding /eso-tenant-external-secrets-controller", add: in("kube-system", operator, rule("create", "secrets")), rules: rules(problem.MintBootstrapToken, problem.WriteSecrets)},
	{name: "E5", add: shared(`[{namespaceSelector: {matchLabels: {team: web}}}]`) + everywhere(operator, rule("update", "namespaces")), rules: rules(problem.NamespaceWritable)},
	{name: "not E5: nothing selects by labels", add: everywhere(operator, rule("update patch", "namespaces"))},
	{name: "E6", add: everywhere(operator, ruleOf("external-secrets.io", "update", "secretstores")), rules: rules(problem.StoreWritable)},
	{name: "not E6: where it pushes Secrets", base: "teams", add: everywhere(operator, ruleOf("external-secrets.io", "update", "secretstores"))},
	{name: "E8 a generic target", add: everywhere(operator, ruleOf(rolesAPI, "create", "rolebindings")), rules: rules(problem.MintBind), says: []string{"only with rights that it has itself"}},
	{name: "E9 the certificate controller reads", add: everywhere(account("external-secrets", "external-secrets-cert-controller"), rule("get list watch", "secrets")), input: operators, rules: rules(problem.ReadSecrets), says: []string{"external-secrets-cert-controller"}},
	{name: "E10", add: everywhere(account("external-secrets", "external-secrets-cert-controller"), ruleOf("apiextensions.k8s.io", "update", "customresourcedefinitions")), input: operators, rules: rules(problem.CRDWritable)},
	{name: "E10 the webhook mints", add: everywhere(account("external-secrets", "external-secrets-webhook"), rule("create", token)), input: operators, rules: rules(problem.MintAny)},
	{name: "E11 bind", add: everywhere(operator, ruleOf(rolesAPI, "create", "clusterrolebindings"), ruleOf(rolesAPI, "bind", "clusterroles")), rules: rules(problem.MintBind), says: []string{"everything in the cluster"}},
	{name: "E11 bind in a namespace", add: everywhere(operator, ruleOf(rolesAPI, "bind", "clusterroles")) + strings.ReplaceAll(in("apps", operator, ruleOf(rolesAPI, "create", "rolebindings")), "planted", "writes"), rules: rules(problem.MintBind), says: []string{"everything in namespace apps"}},
	{name: "E11 bind a role that is nothing", add: in("apps", operator, ruleOf(rolesAPI, "create", "rolebindings"), only("view", ruleOf(rolesAPI, "bind", "clusterroles"))), rules: rules(problem.MintBind), says: []string{"only with rights that it has itself"}},
	{name: "E11 bind a named role", add: in("apps", operator, ruleOf(rolesAPI, "create", "rolebindings"), only("edit", ruleOf(rolesAPI, "bind", "clusterroles"))), rules: rules(problem.MintBind), says: []string{"everything in namespace apps"}},
	{name: "not E11: bind alone", add: everywhere(operator, ruleOf(rolesAPI, "bind escalate", "clusterroles roles"))},
	{name: "not E11: the cluster's bindings, in a namespace", add: in("apps", operator, ruleOf(rolesAPI, "create", "clusterrolebindings clusterroles"))},
	{name: "E11 escalate", add: everywhere(operator, ruleOf(rolesAPI, "update escalate", "clusterroles")), rules: rules(problem.MintEscalate), says: []string{"everything in the cluster"}},
	{name: "E12", add: everywhere(operator, rule("impersonate", "serviceaccounts")), rules: rules(problem.MintImpersonate), says: []string{"any service account in every namespace"}},
	{name: "E12 one account", add: in("apps", operator, only("deployer", rule("impersonate", "serviceaccounts"))), rules: rules(problem.MintImpersonate), says: []string{"system:serviceaccount:apps:deployer"}},
	{name: "E12 users", add: everywhere(operator, rule("impersonate", "users")), rules: rules(problem.MintImpersonate), says: []string{"can act as anybody"}},
	{name: "E12 masters", add: everywhere(operator, only("system:masters", rule("impersonate", "groups")), only("anna", rule("impersonate", "users"))), rules: rules(problem.MintImpersonate, problem.MintImpersonate), says: []string{"can act as anybody", "user anna"}},
	{name: "not E12: groups without anybody to be in them", add: everywhere(operator, rule("impersonate", "groups uids userextras"))},
	{name: "not E12: users, in a namespace", add: in("apps", operator, rule("impersonate", "users"))},
	{name: "E12 constrained", add: in("apps", operator, ruleOf(authenticationAPI, "impersonate:serviceaccount", "serviceaccounts"), rule("impersonate-on:serviceaccount:create", token)), rules: rules(problem.MintImpersonate), says: []string{"any service account in namespace apps"}},
	{name: "E12 constrained, users", add: everywhere(operator, ruleOf(authenticationAPI, "impersonate:user-info", "users"), rule("impersonate-on:user-info:get", "secrets")), rules: rules(problem.MintImpersonate)},
	{name: "E12 constrained, nodes", add: everywhere(operator, ruleOf(authenticationAPI, "impersonate:arbitrary-node", "nodes"), rule("impersonate-on:arbitrary-node:create", token)), rules: rules(problem.MintImpersonate)},
	{name: "not E12: one half", add: everywhere(operator, ruleOf(authenticationAPI, "impersonate:serviceaccount impersonate:user-info impersonate:arbitrary-node", "serviceaccounts users nodes"))},
	{name: "not E12: the other half", add: everywhere(operator, rule("impersonate-on:serviceaccount:create", token))},
	{name: "not E12: constrained verbs in the core group", add: everywhere(operator, rule("impersonate:serviceaccount", "serviceaccounts"), rule("impersonate-on:serviceaccount:create", token))},
	{name: "E13 pods", add: in("apps", operator, rule("create", "pods")), rules: rules(problem.MintPod), says: []string{"any service account in namespace apps"}},
	{name: "E13 a workload by name", add: in("apps", operator, only("web", ruleOf("apps", "patch", "deployments"))), rules: rules(problem.MintPod)},
	{name: "E13 jobs", add: in("apps", operator, ruleOf("batch", "create", "cronjobs")), rules: rules(problem.MintPod)},
	{name: "E13 exec", add: in("apps", operator, rule("get", "pods/exec")), rules: rules(problem.MintExec)},
	{name: "E13 ephemeral containers", add: in("apps", operator, rule("patch", "pods/ephemeralcontainers")), rules: rules(problem.MintExec)},
	{name: "E13 an image", add: in("apps", operator, rule("patch", "pods")), rules: rules(problem.MintExec)},
	{name: "not E13: pods by name, and a look at them", add: in("apps", operator, only("x", rule("create", "pods")), rule("get list watch", "pods pods/log"))},
	{name: "E13 a path", add: in("apps", operator, rule("create", "pods")) + strings.ReplaceAll(everywhere(account("apps", "deployer"), ruleOf(rolesAPI, "update escalate", "clusterroles")), "planted", "escalating"), rules: rules(problem.MintPod, problem.MintEscalate), // the account itself is told of, as a warning

		says: []string{"by way of them, everything in the cluster", "RoleBinding apps/planted gives Role apps/planted", "ClusterRoleBinding escalating gives ClusterRole escalating to system:serviceaccount:apps:deployer", "planted.yaml:5:1", "planted.yaml:18:1"}},
	{
		name: "E13 a path of three", add: in("apps", operator, rule("create", "pods")) + strings.ReplaceAll(in("tools", account("apps", "a"), rule("create", "pods")), "planted", "second") + bindEverywhere(account("tools", "b"), "cluster-admin"), rules: rules(problem.MintPod),
		says: []string{"by way of them, any service account in every namespace", "RoleBinding tools/second", "ClusterRoleBinding planted gives ClusterRole cluster-admin (Kubernetes' own) to system:serviceaccount:tools:b"},
	},
	{name: "E14", add: everywhere(operator, rule("get", "nodes/proxy")), rules: rules(problem.MintNodeProxy)},
	{name: "not E14: in a namespace", add: in("apps", operator, rule("get", "nodes/proxy"))},
	{name: "E15", add: everywhere(operator, ruleOf("certificates.k8s.io", "update approve", "certificatesigningrequests/approval signers")), rules: rules(problem.MintCSR)},
	{name: "not E15: one half", add: everywhere(operator, ruleOf("certificates.k8s.io", "create update", "certificatesigningrequests certificatesigningrequests/approval"))},
	{name: "not E15: serving certificates", add: everywhere(operator, ruleOf("certificates.k8s.io", "update", "certificatesigningrequests/approval"), only("kubernetes.io/kubelet-serving", ruleOf("certificates.k8s.io", "approve", "signers")))},
	{name: "E16", add: everywhere(operator, ruleOf("admissionregistration.k8s.io", "delete", "validatingadmissionpolicybindings")), rules: rules(problem.AdmissionWritable)},
	{name: "E17 the fenced account holds a role", add: in("secure-ns", account("secure-ns", "vault-access-sa"), rule("get", "configmaps")), rules: rules(problem.FencedRole)},
	{name: "E17 by its namespace's group", add: in("secure-ns", group("system:serviceaccounts:secure-ns"), rule("get", "configmaps")), rules: rules(problem.FencedRole)},
	{name: "E17 a role of much", add: bindEverywhere(account("secure-ns", "vault-access-sa"), "cluster-admin"), rules: rules(problem.FencedRole)},
	{name: "E17 the API server's audience", add: "", change: edit("SecretStore", "vault", set(nil, "spec", "provider", "vault", "auth", "kubernetes", "serviceAccountRef", "audiences")), rules: rules(problem.StoreAudience)},
	{name: "E19", add: everywhere(operator, ruleOf(authenticationAPI, "attest", "serviceaccounts")), rules: rules(problem.MintAttest)},
	{name: "E20", add: "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: external-secrets, namespace: external-secrets, annotations: {eks.amazonaws.com/role-arn: \"arn:aws:iam::1:role/eso\"}}\n", rules: rules(problem.OperatorIdentity)},
}

// otherMutants are what others than ESO can come by.
var otherMutants = []mutant{
	{name: "T7 somebody mints", add: in("secure-ns", group("ops"), rule("create", token)), rules: rules(problem.ForeignMint), says: []string{"group ops may mint tokens of fenced service account secure-ns/vault-access-sa", "RoleBinding secure-ns/planted", "planted.yaml:5:1"}},
	{name: "T8 bound to the fence's Role", add: binding("secure-ns", group("ops"), "Role", "eso-tenant-token-vault-access-sa"), rules: rules(problem.ForeignSubject), says: []string{"group ops is bound to the Role"}},
	{name: "T8 another's service account", base: "teams", add: binding("pay", account("web", "ci"), "ClusterRole", "edit"), rules: rules(problem.ForeignMint), says: []string{"system:serviceaccount:web:ci may mint tokens of fenced service account pay/aws-access-sa"}},
	{name: "T8 in the fence's binding", change: edit("RoleBinding", "eso-tenant-token-vault-access-sa", func(fields map[string]any) {
		fields["subjects"] = append(inventory.List(fields, "subjects"), map[string]any{"kind": "ServiceAccount", "name": "ci", "namespace": "other"})
	}), rules: rules(problem.ForeignSubject)},
	{name: "T9 edit", add: binding("secure-ns", group("ops"), "ClusterRole", "edit"), rules: rules(problem.ForeignMint), says: []string{"run pods", "have tokens written into Secrets"}},
	{name: "not T9: view", add: binding("secure-ns", group("ops"), "ClusterRole", "view")},
	{name: "not T9: where nothing is fenced", add: binding("apps", group("ops"), "ClusterRole", "admin")},
	{name: "T9 everywhere", add: bindEverywhere(group("ops"), "edit"), rules: rules(problem.ForeignMint)},
	{name: "T9 everybody", add: bindEverywhere(group("system:unauthenticated"), "cluster-admin"), rules: rules(problem.ForeignMint)},
	{name: "T9 Kubernetes' own group gets more", add: everywhere(group("system:monitoring"), rule("create", token)), rules: rules(problem.ForeignMint)},
	{name: "T9 Kubernetes' own role gets more", add: "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: \"system:public-info-viewer\", annotations: {rbac.authorization.kubernetes.io/autoupdate: \"false\"}}\nrules:\n- " + rule("create", token) + "\n", rules: rules(problem.MintAny, problem.ForeignMint), says: []string{"group system:unauthenticated"}},
	{name: "not T9: cluster-admins and the control plane", add: bindEverywhere(group("admins"), "cluster-admin") + strings.ReplaceAll(bindEverywhere(account("kube-system", "addon"), "edit"), "name: planted", "name: addon")},
	{name: "T10 pods", add: in("secure-ns", group("ops"), rule("create", "pods")), rules: rules(problem.MintPod), says: []string{"group ops can run pods as fenced service account secure-ns/vault-access-sa"}},
	{name: "T10 a pod runs as it", add: deployment("secure-ns", "app", "vault-access-sa", "app"), rules: rules(problem.FencedPod)},
	{name: "T10 a Deployment with what it made", add: deployment("secure-ns", "app", "vault-access-sa", "app") +
		"---\napiVersion: v1\nkind: Pod\nmetadata: {name: app-1, namespace: secure-ns, ownerReferences: [{kind: Deployment, name: app, controller: true}]}\nspec: {serviceAccountName: vault-access-sa}\n", rules: rules(problem.FencedPod), says: []string{"Deployment secure-ns/app runs"}},
	{name: "T10 a Pod whose maker is not there", add: "---\napiVersion: v1\nkind: Pod\nmetadata: {name: app-1, namespace: secure-ns, ownerReferences: [{kind: ReplicaSet, name: app}]}\nspec: {serviceAccount: vault-access-sa}\n", rules: rules(problem.FencedPod)},
	{name: "T9 a service account without a namespace", add: binding("secure-ns", "{kind: ServiceAccount, name: ci}", "ClusterRole", "edit"), rules: rules(problem.ForeignMint, problem.RBACOpen), says: []string{"system:serviceaccount:secure-ns:ci may mint"}},
	{name: "T10 exec into that pod", add: deployment("secure-ns", "app", "vault-access-sa", "app") + in("secure-ns", group("ops"), rule("create", "pods/exec")), rules: rules(problem.FencedPod, problem.MintExec)},
	{name: "not T10: exec where no pod runs as it", add: in("secure-ns", group("ops"), rule("create", "pods/exec"))},
	{name: "T11", add: in("secure-ns", group("ops"), rule("create get", "secrets")), rules: rules(problem.MintTokenSecret), says: []string{"group ops can have tokens written into Secrets, of fenced service account secure-ns/vault-access-sa"}},
	{name: "not T11: without reading", add: in("secure-ns", group("ops"), rule("create", "secrets"))},
	{name: "not T12: to act as a fenced account", add: in("secure-ns", group("ops"), rule("impersonate", "serviceaccounts"))},
	{name: "T12 to act as ESO", add: in("external-secrets", group("ops"), only("external-secrets", rule("impersonate", "serviceaccounts"))), rules: rules(problem.OperatorOpen)},
	// Where Kubernetes' own controllers hold half of it, too.
	{name: "E11 escalate in kube-system", add: in("kube-system", operator, ruleOf(rolesAPI, "update escalate", "roles")), rules: rules(problem.MintEscalate), says: []string{"everything in namespace kube-system"}},
	{name: "E11 bind in kube-system", add: in("kube-system", operator, ruleOf(rolesAPI, "create", "rolebindings"), ruleOf(rolesAPI, "bind", "clusterroles")), rules: rules(problem.MintBind)},
	{name: "E2 in kube-system", add: in("kube-system", operator, rule("create get", "secrets")), rules: rules(problem.MintTokenSecret, problem.WriteSecrets)},
	{name: "E11 others", add: in("secure-ns", group("ops"), ruleOf(rolesAPI, "create escalate", "roles")), rules: rules(problem.MintEscalate)},
	{name: "not E11: others without escalate", add: in("secure-ns", group("ops"), ruleOf(rolesAPI, "create update", "roles rolebindings"))},
	{name: "a detour to the cluster", base: "teams", add: bindEverywhere(account("web", "ci"), "cluster-admin"), rules: rules(problem.ForeignReach, problem.MintTokenSecret), says: []string{"group web-devs can be system:serviceaccount:web:ci"}},
	{name: "not a detour where no member is; but what ESO does there leads on", add: bindEverywhere(account("secure-ns", "ci"), "cluster-admin"), rules: rules(problem.MintTokenSecret), says: []string{"by way of them, any service account in every namespace"}},
	{name: "a detour through the control plane", base: "teams", add: in("kube-system", group("web-devs"), rule("create", "pods")), rules: rules(problem.ForeignReach), says: []string{"planted.yaml:6:1: group web-devs can be system:serviceaccount:kube-system:"}},
	{name: "by the group of ESO's namespace, where a fenced account is", base: "teams", add: in("kube-system", group("system:serviceaccounts:external-secrets"), rule("create", "secrets")), rules: rules(problem.MintTokenSecret, problem.WriteSecrets)},
	{name: "to act as anybody", base: "teams", add: everywhere(group("helpdesk"), rule("impersonate", "users")), rules: rules(problem.OperatorOpen)},
	{name: "something installed", add: everywhere(account("cert-manager", "cert-manager"), rule("create get", "secrets")), rules: rules(problem.MintTokenSecret), says: []string{"warning:"}},
	{name: "T20 another ESO", add: deployment("eso-2", "external-secrets", "other", "external-secrets"), rules: rules(problem.OperatorSecond)},
	{name: "T20 another ESO that mints", add: everywhere(account("eso-2", "external-secrets"), rule("create", token)), rules: rules(problem.ForeignMint)},
	{
		name: "T22 aggregated to edit", base: "teams", add: "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: external-secrets-edit, labels: {rbac.authorization.k8s.io/aggregate-to-edit: \"true\", rbac.authorization.k8s.io/aggregate-to-admin: \"true\"}}\nrules:\n- " + ruleOf("external-secrets.io", "create update patch", "secretstores clustersecretstores") + "\n",
		rules: rules(problem.StoreWritable), says: []string{"group pay-ops and group web-devs can write stores or generators in namespaces pay, web", "ClusterRole external-secrets-edit"},
	},
	{name: "T1 somebody writes stores, elsewhere", add: in("apps", group("ops"), ruleOf("external-secrets.io", "create", "secretstores")), rules: rules(problem.StoreWritable)},
	{name: "not T1: the cluster's stores, in a namespace", add: in("apps", group("ops"), ruleOf("external-secrets.io", "create", "clustersecretstores"))},
	{name: "not T1: who delivers them", add: everywhere(account("flux", "applier"), ruleOf("external-secrets.io", "create", "secretstores")), input: func(in *verify.Input) { in.Writers = []rbac.Subject{rbac.ServiceAccount("flux", "applier")} }},
	{name: "T6", add: shared(`[{namespaceSelector: {matchLabels: {team: web}}}]`) + in("apps", group("ops"), rule("patch", "namespaces")), rules: rules(problem.NamespaceWritable), says: []string{"group ops can label namespaces in namespace apps"}},
	{name: "not T6: to read them", add: shared(`[{namespaceSelector: {matchLabels: {team: web}}}]`) + in("apps", group("ops"), rule("get list watch", "namespaces"))},
	{name: "T4 somebody writes generators", add: in("apps", group("ops"), ruleOf("generators.external-secrets.io", "create", "webhooks")), rules: rules(problem.StoreWritable)},
	{name: "T23 pods", add: in("external-secrets", group("ops"), rule("create", "pods")), rules: rules(problem.OperatorOpen), says: []string{"group ops can run pods as External Secrets Operator (system:serviceaccount:external-secrets:external-secrets)"}},
	{name: "T23 exec", add: in("external-secrets", group("ops"), rule("create", "pods/exec")), rules: rules(problem.OperatorOpen)},
	{name: "T23 where a fenced account is, too", base: "teams", add: binding("external-secrets", group("ops"), "ClusterRole", "edit"), rules: rules(problem.OperatorOpen)},
	{name: "not T23: a look", add: binding("external-secrets", group("ops"), "ClusterRole", "view")},
}

// storeMutants are stores that hand out more than a token of the tenant's.
var storeMutants = []mutant{
	{name: "T1 vault", add: store(`{vault: {server: "https://evil", auth: {kubernetes: {mountPath: k, role: r}}}}`), rules: rules(problem.StoreOwnIdentity), says: []string{"planted.yaml:1:1", "spec.provider.vault.auth.kubernetes"}},
	{name: "T1 vault iam", add: store(`{vault: {server: "https://evil", auth: {iam: {vaultRole: r}}}}`), rules: rules(problem.StoreOwnIdentity)},
	{name: "T1 vault gcp", add: store(`{vault: {server: "https://evil", auth: {gcp: {role: r, serviceAccountRef: {name: vault-access-sa}}}}}`), rules: rules(problem.StoreOwnIdentity)},
	{name: "T1 akeyless", add: store(`{akeyless: {akeylessGWApiURL: "https://evil", authSecretRef: {kubernetesAuth: {accessID: p-1}}}}`), rules: rules(problem.StoreOwnIdentity)},
	{name: "T1 aws", add: store(`{aws: {service: SecretsManager, region: eu-west-1}}`), rules: rules(problem.StoreOwnIdentity)},
	{name: "T1 gcpsm", add: store(`{gcpsm: {projectID: p}}`), rules: rules(problem.StoreOwnIdentity)},
	{name: "T1 azurekv", add: store(`{azurekv: {authType: ManagedIdentity, vaultUrl: "https://v"}}`), rules: rules(problem.StoreOwnIdentity)},
	{name: "T1 oracle", add: store(`{oracle: {principalType: InstancePrincipal}}`), rules: rules(problem.StoreOwnIdentity)},
	{name: "T1 infisical", add: store(`{infisical: {auth: {kubernetesAuthCredentials: {identityId: {name: x}}}}}`), rules: rules(problem.StoreOwnIdentity)},
	{name: "T1 ibm", add: store(`{ibm: {auth: {containerAuth: {profile: p}}}}`), rules: rules(problem.StoreOwnIdentity)},
	{name: "T1 a generator", add: "---\napiVersion: generators.external-secrets.io/v1alpha1\nkind: VaultDynamicSecret\nmetadata: {name: x, namespace: secure-ns}\nspec: {provider: {server: \"https://evil\", auth: {kubernetes: {role: r}}}}\n", rules: rules(problem.StoreOwnIdentity)},
	{name: "T1 a ClusterGenerator", add: "---\napiVersion: generators.external-secrets.io/v1alpha1\nkind: ClusterGenerator\nmetadata: {name: x}\nspec: {kind: ECRAuthorizationToken, generator: {ecrAuthorizationTokenSpec: {region: eu-west-1}}}\n", rules: rules(problem.StoreOwnIdentity)},
	{name: "not T1: a stored credential", add: store(`{aws: {service: SecretsManager, auth: {secretRef: {accessKeyIDSecretRef: {name: x}}}}}`)},
	{name: "T2 kubernetes", add: store(`{kubernetes: {authRef: {name: kubeconfig}}}`), rules: rules(problem.StoreUnsafe)},
	{name: "T2 crd", add: store(`{crd: {authRef: {name: kubeconfig}}}`), rules: rules(problem.StoreUnsafe)},
	{name: "T3", add: store(`{gcpsm: {projectID: p, auth: {workloadIdentityFederation: {credConfig: {name: c, key: k}}}}}`), rules: rules(problem.StoreUnsafe)},
	{name: "T4", add: store(`{webhook: {url: "http://169.254.169.254/"}}`), rules: rules(problem.StoreUnsafe)},
	{name: "T4 a generator", add: "---\napiVersion: generators.external-secrets.io/v1alpha1\nkind: Webhook\nmetadata: {name: x, namespace: secure-ns}\nspec: {url: \"http://169.254.169.254/\"}\n", rules: rules(problem.StoreUnsafe)},
	{name: "T5 no conditions", add: shared(`[]`), rules: rules(problem.SharedStoreOpen)},
	{name: "T5 an empty selector", add: shared(`[{namespaceSelector: {}}]`), rules: rules(problem.SharedStoreOpen)},
	{name: "T5 all but some", add: shared(`[{namespaceSelector: {matchExpressions: [{key: x, operator: DoesNotExist}]}}]`), rules: rules(problem.SharedStoreOpen)},
	{name: "T5 any name", add: shared(`[{namespaceRegexes: [".*"]}]`), rules: rules(problem.SharedStoreOpen)},
	{name: "T5 half anchored", add: shared(`[{namespaceRegexes: ["^web|pay$"]}]`), rules: rules(problem.SharedStoreOpen)},
	{name: "not T5: names spelled out", add: shared(`[{namespaces: [secure-ns]}, {namespaceRegexes: ["^(web|pay)-prod$"]}, {namespaceSelector: {matchLabels: {a: b}}}]`)},
	{name: "T5 with another tenant's account", base: "teams", add: "---\napiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {name: planted}\nspec:\n  conditions: [{namespaces: [pay]}]\n  provider: {vault: {server: \"https://v\", auth: {kubernetes: {role: r, serviceAccountRef: {name: vault-access-sa, namespace: web, audiences: [vault]}}}}}\n", rules: rules(problem.SharedStoreOpen), says: []string{"lets namespace pay use service account web/vault-access-sa"}},
	{name: "T15", base: "teams", input: func(in *verify.Input) {
		in.Fences = slices.Clone(in.Fences)
		for i := range in.Fences {
			if in.Fences[i].Namespace == "pay" {
				in.Fences[i].Annotations = map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/pay-prod"}
			}
		}
	}, change: edit("ServiceAccount", "aws-access-sa", set("arn:aws:iam::123456789012:role/web-prod", "metadata", "annotations", "eks.amazonaws.com/role-arn")), rules: rules(problem.FencedIdentity), says: []string{"web-prod", "pay-prod"}},
	{name: "T17", input: audienceVault, change: edit("SecretStore", "vault", set([]any{"vault", "sts.amazonaws.com"}, "spec", "provider", "vault", "auth", "kubernetes", "serviceAccountRef", "audiences")), rules: rules(problem.StoreAudience), says: []string{`"sts.amazonaws.com"`}},
	{name: "not T17: what is declared", input: audienceVault},
	{name: "E17 the API server by name", change: edit("SecretStore", "vault", set([]any{"https://kubernetes.default.svc"}, "spec", "provider", "vault", "auth", "kubernetes", "serviceAccountRef", "audiences")), rules: rules(problem.StoreAudience)},
}

func audienceVault(in *verify.Input) {
	in.Fences = slices.Clone(in.Fences)
	for i := range in.Fences {
		in.Fences[i].Audiences = []string{"vault"}
	}
}

// chainMutants each break one link from a store to its token.
var chainMutants = []mutant{
	{name: "the service account is gone", remove: "ServiceAccount secure-ns/vault-access-sa", rules: rules(problem.StoreAccountMissing)},
	{name: "the Role is gone", remove: "Role secure-ns/eso-tenant-token-vault-access-sa", rules: rules(problem.StoreCannotMint, problem.RBACOpen)},
	{name: "the RoleBinding is gone", remove: "RoleBinding secure-ns/eso-tenant-token-vault-access-sa", rules: rules(problem.StoreCannotMint)},
	{name: "the Role is for another name", change: edit("Role", "eso-tenant-token-vault-access-sa", func(fields map[string]any) {
		first(fields, "rules")["resourceNames"] = []any{"other"}
	}), rules: rules(problem.StoreCannotMint, problem.MintAny)},
	{name: "the RoleBinding binds another", change: edit("RoleBinding", "eso-tenant-token-vault-access-sa", func(fields map[string]any) {
		first(fields, "subjects")["namespace"] = "eso"
	}), rules: rules(problem.StoreCannotMint, problem.ForeignSubject)},
	{name: "the store names another account", change: edit("SecretStore", "vault", set("other", "spec", "provider", "vault", "auth", "kubernetes", "serviceAccountRef", "name")), rules: rules(problem.StoreUnfenced)},
	{name: "ESO runs elsewhere", input: func(in *verify.Input) { in.ESO = []rbac.Subject{rbac.ServiceAccount("eso", "eso")} }, rules: rules(problem.StoreCannotMint, problem.ForeignSubject, problem.MintTokenSecret)},
	{name: "the account lists Secrets", change: edit("ServiceAccount", "vault-access-sa", set([]any{map[string]any{"name": "x"}}, "secrets")), rules: rules(problem.FencedSecrets)},
	{name: "premise 4: a token in a Secret", add: tokenSecret("secure-ns", "old", "vault-access-sa"), rules: rules(problem.FencedSecrets)},
	{
		name: "nobody knows ESO, and somebody writes stores", input: func(in *verify.Input) { in.ESO = nil },
		add: in("apps", group("ops"), ruleOf("external-secrets.io", "create", "secretstores")), rules: rules(problem.RequesterUnknown, problem.ForeignSubject, problem.MintTokenSecret, problem.StoreWritable),
	},
	{name: "nobody knows ESO", input: func(in *verify.Input) { in.ESO = nil }, rules: rules(problem.RequesterUnknown, problem.ForeignSubject, problem.MintTokenSecret)},
}

func TestMutants(t *testing.T) {
	worlds := bases(t)
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			base := worlds[cmp.Or(m.base, "quickstart")]
			added := news(verify.Check(base), verify.Check(m.planted(t, base)))
			var broken []problem.Rule
			for _, p := range added {
				broken = append(broken, p.Rule)
			}
			slices.Sort(broken)
			want := slices.Clone(m.rules)
			slices.Sort(want)
			if diff := gocmp.Diff(want, broken); diff != "" {
				t.Errorf("rules (-want +got):\n%s\n%s", diff, text(added))
			}
			for _, says := range m.says {
				if !strings.Contains(text(added), says) {
					t.Errorf("nothing says %q:\n%s", says, text(added))
				}
			}
		})
	}
}

// TestMutantsInDump: the same where a dump holds the API server's own roles.
func TestMutantsInDump(t *testing.T) {
	worlds := bases(t)
	for name, base := range worlds {
		base.Objects = append(slices.Clone(base.Objects), bootstrap(t, base.Minor)...)
		worlds[name] = base
	}
	for _, m := range mutants {
		if strings.Contains(m.add, "system:public-info-viewer") {
			continue // it is there already
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			base := worlds[cmp.Or(m.base, "quickstart")]
			got, want := count(news(verify.Check(base), verify.Check(m.planted(t, base)))), map[problem.Rule]int{}
			for _, rule := range m.rules {
				want[rule]++
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMutantsUnderPolicies: the policies close what they are for, and nothing
// else: a mutant breaks the rules that it breaks without them, or some of them
// and of those that are left.
func TestMutantsUnderPolicies(t *testing.T) {
	worlds := guarded(t)
	for name, in := range worlds {
		if report := verify.Check(in); name != "brownfield" && report.Verdicts[verify.Mint] == verify.Breached {
			t.Errorf("%s is breached:\n%s", name, text(report.Problems))
		}
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			base := worlds[cmp.Or(m.base, "quickstart")]
			report := verify.Check(m.planted(t, base))
			got := count(news(verify.Check(base), report))
			for rule := range got {
				if !slices.Contains(m.rules, rule) && !slices.Contains(besides[m.name], rule) {
					t.Errorf("%s is not broken without policies", rule)
				}
			}
			for _, rule := range m.rules {
				closable := slices.Contains(closes, rule) || slices.Contains(besides[m.name], rule)
				if got[rule] == 0 && !closable && !base.Observing {
					t.Errorf("no policy closes %s", rule)
				}
			}
		})
	}
}

// closes are the rules that policies may close, each at least where a rendered
// policy is about it.
var closes = []problem.Rule{
	problem.MintAny, problem.MintTokenSecret, problem.MintBootstrapToken, problem.MintAttest, problem.MintPod,
	problem.ForeignMint, problem.ForeignSubject, problem.FencedRole, problem.FencedPod, problem.StoreWritable, problem.StoreAudience,
}

// besides are rules that are broken under policies only, and why.
var besides = map[string][]problem.Rule{
	// Fenced accounts and ESO's own are kept from them; those of the cluster's controllers are not.
	"E1 everybody": {problem.ForeignReach}, "E1 any service account": {problem.ForeignReach}, "E1 those of its namespace": {problem.ForeignReach},
	"T9 Kubernetes' own group gets more": {problem.ForeignReach}, "T9 Kubernetes' own role gets more": {problem.ForeignReach},
	// Token Secrets of ESO's own accounts, and pods that run as them, are not.
	"T9 everywhere": {problem.OperatorOpen}, "T9 everybody": {problem.OperatorOpen}, "something installed": {problem.OperatorOpen},
	// The token is refused, and the store does not work.
	"T17": {problem.StoreCannotMint}, "E17 the API server's audience": {problem.StoreCannotMint}, "E17 the API server by name": {problem.StoreCannotMint},
	// What is left of a rule of which the first way is closed.
	"E1 any resource": {problem.MintPod},
}

// TestOneFix: of two ways that are planted, each goes by itself.
func TestOneFix(t *testing.T) {
	base := bases(t)["quickstart"]
	one := strings.ReplaceAll(in("apps", operator, rule("create", "pods")), "planted", "one")
	two := strings.ReplaceAll(everywhere(operator, ruleOf(rolesAPI, "update escalate", "clusterroles")), "planted", "two")
	three := strings.ReplaceAll(binding("secure-ns", group("ops"), "ClusterRole", "edit"), "planted", "three")
	all := map[problem.Rule]string{problem.MintPod: one, problem.MintEscalate: two, problem.ForeignMint: three}
	for fixed := range all {
		left := mutant{}
		want := map[problem.Rule]int{}
		for rule, plant := range all {
			if rule != fixed {
				left.add += plant
				want[rule] = 1
			}
		}
		got := count(news(verify.Check(base), verify.Check(left.planted(t, base))))
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("without %s (-want +got):\n%s", fixed, diff)
		}
	}
	if left := news(verify.Check(base), verify.Check(mutant{}.planted(t, base))); len(left) > 0 {
		t.Errorf("nothing is planted, and left is\n%s", text(left))
	}
}

// news are the problems of one report that the other does not have.
func news(before, after *verify.Report) problem.List {
	var added problem.List
	for _, p := range after.Problems {
		if !slices.ContainsFunc(before.Problems, func(q problem.Problem) bool { return p.Line() == q.Line() }) {
			added = append(added, p)
		}
	}
	return added
}

// planted is the world with what is planted, or without what is taken.
func (m mutant) planted(t testing.TB, base verify.Input) verify.Input {
	t.Helper()
	base.Objects = slices.Clone(base.Objects)
	if m.change != nil {
		for i := range base.Objects {
			base.Objects[i].Fields = copied(base.Objects[i].Fields)
		}
		m.change(base.Objects)
	}
	if m.remove != "" {
		before := len(base.Objects)
		base.Objects = slices.DeleteFunc(base.Objects, func(o inventory.Object) bool { return o.Kind+" "+o.Namespace+"/"+o.Name == m.remove })
		if len(base.Objects) != before-1 {
			t.Fatalf("there is no %s", m.remove)
		}
	}
	base.Objects = append(base.Objects, objects(t, "planted.yaml", strings.TrimPrefix(m.add, "---\n"))...)
	if m.input != nil {
		m.input(&base)
	}
	return base
}

func clone(value any) any {
	switch value := value.(type) {
	case map[string]any:
		return copied(value)
	case []any:
		all := make([]any, len(value))
		for i, item := range value {
			all[i] = clone(item)
		}
		return all
	default:
		return value
	}
}

func copied(fields map[string]any) map[string]any {
	all := make(map[string]any, len(fields))
	for key, item := range fields {
		all[key] = clone(item)
	}
	return all
}
