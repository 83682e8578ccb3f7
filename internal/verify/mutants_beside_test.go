package verify_test

import (
	"fmt"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

func pushSecret(namespace, secret string) string {
	return fmt.Sprintf("---\napiVersion: external-secrets.io/v1alpha1\nkind: PushSecret\nmetadata: {name: p, namespace: %s}\nspec: {secretStoreRefs: [{name: vault}], selector: {secret: %s}}\n", namespace, secret)
}

func clusterPushSecret(selectors, secret string) string {
	return fmt.Sprintf("---\napiVersion: external-secrets.io/v1alpha1\nkind: ClusterPushSecret\nmetadata: {name: p}\nspec: {namespaceSelectors: %s, pushSecretSpec: {secretStoreRefs: [{name: vault}], selector: {secret: %s}}}\n", selectors, secret)
}

func vaultAsPay(namespace, account, server string) string {
	return fmt.Sprintf("---\napiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: planted, namespace: %s}\n"+
		"spec: {provider: {vault: {server: %q, auth: {kubernetes: {mountPath: kubernetes, role: pay, serviceAccountRef: {name: %s, audiences: [vault]}}}}}}\n", namespace, server, account)
}

// besideMutants are ways round by controllers that are not Kubernetes' own, by what is pushed, and by one identity of two tenants.
var besideMutants = []mutant{
	{name: "E13 by Argo's Rollouts", add: in("apps", operator, ruleOf("argoproj.io", "create", "rollouts")), rules: rules(problem.MintPod), says: []string{"any service account in namespace apps"}},
	{name: "E13 by changing a Tekton PipelineRun", add: everywhere(operator, ruleOf("tekton.dev", "patch", "pipelineruns")), rules: rules(problem.MintPod)},
	{name: "T10 by a Knative Service", add: in("secure-ns", group("ops"), ruleOf("serving.knative.dev", "create", "services")), rules: rules(problem.MintPod), says: []string{"group ops can run pods as fenced service account secure-ns/vault-access-sa"}},
	{name: "not E13: services of the core", add: in("apps", operator, rule("create update", "services"))},
	{
		name: "T10 a Workflow that runs as the account", rules: rules(problem.FencedPod), says: []string{"Workflow secure-ns/w"},
		add: "---\napiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: w, namespace: secure-ns}\nspec: {serviceAccountName: vault-access-sa}\n",
	},
	{
		name: "T10 a PipelineRun that runs as the account", rules: rules(problem.FencedPod),
		add: "---\napiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {name: w, namespace: secure-ns}\nspec: {taskRunTemplate: {serviceAccountName: vault-access-sa}}\n",
	},
	{
		name: "E2 by changing a token Secret", add: tokenSecret("apps", "ci", "ci") + in("apps", operator, only("ci", rule("update", "secrets"))), rules: rules(problem.MintTokenSecret, problem.MintLegacySecret, problem.WriteSecrets),
		says: []string{"change secrets, also whose token they hold", "Secret apps/ci is one that Kubernetes fills with a token"},
	},
	{name: "not E2: another Secret is changed", add: tokenSecret("apps", "ci", "ci") + in("apps", operator, only("other", rule("update", "secrets"))), rules: rules(problem.MintLegacySecret, problem.WriteSecrets)},

	{name: "T18", add: pushSecret("secure-ns", "{selector: {matchLabels: {a: b}}}"), rules: rules(problem.PushOpen), says: []string{"warning:", "those with tokens too"}},
	{name: "T18 a token", add: tokenSecret("apps", "ci", "ci") + pushSecret("apps", "{name: ci}"), rules: rules(problem.MintLegacySecret, problem.PushOpen), says: []string{"Secret apps/ci, a token of service account apps/ci"}},
	{name: "T18 everywhere", add: clusterPushSecret("[{}]", "{name: x}"), rules: rules(problem.PushOpen), says: []string{"spec.namespaceSelectors[0]"}},
	{name: "T18 all but some", add: clusterPushSecret("[{matchLabels: {a: b}}, {matchExpressions: [{key: a, operator: NotIn, values: [b]}]}]", "{name: x}"), rules: rules(problem.PushOpen), says: []string{"spec.namespaceSelectors[1]"}},
	{name: "not T18: one by name", add: tokenSecret("secure-ns", "ci", "ci") + pushSecret("apps", "{name: ci}"), rules: rules(problem.MintLegacySecret)},
	{name: "not T18: namespaces with a label", add: clusterPushSecret("[{matchLabels: {a: b}}]", "{name: x}")},

	{
		name: "T15 another tenant's role of Vault", base: "teams", rules: rules(problem.IdentityShared), says: []string{`tenant "web" comes by role "pay", as tenant "pay" does`},
		add: vaultAsPay("web", "vault-access-sa", "https://Vault.example.com/") + vaultAsPay("pay", "aws-access-sa", "https://vault.example.com"), input: audienceVault,
	},
	{name: "not T15: another server's role of that name", base: "teams", add: vaultAsPay("web", "vault-access-sa", "https://vault.example.com") + vaultAsPay("pay", "aws-access-sa", "https://pay.example.com"), input: audienceVault},
}
