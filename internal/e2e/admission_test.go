package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// attempt is something that RBAC alone lets through, and that our policies refuse.
type attempt struct {
	name string
	try  func(t *testing.T, b *bed.Bed, run string) error // nil if it works; `run` makes names unique
	says string
}

func asESO(audiences []string, seconds int64) func(*testing.T, *bed.Bed, string) error {
	return func(t *testing.T, b *bed.Bed, _ string) error {
		t.Helper()
		_, err := b.MintAs(t, bed.ESOServiceAccount, bed.ESONamespace, "outside", "vault-access-sa", audiences, seconds)
		return err
	}
}

var attempts = []attempt{
	{
		"another audience", asESO([]string{"elsewhere"}, 600),
		"External Secrets Operator may not mint tokens of outside/vault-access-sa for the audience elsewhere",
	},
	{
		"the API server's audience", asESO([]string{bed.Issuer}, 600),
		"External Secrets Operator may not mint tokens of outside/vault-access-sa for the audience " + bed.Issuer,
	},
	{"a long lifetime", asESO([]string{"vault"}, 24*60*60), "a token lives for 3600 seconds at most"},
	{
		"minted by an administrator",
		func(t *testing.T, b *bed.Bed, _ string) error {
			t.Helper()
			_, err := b.Mint(t.Context(), "outside", "vault-access-sa", []string{"vault"}, 600)
			return err
		},
		"only External Secrets Operator may mint tokens of this service account",
	},
	{"ESO's own token, for Flux", fluxMints, "only a kubelet may mint tokens of External Secrets Operator's own service accounts"},
	{"a pod of a fenced service account", fencedPod, "no pod runs as vault-access-sa"},
	{"a legacy token by an ExternalSecret", legacyToken, "External Secrets Operator may not make Secrets of this type"},
}

// fluxMints asks for ESO's own token as one of Flux's controllers, which may all mint for any service account, and uses it.
// Source: flux2 v2.7.0, manifests/rbac/controller.yaml.
func fluxMints(t *testing.T, b *bed.Bed, _ string) error {
	t.Helper()
	b.ApplyYAML(t, `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: crd-controller}
rules: [{apiGroups: [""], resources: [serviceaccounts/token], verbs: [create]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: crd-controller}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: crd-controller}
subjects: [{kind: ServiceAccount, name: source-controller, namespace: flux-system}]
`)
	var token string
	var refusal error
	b.Eventually(t, func(context.Context) error { // what is bound takes a moment to have an effect
		token, refusal = b.MintAs(t, "source-controller", "flux-system", bed.ESONamespace, bed.ESOServiceAccount, nil, 600)
		if outcomeOf(refusal) != policy {
			return refusal
		}
		return nil
	})
	if refusal != nil {
		return refusal
	}
	asESO, err := b.WithToken(token)
	if err != nil {
		return err
	}
	_, err = asESO.Mint(t.Context(), "outside", "vault-access-sa", []string{"vault"}, 600)
	return err
}

// fencedPod makes a pod, which is restricted enough for its namespace.
func fencedPod(t *testing.T, b *bed.Bed, run string) error {
	t.Helper()
	objects, err := bed.Parse(`
apiVersion: v1
kind: Pod
metadata: {name: pod-` + run + `, namespace: outside}
spec:
  serviceAccountName: vault-access-sa
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: main
      image: localhost/none
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
`)
	if err != nil {
		t.Fatal(err)
	}
	return b.TryApply(t.Context(), objects)
}

// legacyToken lets ESO make a Secret that the token controller fills with a token of another service account that does
// not end, and returns what ESO was told.
func legacyToken(t *testing.T, b *bed.Bed, run string) error {
	t.Helper()
	name := "legacy-" + run
	external := b.ApplyYAML(t, `
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: `+name+`, namespace: outside}
spec:
  refreshInterval: 10s
  secretStoreRef: {kind: SecretStore, name: inside}
  target:
    name: `+name+`
    template:
      type: kubernetes.io/service-account-token
      metadata: {annotations: {kubernetes.io/service-account.name: default}}
      data: {extra: "{{ .password }}"}
  data: [{secretKey: password, remoteRef: {key: outside-inside/db, property: password}}]
`)
	var refusal error
	b.Eventually(t, func(ctx context.Context) error {
		secret, err := b.Client.CoreV1().Secrets("outside").Get(ctx, name, metav1.GetOptions{})
		if err == nil && len(secret.Data["token"]) > 0 {
			refusal = nil
			return nil
		}
		refusal = eventSays(ctx, b, external[0].GetName(), "denied request")
		if refusal == nil {
			refusal = eventsOf(ctx, b, external[0].GetName())
			return nil
		}
		return errors.Join(err, refusal)
	})
	return refusal
}

// eventsOf returns all that events say of an object as an error.
func eventsOf(ctx context.Context, b *bed.Bed, name string) error {
	return eventSays(ctx, b, name, "\x00")
}

// What RBAC cannot refuse, our policies do, and ESO goes on.
func TestAdmissionPolicies(t *testing.T) {
	b := bed.Own(t, bed.Options{Platform: rbacOnly})
	without := b.Render(t, rbacOnly, outsider)
	b.Apply(t, without)
	reading := b.Furnish(t, without)
	ready(t, b, without, reading)
	for _, a := range attempts {
		if err := a.try(t, b, "before"); err != nil {
			t.Errorf("without policies, %s is refused, so that nothing is shown: %v", a.name, err)
		}
	}

	with := b.Render(t, bed.PlatformWith("features: [clusterSecretStores]"), outsider)
	b.Apply(t, with)
	policies := with.Of("ValidatingAdmissionPolicy")
	if len(policies) != 6 {
		t.Fatalf("%d policies are rendered, want 6", len(policies))
	}
	b.Eventually(t, func(context.Context) error { // the API server takes a moment to know them
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "wait", Namespace: "outside"}, Type: corev1.SecretTypeServiceAccountToken}
		secret.Annotations = map[string]string{corev1.ServiceAccountNameKey: "default"}
		_, made := b.Client.CoreV1().Secrets("outside").Create(t.Context(), secret, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err := attempts[0].try(t, b, "wait"); err != nil && made != nil {
			return nil //nolint:nilerr // refused is what is waited for
		}
		return errors.New("the policies have no effect")
	})
	for _, a := range attempts {
		t.Run(a.name, func(t *testing.T) {
			err := a.try(t, b, "after")
			if err == nil || !strings.Contains(err.Error(), a.says) {
				t.Errorf("got %v, want a refusal that says %q", err, a.says)
			}
		})
	}
	if _, err := b.MintForPod(t.Context(), bed.ESONamespace, bed.ESOServiceAccount, 600); err != nil {
		t.Errorf("the kubelet of ESO's pod gets no token for it: %v", err)
	}
	again := b.ApplyYAML(t, bed.ExternalSecret("outside", "again", "inside", "outside-inside/db"))
	b.WaitReady(t, again)
	b.WaitSecret(t, "outside", "again", "password", "of outside/inside")
	warned(t, b, policies)
}

// warned fails at warnings of the API server about what we render: it type-checks expressions.
func warned(t *testing.T, b *bed.Bed, policies bed.Objects) {
	t.Helper()
	for _, policy := range policies {
		got, err := b.Client.AdmissionregistrationV1().ValidatingAdmissionPolicies().Get(t.Context(), policy.GetName(), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got.Status.TypeChecking != nil && len(got.Status.TypeChecking.ExpressionWarnings) > 0 {
			t.Error(fmt.Sprint(policy.GetName(), got.Status.TypeChecking.ExpressionWarnings))
		}
	}
}
