package fn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/fn/framework"
	"sigs.k8s.io/kustomize/kyaml/kio"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// maxResourceList bounds what is read from standard input.
const maxResourceList = 256 << 20

// Run is the KRM function: a ResourceList in, a ResourceList out. Problems are
// returned, and are in the ResourceList's results as well; with one that is an
// error, no item is expanded. An error means that in held no ResourceList, or
// that out could not be written.
func Run(in io.Reader, out io.Writer) (problem.List, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxResourceList+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading standard input: %w", err)
	case len(data) > maxResourceList:
		return nil, fmt.Errorf("reading standard input: it has more than %d MiB", maxResourceList>>20)
	case schema.Crowded(data):
		return nil, errors.New("reading standard input: one document has more values than can be read")
	}
	var problems problem.List
	var written bytes.Buffer
	stream := &kio.ByteReadWriter{Reader: bytes.NewReader(data), Writer: &written, KeepReaderAnnotations: true}
	err = framework.Execute(framework.ResourceListProcessorFunc(func(rl *framework.ResourceList) error {
		if stream.WrappingKind != kio.ResourceListKind {
			return errNoResourceList
		}
		problems = process(rl)
		rl.Results = results(problems)
		return nil // the exit code comes from the problems, as the results do
	}), stream)
	if err != nil {
		return problems, fmt.Errorf("reading a ResourceList from standard input: %w", withoutContent(err))
	}
	if _, err := out.Write(written.Bytes()); err != nil {
		return problems, fmt.Errorf("writing output: %w", err)
	}
	return problems, nil
}

// errNoResourceList says that standard input held something else.
var errNoResourceList = errors.New("there is no object of kind ResourceList with items")

// withoutContent takes what kyaml repeats of the input out of its error, since
// that may be a part of a Secret.
func withoutContent(err error) error {
	if text, _, found := strings.Cut(err.Error(), ": node contents:"); found {
		return errors.New(text)
	}
	return err
}

// process does what the functionConfig asks for; without one, it transforms.
func process(rl *framework.ResourceList) problem.List {
	if rl.FunctionConfig.IsNilOrEmpty() {
		return transform(rl, "")
	}
	config := source(rl.FunctionConfig)
	function, problems := schema.DecodeFunction(config)
	if len(problems) > 0 {
		return problems
	}
	switch function.Kind {
	case schema.KindGenerator:
		return generate(rl, config)
	case schema.KindTransformer:
		return transform(rl, function.Cluster)
	default:
		return validate(rl)
	}
}

// source is an object as schema reads it. Its subject is worked out on the
// nodes, since kyaml's getters panic on what is no object.
func source(object *kyaml.RNode) schema.Source {
	kind, name := "functionConfig", ""
	if object.YNode().Kind == kyaml.MappingNode {
		kind = text(object.Field("kind"), kind)
		if metadata := object.Field("metadata"); metadata != nil && metadata.Value.YNode().Kind == kyaml.MappingNode {
			name = "/" + text(metadata.Value.Field("name"), "")
		}
	}
	return schema.Source{Subject: kind + name, Node: object.YNode()}
}

// text is a field's text, or fallback where there is none.
func text(field *kyaml.MapNode, fallback string) string {
	if field.IsNilOrEmpty() || field.Value.YNode().Kind != kyaml.ScalarNode {
		return fallback
	}
	return field.Value.YNode().Value
}

// generate appends what a TenantSet expands into. kustomize hands a generator
// its functionConfig as an item too; that one goes.
func generate(rl *framework.ResourceList, config schema.Source) problem.List {
	rendering, problems := Build([]schema.Source{config})
	if rendering == nil {
		return problems
	}
	var kept []*kyaml.RNode
	for _, item := range rl.Items {
		if source(item).Subject != config.Subject || item.GetApiVersion() != schema.APIVersion {
			kept = append(kept, item)
		}
	}
	return replaceItems(rl, kept, rendering, problems)
}

