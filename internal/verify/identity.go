package verify

import (
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// role is a field of a provider by which the other side knows who logs in, and
// the fields that say whose name that is: a role is one server's, in one
// namespace of it, on one mount.
type role struct {
	field string
	scope []string
}

// roles of providers that name one (ESO 2.9.0, apis/externalsecrets/v1). With all
// others it is the service account itself, or an annotation of it.
var roles = map[string][]role{
	"vault": {
		{"auth.kubernetes.role", []string{"server", "namespace", "auth.namespace", "auth.kubernetes.mountPath"}},
		{"auth.jwt.role", []string{"server", "namespace", "auth.namespace", "auth.jwt.path"}},
		{"auth.iam.vaultRole", []string{"server", "namespace", "auth.namespace", "auth.iam.path"}},
		{"auth.gcp.role", []string{"server", "namespace", "auth.namespace", "auth.gcp.path"}},
	},
	"VaultDynamicSecret": {
		{"provider.auth.kubernetes.role", []string{"provider.server", "provider.namespace", "provider.auth.namespace", "provider.auth.kubernetes.mountPath"}},
		{"provider.auth.jwt.role", []string{"provider.server", "provider.namespace", "provider.auth.namespace", "provider.auth.jwt.path"}},
	},
	"aws":    {{"role", nil}},
	"conjur": {{"auth.jwt.hostId", []string{"url", "auth.jwt.account", "auth.jwt.serviceID"}}},
}

// identity is an external identity that a tenant comes by, and where.
type identity struct {
	tenant string
	fence  *Fence
	what   string
	at     problem.Position
	path   string
}

// sharedIdentities reports external identities that two tenants come by: what the
// one may read the other may. Where specifications say that it is meant, it is.
func (w *world) sharedIdentities() problem.List {
	var found problem.List
	first := map[string]identity{}
	for key, use := range w.identities {
		known, taken := first[key]
		switch {
		case !taken:
			first[key] = use
		case known.tenant != use.tenant && !(known.fence.Shared && use.fence.Shared):
			severity := problem.Warning // it may be meant; nobody says
			if w.in.Specified {
				severity = problem.Error
			}
			found = append(found, problem.Problem{
				Rule: problem.IdentityShared, Severity: severity, Position: use.at, Path: use.path,
				Message: "tenant " + problem.Quote(use.tenant) + " comes by " + use.what + ", as tenant " + problem.Quote(known.tenant) + " does",
				Because: []string{"tenant " + known.tenant + " comes by it here (" + known.at.String() + ")"},
				Hint:    "give each tenant an identity of its own",
			})
		}
	}
	return found
}

// identities yields what the stores and fenced accounts of known tenants come by,
// by what makes it one and the same.
func (w *world) identities(yield func(string, identity) bool) {
	for i := range w.stores {
		for _, ref := range w.stores[i].references {
			if !w.rolesOf(&w.stores[i], ref, yield) {
				return
			}
		}
	}
	for i := range w.fences {
		if !w.annotated(&w.fences[i], yield) {
			return
		}
	}
}

// rolesOf yields the roles that a store names for a tenant's fenced account.
func (w *world) rolesOf(s *store, ref reference, yield func(string, identity) bool) bool {
	f := w.fenced[ref.account]
	if f == nil || w.isOperators(f.Namespace) || w.tenantIn(f.Namespace) == "" {
		return true
	}
	for _, r := range roles[s.provider] {
		value, _ := below(s.spec, r.field).(string)
		name := r.field[strings.LastIndex(r.field, ".")+1:]
		use := identity{w.tenantIn(f.Namespace), f, name + " " + problem.Quote(value), s.object.At, s.path + "." + r.field}
		if value != "" && !yield(s.keyOf(r, value), use) {
			return false
		}
	}
	return true
}

// annotated yields the identities in a cloud that a tenant's fenced account has.
func (w *world) annotated(f *Fence, yield func(string, identity) bool) bool {
	o := w.accounts[f.Account]
	if o == nil || w.isOperators(f.Namespace) || w.tenantIn(f.Namespace) == "" {
		return true
	}
	for _, key := range cloudAnnotations {
		value := inventory.Text(o.Fields, "metadata", "annotations", key)
		use := identity{w.tenantIn(f.Namespace), f, key + " " + problem.Quote(value), o.At, "metadata.annotations"}
		if value != "" && !yield(key+"="+strings.ToLower(value), use) {
			return false
		}
	}
	return true
}

// keyOf is the same for stores that log in as the same.
func (s *store) keyOf(r role, value string) string {
	key := []string{strings.ToLower(s.provider), r.field}
	for _, field := range r.scope {
		text, _ := below(s.spec, field).(string)
		key = append(key, strings.ToLower(strings.TrimRight(text, "/")))
	}
	return strings.Join(append(key, value), "\x00")
}

// tenantIn is whose a namespace is, as far as the objects say.
func (w *world) tenantIn(namespace string) string {
	if w.tenantOf == nil {
		w.tenantOf = w.tenants()
	}
	return w.tenantOf[namespace]
}
