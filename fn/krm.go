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

// The kinds of a functionConfig, each a mode of the function.
const (
	ModeGenerator   = "TenantSet"         // its own content is expanded and appended
	ModeTransformer = "TenantTransformer" // Platforms and Tenants among the items are expanded and removed
	ModeValidator   = "TenantValidator"   // Platforms and Tenants among the items are checked; none is returned
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

// process does what the functionConfig asks for.
func process(rl *framework.ResourceList) problem.List {
	config := rl.FunctionConfig
	if config.IsNilOrEmpty() {
		return transform(rl, "")
	}
	if message := malformed(config); message != "" {
		return problem.List{{Rule: problem.FieldType, Position: problem.Position{Subject: "functionConfig"}, Message: message, Hint: "it is an object with apiVersion, kind and metadata"}}
	}
	switch kind := config.GetKind(); {
	case config.GetApiVersion() != schema.APIVersion:
		return problem.List{configProblem(config, problem.KindUnknown, "functionConfig "+problem.Quote(config.GetApiVersion()+" "+kind)+" is not known", "write apiVersion: "+schema.APIVersion)}
	case kind == ModeGenerator:
		return generate(rl)
	case kind == ModeTransformer:
		cluster, problems := configCluster(config)
		if len(problems) > 0 {
			return problems
		}
		return transform(rl, cluster)
	case kind == ModeValidator:
		if _, problems := configSpec(config); len(problems) > 0 {
			return problems
		}
		return validate(rl)
	default:
		return problem.List{configProblem(config, problem.KindUnknown, "kind "+problem.Quote(kind)+" is no functionConfig", "kinds are "+ModeGenerator+" (generators), "+ModeTransformer+" (transformers) and "+ModeValidator+" (validators)")}
	}
}

// malformed says why a functionConfig is no object; "" if it is one. kyaml's
// getters panic on one that is not.
func malformed(config *kyaml.RNode) string {
	if config.YNode().Kind != kyaml.MappingNode {
		return "this is no map"
	}
	if metadata := config.Field("metadata"); metadata != nil && metadata.Value.YNode().Kind != kyaml.MappingNode {
		return "its metadata is no map"
	}
	return ""
}

func configProblem(config *kyaml.RNode, rule problem.Rule, message, hint string) problem.Problem {
	return problem.Problem{Rule: rule, Position: problem.Position{Subject: subject(config)}, Message: message, Hint: hint}
}

func subject(node *kyaml.RNode) string { return node.GetKind() + "/" + node.GetName() }

// configSpec returns the spec of a functionConfig, nil where there is none. It
// reports fields other than the known ones.
func configSpec(config *kyaml.RNode, known ...string) (*kyaml.RNode, problem.List) {
	spec := config.Field("spec")
	if spec.IsNilOrEmpty() {
		return nil, nil
	}
	fields, err := spec.Value.Fields()
	if err != nil {
		return nil, problem.List{configProblem(config, problem.FieldType, "spec is no map", "")}
	}
	hint := "no field is taken here"
	if len(known) > 0 {
		hint = "fields here are " + strings.Join(known, ", ")
	}
	var problems problem.List
	for _, field := range fields {
		if !slices.Contains(known, field) {
			problems = append(problems, configProblem(config, problem.FieldUnknown, "spec has no field "+problem.Quote(field), hint))
		}
	}
	return spec.Value, problems
}

// configCluster reads a TenantTransformer: spec.cluster, and nothing else.
func configCluster(config *kyaml.RNode) (string, problem.List) {
	spec, problems := configSpec(config, "cluster")
	cluster := spec.Field("cluster")
	if !cluster.IsNilOrEmpty() && cluster.Value.YNode().Kind != kyaml.ScalarNode {
		problems = append(problems, configProblem(config, problem.FieldType, "spec.cluster is no text", "write the name of a Platform"))
	}
	if cluster.IsNilOrEmpty() || len(problems) > 0 {
		return "", problems
	}
	return kyaml.GetValue(cluster.Value), nil
}

// generate appends what a TenantSet expands into. kustomize hands a generator
// its functionConfig as an item too; that one goes.
func generate(rl *framework.ResourceList) problem.List {
	config := rl.FunctionConfig
	rendering, problems := Build([]schema.Source{{Subject: subject(config), Node: config.YNode()}})
	if rendering == nil {
		return problems
	}
	var kept []*kyaml.RNode
	for _, item := range rl.Items {
		if item.GetApiVersion() != schema.APIVersion || item.GetKind() != ModeGenerator || item.GetName() != config.GetName() {
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
		return nil
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
		return append(problems, configProblem(rl.FunctionConfig, problem.ClusterUnknown, err.Error(), ""))
	case len(selected.clusters) > 1:
		return append(problems, problem.Problem{
			Rule: problem.ClusterMissing, Position: problem.Position{Subject: "Platform/" + selected.clusters[1].Platform.Name},
			Message: fmt.Sprintf("there are several Platforms, %q; objects of two clusters cannot stand in one build", selected.Clusters()),
			Hint:    "name one as spec.cluster of a " + ModeTransformer,
		})
	}
	return replaceItems(rl, others, selected, problems)
}

// validate checks Platforms and Tenants. It returns no items: kustomize fails
// a validator that echoes what it was given.
func validate(rl *framework.ResourceList) problem.List {
	ours, _ := split(rl.Items)
	rl.Items = nil
	if len(ours) == 0 {
		return nil
	}
	_, problems := Build(ours)
	return problems
}

// split tells items of our kinds from all others.
func split(items []*kyaml.RNode) (ours []schema.Source, others []*kyaml.RNode) {
	for _, item := range items {
		if strings.HasPrefix(item.GetApiVersion(), "eso-tenant.dev/") {
			ours = append(ours, schema.Source{Subject: subject(item), Node: item.YNode()})
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
			result.ResourceRef = &kyaml.ResourceIdentifier{
				TypeMeta: kyaml.TypeMeta{APIVersion: schema.APIVersion, Kind: kind},
				NameMeta: kyaml.NameMeta{Name: name},
			}
		}
		all = append(all, result)
	}
	return all
}
