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
	Timeout            string                             `json:"timeout"`
	Wait               bool                               `json:"wait"`
}

// fluxSettings say where the Kustomizations are, what they run as, and what they
// apply.
type fluxSettings struct {
	namespace, interval, serviceAccountName string
	labels, annotations                     map[string]string
	// source is what the Kustomization of a name and tenant applies a folder from.
	source func(name, tenant, folder string) (ref meta.NamespacedObjectKindReference, path string)
	oci    *schema.FluxOCI // each part has an OCIRepository of its own; nil: none has
}

// flux writes one Flux Kustomization for the platform and one for each tenant,
// and with artifacts of their own an OCIRepository for each. Never one for many
// tenants: every reconcile fetches its whole artifact, and an inventory has a
// ceiling.
func (w *folderWriter) flux() {
	settings := w.fluxSettings()
	if settings == nil {
		return
	}
	platform := settings.kustomization(generators.FluxName(schema.PlatformTenant), schema.PlatformTenant, folderPlatform)
	files := []string{schema.PlatformTenant + ".yaml"}
	w.fluxObjects(settings, files[0], platform, folderPlatform)
	for _, t := range w.cluster.Tenants {
		folder := path.Join(folderTenants, t.Name)
		k := settings.kustomization(generators.FluxName(t.Name), t.Name, folder)
		// ESO's own rights first: they change with its version, and tenants' with them.
		k.Spec.DependsOn = []meta.NamespacedObjectReference{{Name: platform.ObjectMeta.Name}}
		name := fluxFile(t.Name)
		w.fluxObjects(settings, name, k, folder)
		files = append(files, name)
	}
	if settings.oci != nil {
		root := settings.kustomization(generators.FluxRoot, schema.PlatformTenant, folderFlux)
		// It makes Kustomizations, and who may do that has the rights of any
		// account that they name: more than the applier should have.
		root.Spec.ServiceAccountName = ""
		// It would wait for all tenants, and be as broken as the worst of them.
		root.Spec.Wait = false
		w.fluxObjects(settings, fluxRootFile, root, folderFlux)
		files = append(files, fluxRootFile)
	}
	slices.Sort(files)
	w.kustomization(folderFlux, files)
}

// fluxSettings are the delivery's, with what the Platform says put first; without
// one, the Platform's: a folder in one source, or artifacts in a registry. Nil is
// no Flux.
func (w *folderWriter) fluxSettings() *fluxSettings {
	f, d := w.cluster.Platform.Flux, w.delivery
	if d != nil {
		return d.settings(f)
	}
	if f == nil {
		return nil
	}
	return &fluxSettings{
		namespace: f.Namespace, interval: f.Interval, serviceAccountName: f.ServiceAccountName, oci: f.OCI,
		source: func(name, _, folder string) (meta.NamespacedObjectKindReference, string) {
			if f.OCI != nil {
				return meta.NamespacedObjectKindReference{Kind: kindOCIRepository, Name: name}, "./"
			}
			ref := meta.NamespacedObjectKindReference{Kind: f.SourceKind, Name: f.SourceName, Namespace: f.SourceNamespace}
			return ref, "./" + path.Join(f.Path, w.cluster.Platform.Name, folder)
		},
	}
}

// retryInterval is how soon a Kustomization that failed is tried again: a store
// may be asked for before the API server's authorizer knows the Role that came
// just before it, and is then refused. timeout is how long one waits for its
// objects: without it nearly the interval, and a few tenants whose stores are not
// Ready would hold up kustomize-controller's workers for all others.
const (
	retryInterval = "15s"
	timeout       = "1m"
)

// fluxRootFile has what makes Flux apply the others.
const fluxRootFile = "root.yaml"

// fluxFile is a tenant's file. No tenant's name has a dot.
func fluxFile(tenant string) string { return "tenant." + tenant + ".yaml" }

// fluxObjects writes a part's Kustomization, behind its source where it has one
// of its own.
func (w *folderWriter) fluxObjects(s *fluxSettings, file string, k fluxKustomization, folder string) {
	objects := []any{k}
	if s.oci != nil {
		objects = []any{fluxRepository(s.oci, k.ObjectMeta, path.Join(w.cluster.Platform.Name, folder)), k}
	}
	w.stream(filepath.Join(folderFlux, file), objects)
}

