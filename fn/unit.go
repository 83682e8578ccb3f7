package fn

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/eso-tenant/eso-tenant/schema"
)

// Delivery is for output of which each part is an ExternalArtifact of its own,
// rather than a folder in one source.
type Delivery struct {
	Namespace string // of the artifacts, and of the Kustomizations if the Platform names none
	// Artifact names the artifact of a unit.
	Artifact func(unit Unit) string
	// ServiceAccountName is what Kustomizations run as if the Platform names none.
	ServiceAccountName string
	// Labels and Annotations are for the Kustomizations.
	Labels, Annotations map[string]string
}

// Unit is a part of a cluster's folder that is delivered by itself.
type Unit struct {
	Kind   UnitKind
	Tenant string     // of a UnitTenant
	Files  []TreeFile // by name
}

// UnitKind says which part of a cluster's folder a unit is. The zero value is none.
type UnitKind string

// The parts.
const (
	UnitPlatform UnitKind = "platform"
	UnitTenant   UnitKind = "tenant"
	UnitFlux     UnitKind = "flux" // one Flux Kustomization for each of the others
)

// Units hands the parts of the rendering's only cluster to yield, one at a time
// so that memory does not grow with the tenants: the platform's, each tenant's,
// and the Flux Kustomizations. It stops at an error of yield's, or if ctx ends.
func (r *Rendering) Units(ctx context.Context, d Delivery, yield func(Unit) error) error {
	c, err := r.only()
	if err != nil {
		return err
	}
	w := newPartWriter(ctx, c)
	w.delivery = &d
	unit := func(u Unit, folder string, write func()) error {
		if u.Files, err = w.part(folder, write); err != nil {
			return err
		}
		slices.SortFunc(u.Files, func(a, b TreeFile) int { return strings.Compare(a.Inside, b.Inside) })
		return yield(u)
	}
	if err := unit(Unit{Kind: UnitPlatform}, folderPlatform, w.platform); err != nil {
		return err
	}
	for t := range r.tenantsOf(c) {
		folder := path.Join(folderTenants, t.Name)
		if err := unit(Unit{Kind: UnitTenant, Tenant: t.Name}, folder, func() { w.tenant(t) }); err != nil {
			return err
		}
	}
	return unit(Unit{Kind: UnitFlux}, folderFlux, w.flux)
}

// settings are what the Kustomizations have in common. What the Platform says
// of a source is for a folder in one, and does not count here.
func (d *Delivery) settings(f *schema.Flux) *fluxSettings {
	s := &fluxSettings{
		namespace: d.Namespace, interval: schema.FluxInterval, serviceAccountName: d.ServiceAccountName,
		labels: maps.Clone(d.Labels), annotations: d.Annotations,
	}
	if f != nil {
		s.namespace, s.interval = f.Namespace, f.Interval
		if f.ServiceAccountName != "" {
			s.serviceAccountName = f.ServiceAccountName
		}
	}
	s.source = func(_, tenant, _ string) (meta.NamespacedObjectKindReference, string) {
		unit := Unit{Kind: UnitTenant, Tenant: tenant}
		if tenant == schema.PlatformTenant {
			unit = Unit{Kind: UnitPlatform}
		}
		ref := meta.NamespacedObjectKindReference{Kind: "ExternalArtifact", Name: d.Artifact(unit)}
		if s.namespace != d.Namespace {
			ref.Namespace = d.Namespace
		}
		return ref, "./"
	}
	return s
}
