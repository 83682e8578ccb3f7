package bed

import (
	"context"
	"encoding/json"
	"errors"
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
		give := b.furnishSameCluster
		if _, isVault := provider["vault"]; isVault {
			give = b.furnishVault
		}
		key, err := give(ctx, store)
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
	type reference struct{ Name string }
	var spec struct {
		Provider struct {
			Vault struct {
				Auth struct {
					Kubernetes *struct {
						Role              string
						ServiceAccountRef reference
					}
					JWT *struct {
						Role                          string
						KubernetesServiceAccountToken struct{ ServiceAccountRef reference }
					}
				}
			}
		}
	}
	if err := convert(store.Object["spec"], &spec); err != nil {
		return "", err
	}
	auth := spec.Provider.Vault.Auth
	var role, serviceAccount string
	switch {
	case auth.Kubernetes != nil:
		role, serviceAccount = auth.Kubernetes.Role, auth.Kubernetes.ServiceAccountRef.Name
	case auth.JWT != nil:
		role, serviceAccount = auth.JWT.Role, auth.JWT.KubernetesServiceAccountToken.ServiceAccountRef.Name
	}
	if role == "" || serviceAccount == "" {
		return "", errors.New("it names no role, or no service account")
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

// convert puts a part of an object into a struct.
func convert(from, to any) error {
	content, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(content, to)
}
