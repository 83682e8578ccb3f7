package generators

import (
	"maps"
	"strings"

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
	Provider map[string]map[string]any `json:"provider"`
}

// ServiceAccountSelector is ESO's reference to the service account whose token
// it asks for.
type ServiceAccountSelector struct {
	Name      string   `json:"name"`
	Namespace string   `json:"namespace,omitempty"` // of a ClusterSecretStore's
	Audiences []string `json:"audiences,omitempty"`
}

// secretStores makes the stores.
func secretStores(in input) []Object {
	var objects []Object
	for _, s := range in.namespace.Stores {
		meta := in.object(Kind{in.platform.ESO.StoreAPIVersion, "SecretStore"}, s.Name)
		objects = append(objects, Object{Meta: meta, File: fileNamespace(in.namespace.Name), Body: &SecretStore{
			TypeMeta: meta.typeMeta(), ObjectMeta: meta.objectMeta(),
			Spec: SecretStoreSpec{Provider: map[string]map[string]any{s.Provider.Method.Provider: provider(s, "")}},
		}})
	}
	return objects
}

// provider is the Platform's provider with what its method needs in it: the
// service account's reference, and the tenant's identity. A ClusterSecretStore
// needs the namespace as well, in all that it refers to.
func provider(s *schema.Store, namespace string) map[string]any {
	method := s.Provider.Method
	spec := maps.Clone(s.Provider.Spec)
	for path, value := range method.Defaults {
		if schema.Lookup(spec, path) == nil {
			set(spec, path, value)
		}
	}
	for path, value := range method.Fixed {
		set(spec, path, value)
	}
	for _, field := range method.Identity {
		if value := s.Identity[field.Name]; field.Path != "" && value != "" {
			set(spec, field.Path, value)
		}
	}
	set(spec, method.Reference, ServiceAccountSelector{Name: s.ServiceAccount, Namespace: namespace, Audiences: s.Provider.ReferenceAudiences()})
	if s.Provider.SameCluster && spec["server"] == nil {
		spec["server"] = inCluster()
	}
	for _, path := range references {
		if namespace != "" && schema.Lookup(spec, path) != nil {
			set(spec, path+".namespace", namespace)
		}
	}
	return spec
}

// references are fields of providers that name a Secret or a ConfigMap.
var references = []string{
	"caProvider", "server.caProvider", "tls.certSecretRef", "tls.keySecretRef",
	"authSecretRef.secretRef.accessID", "authSecretRef.secretRef.accessType", "authSecretRef.secretRef.accessTypeParam",
}

// set puts a value at a path of keys joined by dots. The maps on the way are
// copied, so that the Platform's own stay as they are.
func set(spec map[string]any, path string, value any) {
	key, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		spec[key] = value
		return
	}
	existing, _ := spec[key].(map[string]any)
	inner := maps.Clone(existing)
	if inner == nil {
		inner = map[string]any{}
	}
	spec[key] = inner
	set(inner, rest, value)
}

// inCluster is how ESO reaches the API server of its own cluster, with the CA
// that Kubernetes puts into every namespace.
func inCluster() map[string]any {
	return map[string]any{
		"url":        "https://kubernetes.default.svc",
		"caProvider": map[string]any{"type": "ConfigMap", "name": "kube-root-ca.crt", "key": "ca.crt"},
	}
}
