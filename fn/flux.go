package fn

import (
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
	ServiceAccountName string                             `json:"serviceAccountName,omitempty"`
	SourceRef          meta.NamespacedObjectKindReference `json:"sourceRef"`
	Wait               bool                               `json:"wait"`
}

// flux writes one Flux Kustomization for the platform and one for each tenant.
// Never one for many tenants: every reconcile fetches its whole artifact, and
// an inventory has a ceiling.
func (w *folderWriter) flux() {
	f := w.cluster.Platform.Flux
	if f == nil {
		return
	}
	platform := w.fluxKustomization(schema.PlatformTenant, folderPlatform)
	files := []string{schema.PlatformTenant + ".yaml"}
	w.stream(filepath.Join(folderFlux, files[0]), []any{platform})
	for _, t := range w.cluster.Tenants {
		k := w.fluxKustomization(t.Name, path.Join(folderTenants, t.Name))
		// ESO's own rights first: they change with its version, and tenants' with them.
		k.Spec.DependsOn = []meta.NamespacedObjectReference{{Name: platform.ObjectMeta.Name}}
		name := fluxFile(t.Name)
		w.stream(filepath.Join(folderFlux, name), []any{k})
		files = append(files, name)
	}
	slices.Sort(files)
	w.kustomization(folderFlux, files)
}

// fluxFile is a tenant's file. No tenant's name has a dot.
func fluxFile(tenant string) string { return "tenant." + tenant + ".yaml" }

func (w *folderWriter) fluxKustomization(tenant, folder string) fluxKustomization {
	f := w.cluster.Platform.Flux
	return fluxKustomization{
		TypeMeta: metav1.TypeMeta{APIVersion: "kustomize.toolkit.fluxcd.io/v1", Kind: "Kustomization"},
		ObjectMeta: metav1.ObjectMeta{
			Name: generators.FluxName(tenant), Namespace: f.Namespace,
			Labels: map[string]string{generators.LabelManagedBy: generators.ManagedBy, generators.LabelTenant: tenant},
		},
		Spec: fluxKustomizationSpec{
			Interval:           f.Interval,
			Path:               "./" + path.Join(f.Path, w.cluster.Platform.Name, folder),
			Prune:              true,
			ServiceAccountName: f.ServiceAccountName,
			SourceRef:          meta.NamespacedObjectKindReference{Kind: f.SourceKind, Name: f.SourceName, Namespace: f.SourceNamespace},
			Wait:               true,
		},
	}
}
