package admissioncheck

import (
	"slices"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/generators"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// decision is a request and what is to come of it: the text is in the refusal, and there is none for "".
type decision struct {
	name string
	request
	refusal string
}

const (
	byAudience = "may not mint tokens of"
	bySize     = "a token has 1 to 4 audiences"
	byLife     = "a token lives for 3600 seconds at most"
	byBinding  = "tokens that are bound to an object"
	byFence    = "only External Secrets Operator may mint tokens"
	byOwn      = "only a kubelet may mint tokens of External Secrets Operator's own"
	byESO      = "External Secrets Operator may not make Secrets of this type"
	byTenant   = "Secrets of this type are not made in tenants' namespaces"
	byAccount  = "only External Secrets Operator may have tokens"
	byPod      = "no pod runs as"
)

// decisions are all that the policies are held to, but those where ESO has all rights.
func decisions() []decision {
	return slices.Concat(aboutPolicies(), clusterDecisions(actors()))
}

// aboutPolicies are all but what each controller of the cluster does.
func aboutPolicies() []decision {
	return slices.Concat(tokenDecisions(), operatorDecisions(), storeDecisions(), referenceDecisions(), fenceDecisions(), exemptionDecisions())
}

// operatorDecisions are about each of ESO's service accounts, by all names that they may have.
func operatorDecisions() []decision {
	var all []decision
	for _, name := range []string{"blue-external-secrets", "blue-webhook", "external-secrets-webhook", "blue-cert-controller", "external-secrets-cert-controller"} {
		who := account("eso", name)
		all = append(
			all,
			decision{name + " mints for nobody's", mint(who, "somebody", "default"), byAudience},
			decision{name + " makes a token Secret", secret(who, "kube-system", tokenType, "default"), byESO},
			decision{name + " changes its own", secretChange(who, "somebody", tokenType, "default", "default"), byESO},
			decision{name + "'s token for Flux", mint(sourceController, "eso", name, audiences()), byOwn},
			decision{name + "'s token for itself", mint(who, "eso", name, boundTo("Pod")), byAudience},
			decision{name + "'s token for its pod", mint(kubelet, "eso", name, audiences(), boundTo("Pod")), ""},
			decision{name + ", but elsewhere, for Flux", mint(sourceController, "somebody", name, audiences()), ""},
		)
	}
	return all
}

func tokenDecisions() []decision {
	four := []string{"one", "two", "three", "four"}
	return []decision{
		// What ESO mints.
		{"one audience", mint(controller, "web", "vault-access-sa"), ""},
		{"two audiences", mint(controller, "web", "wide-access-sa", audiences(four[:2]...)), ""},
		{"three audiences", mint(controller, "web", "wide-access-sa", audiences(four[:3]...)), ""},
		{"four audiences", mint(controller, "web", "wide-access-sa", audiences(four...)), ""},
		{"in another order", mint(controller, "web", "wide-access-sa", audiences("four", "two", "one", "three")), ""},
		{"a fifth audience", mint(controller, "web", "wide-access-sa", audiences(append(four, "one")...)), bySize},
		{"the longest life", mint(controller, "web", "vault-access-sa", seconds(3600)), ""},
		{"in a namespace that is not ours", mint(controller, "shop", "vault-access-sa"), ""},
		{"for a shared store", mint(controller, "eso", "everyone-access-sa"), ""},
		{"for this same cluster", mint(controller, "shop", "here-access-sa", audiences("https://kubernetes.default.svc", "https://kubernetes.default.svc.cluster.local")), ""},

		// What it does not.
		{"no audience", mint(controller, "web", "vault-access-sa", audiences()), bySize},
		{"an empty list", mint(controller, "web", "vault-access-sa", audiences([]string{}...)), bySize},
		{"the API server's audience", mint(controller, "web", "vault-access-sa", audiences("https://kubernetes.default.svc")), byAudience},
		{"a wrong audience", mint(controller, "web", "vault-access-sa", audiences("elsewhere")), byAudience + " web/vault-access-sa for the audience elsewhere"},
		{"another store's audience", mint(controller, "web", "vault-access-sa", audiences("one")), byAudience},
		{"a wrong second", mint(controller, "web", "wide-access-sa", audiences("one", "elsewhere")), byAudience},
		{"a wrong third", mint(controller, "web", "wide-access-sa", audiences("one", "two", "elsewhere")), byAudience},
		{"a wrong fourth", mint(controller, "web", "wide-access-sa", audiences("one", "two", "three", "elsewhere")), byAudience},
		{"an audience that names another account", mint(controller, "web", "vault", audiences("access-sa=vault")), byAudience},
		{"another service account", mint(controller, "web", "default"), byAudience},
		{"another namespace", mint(controller, "somebody", "vault-access-sa"), byAudience},
		{"an account of the cluster's", mint(controller, "kube-system", "clusterrole-aggregation-controller"), byAudience},
		{"its own account", mint(controller, "eso", "blue-external-secrets"), byAudience},
		{"a second too long", mint(controller, "web", "vault-access-sa", seconds(3601)), byLife},
		{"no life", mint(controller, "web", "vault-access-sa", noSeconds), byLife},
		{"bound to a pod", mint(controller, "web", "vault-access-sa", boundTo("Pod")), byBinding},
		{"bound to a Secret", mint(controller, "web", "vault-access-sa", boundTo("Secret")), byBinding},
		{"the webhook", mint(webhook, "web", "vault-access-sa"), byAudience},
		{"the webhook, for nobody's account", mint(webhook, "somebody", "default"), byAudience},
		{"the cert-controller", mint(certController, "web", "vault-access-sa"), byAudience},
		{"the cert-controller, for nobody's account", mint(certController, "somebody", "default"), byAudience},

		// Who else mints.
		{"a member, for a fenced account", mint(member, "web", "vault-access-sa"), byFence},
		{"a member, for a fenced account, any audience", mint(member, "web", "vault-access-sa", audiences("x"), seconds(86400)), byFence},
		{"a member, where the namespace is not ours", mint(member, "shop", "vault-access-sa"), byFence},
		{"a member, bound to a pod", mint(member, "web", "vault-access-sa", boundTo("Pod")), byFence},
		{"a member, for an account of their own", mint(member, "web", "default", seconds(86400)), ""},
		{"somebody, for an account of that name elsewhere", mint(member, "somebody", "vault-access-sa"), ""},
		{"an administrator", mint(administrator, "web", "vault-access-sa"), byFence},
		{"an administrator, for a shared store's", mint(administrator, "eso", "everyone-access-sa"), byFence},
		{"an administrator, for ESO's own", mint(administrator, "eso", "blue-external-secrets"), byOwn},
		{"who delivers, for ESO's own", mint(applier, "eso", "blue-external-secrets"), byOwn},
		{"kustomize-controller, for ESO's own", mint(kustomizeController, "eso", "blue-external-secrets"), byOwn},
		{"source-controller, for a fenced account", mint(sourceController, "web", "vault-access-sa"), byFence},
		{"source-controller, for another of the cluster", mint(sourceController, "kube-system", "coredns"), ""},
		{"source-controller, for another in ESO's namespace", mint(sourceController, "eso", "default"), ""},
		{"the controller manager, for ESO's own", mint(managers, "eso", "blue-external-secrets"), byOwn},
		{"the token controller, for ESO's own", mint(tokens, "eso", "blue-external-secrets"), byOwn},
		{"OpenShift, for ESO's own pull Secret", mint(openshift, "eso", "blue-external-secrets", audiences(), boundTo("Secret")), byOwn},
		{"another ESO, for ESO's own", mint(otherESO, "eso", "blue-external-secrets"), byOwn},
		{"a kubelet of another node, for no pod of ESO's", mint(otherKubelet, "eso", "blue-external-secrets"), byOwn},
		{"a kubelet, for itself as ESO", mint(kubelet, "eso", "blue-external-secrets", boundTo("Node")), byOwn},
		{"who is called as a node, for ESO's pod", mint(nobodysNode, "eso", "blue-external-secrets", boundTo("Pod")), byOwn},
		{"the account itself", mint(itself, "web", "vault-access-sa"), byFence},
		{"another ESO", mint(otherESO, "web", "vault-access-sa"), byFence},
		{"another ESO, for its own", mint(otherESO, "somebody", "vault-access-sa"), ""},
		{"a kubelet, for a pod", mint(kubelet, "web", "vault-access-sa", boundTo("Pod")), ""},
		{"a kubelet, for no pod", mint(kubelet, "web", "vault-access-sa"), byFence},
		{"a kubelet, for a node", mint(kubelet, "web", "vault-access-sa", boundTo("Node")), byFence},
		{"a kubelet, for another account", mint(kubelet, "web", "default", boundTo("Pod")), ""},
		{"who is called as a node", mint(nobodysNode, "web", "vault-access-sa", boundTo("Pod")), byFence},
		{"the controller manager, for its controllers", mint(managers, "kube-system", "replicaset-controller"), ""},

		// Token Secrets.
		{"ESO, in kube-system", secret(controller, "kube-system", tokenType, "clusterrole-aggregation-controller"), byESO},
		{"ESO, in a tenant's namespace", secret(controller, "web", tokenType, "default"), byESO},
		{"ESO, in nobody's namespace", secret(controller, "somebody", tokenType, "default"), byESO},
		{"ESO's webhook", secret(webhook, "kube-system", tokenType, "default"), byESO},
		{"ESO's cert-controller", secret(certController, "kube-system", tokenType, "default"), byESO},
		{"ESO, a bootstrap token", secret(controller, "kube-system", bootstrapType, ""), byESO},
		{"ESO, a Secret of another kind", secret(controller, "web", "Opaque", ""), ""},
		{"ESO, a Secret without a kind", secret(controller, "web", "", ""), ""},
		{"ESO, a Secret of another kind that names an account", secret(controller, "web", "Opaque", "vault-access-sa"), ""},
		{"ESO, a change of its own token Secret", secretChange(controller, "somebody", tokenType, "default", "default"), byESO},
		{"ESO's webhook, a change of its own", secretChange(webhook, "somebody", tokenType, "default", "default"), byESO},
		{"ESO's cert-controller, a change of its own", secretChange(certController, "somebody", tokenType, "default", "default"), byESO},
		{"ESO, a change of another kind", secretChange(controller, "web", "Opaque", "", ""), ""},
		{"a member, for a fenced account's Secret", secret(member, "web", tokenType, "vault-access-sa"), byTenant},
		{"a member, for an own account's Secret", secret(member, "web", tokenType, "default"), byTenant},
		{"a member, in a namespace without stores", secret(member, "web-plain", tokenType, "default"), byTenant},
		{"a member, a bootstrap token", secret(member, "web", bootstrapType, ""), byTenant},
		{"a member, a Secret of another kind", secret(member, "web", "Opaque", ""), ""},
		{"a fenced account's Secret, where the namespace is not ours", secret(member, "shop", tokenType, "vault-access-sa"), byAccount},
		{"another account's Secret, where the namespace is not ours", secret(member, "shop", tokenType, "default"), ""},
		{"a shared store's account's Secret", secret(administrator, "eso", tokenType, "everyone-access-sa"), byAccount},
		{"an administrator, in kube-system", secret(administrator, "kube-system", tokenType, "default"), ""},
		{"an administrator, a bootstrap token", secret(administrator, "kube-system", bootstrapType, ""), ""},
		{"the token controller fills one in", secretChange(tokens, "web", tokenType, "vault-access-sa", "vault-access-sa"), ""},
		{"the controller manager fills one in", secretChange(managers, "shop", tokenType, "vault-access-sa", "vault-access-sa"), ""},
		{"a Secret made a fenced account's", secretChange(member, "shop", tokenType, "default", "vault-access-sa"), byAccount},
		{"a token Secret of nobody's is changed", secretChange(member, "web", bootstrapType, "", ""), ""},
		{"a Secret given an account", secretChange(member, "web", tokenType, "", "vault-access-sa"), byTenant},

		// Pods.
		{"a member's pod as a fenced account", pod(member, "web", "vault-access-sa"), byPod + " vault-access-sa"},
		{"a Deployment's pod as a fenced account", pod(replicaSets, "web", "vault-access-sa"), byPod},
		{"an administrator's pod as a fenced account", pod(administrator, "web", "wide-access-sa"), byPod},
		{"where the namespace is not ours", pod(member, "shop", "vault-access-sa"), byPod},
		{"as a shared store's account", pod(administrator, "eso", "everyone-access-sa"), byPod},
		{"as another account", pod(member, "web", "default"), ""},
		{"as no account", pod(member, "web", ""), ""},
		{"as ESO", pod(replicaSets, "eso", "blue-external-secrets"), ""},
		{"as an account of that name elsewhere", pod(replicaSets, "somebody", "vault-access-sa"), ""},
		{"in kube-system", pod(replicaSets, "kube-system", "coredns"), ""},
	}
}

// TestEnforced: with enforcement: enforce, what is not allowed is refused.
func TestEnforced(t *testing.T) {
	c := render(t)
	hooks := c.hooks()
	for _, d := range decisions() {
		v := c.judge(t, hooks, d.request)
		if len(v.warnings) > 0 {
			t.Errorf("%s: warnings: %q", d.name, v.warnings)
		}
		d.check(t, v)
		if _, noted := v.audit["validation.policy.admission.k8s.io/validation_failure"]; noted != (d.refusal != "") {
			t.Errorf("%s: the audit log has %v", d.name, v.audit)
		}
	}
}

// TestObserved: with enforcement: observe, the same requests pass, and whoever made them is told.
func TestObserved(t *testing.T) {
	c := render(t, "enforcement: enforce", "enforcement: observe")
	hooks := c.hooks()
	for _, d := range decisions() {
		v := c.judge(t, hooks, d.request)
		if v.refused != "" {
			t.Errorf("%s: refused: %q", d.name, v.refused)
		}
		if told := strings.Join(v.warnings, "\n"); (told != "") != (d.refusal != "") || !strings.Contains(told, d.refusal) {
			t.Errorf("%s: warnings: %q, want %q", d.name, told, d.refusal)
		}
	}
}

// TestSettings: with engine none there is no policy, and with the longest life another number another bound.
func TestSettings(t *testing.T) {
	if c := render(t, "maxTokenSeconds: 3600", "engine: none", `keyPrefixes: ["{tenant}/", "team-{namespace}-"],`, "", "exemptions:\n", "exemptions: {}\n",
		"      tokens: {policy", "      #", "      pods: {policy", "      #", "      secrets: {policy", "      #", "      stores: {policy", "      #", "      keys: {policy", "      #",
	); len(c.policies)+len(c.bindings) > 0 {
		t.Errorf("engine none has %d policies and %d bindings", len(c.policies), len(c.bindings))
	}
	c := render(t, "maxTokenSeconds: 3600", "maxTokenSeconds: 7200")
	for life, want := range map[int64]bool{7200: true, 7201: false} {
		if v := c.judge(t, c.hooks(), mint(controller, "web", "vault-access-sa", seconds(life))); (v.refused == "") != want {
			t.Errorf("%d seconds: %q", life, v.refused)
		}
	}
}

// TestAudit: a mint is noted with its audiences.
func TestAudit(t *testing.T) {
	c := render(t)
	const key = "eso-tenant-blue-mint/mint"
	v := c.judge(t, c.hooks(), mint(controller, "web", "wide-access-sa", audiences("one", "two")))
	if got, want := v.audit[key], "web/wide-access-sa audiences=one,two"; got != want {
		t.Errorf("%s is %q, want %q", key, got, want)
	}
}

// give binds a ClusterRole with one rule to ESO.
func (c *cluster) give(t testing.TB, group, resource, verb string) *cluster {
	t.Helper()
	c.add(t,
		generators.Object{Body: &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: "given"},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb}}},
		}},
		generators.Object{Body: &rbacv1.ClusterRoleBinding{
			RoleRef:  rbacv1.RoleRef{Kind: "ClusterRole", Name: "given"},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "eso", Name: "blue-external-secrets"}},
		}},
	)
	return c
}

