package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// cross checks what holds between tenants.
type cross struct {
	dec        *decoder
	owner      map[string]*claim
	ownerAt    map[string]problem.Position
	identities map[string][]identityUse // by tenant: a use that is shared, and one that is not
}

type identityUse struct {
	tenant string
	store  *Store
}

func newCross(dec *decoder) *cross {
	return &cross{dec: dec, owner: map[string]*claim{}, ownerAt: map[string]problem.Position{}, identities: map[string][]identityUse{}}
}

// namespaces: a namespace has one tenant, whichever clusters it is on.
func (x *cross) namespaces(c *claim) {
	entries := c.spec.get("namespaces").keys()
	for i := range entries {
		e := &entries[i]
		if e.bad {
			continue // a claim that is refused makes nobody the owner
		}
		at := c.doc.position(keyNode(e))
		first, taken := x.owner[e.key]
		if taken && first.trusted && c.trusted {
			continue // the same namespace on two clusters
		}
		if !taken {
			x.owner[e.key], x.ownerAt[e.key] = c, at
			continue
		}
		x.dec.report(problem.Problem{
			Rule: problem.NamespaceShared, Position: at, Path: join(join2(c.path, "namespaces"), e.key),
			Message: "namespace " + problem.Quote(e.key) + " belongs to tenant " + problem.Quote(first.name) + " (" + x.ownerAt[e.key].String() + ")",
			Hint:    "a namespace has one tenant; rename it, or merge the two tenants",
		})
	}
}

// cluster checks the resolved tenants of one cluster.
func (x *cross) cluster(c *Cluster) {
	var minters []string
	fenced := fencedAccounts(c)
	x.exemptions(c)
	for _, s := range c.Platform.SharedStores {
		x.identity(&Tenant{Name: PlatformTenant}, s.Store)
		x.remoteNamespace(c.Platform, &Tenant{Name: PlatformTenant}, s.Store)
	}
	for _, t := range c.all() {
		x.fencedMembers(t, fenced)
		for _, ns := range t.Namespaces {
			for _, s := range ns.Stores {
				x.identity(t, s)
				x.remoteNamespace(c.Platform, t, s)
			}
		}
		if slices.ContainsFunc(t.Members, func(m Member) bool { return canMint(c.Platform, m.Role) }) {
			minters = append(minters, t.Name)
		}
	}
	if len(minters) > 0 {
		x.memberCanMint(c.Platform, minters)
	}
}

// fencedAccounts are the service accounts that ESO mints for, as
// namespace/name, each with a store that uses it.
func fencedAccounts(c *Cluster) map[string]*Store {
	fenced := map[string]*Store{}
	for _, t := range c.all() {
		for _, ns := range t.Namespaces {
			for _, s := range ns.Stores {
				fenced[ns.Name+"/"+s.ServiceAccount] = s
			}
		}
	}
	for _, s := range c.Platform.SharedStores {
		fenced[c.Platform.ESO.Namespace+"/"+s.ServiceAccount] = s.Store
	}
	return fenced
}

// all are the cluster's tenants, and the Platform's own namespaces as one more.
func (c *Cluster) all() []*Tenant {
	if c.Platform.Own == nil {
		return c.Tenants
	}
	return append(slices.Clone(c.Tenants), c.Platform.Own)
}

// fencedMembers: a fenced service account holds no rights of its own, or its
// token would be worth more than its secrets.
func (x *cross) fencedMembers(t *Tenant, fenced map[string]*Store) {
	for _, m := range t.Members {
		s, found := fenced[m.Namespace+"/"+m.Name]
		if m.Kind != "ServiceAccount" || !found {
			continue
		}
		x.dec.report(problem.Problem{
			Rule: problem.MemberFenced, Position: m.position, Path: m.path,
			Message: "service account " + problem.Quote(m.Namespace+"/"+m.Name) + " is the one of a store (" + s.Position.String() + "); it may hold no role",
			Hint:    "give the people, or another service account, that role",
		})
	}
}

// identity: an external identity has one tenant, unless both stores say so.
func (x *cross) identity(t *Tenant, s *Store) {
	for _, field := range s.Provider.Method.Identity {
		if key := s.externalIdentity(field); key != "" {
			x.use(t, s, key, s.Identity[field.Name])
		}
	}
}

func (x *cross) use(t *Tenant, s *Store, key, value string) {
	uses := x.identities[key]
	clash := slices.IndexFunc(uses, func(u identityUse) bool { return u.tenant != t.Name && !(u.store.Shared && s.Shared) })
	known := slices.ContainsFunc(uses, func(u identityUse) bool { return u.tenant == t.Name && u.store.Shared == s.Shared })
	if !known {
		x.identities[key] = append(uses, identityUse{tenant: t.Name, store: s})
	}
	if clash < 0 {
		return
	}
	first := uses[clash]
	x.dec.report(problem.Problem{
		Rule: problem.IdentityShared, Position: s.Position,
		Path:    s.path,
		Message: fmt.Sprintf("identity %s belongs to tenant %s (%s)", problem.Quote(value), problem.Quote(first.tenant), first.store.Position),
		Hint:    "give each tenant an identity of its own, or write shared: true on both stores",
	})
}

