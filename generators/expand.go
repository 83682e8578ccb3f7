// Package generators expands a resolved specification into Kubernetes objects.
//
// Generators are pure, and cannot fail: whatever can be wrong with the input
// is a problem that package schema reports. What a tenant expands into depends
// on its Platform and on itself alone, so that a change to one tenant changes
// no other tenant's bytes.
package generators

import (
	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/schema"
)

// Expander expands what lives on one Platform.
type Expander struct {
	platform *schema.Platform
	trimmed  eso.Trimmed
}

// New returns an Expander for a Platform that was decoded without problems.
func New(p *schema.Platform) *Expander {
	return &Expander{platform: p, trimmed: trimmed(p)}
}

// Platform returns the Platform's own objects, in order.
func (x *Expander) Platform() []Object {
	parts := []func(*Expander) []Object{chartValues, sharedStores, ownNamespaces, network}
	if x.platform.ESO.RBAC == schema.Replace {
		parts = append(parts, controllerRole, leaderElection, viewRole)
	}
	switch x.platform.Admission.Engine {
	case schema.ValidatingAdmissionPolicy:
		parts = append(parts, admission)
	case schema.Gatekeeper:
		parts = append(parts, gatekeeper)
	case schema.NoAdmission:
	}
	var objects []Object
	for _, generate := range parts {
		objects = append(objects, generate(x)...)
	}
	return Sorted(objects)
}

// Tenant returns a tenant's objects, in order.
func (x *Expander) Tenant(t *schema.Tenant) []Object {
	var objects []Object
	for _, ns := range t.Namespaces {
		in := input{Expander: x, tenant: t, namespace: ns}
		for _, generate := range []func(input) []Object{
			namespace, quota, limitRange, networkPolicies, members,
			serviceAccounts, tokenRoles, writeRole, readRoles, secretStores,
		} {
			objects = append(objects, generate(in)...)
		}
	}
	return Sorted(objects)
}

// input is what the generators of a tenant's namespace work from.
type input struct {
	*Expander
	tenant    *schema.Tenant
	namespace *schema.Namespace
}

// object makes an object of the namespace, with the labels that all have.
func (in input) object(kind Kind, name string) Meta {
	return newMeta(kind, in.namespace.Name, name, in.tenant.Name)
}
