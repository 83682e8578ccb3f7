// Package expand turns a source tree, as Flux hands it out, into the trees that
// are published for Flux to apply: of a folder of Platform and Tenant files,
// one for the platform, one for each tenant and one with the Flux
// Kustomizations; of a kustomization that runs eso-tenant as a function, the
// tree itself, with what the function would have made in its place. Flux builds
// without functions. Nothing is executed here, and nothing fetched.
package expand

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// UnitBuild is the kind of the only unit of a kustomization: the whole source
// tree, so that what the kustomization names outside of its own folder is there.
const UnitBuild fn.UnitKind = "build"

// Request says what is expanded.
type Request struct {
	Files    []fn.TreeFile // of the whole source, by name
	Path     string        // of the folder to expand; "" is the root
	Cluster  string        // of several Platforms, which one; "" where there is one
	Delivery fn.Delivery
	Memory   *schema.Memory // of the last expansion of the same source
}

// Expansion is what came of a request. It has units only if no problem is an error.
type Expansion struct {
	Problems problem.List
	// Tenants are the names of the tenants that were expanded, sorted.
	Tenants []string
	// Whole tells that there is one unit with all tenants in it.
	Whole bool
	// Units hands over what is to be published, one unit at a time.
	Units func(ctx context.Context, yield func(fn.Unit) error) error
}

// Overran tells whether an evaluation of CUE was given up and is running still.
// It cannot be stopped: whoever lives longer than this one run has to end.
func (e *Expansion) Overran() bool {
	return slices.ContainsFunc(e.Problems, func(p problem.Problem) bool { return p.Rule == problem.CUETooLong })
}

// Do expands a source.
func Do(r Request) *Expansion {
	folder := path.Clean("/" + r.Path)[1:]
	if !hasFolder(r.Files, folder) {
		return failed(problem.SourceUnreadable, shown(folder), "there is no such folder in the source", "check spec.path")
	}
	b := newBuilder(r.Files)
	if _, isKustomization := b.find(folder); !isKustomization {
		return specifications(r, folder)
	}
	switch calls, complaint := b.calls(folder, nil); {
	case complaint != nil:
		return &Expansion{Problems: problem.List{*complaint}}
	case calls:
		return b.expand(folder)
	}
	if complaint := b.onlyLists(folder); complaint != nil {
		return &Expansion{Problems: problem.List{*complaint}}
	}
	return specifications(r, folder)
}

func failed(rule problem.Rule, file, message, hint string) *Expansion {
	return &Expansion{Problems: problem.List{*complain(rule, file, message, hint)}}
}

func complain(rule problem.Rule, file, message, hint string) *problem.Problem {
	return &problem.Problem{Rule: rule, Position: problem.Position{File: file}, Message: message, Hint: hint}
}

// shown is a folder of the source as problems name it.
func shown(folder string) string {
	if folder == "" {
		return "."
	}
	return folder
}

func hasFolder(files []fn.TreeFile, folder string) bool {
	return folder == "" || slices.ContainsFunc(files, func(f fn.TreeFile) bool { return strings.HasPrefix(f.Inside, folder+"/") })
}

// specifications expands a folder as `render` does, with the same bytes.
func specifications(r Request, folder string) *Expansion {
	tree := fn.Tree{Name: shown(folder)}
	for _, f := range r.Files {
		inside, in := f.Inside, true
		if folder != "" {
			inside, in = strings.CutPrefix(f.Inside, folder+"/")
		}
		if in && fn.IsTreeFile(inside) {
			tree.Files = append(tree.Files, fn.TreeFile{Inside: inside, Data: f.Data})
		}
	}
	sources, unread := tree.Sources()
	rendering, wrong := fn.BuildAgain(sources, r.Memory)
	e := &Expansion{Problems: slices.Concat(unread, wrong)}
	if e.Problems.Errors() > 0 {
		return e
	}
	if len(rendering.Clusters()) == 0 {
		return failed(problem.SourceEmpty, shown(folder), "there is no Platform in this folder of the source", "name its folder as spec.path; a kustomization is expanded if it lists a "+schema.KindTransformer)
	}
	if r.Cluster != "" {
		var err error
		if rendering, err = rendering.Select(fn.Selection{Clusters: []string{r.Cluster}}); err != nil {
			return failed(problem.ClusterUnknown, shown(folder), err.Error(), "check spec.cluster of the TenantGenerator")
		}
	}
	if clusters := rendering.Clusters(); len(clusters) > 1 {
		return failed(problem.ClusterMissing, shown(folder), "there are several Platforms, "+problem.QuoteAll(clusters), "name this cluster's as spec.cluster of the TenantGenerator")
	}
	e.Tenants = rendering.Tenants()
	e.Units = func(ctx context.Context, yield func(fn.Unit) error) error {
		return rendering.Units(ctx, r.Delivery, yield)
	}
	return e
}
