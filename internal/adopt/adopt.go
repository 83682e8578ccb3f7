// Package adopt makes specifications from a cluster that is in use: from the
// objects of a dump, a Platform and Tenants that render to the stores that are
// there, and a plan of how to get from the one to the other.
//
// Everything is made in memory and read by the same pipeline that will render
// it. A store goes into the specification only if what is rendered for it is
// the store that is there; all others are left out, and it is said why and
// what becomes of them.
package adopt

import (
	"cmp"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

// DefaultCluster is what the Platform is called where nobody says.
const DefaultCluster = "main"

// Input is a cluster.
type Input struct {
	Objects []inventory.Object
	Cluster string // the Platform's name; "" is DefaultCluster
	// TenantLabel is the label of Namespaces that says whose they are; "" makes
	// each namespace a tenant of its own.
	TenantLabel string
	// Kubernetes and Issuer are facts about the cluster, where they are known.
	Kubernetes, Issuer string
}

// Kinds tells which objects are looked at.
func Kinds(group, kind string) bool { return verify.Kinds(group, kind) }

// File is one file that was made, its name with slashes.
type File struct {
	Name  string
	About string
	Data  []byte
}

// Result is what was made of a cluster.
type Result struct {
	// Operator is External Secrets Operator as it runs there.
	Operator Operator
	// Specifications are the Platform's file, and then the tenants'.
	Specifications []File
	Stores         []Store // all that the cluster has, in order of kind and name
	Generators     []Store // that log in with a service account's token; no specification has them
	Minted         []Minted
	Notes          []string
	Tenants        []string
	Namespaces     int

	world     *world
	cluster   string
	admission bool // policies are made
	explained map[verify.Account]bool
	anywhere  map[string]bool // names of service accounts that a store uses in whichever namespace it is used from
}

// Store is a SecretStore or a ClusterSecretStore that is there.
type Store struct {
	Kind, Namespace, Name string
	Provider              string // in the catalogue, if it was adopted; or the provider's kind
	Account               verify.Account
	Tenant                string // that has it; "" if it was left out
	Why                   string // it was left out
	// Audience was added: the other side has to take it.
	Audience []string
	Today    Mint
	Breaks   bool // it stops when the fence is enforced
}

func (s *Store) title() string { return strings.TrimPrefix(s.Namespace+"/"+s.Name, "/") }

// Mint says by what ESO may mint for the service account of a store.
type Mint string

// The ways. With Unused, it does not have to.
const (
	Unused  Mint = "not needed"
	Nothing Mint = "no right"
	Blanket Mint = "the right for all"
	Named   Mint = "a right of its own"
)

// Make makes specifications. The Result is nil where a problem is an error.
func Make(in Input) (*Result, problem.List) {
	w := newWorld(in.Objects)
	operator, problems := w.findOperator()
	problems = append(problems, w.missing()...)
	if problems.Errors() > 0 {
		return nil, problems
	}
	w.index(operator)
	m := &maker{world: w, in: in, cluster: cmp.Or(in.Cluster, DefaultCluster)}
	m.readStores()
	m.findTenants()
	if settled, refused := m.settle(); !settled {
		return nil, m.ofDump(refused)
	}
	r := m.result()
	return r, append(problems, m.warnings(r)...)
}

// maker makes specifications of a world.
type maker struct {
	*world
	in      Input
	cluster string
	stores  []*store
	entries []*entry
	tenants []*tenant
	files   []File
	places  places
}

// ofDump puts problems of a specification that is not written where they come
// from: from how the operator runs.
func (m *maker) ofDump(problems problem.List) problem.List {
	var found problem.List
	for _, p := range problems {
		if p.IsError() {
			found = append(found, problem.Problem{Rule: p.Rule, Position: m.operator.object.At, Message: "no specification can say how this runs: " + p.Path + ": " + p.Message, Hint: p.Hint})
		}
	}
	return found
}

// adopted are the stores that were not left out.
func (m *maker) adopted() []*store {
	return slices.DeleteFunc(slices.Clone(m.stores), func(s *store) bool { return s.left != nil })
}

func (m *maker) result() *Result {
	r := &Result{Operator: m.operator, Specifications: m.files, world: m.world, cluster: m.cluster, admission: m.admission()}
	namespaces := map[string]bool{}
	for _, t := range m.tenants {
		if t.name == "" {
			continue // it is the Platform's, which counts for itself
		}
		r.Tenants = append(r.Tenants, t.name)
		for name := range t.namespaces {
			namespaces[name] = true
		}
	}
	r.Namespaces = len(namespaces)
	tenants := m.having()
	for _, s := range m.stores {
		r.Stores = append(r.Stores, m.described(s, tenants[s]))
	}
	r.explained, r.anywhere = m.explanations()
	return r
}

func (m *maker) described(s *store, tenant string) Store {
	d := Store{
		Kind: s.object.Kind, Namespace: s.object.Namespace, Name: s.object.Name, Provider: s.kind, Account: s.account, Today: Unused,
	}
	if s.account.Name != "" {
		d.Today = m.mint.of(s.account)
	}
	if s.left != nil {
		d.Why = s.left.why
		d.Breaks = m.breaks(s)
		return d
	}
	d.Provider, d.Tenant = s.entry.name, tenant
	if len(s.secrets) == 0 { // or they are the API server's own, as before
		d.Audience = s.added
	}
	return d
}

// breaks tells whether a store that is left out works today, and no longer when
// it is enforced.
func (m *maker) breaks(s *store) bool {
	return s.left.rule != problem.StoreAccountMissing && slices.ContainsFunc(s.accounts, func(a verify.Account) bool {
		return m.loses(a) && m.world.account(a) != nil
	})
}

// loses tells whether ESO may mint for an account today, and may not once it is
// enforced: the right for all goes, and admission policies take every other one
// that is not a fence's.
func (m *maker) loses(a verify.Account) bool {
	today := m.mint.of(a)
	return today == Blanket || today == Named && m.admission()
}
