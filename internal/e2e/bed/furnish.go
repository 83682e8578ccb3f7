package bed

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TryFurnish gives every SecretStore among what was rendered something to read, and returns an ExternalSecret for each
// that does, `<store>-read` with a Secret of the same name, whose `password` is `of <namespace>/<store>`. It makes what
// is not ours: roles and secrets in Vault, and Secrets in the namespace that a same-cluster store reads.
func (b *Bed) TryFurnish(ctx context.Context, rendered Objects) (reading Objects, err error) {
	for _, store := range rendered.Of("SecretStore") {
		provider, _, err := unstructured.NestedMap(store.Object, "spec", "provider")
		if err != nil {
			return nil, err
		}
		key := ""
		if _, isVault := provider["vault"]; isVault {
			key, err = b.furnishVault(ctx, store)
		} else {
			key, err = b.furnishSameCluster(ctx, store)
		}
		if err != nil {
			return nil, fmt.Errorf("furnishing the store %s/%s: %w", store.GetNamespace(), store.GetName(), err)
		}
		one, err := Parse(ExternalSecret(store.GetNamespace(), store.GetName()+"-read", store.GetName(), key))
		if err != nil {
			return nil, err
		}
		reading = append(reading, one...)
	}
	return reading, nil
}

// ExternalSecret is one that reads the property `password` of a key, every 10 seconds, into a Secret of its own name.
func ExternalSecret(namespace, name, store, key string) string {
	return fmt.Sprintf(`
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  refreshInterval: 10s
  secretStoreRef: {kind: SecretStore, name: %[3]s}
  target: {name: %[2]s}
  data: [{secretKey: password, remoteRef: {key: %[4]s, property: password}}]
`, namespace, name, store, key)
}

func password(store *unstructured.Unstructured) map[string]string {
	return map[string]string{"password": "of " + store.GetNamespace() + "/" + store.GetName()}
}

func (b *Bed) furnishVault(ctx context.Context, store *unstructured.Unstructured) (key string, err error) {
	auth := []string{"spec", "provider", "vault", "auth", "kubernetes"}
	account := append(auth, "serviceAccountRef", "name")
	if _, isKubernetes, _ := unstructured.NestedMap(store.Object, auth...); !isKubernetes { //nolint:errcheck // absent is as good
		auth = []string{"spec", "provider", "vault", "auth", "jwt"}
		account = append(auth, "kubernetesServiceAccountToken", "serviceAccountRef", "name")
	}
	role, _, err := unstructured.NestedString(store.Object, append(auth, "role")...)
	if err != nil {
		return "", err
	}
	serviceAccount, found, err := unstructured.NestedString(store.Object, account...)
	if err != nil || !found || role == "" {
		return "", fmt.Errorf("looking for role and service account: there are none: %w", err)
	}
	folder := store.GetNamespace() + "-" + store.GetName()
	if err := b.Vault.TryConfigure(ctx, role, store.GetNamespace(), serviceAccount, folder); err != nil {
		return "", err
	}
	return folder + "/db", b.Vault.TrySecret(ctx, folder+"/db", password(store))
}

// furnishSameCluster makes the Secret that the tenant may read by the bed's Platform, <tenant>-published.
func (b *Bed) furnishSameCluster(ctx context.Context, store *unstructured.Unstructured) (key string, err error) {
	remote, found, err := unstructured.NestedString(store.Object, "spec", "provider", "kubernetes", "remoteNamespace")
	if err != nil || !found {
		return "", fmt.Errorf("looking for the remote namespace: there is none: %w", err)
	}
	key = store.GetLabels()["eso-tenant.dev/tenant"] + "-published"
	secret := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": key, "namespace": remote},
		"stringData": map[string]any{"password": password(store)["password"]},
	}}
	return key, b.TryApply(ctx, Objects{secret})
}