// allRights are decisions where ESO may do everything. It is fenced by nothing then, and mints no more; nobody else is
// stopped, though every service account of the cluster would seem fenced.
func allRights() []decision {
	const byRights = "holds a role with all rights"
	return []decision{
		{"mint", mint(controller, "web", "vault-access-sa"), byRights},
		{"mint for nobody's", mint(controller, "somebody", "default"), byRights},
		{"a pod", pod(replicaSets, "kube-system", "coredns"), ""},
		{"a kubelet", mint(kubelet, "kube-system", "coredns", boundTo("Pod")), ""},
		{"a member", mint(member, "web", "default"), ""},
		{"ESO's own", mint(administrator, "eso", "blue-external-secrets"), byOwn},
		{"a token Secret", secret(administrator, "kube-system", tokenType, "default"), ""},
		{"ESO's token Secret", secret(controller, "kube-system", tokenType, "default"), byESO},
		{"a service account's end", deletes(administrator, serviceAccounts, "kube-system/coredns", `{}`), ""},
		{"a store where a namespace is nobody's", makes(member, secretStore, "somebody/x", `{spec: {provider: {fake: {data: []}}}}`), ""},
		{"a tenant's store", makes(member, secretStore, "web/vault", vault), byReference},
		{"nobody's keys", makes(member, externalSecret, "somebody/x", but(asks, "web/a", "else/a")), ""},
	}
}

