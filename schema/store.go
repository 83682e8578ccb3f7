package schema

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// serviceAccountSuffix follows a store's name in the default name of its
// service account, as in ESO's documentation: vault-access-sa.
const serviceAccountSuffix = "-access-sa"

// maxServiceAccount bounds a service account's name so that it fits a label
// and every generated name that holds it.
const maxServiceAccount = 63

// store resolves one store; nil if its provider is not known.
func (r *tenantReader) store(ns *Namespace, e entry, at string) *Store {
	at = join(at, e.key)
	s := &Store{
		Name:           e.key,
		Position:       r.claim.doc.position(keyNode(&e)),
		ServiceAccount: cmp.Or(e.value.get("serviceAccount").str(), e.key+serviceAccountSuffix),
		Shared:         e.value.get("shared").isTrue(),
		path:           join2(r.claim.path, at),
		identity:       e.value.get("identity"),
	}
	if stated := e.value.get("serviceAccount"); s.ServiceAccount == "default" {
		r.report(stated, problem.ServiceAccountReserved, at+".serviceAccount", "service account \"default\" is what every pod runs as that names no other", "leave it out, or name one that is used for this store only")
	}
	if len(s.ServiceAccount) > maxServiceAccount && !anyBad(e.value) {
		r.report(keyNode(&e), problem.ServiceAccountTooLong, at, fmt.Sprintf("the service account would be called %s, which is longer than %d characters", problem.Quote(s.ServiceAccount), maxServiceAccount), "give the store a shorter name, or state serviceAccount")
	}
	if s.Provider = r.provider(e.value.get("provider"), at); s.Provider == nil {
		return nil
	}
	if !r.identity(ns, s, e.value, at) {
		return nil
	}
	return s
}

func (r *tenantReader) provider(n *node, at string) *Provider {
	if n == nil || n.bad {
		return nil
	}
	provider, ok := r.platform.Providers[n.text]
	if _, stated := r.platform.catalogue[n.text]; !ok && !stated {
		r.report(n, problem.ProviderUnknown, at+".provider", problem.Quote(n.text)+" is no provider of Platform "+r.platform.Name, r.platform.providerHint(n.text))
	}
	return provider
}

// identity validates the tenant's part against just the definition of the
// provider's kind, fills defaults in, and holds it to the Platform's policy.
func (r *tenantReader) identity(ns *Namespace, s *Store, store *node, at string) bool {
	n := s.identity
	at += ".identity"
	definition := fmt.Sprintf("#Identities.%q", s.Provider.Method.ID)
	if n == nil {
		// Which fields are required is the schema's to say.
		n = &node{kind: mapNode, line: store.line, col: store.col}
	}
	if n.kind != mapNode {
		return false
	}
	r.dec.validate(r.claim.doc, definition, join2(r.claim.path, at), n)
	s.Identity = Identity{}
	for _, field := range s.Provider.Method.Identity {
		if stated := n.get(field.Name); stated != nil {
			s.Identity[field.Name] = stated.str()
		}
	}
	if _, stated := s.Identity["role"]; !stated && s.Provider.Method.Provider == "vault" {
		s.Identity["role"] = ns.Name + "-" + s.Name
	}
	if anyBad(n) {
		return true
	}
	if !r.claim.trusted {
		r.checkIdentity(ns, s, n, at)
	}
	if s.Provider.Method.ID == "azurekv" {
		r.checkAzureTenant(s, n, at)
	}
	return true
}

// checkIdentity holds each field that names an external identity to the
// Platform's patterns for the provider.
func (r *tenantReader) checkIdentity(ns *Namespace, s *Store, n *node, at string) {
	patterns := r.platform.policy.identities[s.Provider.Name]
	allowed := "none, because the Platform's policy names none"
	if len(patterns) > 0 {
		allowed = problem.QuoteAll(patterns)
	}
	for _, field := range s.Provider.Method.Identity {
		value := s.Identity[field.Name]
		if !field.Principal || value == "" || matches(patterns, value, r.claim.name, ns.Name) {
			continue
		}
		place := n
		if stated := n.get(field.Name); stated != nil {
			place = stated
		}
		s.refused = true
		r.report(place, problem.IdentityOutside, at+"."+field.Name, problem.Quote(value)+" is outside what tenant "+problem.Quote(r.claim.name)+" may claim: "+allowed, "tenantPolicy.identities of Platform "+r.platform.Name+" decides")
	}
}

// checkAzureTenant: ESO refuses a directory stated in both places.
// Source: ESO v2.9.0, providers/v1/azure/keyvault/keyvault.go:1173-1182.
func (r *tenantReader) checkAzureTenant(s *Store, n *node, at string) {
	_, fixed := s.Provider.Spec["tenantId"]
	stated := n.get("tenantID")
	switch {
	case fixed && stated != nil:
		r.report(stated, problem.IdentityInvalid, at+".tenantID", "provider "+problem.Quote(s.Provider.Name)+" already names the directory", "remove it")
	case !fixed && stated == nil:
		r.report(n, problem.IdentityInvalid, at, "neither the provider nor the store names the directory (tenant id)", "add tenantID")
	}
}

// Annotations are what the service account carries for the store.
func (s *Store) Annotations() map[string]string {
	annotations := map[string]string{}
	for _, field := range s.Provider.Method.Identity {
		if value := s.Identity[field.Name]; field.Annotation != "" && value != "" {
			annotations[field.Annotation] = value
		}
	}
	return annotations
}

// checkServiceAccounts: stores on one service account agree on its annotations,
// and where one of them has none, so do all that would read it.
func (r *tenantReader) checkServiceAccounts(ns *Namespace) {
	for i, s := range ns.Stores {
		for _, other := range ns.Stores[:i] {
			if other.ServiceAccount != s.ServiceAccount {
				continue
			}
			if key := clash(s, other); key != "" {
				r.dec.report(problem.Problem{
					Rule: problem.ServiceAccountClash, Position: s.Position, Path: s.path,
					Message: fmt.Sprintf("service account %s would be %s here and %s for store %s (%s)", problem.Quote(s.ServiceAccount), problem.Quote(s.Annotations()[key]), problem.Quote(other.Annotations()[key]), problem.Quote(other.Name), other.Position),
					Hint:    "give each store a serviceAccount of its own",
				})
				break
			}
		}
	}
}

// clash is an annotation that both stores' methods read and that they do not
// agree on, or "".
func clash(a, b *Store) string {
	for _, field := range a.Provider.Method.Identity {
		read := slices.ContainsFunc(b.Provider.Method.Identity, func(f eso.IdentityField) bool { return f.Annotation == field.Annotation })
		if field.Annotation != "" && read && a.Annotations()[field.Annotation] != b.Annotations()[field.Annotation] {
			return field.Annotation
		}
	}
	return ""
}