func (s *fluxSettings) kustomization(name, tenant, folder string) fluxKustomization {
	labels := maps.Clone(s.labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[generators.LabelManagedBy], labels[generators.LabelTenant] = generators.ManagedBy, tenant
	ref, from := s.source(name, tenant, folder)
	return fluxKustomization{
		TypeMeta:   metav1.TypeMeta{APIVersion: "kustomize.toolkit.fluxcd.io/v1", Kind: "Kustomization"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.namespace, Labels: labels, Annotations: s.annotations},
		Spec: fluxKustomizationSpec{
			Interval: s.interval, RetryInterval: retryInterval, Path: from, Prune: true, ServiceAccountName: s.serviceAccountName, SourceRef: ref, Timeout: timeout, Wait: true,
		},
	}
}

const kindOCIRepository = "OCIRepository"

// ociRepository is source-controller's kind (v1), as far as it is written.
type ociRepository struct {
	metav1.TypeMeta `json:",inline"`
	ObjectMeta      metav1.ObjectMeta `json:"metadata"`
	Spec            ociRepositorySpec `json:"spec"`
}

type ociRepositorySpec struct {
	CertSecretRef *meta.LocalObjectReference `json:"certSecretRef,omitempty"`
	Insecure      bool                       `json:"insecure,omitempty"`
	Interval      string                     `json:"interval"`
	LayerSelector ociLayer                   `json:"layerSelector"`
	Provider      string                     `json:"provider,omitempty"`
	Ref           ociTag                     `json:"ref"`
	SecretRef     *meta.LocalObjectReference `json:"secretRef,omitempty"`
	URL           string                     `json:"url"`
	Verify        *ociVerify                 `json:"verify,omitempty"`
}

// ociLayer says which layer is taken, and whether it is extracted or copied.
type ociLayer struct {
	MediaType string `json:"mediaType"`
	Operation string `json:"operation"`
}

// wholeLayer has source-controller copy the layer. Where it extracts one, which
// is its default, it stops at the archive's end and never comes to compare the
// layer with its digest, so that a registry could give anything under a signed
// manifest (source-controller 1.8.0, internal/controller/
// ocirepository_controller.go; shown in internal/e2e).
var wholeLayer = ociLayer{MediaType: "application/vnd.cncf.flux.content.v1.tar+gzip", Operation: "copy"}

type ociTag struct {
	Tag string `json:"tag"`
}

type ociVerify struct {
	MatchOIDCIdentity []ociIdentity              `json:"matchOIDCIdentity,omitempty"`
	Provider          string                     `json:"provider"`
	SecretRef         *meta.LocalObjectReference `json:"secretRef,omitempty"`
}

type ociIdentity struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
}

// fluxRepository is where source-controller gets a part from: what push puts
// there under the part's path.
func fluxRepository(o *schema.FluxOCI, of metav1.ObjectMeta, part string) ociRepository {
	r := ociRepository{
		TypeMeta:   metav1.TypeMeta{APIVersion: "source.toolkit.fluxcd.io/v1", Kind: kindOCIRepository},
		ObjectMeta: of,
		Spec: ociRepositorySpec{
			CertSecretRef: secretRef(o.CertSecretName),
			Insecure:      o.Insecure,
			Interval:      o.Interval,
			LayerSelector: wholeLayer,
			Provider:      o.Provider,
			Ref:           ociTag{Tag: o.Tag},
			SecretRef:     secretRef(o.SecretName),
			URL:           o.URL + "/" + part,
		},
	}
	if v := o.Verify; v != nil {
		r.Spec.Verify = &ociVerify{Provider: v.Provider, SecretRef: secretRef(v.SecretName)}
		for _, id := range v.Identities {
			r.Spec.Verify.MatchOIDCIdentity = append(r.Spec.Verify.MatchOIDCIdentity, ociIdentity(id))
		}
	}
	return r
}

func secretRef(name string) *meta.LocalObjectReference {
	if name == "" {
		return nil
	}
	return &meta.LocalObjectReference{Name: name}
}