func TestAllRights(t *testing.T) {
	c := render(t).give(t, "*", "*", "*")
	for _, d := range allRights() {
		d.check(t, c.judge(t, c.hooks(), d.request))
	}
}

// TestStillUntrimmed: a role for everybody's tokens that is still bound makes no service account fenced, and lets ESO mint
// nothing.
func TestStillUntrimmed(t *testing.T) {
	c := render(t).give(t, "", "serviceaccounts/token", "create")
	hooks := c.hooks()
	for _, d := range decisions() {
		d.check(t, c.judge(t, hooks, d.request))
	}
}

// TestWithoutTheRole: a service account is fenced by the Role that lets ESO mint for it. Whoever deletes that opens it to
// all but ESO; docs/admission.md says so.
func TestWithoutTheRole(t *testing.T) {
	c := render(t)
	c.objects = slices.DeleteFunc(c.objects, func(o generators.Object) bool {
		return o.Namespace == "web" && o.Name == "eso-tenant-token-vault-access-sa"
	})
	for _, d := range []decision{
		{"ESO", mint(controller, "web", "vault-access-sa"), byAudience},
		{"a member", mint(member, "web", "vault-access-sa"), ""},
		{"a member, in another namespace", mint(member, "shop", "vault-access-sa"), byFence},
		{"a member's token Secret", secret(member, "web", tokenType, "vault-access-sa"), byTenant},
		{"a member's pod", pod(member, "web", "vault-access-sa"), ""},
	} {
		d.check(t, c.judge(t, c.hooks(), d.request))
	}
}

