package fn

import (
	"maps"
	"path"
	"path/filepath"
	"slices"

	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/generators"
	"github.com/eso-tenant/eso-tenant/schema"
)

// fluxKustomization is kustomize-controller's kind (v1), as far as it is written.
type fluxKustomization struct {
	metav1.TypeMeta `json:",inline"`
	ObjectMeta      metav1.ObjectMeta     `json:"metadata"`
	Spec            fluxKustomizationSpec `json:"spec"`
}

type fluxKustomizationSpec struct {
	DependsOn          []meta.NamespacedObjectReference   `json:"dependsOn,omitempty"`
	Interval           string                             `json:"interval"`
	Path               string                             `json:"path"`
	Prune              bool                               `json:"prune"`
	RetryInterval      string                             `json:"retryInterval,omitempty"`
	ServiceAccountName string                             `json:"serviceAccountName,omitempty"`
	SourceRef          meta.NamespacedObjectKindReference `json:"sourceRef"`
	Wait               bool                               `json:"wait"`
}

// fluxSettings say where the Kustomizations are and what they run as.
type fluxSettings struct {
	namespace, interval, serviceAccountName string
	retry                                   string // interval after a failure; "" is the same
	labels, annotations                     map[string]string
	source                                  func(tenant, folder string) (ref meta.NamespacedObjectKindReference, path string)
}

// flux writes one Flux Kustomization for the platform and one for each tenant.
// Never one for many tenants: every reconcile fetches its whole artifact, and
// an inventory has a ceiling.
func (w *folderWriter) flux() {
	settings := w.fluxSettings()
	if settings == nil {
		return
	}
	platform := settings.kustomization(schema.PlatformTenant, folderPlatform)
	files := []string{schema.PlatformTenant + ".yaml"}
	w.stream(filepath.Join(folderFlux, files[0]), []any{platform})
	for _, t := range w.cluster.Tenants {
		k := settings.kustomization(t.Name, path.Join(folderTenants, t.Name))
		// ESO's own rights first: they change with its version, and tenants' with them.
		k.Spec.DependsOn = []meta.NamespacedObjectReference{{Name: platform.ObjectMeta.Name}}
		name := fluxFile(t.Name)
		w.stream(filepath.Join(folderFlux, name), []any{k})
		files = append(files, name)
	}
	slices.Sort(files)
	w.kustomization(folderFlux, files)
}

// fluxSettings are the Platform's for a folder in one source, nil where it has
// none; or the delivery's, with what the Platform says put first.
func (w *folderWriter) fluxSettings() *fluxSettings {
	f, d := w.cluster.Platform.Flux, w.delivery
	if d != nil {
		return d.settings(f)
	}
	if f == nil {
		return nil
	}
	return &fluxSettings{
		namespace: f.Namespace, interval: f.Interval, serviceAccountName: f.ServiceAccountName,
		source: func(_, folder string) (meta.NamespacedObjectKindReference, string) {
			ref := meta.NamespacedObjectKindReference{Kind: f.SourceKind, Name: f.SourceName, Namespace: f.SourceNamespace}
			return ref, "./" + path.Join(f.Path, w.cluster.Platform.Name, folder)
		},
	}
}

// fluxFile is a tenant's file. No tenant's name has a dot.
func fluxFile(tenant string) string { return "tenant." + tenant + ".yaml" }

func (s *fluxSettings) kustomization(tenant, folder string) fluxKustomization {
	labels := maps.Clone(s.labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[generators.LabelManagedBy], labels[generators.LabelTenant] = generators.ManagedBy, tenant
	ref, from := s.source(tenant, folder)
	return fluxKustomization{
		TypeMeta: metav1.TypeMeta{APIVersion: "kustomize.toolkit.fluxcd.io/v1", Kind: "Kustomization"},
		ObjectMeta: metav1.ObjectMeta{
			Name: generators.FluxName(tenant), Namespace: s.namespace, Labels: labels, Annotations: s.annotations,
		},
		Spec: fluxKustomizationSpec{
			Interval: s.interval, RetryInterval: s.retry, Path: from, Prune: true, ServiceAccountName: s.serviceAccountName, SourceRef: ref, Wait: true,
		},
	}
}
