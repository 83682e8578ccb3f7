package main

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/generators"
	"github.com/eso-tenant/eso-tenant/internal/diff"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/verify"
	"github.com/eso-tenant/eso-tenant/schema"
)

// side is one of the two things that are compared.
type side struct {
	name     string
	objects  []inventory.Object
	expected *verify.Input // what specifications say is meant; nil without any
	problems problem.List
}

// reading are the two ways in which a side's files are read: as specifications,
// and as objects.
type reading struct {
	sources func() ([]schema.Source, problem.List)
	objects func() (*inventory.Set, problem.List)
}

// side reads an operand: standard input, a path, or rev:path.
func (s streams) side(ctx context.Context, operand, cluster string) (*side, error) {
	var from reading
	switch {
	case operand == "-":
		data, err := io.ReadAll(io.LimitReader(s.in, maxTreeBytes+1))
		if err == nil && len(data) > maxTreeBytes {
			err = fmt.Errorf("there are more than %d MiB", maxTreeBytes>>20)
		}
		if err != nil {
			return nil, failed(fmt.Errorf("reading standard input: %w", err))
		}
		from = readingTree(fn.Tree{Name: operand, Files: []fn.TreeFile{{Data: data}}})
	case isRevision(operand):
		tree, err := readRevision(ctx, operand)
		if err != nil {
			return nil, failed(err)
		}
		from = readingTree(tree)
	default:
		from = reading{
			sources: func() ([]schema.Source, problem.List) { return fn.ReadSources([]string{operand}, nil) },
			objects: func() (*inventory.Set, problem.List) { return fn.ReadObjects([]string{operand}, nil, compared) },
		}
	}
	return from.side(operand, cluster)
}

func readingTree(tree fn.Tree) reading {
	return reading{
		sources: tree.Sources,
		objects: func() (*inventory.Set, problem.List) { return tree.Objects(compared) },
	}
}

// compared tells which kinds are compared: all but our own, kustomize's, and
// those that change all the time.
func compared(group, kind string) bool {
	if slices.Contains([]string{"Event", "Lease", "Endpoints", "EndpointSlice"}, kind) {
		return false
	}
	return group != specificationGroup && group != "kustomize.config.k8s.io"
}

func (r reading) side(name, cluster string) (*side, error) {
	set, unread := r.objects()
	one := &side{name: name, objects: set.Objects, problems: unread}
	if len(set.Objects) > 0 && !hasSpecifications(set) {
		return one, nil
	}
	sources, unreadable := r.sources()
	if !hasSpecifications(set) && !slices.ContainsFunc(sources, isCUE) {
		return one, nil
	}
	rendering, problems := fn.Build(sources)
	if one.problems = slices.Concat(unreadable, problems); one.problems.Errors() > 0 {
		return one, nil
	}
	err := one.render(rendering, sources, cluster)
	return one, err
}

func isCUE(src schema.Source) bool { return path.Ext(src.File) == ".cue" }

// render takes what specifications render. Of other objects that stand beside
// them, those stay that are not rendered too: a patch, or an earlier rendering.
func (d *side) render(rendering *fn.Rendering, sources []schema.Source, cluster string) error {
	selection := fn.Selection{}
	if cluster != "" {
		selection.Clusters = []string{cluster}
	}
	selected, err := rendering.Select(selection)
	if err != nil {
		return &exit{code: exitUsage, cause: fmt.Errorf("%s: %w", d.name, err)}
	}
	expected, err := selected.Expectation()
	if err != nil {
		return &exit{code: exitUsage, cause: fmt.Errorf("%s: %w", d.name, err)}
	}
	rendered, err := selected.Objects()
	if err != nil {
		return failed(err)
	}
	d.objects, d.expected = slices.Concat(rendered, beside(d.objects, rendered, sources)), &expected
	return nil
}

func beside(objects, rendered []inventory.Object, sources []schema.Source) []inventory.Object {
	files := map[string]bool{}
	for _, src := range sources {
		files[src.File] = true
	}
	index, _ := diff.NewIndex(rendered)
	return slices.DeleteFunc(objects, func(o inventory.Object) bool {
		local := inventory.Text(o.Fields, "metadata", "annotations", "config.kubernetes.io/local-config")
		return !files[o.At.File] || index.Has(&o) || local == "true"
	})
}

// delivery tells whether an object says how Flux delivers the rest. It is in
// folders only: a rendering in memory has none.
func delivery(o *inventory.Object) bool {
	return o.Group() == "kustomize.toolkit.fluxcd.io" && managed(o)
}

func managed(o *inventory.Object) bool {
	return inventory.Text(o.Fields, "metadata", "labels", generators.LabelManagedBy) == generators.ManagedBy
}

// readCluster reads a cluster. In the first side, whatever else the cluster has is
// there as well, or all of it would count as lost or gained.
func readCluster(ctx context.Context, kubeContext string, first *side) (*side, error) {
	set, err := live(ctx, kubeContext, verify.Kinds)
	if err != nil {
		return nil, failed(err)
	}
	first.objects = slices.DeleteFunc(first.objects, func(o inventory.Object) bool {
		return !verify.Kinds(o.Group(), o.Kind) || slices.Contains(unasked, o.Kind) || o.Group() == "generators.external-secrets.io"
	})
	index, _ := diff.NewIndex(first.objects)
	for _, o := range set.Objects {
		if !index.Has(&o) && !managed(&o) {
			first.objects = append(first.objects, o)
		}
	}
	return &side{name: "the cluster", objects: set.Objects}, nil
}

// unasked are kinds that the prover knows and a cluster is not asked for.
var unasked = []string{"Secret", "ReplicaSet", "MutatingWebhookConfiguration", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}

// doubles reports objects that are there twice in two forms.
func doubles(found []diff.Double) problem.List {
	var problems problem.List
	for _, d := range found {
		problems = append(problems, problem.Problem{
			Rule: problem.ObjectUnreadable, Position: d.Second,
			Message: d.Ref.String() + " is at " + d.First.String() + " as well, in another form, and nobody can tell which one a cluster would have",
			Hint:    "are these the manifests of several clusters? name the folder of one",
		})
	}
	return problems
}
