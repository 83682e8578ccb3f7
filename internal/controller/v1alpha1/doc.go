// Package v1alpha1 holds the API of the group flux.eso-tenant.dev: what
// eso-tenant-controller is told in a cluster, and what it says there.
//
// +kubebuilder:object:generate=true
// +groupName=flux.eso-tenant.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group's only version.
var GroupVersion = schema.GroupVersion{Group: "flux.eso-tenant.dev", Version: "v1alpha1"}

// AddToScheme adds the group's kinds to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &TenantGenerator{}, &TenantGeneratorList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
