package generators

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// ClusterSecretStore is ESO's kind, as far as it is generated.
type ClusterSecretStore struct {
	metav1.TypeMeta `json:",inline"`
	ObjectMeta      metav1.ObjectMeta      `json:"metadata"`
	Spec            ClusterSecretStoreSpec `json:"spec"`
}

// ClusterSecretStoreSpec always has a condition: ESO lets everybody use a store
// that has none.
type ClusterSecretStoreSpec struct {
	Conditions []ClusterSecretStoreCondition `json:"conditions"`
	SecretStoreSpec
}

// ClusterSecretStoreCondition names namespaces exactly. ESO's selectors and
// regular expressions are not generated: what a namespace is labelled, or
// called, is not always the platform team's to say.
type ClusterSecretStoreCondition struct {
	Namespaces []string `json:"namespaces"`
}

// fileShared is the file of the shared stores. No namespace's file is called
// so, since those of the Platform's own begin with fileOwn.
const fileShared = "shared-stores"

// fileOwn is what the files of the Platform's own namespaces begin with.
const fileOwn = "namespace."

// sharedStores makes the ClusterSecretStores and their service accounts, which
// are fenced in ESO's namespace as a tenant's are in its own.
func sharedStores(x *Expander) []Object {
	if len(x.platform.SharedStores) == 0 {
		return nil
	}
	ns := &schema.Namespace{Name: x.platform.ESO.Namespace, Managed: true} // the policies know it by its name
	for _, s := range x.platform.SharedStores {
		ns.Stores = append(ns.Stores, s.Store)
	}
	in := input{Expander: x, tenant: &schema.Tenant{Name: schema.PlatformTenant}, namespace: ns}
	var objects []Object
	for _, generate := range []func(input) []Object{serviceAccounts, tokenRoles, readRoles, caRole} {
		objects = append(objects, generate(in)...)
	}
	for _, s := range x.platform.SharedStores {
		objects = append(objects, clusterSecretStore(in, s))
	}
	for i := range objects {
		objects[i].File = fileShared
	}
	return objects
}

func clusterSecretStore(in input, s *schema.SharedStore) Object {
	meta := in.object(Kind{in.platform.ESO.StoreAPIVersion, "ClusterSecretStore"}, s.Name)
	meta.Namespace = ""
	content := provider(s.Store, in.namespace.Name)
	return Object{Meta: meta, Body: &ClusterSecretStore{
		TypeMeta: meta.typeMeta(), ObjectMeta: meta.objectMeta(),
		Spec: ClusterSecretStoreSpec{
			Conditions:      []ClusterSecretStoreCondition{{Namespaces: s.Namespaces}},
			SecretStoreSpec: SecretStoreSpec{Provider: map[string]map[string]any{s.Provider.Method.Provider: content}},
		},
	}}
}

// caRole lets ESO read the ConfigMaps with the shared stores' certificates,
// where it may not read all ConfigMaps.
func caRole(in input) []Object {
	if len(in.trimmed.CARole) == 0 {
		return nil
	}
	name := nameRelease(in.platform, "certificates")
	return boundRole(in.object(kindRole, name), in.object(kindRoleBinding, name), "", in.trimmed.CARole, esoSubject(in.platform))
}

// ownNamespaces makes what the Platform's own namespaces have, as a tenant's.
func ownNamespaces(x *Expander) []Object {
	if x.platform.Own == nil {
		return nil
	}
	objects := x.Tenant(x.platform.Own)
	for i := range objects {
		objects[i].File = fileOwn + objects[i].File
	}
	return objects
}