// transform replaces Platforms and Tenants by what they expand into. All other
// items stay as they are, and in their order.
func transform(rl *framework.ResourceList, cluster string) problem.List {
	ours, others := split(rl.Items)
	if len(ours) == 0 {
		return nothing()
	}
	rendering, problems := Build(ours)
	if rendering == nil {
		return problems
	}
	var selection Selection
	if cluster != "" {
		selection.Clusters = []string{cluster}
	}
	selected, err := rendering.Select(selection)
	switch {
	case err != nil:
		return append(problems, problem.Problem{
			Rule: problem.ClusterUnknown, Position: problem.Position{Subject: source(rl.FunctionConfig).Subject},
			Path: "spec.cluster", Message: err.Error(),
		})
	case len(selected.clusters) > 1:
		return append(problems, problem.Problem{
			Rule: problem.ClusterMissing, Position: problem.Position{Subject: "Platform/" + selected.clusters[1].Platform.Name},
			Message: "there are several Platforms, " + problem.QuoteAll(selected.Clusters()) + "; objects of two clusters cannot stand in one build",
			Hint:    "name one as spec.cluster of a " + schema.KindTransformer,
		})
	}
	return replaceItems(rl, others, selected, problems)
}

// nothing warns of a stream in which there is nothing to do. It is no error,
// since a stream that was expanded already may come by again.
func nothing() problem.List {
	return problem.List{{
		Rule: problem.SourceEmpty, Severity: problem.Warning, Position: problem.Position{Subject: "ResourceList"},
		Message: "there is no Platform and no Tenant among the items",
		Hint:    "list their files as resources of the same kustomization, or of one below it",
	}}
}

// validate checks Platforms and Tenants, and proves the fence over what they
// expand into and all other items; or over the items alone, where they were
// expanded already. What an overlay changes afterwards it never sees. It returns
// no items: kustomize fails a validator that echoes what it was given.
func validate(rl *framework.ResourceList) problem.List {
	ours, others := split(rl.Items)
	rl.Items = nil
	if len(ours) == 0 {
		objects, unread := itemObjects(others)
		found, proven := proveItems(objects, unread)
		if !proven {
			return nothing()
		}
		return found
	}
	rendering, problems := Build(ours)
	if rendering == nil {
		return problems
	}
	objects, unread := itemObjects(others)
	found, err := rendering.proveBeside(objects, unread)
	if err != nil {
		return append(problems, problem.Problem{Rule: problem.SchemaOther, Message: err.Error()})
	}
	return append(problems, found...)
}

// split tells items of our kinds from all others.
func split(items []*kyaml.RNode) (ours []schema.Source, others []*kyaml.RNode) {
	for _, item := range items {
		if strings.HasPrefix(item.GetApiVersion(), "eso-tenant.dev/") {
			ours = append(ours, source(item))
		} else {
			others = append(others, item)
		}
	}
	return ours, others
}

func replaceItems(rl *framework.ResourceList, kept []*kyaml.RNode, r *Rendering, problems problem.List) problem.List {
	expanded, err := r.nodes()
	if err != nil {
		return append(problems, problem.Problem{Rule: problem.SchemaOther, Message: err.Error()})
	}
	rl.Items = slices.Concat(kept, expanded)
	return problems
}

// nodes is the rendering as kyaml's nodes.
func (r *Rendering) nodes() ([]*kyaml.RNode, error) {
	var stream bytes.Buffer
	if err := r.WriteStream(context.Background(), &stream); err != nil {
		return nil, err
	}
	reader := kio.ByteReader{Reader: &stream, OmitReaderAnnotations: true}
	nodes, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the output back: %w", err)
	}
	return nodes, nil
}

// results are the problems as the ResourceList carries them.
func results(problems problem.List) framework.Results {
	var all framework.Results
	for _, p := range problems.Sorted() {
		result := &framework.Result{
			Message:  p.Message,
			Severity: framework.Severity(p.SeverityOf()),
			Tags:     map[string]string{"rule": string(p.Rule)},
		}
		if p.Hint != "" {
			result.Message += "; " + p.Hint
		}
		if p.Path != "" {
			result.Field = &framework.Field{Path: p.Path}
		}
		if kind, name, ok := strings.Cut(p.Position.Subject, "/"); ok {
			result.ResourceRef = reference(kind, name)
		}
		all = append(all, result)
	}
	return all
}

// reference is a subject as a result names it. Of what is not ours, a proof knows
// the kind and not its API.
func reference(kind, name string) *kyaml.ResourceIdentifier {
	ref := &kyaml.ResourceIdentifier{TypeMeta: kyaml.TypeMeta{Kind: kind}, NameMeta: kyaml.NameMeta{Name: name}}
	if namespace, inside, namespaced := strings.Cut(name, "/"); namespaced {
		ref.NameMeta = kyaml.NameMeta{Namespace: namespace, Name: inside}
	}
	if schema.IsKind(kind) {
		ref.APIVersion = schema.APIVersion
	}
	return ref
}
