package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

const leaver = `
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: leaver}
spec: {namespaces: {leaver: {stores: {
  vault: {provider: vault}, jwt: {provider: vault-jwt, serviceAccount: vault-access-sa}, published: {provider: published}}}}}
`

// How long Vault takes a token by the auth method jwt after it has expired, when its role says nothing of leeway, and how
// long the API server may remember a token that it has just checked.
const (
	vaultLeeway    = 60 * time.Second
	apiServerCache = 10 * time.Second
)

// mintedByESO is a token for Vault, as ESO has it when its tenant is deleted, and the lifetime that ESO asks for Vault.
func mintedByESO(t *testing.T, b *bed.Bed, serviceAccount string, audiences ...string) string {
	t.Helper()
	token, err := b.MintAs(t, bed.ESOServiceAccount, bed.ESONamespace, "leaver", serviceAccount, audiences, 600)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// What is left of a tenant that is deleted: where the API server is asked about a token, it is void at once; where only its
// signature is checked, it is good until it expires; and what Vault gave for it lives as long as Vault said.
func TestTokensAfterDeletion(t *testing.T) {
	b := bed.Start(t)
	rendered := b.Render(t, bed.Platform(), leaver)
	b.Apply(t, rendered)
	ready(t, b, rendered, b.Furnish(t, rendered))
	roles := map[string]string{"kubernetes": "leaver-vault", "jwt": "leaver-jwt"}
	token := mintedByESO(t, b, "vault-access-sa", "vault")
	local, err := b.WithToken(mintedByESO(t, b, "published-access-sa", bed.Issuer))
	if err != nil {
		t.Fatal(err)
	}
	readsPublished := func(ctx context.Context) error {
		_, err := local.Client.CoreV1().Secrets("published").Get(ctx, "leaver-published", metav1.GetOptions{})
		return err
	}
	if err := readsPublished(t.Context()); err != nil {
		t.Fatal("before, the token of this cluster reads nothing:", err)
	}
	session := ""
	for mount, role := range roles {
		if session, err = b.Vault.TryLogin(t.Context(), mount, role, token); err != nil {
			t.Fatalf("before, the token does not log in by %s, so that nothing is shown: %v", mount, err)
		}
	}

	b.Delete(t, ofTenant(rendered).Of("ServiceAccount"))
	deleted := time.Now()
	b.Eventually(t, func(ctx context.Context) error {
		if _, err := b.Vault.TryLogin(ctx, "kubernetes", roles["kubernetes"], token); err == nil {
			return errors.New("the token still logs in by kubernetes")
		}
		return nil
	})
	b.Eventually(t, func(ctx context.Context) error {
		if err := readsPublished(ctx); err == nil {
			return errors.New("the API server still takes the token")
		}
		return nil
	})
	if took := time.Since(deleted); took > apiServerCache+5*time.Second {
		t.Errorf("the API server took the token for %s, which is longer than it remembers tokens", took)
	} else {
		t.Logf("void where the API server is asked after %.1f s", took.Seconds())
	}
	afterDeletion(t, b, token, session, roles)
	reborn(t, b, rendered, token, roles)
}

// afterDeletion is about what stays.
func afterDeletion(t *testing.T, b *bed.Bed, token, session string, roles map[string]string) {
	t.Helper()
	if _, err := b.Vault.TryLogin(t.Context(), "jwt", roles["jwt"], token); err != nil {
		t.Errorf("by jwt the token no longer logs in: docs say that it does until it expires: %v", err)
	}
	for name, age := range map[string]struct {
		since time.Duration // since it expired
		works bool
	}{
		"a second before it expires": {-time.Second, true},
		"within Vault's leeway":      {vaultLeeway - 20*time.Second, true},
		"after Vault's leeway":       {vaultLeeway + 5*time.Second, false},
	} {
		expiry := time.Now().Add(-age.since)
		old, err := b.ReSign(token, map[string]any{
			"exp": expiry.Unix(), "iat": expiry.Add(-10 * time.Minute).Unix(), "nbf": expiry.Add(-10 * time.Minute).Unix(),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Vault.TryLogin(t.Context(), "jwt", roles["jwt"], old); (err == nil) != age.works {
			t.Errorf("%s, logging in by jwt gives %v", name, err)
		}
	}
	data, err := b.Vault.TryRead(t.Context(), session, "auth/token/lookup-self")
	if err != nil {
		t.Fatalf("Vault's own token is void: %v", err)
	}
	if seconds, ok := data["ttl"].(float64); !ok || seconds <= 0 || seconds > 600 {
		t.Errorf("Vault's own token lives for %v seconds more, want at most the 600 of its role", data["ttl"])
	}
}

// reborn: a service account of the same name later is another one, to the API server and not to a signature.
func reborn(t *testing.T, b *bed.Bed, rendered bed.Objects, token string, roles map[string]string) {
	t.Helper()
	b.Apply(t, rendered.Of("ServiceAccount"))
	fresh := mintedByESO(t, b, "vault-access-sa", "vault")
	b.Eventually(t, func(ctx context.Context) error {
		_, err := b.Vault.TryLogin(ctx, "kubernetes", roles["kubernetes"], fresh)
		return err
	})
	if _, err := b.Vault.TryLogin(t.Context(), "kubernetes", roles["kubernetes"], token); err == nil {
		t.Error("a token of the deleted service account is good again for the new one of its name")
	}
	if _, err := b.Vault.TryLogin(t.Context(), "jwt", roles["jwt"], token); err != nil {
		t.Error(fmt.Errorf("by jwt the old token no longer logs in: %w", err))
	}
}
