package generators

import (
	"cmp"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Object is a Kubernetes object to be written.
type Object struct {
	Meta
	File string // where it stands in folder output, without ".yaml"
	Body any    // typed; its TypeMeta and ObjectMeta are set from Meta
}

// Kind is an API version and a kind. Kinds are listed in the order in which
// their objects are written and applied.
type Kind struct {
	APIVersion, Kind string
}

// The kinds that are generated. A SecretStore's API version is the release's.
var (
	kindNamespace          = Kind{"v1", "Namespace"}
	kindResourceQuota      = Kind{"v1", "ResourceQuota"}
	kindLimitRange         = Kind{"v1", "LimitRange"}
	kindNetworkPolicy      = Kind{"networking.k8s.io/v1", "NetworkPolicy"}
	kindCiliumPolicy       = Kind{"cilium.io/v2", "CiliumNetworkPolicy"}
	kindServiceAccount     = Kind{"v1", "ServiceAccount"}
	kindRole               = Kind{"rbac.authorization.k8s.io/v1", "Role"}
	kindRoleBinding        = Kind{"rbac.authorization.k8s.io/v1", "RoleBinding"}
	kindClusterRole        = Kind{"rbac.authorization.k8s.io/v1", "ClusterRole"}
	kindClusterRoleBinding = Kind{"rbac.authorization.k8s.io/v1", "ClusterRoleBinding"}
	kindConfigMap          = Kind{"v1", "ConfigMap"}
	kindPolicy             = Kind{"admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"}
	kindPolicyBinding      = Kind{"admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"}
	kindTemplate           = Kind{"templates.gatekeeper.sh/v1", "ConstraintTemplate"}
	kindSyncSet            = Kind{"syncset.gatekeeper.sh/v1alpha1", "SyncSet"}
)

// order is the rank of each kind; a kind that is not listed comes last.
var order = []string{
	"Namespace", "ResourceQuota", "LimitRange", "NetworkPolicy", "CiliumNetworkPolicy", "ServiceAccount",
	"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ConfigMap", "ClusterSecretStore", "SecretStore",
	"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
	"SyncSet", "ConstraintTemplate",
}

// Meta identifies an object and carries its labels.
type Meta struct {
	Kind
	Namespace, Name     string
	Labels, Annotations map[string]string
}

func newMeta(kind Kind, namespace, name, tenant string) Meta {
	return Meta{Kind: kind, Namespace: namespace, Name: name, Labels: map[string]string{
		LabelManagedBy: ManagedBy,
		LabelTenant:    tenant,
	}}
}

func (m Meta) withLabels(labels map[string]string) Meta {
	maps.Copy(m.Labels, labels)
	return m
}

func (m Meta) typeMeta() metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: m.APIVersion, Kind: m.Kind.Kind}
}

func (m Meta) objectMeta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: m.Name, Namespace: m.Namespace, Labels: m.Labels, Annotations: m.Annotations}
}

// Sorted sorts objects into their one order: by file, then by kind, then by
// namespace and name. It sorts in place and returns its argument.
func Sorted(objects []Object) []Object {
	slices.SortFunc(objects, func(a, b Object) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File),
			cmp.Compare(rank(a.Kind.Kind), rank(b.Kind.Kind)),
			cmp.Compare(a.APIVersion, b.APIVersion),
			cmp.Compare(a.Kind.Kind, b.Kind.Kind),
			cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.Name, b.Name),
		)
	})
	return objects
}

func rank(kind string) int {
	if i := slices.Index(order, kind); i >= 0 {
		return i
	}
	return len(order)
}
