package schema

import (
	"cmp"
	"slices"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// SharedStore is a ClusterSecretStore and the namespaces that may use it. Its
// service account is in ESO's own namespace.
type SharedStore struct {
	*Store
	Namespaces []string // exact names, sorted; never none
}

// own resolves what the Platform states for itself: its namespaces and its
// shared stores, as if they were a tenant's that may claim anything.
func (dec *decoder) own(c *Cluster, x *cross) {
	p := c.Platform
	claim := &claim{name: PlatformTenant, spec: p.spec, doc: p.doc, path: p.path, position: p.Position, trusted: true}
	r := &tenantReader{dec: dec, claim: claim, platform: p}
	p.Own = r.on(p)
	x.namespaces(claim)
	for _, e := range p.spec.get("sharedStores").keys() {
		if shared := r.sharedStore(c, e); shared != nil {
			p.SharedStores = append(p.SharedStores, shared)
		}
	}
	slices.SortFunc(p.SharedStores, func(a, b *SharedStore) int { return cmp.Compare(a.Name, b.Name) })
	r.checkSharedAccounts(p)
}

func (r *tenantReader) sharedStore(c *Cluster, e entry) *SharedStore {
	at := join("sharedStores", e.key)
	if p := r.platform; p.ESO.Release != nil && !slices.Contains(p.ESO.Options.Features, eso.FeatureClusterSecretStores) {
		r.report(keyNode(&e), problem.FeatureUnsupported, at, "a shared store is a ClusterSecretStore, which this Platform does not use", "add clusterSecretStores to externalSecrets.features")
	}
	namespaces := r.users(c, e, at)
	store := r.store(&Namespace{Name: r.platform.ESO.Namespace}, e, "sharedStores")
	if store == nil || len(namespaces) == 0 {
		return nil
	}
	store.Shared = true // that is what it is for
	store.ClusterWide = true
	return &SharedStore{Store: store, Namespaces: namespaces}
}

// users lists the namespaces that may use a shared store. ESO takes a store
// without conditions, or with an empty list, for one that everybody may use.
func (r *tenantReader) users(c *Cluster, e entry, at string) []string {
	var names []string
	for _, item := range e.value.get("tenants").list() {
		i := slices.IndexFunc(c.Tenants, func(t *Tenant) bool { return t.Name == item.text })
		if i < 0 && !item.bad {
			r.report(item, problem.SharedStoreUsers, at+".tenants", "there is no tenant "+problem.Quote(item.text)+" on "+r.platform.Name, "")
			continue
		}
		if i >= 0 {
			names = append(names, namesOf(c.Tenants[i].Namespaces)...)
		}
	}
	for _, item := range e.value.get("namespaces").list() {
		if !c.hasNamespace(item.text) && !item.bad {
			r.report(item, problem.SharedStoreUsers, at+".namespaces", "namespace "+problem.Quote(item.text)+" is no tenant's on "+r.platform.Name, "External Secrets Operator can write in tenants' namespaces, and in the Platform's own namespaces, only")
			continue
		}
		names = append(names, item.text)
	}
	if e.value.get("tenants") == nil && e.value.get("namespaces") == nil && !anyBad(e.value) {
		r.report(keyNode(&e), problem.SharedStoreUsers, at, "a store that names nobody could be used from every namespace", "add tenants or namespaces")
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func namesOf(namespaces []*Namespace) []string {
	var names []string
	for _, ns := range namespaces {
		names = append(names, ns.Name)
	}
	return names
}

// hasNamespace tells whether a namespace is a tenant's, or the Platform's own.
func (c *Cluster) hasNamespace(name string) bool {
	return slices.ContainsFunc(c.all(), func(t *Tenant) bool { return slices.Contains(namesOf(t.Namespaces), name) })
}

// checkSharedAccounts: the service account of a shared store is none of ESO's
// own, which are beside it, and stores on one account agree on what it is.
func (r *tenantReader) checkSharedAccounts(p *Platform) {
	ns := &Namespace{Name: p.ESO.Namespace}
	own := p.ESO.ServiceAccounts()
	for _, s := range p.SharedStores {
		ns.Stores = append(ns.Stores, s.Store)
		if slices.Contains(own, s.ServiceAccount) {
			r.dec.report(problem.Problem{
				Rule: problem.ServiceAccountReserved, Position: s.Position, Path: s.path,
				Message: "service account " + problem.Quote(s.ServiceAccount) + " is External Secrets Operator's own",
				Hint:    "name one that is used for this store only",
			})
		}
	}
	r.checkServiceAccounts(ns)
}