// check holds a verdict to the decision.
func (d decision) check(t *testing.T, v verdict) {
	t.Helper()
	if d.refusal == "" && v.refused != "" || !strings.Contains(v.refused, d.refusal) || strings.HasPrefix(v.refused, "not as 403") {
		t.Errorf("%s: refused: %q, want %q", d.name, v.refused, d.refusal)
	}
}

// TestFeatures: what the Platform does not use is refused, and what it uses is not.
func TestFeatures(t *testing.T) {
	clusterPush, clusterAsk := "external-secrets.io/v1alpha1/ClusterPushSecret", "external-secrets.io/v1/ClusterExternalSecret"
	manifest := but(asks, "spec: {", "spec: {target: {manifest: {apiVersion: v1, kind: ConfigMap}}, ")
	shared := but(asks, "kind: SecretStore", "kind: ClusterSecretStore")
	without := render(t, "features: [clusterSecretStores, pushSecrets]", "features: []", "sharedStores:", "retired: [old] #", "    everyone:", "    #")
	with := render(t, "features: [clusterSecretStores, pushSecrets]", "features: [clusterSecretStores, clusterPushSecrets, clusterExternalSecrets, genericTargets]", `, keyPrefixes: ["{tenant}/", "team-{namespace}-"]`, "")
	for _, d := range []struct {
		*cluster
		decision
	}{
		{without, decision{"a push", makes(member, pushSecret, "web/x", pushes), byFeature}},
		{without, decision{"a shared store", makes(member, externalSecret, "web/x", shared), byStore}},
		{without, decision{"a push elsewhere", makes(member, pushSecret, "somebody/x", pushes), ""}},
		{with, decision{"a push", makes(member, pushSecret, "web/x", pushes), ""}},
		{with, decision{"a cluster's push", makes(administrator, clusterPush, "/x", `{spec: {}}`), ""}},
		{with, decision{"a cluster's ExternalSecret", makes(administrator, clusterAsk, "/x", `{spec: {}}`), ""}},
		{with, decision{"a ConfigMap", makes(member, externalSecret, "web/x", manifest), ""}},
		{with, decision{"any key", makes(member, externalSecret, "web/x", but(asks, "web/a", "shop/a")), ""}},
	} {
		d.check(t, d.judge(t, d.hooks(), d.request))
	}
}