// scopes are the fields of a provider that say whose identities these are: a
// role is one server's, in one namespace of it, on one mount. Annotations name
// what is the cloud's alone, whichever provider they are for.
var scopes = map[string][]string{
	"vault": {
		"server", "namespace", "auth.namespace", "auth.kubernetes.mountPath", "auth.jwt.path", "auth.iam.path", "auth.gcp.path",
	},
	"conjur": {"url", "auth.jwt.account", "auth.jwt.serviceID"},
}

// externalIdentity is what a store is to the other side by one field; "" where
// that field names no identity, or one that is refused, which makes nobody its
// owner.
func (s *Store) externalIdentity(field eso.IdentityField) string {
	value := s.Identity[field.Name]
	method := s.Provider.Method
	if !field.Principal || value == "" || method.ID == "kubernetes" || s.refused {
		return ""
	}
	if field.Annotation != "" {
		return field.Annotation + "=" + strings.ToLower(value)
	}
	scope := []string{method.ID}
	for _, path := range scopes[method.Provider] {
		scope = append(scope, strings.TrimRight(fmt.Sprint(Lookup(s.Provider.Spec, path)), "/"))
	}
	return strings.ToLower(strings.Join(scope, " ")) + " " + value
}

// remoteNamespace: reading this same cluster stops at other tenants' namespaces
// and at the cluster's own.
func (x *cross) remoteNamespace(p *Platform, t *Tenant, s *Store) {
	if !s.Provider.SameCluster {
		return
	}
	remote := s.RemoteNamespace()
	owner, taken := x.owner[remote]
	var message string
	switch why := p.reserved(remote); {
	case taken && owner.name != t.Name:
		message = "namespace " + problem.Quote(remote) + " belongs to tenant " + problem.Quote(owner.name) + " (" + x.ownerAt[remote].String() + ")"
	case why != "":
		message = "namespace " + problem.Quote(remote) + " is " + why
	default:
		return
	}
	x.dec.report(problem.Problem{
		Rule: problem.RemoteNamespace, Position: s.Position, Path: s.path, Message: message + "; a store may not read it",
		Hint: "read from a namespace that the platform team keeps for sharing",
	})
}

// RemoteNamespace is the namespace that a kubernetes store reads.
func (s *Store) RemoteNamespace() string {
	if remote := s.Identity["remoteNamespace"]; remote != "" {
		return remote
	}
	remote, _ := s.Provider.Spec["remoteNamespace"].(string)
	return remote
}

// mintingRoles are the built-in roles that may create tokens for, and
// impersonate, every service account of a namespace. Source: Kubernetes
// v1.37.2, plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go:166,172.
var mintingRoles = map[string]bool{"edit": true, "admin": true, "cluster-admin": true}

// unfencingRoles are those of them that may also delete Roles and RoleBindings.
// Admission knows a fenced service account by the Role that lets ESO mint for
// it: with the Role goes the fence, until Flux puts it back.
// Source: the same file, line 426.
var unfencingRoles = map[string]bool{"admin": true, "cluster-admin": true}

// unboundRoles are those of them that may also give ESO every grant there is,
// under another Role's name: admission takes such a grant for none.
var unboundRoles = map[string]bool{"cluster-admin": true}

// canMint tells whether members with the role can come by a token of a fenced
// service account. Where admission refuses, edit cannot: not by a token
// request, a token Secret or a pod. What edit keeps is impersonation, which
// admission does not see. It makes the member that service account towards the
// API server, where it holds no right but to read what its own store reads; it
// gives no token to take elsewhere, and the service account cannot ask for one.
func canMint(p *Platform, role string) bool {
	switch {
	case p.Refuses() && len(p.Admission.Writers) > 0:
		return unboundRoles[role]
	case p.Refuses():
		return unfencingRoles[role]
	default:
		return mintingRoles[role]
	}
}

func (x *cross) memberCanMint(p *Platform, tenants []string) {
	shown := tenants
	if len(shown) > 3 {
		shown = append(slices.Clone(shown[:3]), fmt.Sprintf("and %d more", len(tenants)-3))
	}
	who := "members of " + strings.Join(shown, ", ")
	found := problem.Problem{
		Rule: problem.MemberCanMint, Position: p.Position, Path: "",
		Message: who + " hold edit, admin or cluster-admin, with which they can themselves mint tokens of any service account in their namespaces",
		Hint:    "RBAC alone cannot keep them from it: give them a role without serviceaccounts/token, or have admission policies refuse it",
	}
	switch {
	case p.Refuses() && len(p.Admission.Writers) > 0:
		found.Message = who + " hold cluster-admin, with which they can write rights into Roles that they do not have themselves, so that admission takes the service accounts of their namespaces for not fenced, and then mint their tokens"
		found.Hint = "give them admin, or another role that may not escalate"
	case p.Refuses():
		found.Message = who + " hold admin or cluster-admin, with which they can delete the fence's Roles in their namespaces, and then mint tokens of the service accounts that were fenced"
		found.Hint = "name in admission.writers who delivers the fence, so that nobody else changes it; or give them edit, or another role that may not write Roles and RoleBindings"
	}
	x.dec.report(found)
}
