package generators

import (
	"cmp"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// SecretStore is ESO's kind, as far as it is generated. Its provider is what
// the Platform states, with the tenant's part filled in.
type SecretStore struct {
	metav1.TypeMeta `json:",inline"`
	ObjectMeta      metav1.ObjectMeta `json:"metadata"`
	Spec            SecretStoreSpec   `json:"spec"`
}

// SecretStoreSpec has the provider under its kind's key.
type SecretStoreSpec struct {
	Provider map[schema.ProviderKind]map[string]any `json:"provider"`
}

// ServiceAccountSelector is ESO's reference to the service account whose token
// it asks for.
type ServiceAccountSelector struct {
	Name      string   `json:"name"`
	Audiences []string `json:"audiences,omitempty"`
}

// secretStores makes the stores.
func secretStores(in input) []Object {
	var objects []Object
	for _, s := range in.namespace.Stores {
		meta := in.object(Kind{in.platform.ESO.Release.StoreAPIVersion(), "SecretStore"}, s.Name)
		objects = append(objects, Object{Meta: meta, File: fileNamespace(in.namespace.Name), Body: &SecretStore{
			TypeMeta: meta.typeMeta(), ObjectMeta: meta.objectMeta(),
			Spec: SecretStoreSpec{Provider: map[schema.ProviderKind]map[string]any{s.Provider.Kind: provider(s)}},
		}})
	}
	return objects
}

// provider is the Platform's provider with the store's service account and the
// tenant's identity in it. Where ESO has the reference is, by kind, as in its
// v2.9.0 API.
func provider(s *schema.Store) map[string]any {
	ref := ServiceAccountSelector{Name: s.ServiceAccount, Audiences: s.Provider.ReferenceAudiences()}
	spec := maps.Clone(s.Provider.Spec)
	switch s.Provider.Kind {
	case schema.Vault:
		if s.Identity.Path != "" {
			spec["path"] = s.Identity.Path
		}
		auth := child(spec, "auth")
		if s.Provider.Auth == schema.AuthJWT {
			jwt := child(auth, "jwt")
			jwt["role"] = s.Identity.Role
			jwt["path"] = cmp.Or(text(jwt["path"]), "jwt")
			child(jwt, "kubernetesServiceAccountToken")["serviceAccountRef"] = ref
			break
		}
		kubernetes := child(auth, "kubernetes")
		kubernetes["role"] = s.Identity.Role
		kubernetes["mountPath"] = cmp.Or(text(kubernetes["mountPath"]), "kubernetes")
		kubernetes["serviceAccountRef"] = ref
	case schema.AWS:
		child(child(spec, "auth"), "jwt")["serviceAccountRef"] = ref
	case schema.AzureKV:
		spec["authType"] = "WorkloadIdentity"
		spec["serviceAccountRef"] = ref
	case schema.GCPSM:
		child(child(spec, "auth"), "workloadIdentity")["serviceAccountRef"] = ref
	case schema.Kubernetes:
		spec["remoteNamespace"] = s.RemoteNamespace()
		child(spec, "auth")["serviceAccount"] = ref
		if s.Provider.SameCluster && spec["server"] == nil {
			spec["server"] = inCluster()
		}
	}
	return spec
}

// child copies the map under key, so that the Platform's own stays as it is.
func child(parent map[string]any, key string) map[string]any {
	existing, _ := parent[key].(map[string]any)
	copied := maps.Clone(existing)
	if copied == nil {
		copied = map[string]any{}
	}
	parent[key] = copied
	return copied
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// inCluster is how ESO reaches the API server of its own cluster, with the CA
// that Kubernetes puts into every namespace.
func inCluster() map[string]any {
	return map[string]any{
		"url":        "https://kubernetes.default.svc",
		"caProvider": map[string]any{"type": "ConfigMap", "name": "kube-root-ca.crt", "key": "ca.crt"},
	}
}
