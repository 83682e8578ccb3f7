package fn

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

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
		ESO: esoAccounts(p.ESO), Specified: true, Minor: p.Kubernetes,
		Releases:    releases(p.ESO),
		WritesMoved: p.ESO.RBAC == schema.Replace && slices.Contains(p.ESO.Options.Trims, eso.TrimSecretWrites),
		Observing:   p.Enforcement == schema.Observe,
		Servers:     servers(p),
	}
	for _, name := range p.Admission.Writers {
		in.Writers = append(in.Writers, rbac.User(name).Canonical())
	}
	for i := range p.Admission.Exemptions {
		e := &p.Admission.Exemptions[i]
		in.Exemptions = append(in.Exemptions, verify.Exemption{
			Name: e.Name, Policy: e.Policy, Users: e.Users, Groups: e.Groups, Namespaces: e.Namespaces, Names: e.Names, End: e.End, Reason: e.Reason, At: e.Position,
		})
	}
	if p.Network != nil {
		in.Network = walled(p)
	}
	fences := map[verify.Account]*verify.Fence{}
	for _, s := range p.SharedStores {
		meant(fences, schema.PlatformTenant, p.ESO.Namespace, s.Store)
	}
	tenants := c.Tenants
	if p.Own != nil {
		tenants = append([]*schema.Tenant{p.Own}, tenants...)
	}
	for _, t := range tenants {
		for _, ns := range t.Namespaces {
			for _, s := range ns.Stores {
				meant(fences, t.Name, ns.Name, s)
			}
		}
	}
	for _, f := range fences { // verify sorts them
		in.Fences = append(in.Fences, *f)
	}
	return in, nil
}

// ClockAt is what a proof has to know of the time.
func ClockAt(now time.Time) verify.Clock {
	text := func(days int) string { return now.UTC().AddDate(0, 0, days).Format(time.RFC3339) }
	return verify.Clock{Now: text(0), Soon: text(14), Far: text(366)}
}

// walled is what the network of ESO's pods is meant to be.
func walled(p *schema.Platform) *verify.Network {
	n := &verify.Network{Namespace: p.ESO.Namespace, Policies: generators.New(p).NetworkPolicyNames()}
	for _, w := range eso.Workloads() {
		n.Pods = append(n.Pods, map[string]string{eso.LabelName: w.Name, eso.LabelInstance: p.ESO.HelmRelease})
	}
	return n
}

func (r *Rendering) only() (*schema.Cluster, error) {
	if len(r.clusters) != 1 {
		return nil, fmt.Errorf("there are several clusters: %s; name one with --cluster", problem.QuoteAll(r.Clusters()))
	}
	return r.clusters[0], nil
}

// meant adds what a store means its service account to have. Stores may share one.
func meant(fences map[verify.Account]*verify.Fence, tenant, namespace string, s *schema.Store) {
	account := verify.Account{Namespace: namespace, Name: s.ServiceAccount}
	f := fences[account]
	if f == nil {
		f = &verify.Fence{Account: account, Tenant: tenant, At: s.Position, Annotations: map[string]string{}}
		fences[account] = f
	}
	f.Audiences = append(f.Audiences, s.TokenAudiences(namespace)...)
	maps.Copy(f.Annotations, s.Annotations())
	f.Shared = f.Shared || s.Shared
}

// servers are the addresses that a Platform's providers name, and those that
// stand where nobody names one.
func servers(p *schema.Platform) []string {
	all := []string{"https://kubernetes.default.svc"}
	var look func(any)
	look = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			for _, inner := range value {
				look(inner)
			}
		case []any:
			for _, inner := range value {
				look(inner)
			}
		case string:
			if strings.Contains(value, "://") {
				all = append(all, value)
			}
		}
	}
	for _, provider := range p.Providers {
		look(provider.Spec)
		look(eso.StoreDefaults(provider.Method.Provider))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// releases are the versions that may run: two during an upgrade.
func releases(e schema.ESO) []string {
	if e.UpgradeTo != nil {
		return []string{e.Release.App, e.UpgradeTo.App}
	}
	return []string{e.Release.App}
}

// esoAccounts are the service accounts of an installation, the controller's first.
func esoAccounts(e schema.ESO) []rbac.Subject {
	all := []rbac.Subject{rbac.ServiceAccount(e.Namespace, e.ServiceAccount)}
	for _, name := range e.ServiceAccounts() {
		if name != e.ServiceAccount {
			all = append(all, rbac.ServiceAccount(e.Namespace, name))
		}
	}
	return all
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

// Made tells whether the rendering's only cluster makes one of the objects: they
// are, then, what was rendered before.
func (r *Rendering) Made(objects []inventory.Object) (bool, error) {
	c, err := r.only()
	if err != nil || len(objects) == 0 {
		return false, err
	}
	type identity struct{ group, kind, namespace, name string }
	found := map[identity]bool{}
	for i := range objects {
		o := &objects[i]
		found[identity{o.Group(), o.Kind, o.Namespace, o.Name}] = true
	}
	for made := range r.objects(c) {
		for i := range made {
			o := inventory.Object{APIVersion: made[i].APIVersion}
			if found[identity{o.Group(), made[i].Kind.Kind, made[i].Namespace, made[i].Name}] {
				return true, nil
			}
		}
	}
	return false, nil
}

func unwritten(o *generators.Object) (inventory.Object, error) {
	name := inventory.Qualified(o.Namespace, o.Name)
	at := problem.Position{Subject: o.Kind.Kind + "/" + name}
	object, err := inventory.FromTyped(o.APIVersion, o.Kind.Kind, o.Namespace, o.Name, o.Body, at)
	if err != nil {
		return inventory.Object{}, fmt.Errorf("reading %s %s: %w", o.Kind.Kind, name, err)
	}
	return object, nil
}
