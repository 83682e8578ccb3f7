// Package fn is the pipeline from specifications to manifests: sources in,
// bytes out. The command line, the KRM function and the Flux controller all
// call the same Build.
package fn

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/eso-tenant/eso-tenant/generators"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// Selection says what of a specification is rendered. The zero value is all.
type Selection struct {
	Clusters []string // Platforms by name
	Tenants  []string // if any: these tenants only, and nothing of the Platform's own
}

// Rendering is a specification that was read without problems, ready to write.
type Rendering struct {
	clusters []*schema.Cluster
	tenants  []string
	// Foreign counts documents of other kinds, which were left alone.
	Foreign int
}

// Build decodes the sources. The Rendering is nil if a problem is an error, so
// that nothing can be made from a specification that is wrong.
func Build(sources []schema.Source) (*Rendering, problem.List) {
	return BuildAgain(sources, &schema.Memory{})
}

// BuildAgain is Build for a process that builds nearly the same again and
// again, and keeps a memory of what was right.
func BuildAgain(sources []schema.Source, memory *schema.Memory) (*Rendering, problem.List) {
	spec, problems, foreign := memory.Decode(sources)
	if problems.Errors() > 0 {
		return nil, problems
	}
	return &Rendering{clusters: spec.Clusters, Foreign: foreign}, problems
}

// Select narrows a rendering down. A name that there is nothing of is an error.
func (r *Rendering) Select(s Selection) (*Rendering, error) {
	selected := &Rendering{clusters: r.clusters, tenants: s.Tenants, Foreign: r.Foreign}
	for _, name := range s.Clusters {
		if !slices.Contains(r.Clusters(), name) {
			return nil, fmt.Errorf("there is no cluster %s; there are %s", problem.Quote(name), problem.QuoteAll(r.Clusters()))
		}
	}
	if len(s.Clusters) > 0 {
		selected.clusters = slices.DeleteFunc(slices.Clone(r.clusters), func(c *schema.Cluster) bool {
			return !slices.Contains(s.Clusters, c.Platform.Name)
		})
	}
	for _, name := range s.Tenants {
		if !selected.hasTenant(name) {
			return nil, fmt.Errorf("there is no tenant %s on %s", problem.Quote(name), problem.QuoteAll(selected.Clusters()))
		}
	}
	return selected, nil
}

func (r *Rendering) hasTenant(name string) bool {
	return slices.ContainsFunc(r.clusters, func(c *schema.Cluster) bool {
		return slices.ContainsFunc(c.Tenants, func(t *schema.Tenant) bool { return t.Name == name })
	})
}

// Clusters names the clusters of the rendering.
func (r *Rendering) Clusters() []string {
	var names []string
	for _, c := range r.clusters {
		names = append(names, c.Platform.Name)
	}
	return names
}

// Resolved are the clusters of the rendering, with all their tenants.
func (r *Rendering) Resolved() []*schema.Cluster { return r.clusters }

// ClusterFlux says how Flux finds what is rendered for a cluster.
type ClusterFlux struct {
	Cluster string
	*schema.Flux
}

// Flux is how Flux finds the rendering, for each cluster that says it.
func (r *Rendering) Flux() []ClusterFlux {
	var all []ClusterFlux
	for _, c := range r.clusters {
		if c.Platform.Flux != nil {
			all = append(all, ClusterFlux{c.Platform.Name, c.Platform.Flux})
		}
	}
	return all
}

// Tenants names the tenants of the rendering, each once.
func (r *Rendering) Tenants() []string {
	var names []string
	for _, c := range r.clusters {
		for t := range r.tenantsOf(c) {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Count returns how many clusters, tenants and namespaces the rendering has,
// each name once, on however many clusters it is.
func (r *Rendering) Count() (clusters, tenants, namespaces int) {
	tenantNames, namespaceNames := map[string]bool{}, map[string]bool{}
	for _, c := range r.clusters {
		for t := range r.tenantsOf(c) {
			tenantNames[t.Name] = true
			for _, ns := range t.Namespaces {
				namespaceNames[ns.Name] = true
			}
		}
	}
	return len(r.clusters), len(tenantNames), len(namespaceNames)
}

// tenantsOf yields the selected tenants of a cluster.
func (r *Rendering) tenantsOf(c *schema.Cluster) func(yield func(*schema.Tenant) bool) {
	return func(yield func(*schema.Tenant) bool) {
		for _, t := range c.Tenants {
			if len(r.tenants) > 0 && !slices.Contains(r.tenants, t.Name) {
				continue
			}
			if !yield(t) {
				return
			}
		}
	}
}

// objects yields all objects of a cluster, a tenant at a time, so that memory
// does not grow with the tenants.
func (r *Rendering) objects(c *schema.Cluster) func(yield func([]generators.Object) bool) {
	return func(yield func([]generators.Object) bool) {
		expander := generators.New(c.Platform)
		if len(r.tenants) == 0 && !yield(expander.Platform()) {
			return
		}
		for t := range r.tenantsOf(c) {
			if !yield(expander.Tenant(t)) {
				return
			}
		}
	}
}

// WriteStream writes all objects as one YAML stream. It stops with an error if
// ctx ends.
func (r *Rendering) WriteStream(ctx context.Context, w io.Writer) error {
	var buffer []byte
	first := true
	for _, c := range r.clusters {
		for objects := range r.objects(c) {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("writing output: %w", err)
			}
			buffer = buffer[:0]
			for _, object := range objects {
				if !first {
					buffer = append(buffer, separator...)
				}
				first = false
				var err error
				if buffer, err = appendYAML(buffer, object.Body); err != nil {
					return fmt.Errorf("writing %s %s: %w", object.Kind.Kind, object.Name, err)
				}
			}
			if _, err := w.Write(buffer); err != nil {
				return fmt.Errorf("writing output: %w", err)
			}
		}
	}
	return nil
}

// separator stands between the documents of a stream.
const separator = "---\n"
