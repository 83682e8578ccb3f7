// Package offboard plans how a tenant goes away, or how its namespaces go to
// another one: what to do in which order, what Flux then removes by itself, and
// what it never does. It reads specifications and changes nothing.
package offboard

import (
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/generators"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// Request is what is to go.
type Request struct {
	Tenant           string
	Namespace        string // "" for all that the tenant has
	To               string // the tenant that gets the namespaces; "" to remove them
	DeleteNamespaces bool   // with all that is in them
}

// Plan is what to do, a cluster at a time.
type Plan struct {
	Tenant    string    `json:"tenant"`
	Namespace string    `json:"namespace,omitempty"`
	To        string    `json:"to,omitempty"`
	Clusters  []Cluster `json:"clusters"`
}

// Cluster is what to do in one cluster, in this order.
type Cluster struct {
	Name  string `json:"name"`
	Steps []Step `json:"steps"`
}

// Step is one thing to do. The next one waits for its end.
type Step struct {
	Title    string   `json:"title"`
	Because  string   `json:"because,omitempty"`
	Edits    []Edit   `json:"edits,omitempty"`
	Commands []string `json:"commands,omitempty"`
	Notes    []string `json:"notes,omitempty"`
}

// Edit is a change to a specification.
type Edit struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Change string `json:"change"`
}

// New plans for the clusters that have the tenant. The names are those of a
// specification without problems.
func New(clusters []*schema.Cluster, r Request) Plan {
	plan := Plan{Tenant: r.Tenant, Namespace: r.Namespace, To: r.To}
	for _, c := range clusters {
		for _, t := range c.Tenants {
			if t.Name != r.Tenant {
				continue
			}
			p := newPlanner(c, t, r)
			if len(p.namespaces) == 0 && r.Namespace != "" {
				continue // it is on another cluster
			}
			steps := p.removal
			if r.To != "" {
				steps = p.move
			}
			plan.Clusters = append(plan.Clusters, Cluster{Name: c.Platform.Name, Steps: steps()})
		}
	}
	return plan
}

// planner plans for one cluster.
type planner struct {
	Request
	platform   *schema.Platform
	shared     []*schema.SharedStore
	tenant     *schema.Tenant
	namespaces []*schema.Namespace // that go
	whole      bool                // nothing of the tenant stays
	objects    []generators.Object // of the namespaces
}

func newPlanner(c *schema.Cluster, t *schema.Tenant, r Request) *planner {
	p := &planner{Request: r, platform: c.Platform, shared: c.Platform.SharedStores, tenant: t}
	for _, ns := range t.Namespaces {
		if r.Namespace == "" || ns.Name == r.Namespace {
			p.namespaces = append(p.namespaces, ns)
		}
	}
	p.whole = len(p.namespaces) == len(t.Namespaces)
	going := *t
	going.Namespaces = p.namespaces
	p.objects = generators.New(c.Platform).Tenant(&going)
	return p
}

// order is the kinds of a tenant's namespaced objects as they go: stores while
// their accounts are there, accounts when nobody may use them any more.
var order = []string{"SecretStore", "RoleBinding", "Role", "ServiceAccount", "NetworkPolicy", "ResourceQuota", "LimitRange"}

// kinds are those that a namespace has of ours, in order, as kubectl takes them.
func (p *planner) kinds(namespace string) []string {
	var kinds []string
	for _, o := range p.objects {
		if o.Meta.Namespace == namespace && !slices.Contains(kinds, o.Kind.Kind) {
			kinds = append(kinds, o.Kind.Kind)
		}
	}
	rank := func(kind string) int {
		if i := slices.Index(order, kind); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(kinds, func(a, b string) int { return rank(a) - rank(b) })
	return kinds
}

// list is the kinds of a namespace's objects for one `kubectl get`.
func (p *planner) list(namespace string) string {
	kinds := p.kinds(namespace)
	if len(kinds) == 0 {
		return "all" // a namespace that is not ours, without stores
	}
	return strings.ToLower(strings.Join(kinds, ","))
}

// elsewhere are the namespaces, other than the ones that go, in which there are
// objects for them: what a store of this same cluster reads.
func (p *planner) elsewhere() []string {
	var names []string
	for _, o := range p.objects {
		name := o.Meta.Namespace
		own := slices.ContainsFunc(p.namespaces, func(ns *schema.Namespace) bool { return ns.Name == name })
		if name != "" && !own && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func edit(at problem.Position, change string) Edit {
	return Edit{File: at.File, Line: at.Line, Change: change}
}
