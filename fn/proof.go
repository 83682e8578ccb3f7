package fn

import (
	"fmt"
	"slices"

	"github.com/eso-tenant/eso-tenant/generators"
	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
	"github.com/eso-tenant/eso-tenant/internal/verify"
	"github.com/eso-tenant/eso-tenant/schema"
)

// Expectation says of a rendering's only cluster what a proof holds objects to:
// which service accounts are ESO's, and which it is meant to mint for. The
// objects are the caller's to add.
func (r *Rendering) Expectation() (verify.Input, error) {
	c, err := r.only()
	if err != nil {
		return verify.Input{}, err
	}
	p := c.Platform
	in := verify.Input{
		ESO: ESOAccounts(p.ESO), Specified: true, Minor: p.Kubernetes,
		WritesMoved: p.ESO.RBAC == schema.Replace && slices.Contains(p.ESO.Options.Trims, eso.TrimSecretWrites),
		Observing:   p.Enforcement == schema.Observe,
	}
	for _, s := range p.SharedStores {
		in.Fences = append(in.Fences, fenceOf(schema.PlatformTenant, p.ESO.Namespace, s.Store))
	}
	tenants := c.Tenants
	if p.Own != nil {
		tenants = append([]*schema.Tenant{p.Own}, tenants...)
	}
	for _, t := range tenants {
		for _, ns := range t.Namespaces {
			for _, s := range ns.Stores {
				in.Fences = append(in.Fences, fenceOf(t.Name, ns.Name, s))
			}
		}
	}
	return in, nil
}

func (r *Rendering) only() (*schema.Cluster, error) {
	if len(r.clusters) != 1 {
		return nil, fmt.Errorf("there are several clusters: %s; name one with --cluster", problem.QuoteAll(r.Clusters()))
	}
	return r.clusters[0], nil
}

func fenceOf(tenant, namespace string, s *schema.Store) verify.Fence {
	return verify.Fence{
		Account: verify.Account{Namespace: namespace, Name: s.ServiceAccount}, Tenant: tenant,
		Audiences: s.TokenAudiences(namespace), At: s.Position,
	}
}

// ESOAccounts are the service accounts of an installation: the controller's,
// the webhook's, and the certificate controller's (chart 2.9.0, _helpers.tpl).
func ESOAccounts(e schema.ESO) []rbac.Subject {
	full := eso.FullName(e.HelmRelease)
	return []rbac.Subject{
		rbac.ServiceAccount(e.Namespace, e.ServiceAccount),
		rbac.ServiceAccount(e.Namespace, full+"-webhook"),
		rbac.ServiceAccount(e.Namespace, full+"-cert-controller"),
	}
}

// Objects are what a rendering's only cluster would hold, unwritten. Each one's
// place is its kind and name.
func (r *Rendering) Objects() ([]inventory.Object, error) {
	c, err := r.only()
	if err != nil {
		return nil, err
	}
	var all []inventory.Object
	for objects := range r.objects(c) {
		for i := range objects {
			o, err := unwritten(&objects[i])
			if err != nil {
				return nil, err
			}
			all = append(all, o)
		}
	}
	return all, nil
}

func unwritten(o *generators.Object) (inventory.Object, error) {
	name := o.Name
	if o.Namespace != "" {
		name = o.Namespace + "/" + o.Name
	}
	at := problem.Position{Subject: o.Kind.Kind + "/" + name}
	object, err := inventory.FromTyped(o.APIVersion, o.Kind.Kind, o.Namespace, o.Name, o.Body, at)
	if err != nil {
		return inventory.Object{}, fmt.Errorf("reading %s %s: %w", o.Kind.Kind, name, err)
	}
	return object, nil
}
