package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// exemptTenant has two fenced accounts: one is exempt still, one was until yesterday.
const exemptTenant = `
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: outside}
spec: {namespaces: {outside: {podSecurity: privileged, stores: {now: {provider: vault, serviceAccount: now-sa}, past: {provider: vault, serviceAccount: past-sa}}}}}
`

const debugger = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: debugger, namespace: outside}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: debugger, namespace: outside}
rules:
  - {apiGroups: [external-secrets.io], resources: ["*"], verbs: ["*"]}
  - {apiGroups: [""], resources: [pods, secrets, serviceaccounts/token], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: debugger, namespace: outside}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: debugger}
subjects: [{kind: ServiceAccount, name: debugger, namespace: outside}]
`

// exemptions are of each policy that may be lifted, for what is called now-*, until tomorrow, and past-*, until yesterday.
func exemptions(today time.Time) string {
	var b strings.Builder
	b.WriteString("admission:\n  exemptions:\n")
	for name, until := range map[string]time.Time{"now": today.AddDate(0, 0, 1), "past": today.AddDate(0, 0, -1)} {
		for _, policy := range []string{"minter", "pod", "token-secret", "store"} {
			fmt.Fprintf(&b, "    %s-%s: {policy: %s, users: [\"system:serviceaccount:outside:debugger\"], namespaces: [outside], names: [%s-sa], reason: a test of exemptions, until: \"%s\"}\n",
				name, policy, policy, name, until.Format(time.DateOnly))
		}
	}
	return b.String()
}

// The API server itself ends an exemption: it goes by its own clock, whatever time a requester writes.
func TestExemptions(t *testing.T) {
	platform := func(more ...string) string {
		return strings.Replace(bed.Platform(more...), "namespaceDefaults: {podSecurity: restricted}", "tenantPolicy: {podSecurity: privileged}", 1)
	}
	b := bed.Own(t, bed.Options{Platform: platform()})
	b.Apply(t, b.Render(t, platform(exemptions(time.Now().UTC())), exemptTenant))
	b.ApplyYAML(t, debugger)
	as, err := b.AsServiceAccount("outside", "debugger")
	if err != nil {
		t.Fatal(err)
	}
	applies := func(text string) func(context.Context) error {
		return func(ctx context.Context) error {
			objects, err := bed.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			return as.TryApply(ctx, objects)
		}
	}
	mints := func(name string, stated time.Time) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := as.Client.CoreV1().ServiceAccounts("outside").CreateToken(ctx, name, &authenticationv1.TokenRequest{
				ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(stated)}, Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"vault"}},
			}, metav1.CreateOptions{})
			return err
		}
	}
	store := func(name, server, at string) func(context.Context) error {
		return applies("{apiVersion: external-secrets.io/v1, kind: SecretStore, metadata: {name: " + name + ", namespace: outside" + at + "}, spec: {provider: {vault: {server: \"" + server +
			"\", path: kv, version: v2, auth: {kubernetes: {mountPath: kubernetes, role: r, serviceAccountRef: {name: now-sa, audiences: [vault]}}}}}}}")
	}
	b.Eventually(t, func(ctx context.Context) error { // the API server takes a moment to know policies and Roles
		if err := mints("past-sa", time.Time{})(ctx); err == nil {
			return errors.New("policies are not known yet")
		}
		return errors.Join(
			mints("now-sa", time.Time{})(ctx), store("now-sa", "https://else.example.com", "")(ctx),
			applies("{apiVersion: v1, kind: Secret, metadata: {name: wait, namespace: outside, annotations: {kubernetes.io/service-account.name: now-sa}}, type: kubernetes.io/service-account-token}")(ctx),
		)
	})
	if err := store("now-sa", "https://other.example.com", "")(t.Context()); err == nil {
		t.Error("what is there already is changed for an exemption")
	}
	for _, stated := range []string{"", "2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z"} {
		stamp, _ := time.Parse(time.RFC3339, stated) // none is the zero time
		at := ""
		if stated != "" {
			at = ", creationTimestamp: \"" + stated + "\""
		}
		what := map[string]func(account string) (ask func(context.Context) error, refusal string){
			"a token": func(account string) (func(context.Context) error, string) {
				return mints(account, stamp), "only External Secrets Operator may mint tokens of this service account"
			},
			"a pod": func(account string) (func(context.Context) error, string) {
				return applies("{apiVersion: v1, kind: Pod, metadata: {name: " + account + named(stated) + ", namespace: outside" + at + "}, spec: {serviceAccountName: " + account + ", containers: [{name: main, image: localhost/none}]}}"), "no pod runs as " + account
			},
			"a token Secret": func(account string) (func(context.Context) error, string) {
				return applies("{apiVersion: v1, kind: Secret, metadata: {name: " + account + named(stated) + ", namespace: outside" + at + ", annotations: {kubernetes.io/service-account.name: " + account + "}}, type: kubernetes.io/service-account-token}"),
					"Secrets of this type are not made in tenants' namespaces"
			},
		}
		for name, of := range what {
			if ask, _ := of("now-sa"); ask(t.Context()) != nil {
				t.Errorf("%s that is exempt, stated as %q: %v", name, stated, ask(t.Context()))
			}
			ask, refusal := of("past-sa")
			if err := ask(t.Context()); err == nil || !strings.Contains(err.Error(), refusal) {
				t.Errorf("%s that was exempt, stated as %q: %v", name, stated, err)
			}
		}
		if err := store("past-sa", "https://else.example.com", at)(t.Context()); err == nil || !strings.Contains(err.Error(), "this store's provider is none that the Platform has") {
			t.Errorf("a store that was exempt, stated as %q: %v", stated, err)
		}
	}
}

func named(stated string) string {
	return "-" + strings.ToLower(strings.NewReplacer(":", "-").Replace(stated)) + "x"
}
