package v1alpha1

import (
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TenantGeneratorKind is the kind's name.
const TenantGeneratorKind = "TenantGenerator"

// Finalizer keeps a TenantGenerator until its artifacts are gone.
const Finalizer = "flux.eso-tenant.dev/finalizer"

// Labels of the ExternalArtifacts that a TenantGenerator publishes.
const (
	LabelGenerator = "flux.eso-tenant.dev/generator" // its name
	LabelPart      = "flux.eso-tenant.dev/part"      // platform, tenant, flux or build
)

// Reasons of the Ready and Stalled conditions, beside those of Flux.
const (
	// ReasonValidationFailed: what the source holds is wrong. What was published
	// last stays, until the source has another revision.
	ReasonValidationFailed = "ValidationFailed"
	// ReasonDeletionsRefused: more tenants would vanish than spec.maxDeletions
	// allows. What was published last stays.
	ReasonDeletionsRefused = "DeletionsRefused"
	// ReasonSourceNotReady: the source is not there, or has no artifact yet.
	ReasonSourceNotReady = "SourceNotReady"
	// ReasonPublishFailed: artifacts could not be stored or written to the cluster.
	ReasonPublishFailed = "PublishFailed"
)

// TenantGeneratorSpec says what is expanded.
type TenantGeneratorSpec struct {
	// SourceRef is the Flux source that holds the specifications.
	// +required
	SourceRef SourceReference `json:"sourceRef"`

	// Path is the folder in the source that is expanded: one of Platform and
	// Tenant files, or one with a kustomization.yaml. Default: the root.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('/') && !self.split('/').exists(part, part == '..')",message="path is inside the source: it does not begin with / and holds no '..'"
	Path string `json:"path,omitempty"`

	// Interval at which what is published is compared with the source. A new
	// revision of the source is handled at once.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +kubebuilder:default="1h"
	// +optional
	Interval metav1.Duration `json:"interval,omitempty"`

	// Suspend stops everything but the deletion of this object.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// Cluster is the Platform to expand, by name. It is needed where the folder
	// holds several.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Cluster string `json:"cluster,omitempty"`

	// MaxDeletions is how many tenants may vanish in one revision. Where more
	// would, nothing is published.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=0
	MaxDeletions *int32 `json:"maxDeletions,omitempty"`

	// CommonMetadata is added to the ExternalArtifacts and to the Flux
	// Kustomizations that are generated.
	// +optional
	CommonMetadata *CommonMetadata `json:"commonMetadata,omitempty"`
}

// SourceReference names a Flux source.
type SourceReference struct {
	// Kind of the source.
	// +kubebuilder:validation:Enum=GitRepository;OCIRepository;Bucket;ExternalArtifact
	// +required
	Kind string `json:"kind"`

	// Name of the source.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`

	// Namespace of the source. Default: that of this object.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
}

// CommonMetadata is added to objects that are made.
type CommonMetadata struct {
	// Labels to add. Those of eso-tenant itself cannot be set.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(key, !key.contains('eso-tenant.dev/') && key != 'app.kubernetes.io/managed-by')",message="labels of eso-tenant.dev and app.kubernetes.io/managed-by are the controller's own"
	Labels map[string]string `json:"labels,omitempty"`

	// Annotations to add.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(key, !key.contains('eso-tenant.dev/'))",message="annotations of eso-tenant.dev are the controller's own"
	Annotations map[string]string `json:"annotations,omitempty"`
}

// TenantGeneratorStatus says what was expanded last. It has no list of tenants:
// theirs are the ExternalArtifacts with the label flux.eso-tenant.dev/generator.
type TenantGeneratorStatus struct {
	meta.ReconcileRequestStatus `json:",inline"`

	// ObservedGeneration is the last generation that was handled.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions are Ready, and Reconciling or Stalled while they are true.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// ObservedSourceRevision is the source's revision that was handled last,
	// also if what it holds was refused.
	// +optional
	ObservedSourceRevision string `json:"observedSourceRevision,omitempty"`

	// ObservedInputDigest is a digest of all that decides what is published: the
	// source's content, this object's spec, and the version of the renderer.
	// +optional
	ObservedInputDigest string `json:"observedInputDigest,omitempty"`

	// PublishedSourceRevision is the source's revision that is published.
	// +optional
	PublishedSourceRevision string `json:"publishedSourceRevision,omitempty"`

	// Tenants is how many tenants are published.
	// +optional
	Tenants int32 `json:"tenants,omitempty"`
}

// TenantGenerator expands the tenants in a Flux source, and publishes what they
// expand into as ExternalArtifacts in its own namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=tgen,categories=all;fluxcd
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].message"
// +kubebuilder:printcolumn:name="Tenants",type="integer",JSONPath=".status.tenants"
// +kubebuilder:metadata:labels="kustomize.toolkit.fluxcd.io/substitute=disabled"
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')",message="the name is part of labels and of the artifacts' names: at most 63 characters, and no dot"
type TenantGenerator struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec TenantGeneratorSpec `json:"spec"`
	// +optional
	Status TenantGeneratorStatus `json:"status,omitempty"`
}

// GetConditions returns the conditions, as fluxcd/pkg/runtime asks for them.
func (g *TenantGenerator) GetConditions() []metav1.Condition { return g.Status.Conditions }

// SetConditions replaces the conditions.
func (g *TenantGenerator) SetConditions(conditions []metav1.Condition) {
	g.Status.Conditions = conditions
}

// SourceNamespace is where the source is.
func (g *TenantGenerator) SourceNamespace() string {
	if g.Spec.SourceRef.Namespace != "" {
		return g.Spec.SourceRef.Namespace
	}
	return g.Namespace
}

// TenantGeneratorList is a list of TenantGenerators.
//
// +kubebuilder:object:root=true
type TenantGeneratorList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TenantGenerator `json:"items"`
}
