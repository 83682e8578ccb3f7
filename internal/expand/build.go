package expand

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/kio"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/generators"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// Names of what is put into the tree.
const (
	expandedFile    = "eso-tenant-expanded.yaml"
	generatedFolder = "eso-tenant-generated-"
)

// maxBuildObjects bounds a build in this process: kustomize takes minutes from
// some thousand objects on.
const maxBuildObjects = 2_000

// expand expands the kustomization of a folder, and those that it is made of.
func (b *builder) expand(folder string) *Expansion {
	if complaint := b.kustomization(folder, nil); complaint != nil {
		b.found = append(b.found, *complaint)
	}
	e := &Expansion{Problems: b.found.Sorted(), Whole: true}
	if e.Problems.Errors() > 0 {
		return e
	}
	for name := range b.tenants {
		e.Tenants = append(e.Tenants, name)
	}
	slices.Sort(e.Tenants)
	unit := fn.Unit{Kind: UnitBuild}
	for name, data := range b.files {
		unit.Files = append(unit.Files, fn.TreeFile{Inside: name, Data: data})
	}
	slices.SortFunc(unit.Files, func(a, b fn.TreeFile) int { return strings.Compare(a.Inside, b.Inside) })
	e.Units = func(_ context.Context, yield func(fn.Unit) error) error { return yield(unit) }
	return e
}

// kustomization expands what is below first, since a function sees what the
// kustomizations below it have made.
func (b *builder) kustomization(folder string, above []string) *problem.Problem {
	if b.done[folder] {
		return nil
	}
	b.done[folder] = true
	k, file, complaint := b.read(folder)
	if complaint != nil {
		return complaint
	}
	for _, entry := range slices.Concat(k.Resources, k.Components) {
		if name, isFolder, ok := b.local(folder, entry); ok && isFolder {
			if complaint := b.kustomization(name, append(slices.Clone(above), folder)); complaint != nil {
				return complaint
			}
		}
	}
	for _, step := range []func(string, string, *types.Kustomization, bool) *problem.Problem{b.generators, b.transformers, b.validators} {
		if k, _, complaint = b.read(folder); complaint != nil { // the step before changed it
			return complaint
		}
		if complaint := step(folder, file, k, len(above) > 0); complaint != nil {
			return complaint
		}
	}
	return nil
}

// generators replaces each generator of ours by a component with what it
// generates. Components come after all generators, and these first among them:
// so order is as it was.
func (b *builder) generators(folder, file string, k *types.Kustomization, _ bool) *problem.Problem {
	var kept, made []string
	for _, entry := range k.Generators {
		if !b.isCall(folder, entry, nil) {
			kept = append(kept, entry)
			continue
		}
		configs, complaint := b.configs(folder, file, entry)
		if complaint != nil {
			return complaint
		}
		for _, config := range configs {
			items, complaint := b.run(file, config, nil)
			if complaint != nil {
				return complaint
			}
			name := fmt.Sprintf("%s%d", generatedFolder, len(made)+1)
			if complaint := b.component(folder, name, items); complaint != nil {
				return complaint
			}
			made = append(made, name)
		}
	}
	if len(made) == 0 {
		return nil
	}
	return b.edit(file, map[string][]string{"generators": kept, "components": append(made, k.Components...)}, nil)
}

func (b *builder) component(folder, name string, items []*yaml.RNode) *problem.Problem {
	if b.folders[path.Join(folder, name)] {
		return complain(problem.SourceUnreadable, path.Join(folder, name), "what is generated would stand here, and the source has such a folder", "call it something else")
	}
	text, err := kio.StringAll(items)
	if err != nil {
		return complain(problem.SourceUnreadable, folder, "what was generated cannot be written: "+firstLine(err), "")
	}
	b.put(path.Join(folder, name, "kustomization.yaml"), "apiVersion: "+types.ComponentVersion+"\nkind: "+types.ComponentKind+"\nresources: ["+expandedFile+"]\n")
	b.put(path.Join(folder, name, expandedFile), text)
	return nil
}

func (b *builder) put(name, text string) {
	b.files[name] = []byte(text)
	for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
		b.folders[folder] = true
	}
}

// transformers replaces all of a kustomization up to its first transformer of
// ours by what that makes of it; and so on, with the next.
func (b *builder) transformers(folder, file string, k *types.Kustomization, nested bool) *problem.Problem {
	for {
		i := slices.IndexFunc(k.Transformers, func(entry string) bool { return b.isCall(folder, entry, nil) })
		if i < 0 {
			return nil
		}
		complaint := b.transformer(folder, file, k, i, nested)
		if complaint == nil {
			k, _, complaint = b.read(folder)
		}
		if complaint != nil {
			return complaint
		}
	}
}

func (b *builder) transformer(folder, file string, k *types.Kustomization, i int, nested bool) *problem.Problem {
	if k.Kind == types.ComponentKind {
		return complain(problem.SourceUnreadable, file, "a function of a component works on what the kustomization around it has, which is not known here", "list it in that kustomization's transformers")
	}
	rest := k.Transformers[i+1:]
	if hashes := b.hashes(folder, nil); hashes != "" && (nested || len(rest) > 0) {
		return complain(problem.SourceUnreadable, hashes, "this generates ConfigMaps or Secrets whose names get a hash, and a function expands them before others change them", "move it to a kustomization beside the one whose transformers expand tenants, or switch its hash off (generatorOptions.disableNameSuffixHash)")
	}
	items, complaint := b.build(folder, file, func(inner *types.Kustomization) { inner.Transformers, inner.Validators = k.Transformers[:i], nil })
	if complaint != nil {
		return complaint
	}
	configs, complaint := b.configs(folder, file, k.Transformers[i])
	if complaint != nil {
		return complaint
	}
	for _, config := range configs {
		if items, complaint = b.run(file, config, items); complaint != nil {
			return complaint
		}
	}
	text, err := kio.StringAll(items)
	if err != nil {
		return complain(problem.SourceUnreadable, file, "what was expanded cannot be written: "+firstLine(err), "")
	}
	expanded := path.Join(folder, expandedFile)
	if b.files[expanded] != nil && !slices.Contains(k.Resources, expandedFile) {
		return complain(problem.SourceUnreadable, expanded, "what is expanded would stand here, and the source has such a file", "call it something else")
	}
	b.put(expanded, restoreLocal(text))
	return b.edit(file, map[string][]string{"resources": {expandedFile}, "transformers": rest}, spent)
}

// spent are the fields of a kustomization whose work is done once it was built.
// What the outermost build reads (sortOptions, buildMetadata, openapi) stays, as
// does what tells kustomizations around it about kinds.
var spent = []string{
	"components", "bases", "generators", "configMapGenerator", "secretGenerator", "generatorOptions", "helmCharts", "helmGlobals", "helmChartInflationGenerator",
	"namePrefix", "nameSuffix", "namespace", "commonLabels", "labels", "commonAnnotations", "patches", "patchesStrategicMerge", "patchesJson6902",
	"images", "imageTags", "replicas", "replacements", "vars",
}

// validators runs validators of ours, and takes them out.
func (b *builder) validators(folder, file string, k *types.Kustomization, _ bool) *problem.Problem {
	var kept []string
	for _, entry := range k.Validators {
		if !b.isCall(folder, entry, nil) {
			kept = append(kept, entry)
			continue
		}
		if k.Kind == types.ComponentKind {
			return complain(problem.SourceUnreadable, file, "a function of a component works on what the kustomization around it has, which is not known here", "list it in that kustomization's validators")
		}
		items, complaint := b.build(folder, file, func(inner *types.Kustomization) { inner.Validators = nil })
		if complaint != nil {
			return complaint
		}
		configs, complaint := b.configs(folder, file, entry)
		if complaint != nil {
			return complaint
		}
		for _, config := range configs {
			if _, complaint := b.run(file, config, items); complaint != nil {
				return complaint
			}
		}
	}
	if len(kept) == len(k.Validators) {
		return nil
	}
	return b.edit(file, map[string][]string{"validators": kept}, nil)
}

// hashes is a kustomization, of those that a folder's is made of, that makes
// names with a hash; "" if there is none.
func (b *builder) hashes(folder string, above []string) string {
	k, file, complaint := b.read(folder)
	if complaint != nil || len(above) > maxNesting {
		return ""
	}
	hashed := func(options *types.GeneratorOptions) bool { return options == nil || !options.DisableNameSuffixHash }
	off := k.GeneratorOptions != nil && k.GeneratorOptions.DisableNameSuffixHash
	for i := range k.ConfigMapGenerator {
		if !off && hashed(k.ConfigMapGenerator[i].Options) {
			return file
		}
	}
	for i := range k.SecretGenerator {
		if !off && hashed(k.SecretGenerator[i].Options) {
			return file
		}
	}
	for _, entry := range slices.Concat(k.Resources, k.Components) {
		if name, isFolder, ok := b.local(folder, entry); ok && isFolder {
			if found := b.hashes(name, append(slices.Clone(above), folder)); found != "" {
				return found
			}
		}
	}
	return ""
}

// configs are the configurations that an entry of a kustomization names.
func (b *builder) configs(folder, file, entry string) ([]*yaml.RNode, *problem.Problem) {
	if strings.Contains(entry, "\n") {
		return b.documents(file, []byte(entry))
	}
	name, isFolder, _ := b.local(folder, entry)
	if !isFolder {
		return b.documents(name, b.files[name])
	}
	inner, _ := b.find(name)
	return b.build(name, inner, func(*types.Kustomization) {})
}

func (*builder) documents(file string, data []byte) ([]*yaml.RNode, *problem.Problem) {
	nodes, err := (&kio.ByteReader{Reader: bytes.NewReader(data), OmitReaderAnnotations: true}).Read()
	if err != nil {
		return nil, complain(problem.YAMLSyntax, file, "this cannot be read: "+firstLine(err), "")
	}
	return nodes, nil
}

// run runs the function in this process, with a configuration, on items.
func (b *builder) run(file string, config *yaml.RNode, items []*yaml.RNode) ([]*yaml.RNode, *problem.Problem) {
	if config.GetApiVersion() != schema.APIVersion {
		return nil, complain(problem.SourceUnreadable, file, "a configuration of eso-tenant stands with "+problem.Quote(config.GetKind())+", of another function, in one entry", "put each into an entry of its own")
	}
	var in, out bytes.Buffer
	writer := &kio.ByteWriter{Writer: &in, WrappingAPIVersion: kio.ResourceListAPIVersion, WrappingKind: kio.ResourceListKind, FunctionConfig: config, KeepReaderAnnotations: true}
	if err := writer.Write(items); err != nil {
		return nil, complain(problem.SourceUnreadable, file, "what is to be expanded cannot be written: "+firstLine(err), "")
	}
	found, err := fn.Run(&in, &out)
	b.found = append(b.found, found...)
	if err != nil {
		return nil, complain(problem.SourceUnreadable, file, firstLine(err), "")
	}
	if found.Errors() > 0 {
		return nil, complain(problem.SourceUnreadable, file, "this kustomization's tenants are not right, so nothing is expanded", "")
	}
	made, err := (&kio.ByteReader{Reader: &out, OmitReaderAnnotations: true}).Read()
	if err != nil {
		return nil, complain(problem.SourceUnreadable, file, firstLine(err), "")
	}
	for _, item := range made {
		if name := item.GetLabels()[generators.LabelTenant]; name != "" && name != schema.PlatformTenant {
			b.tenants[name] = true
		}
	}
	return made, nil
}

// build is what kustomize makes of a folder's kustomization, changed for this
// one time. It runs in this process, without plugins, on files in memory.
func (b *builder) build(folder, file string, change func(*types.Kustomization)) ([]*yaml.RNode, *problem.Problem) {
	if complaint := b.reachable(folder, nil); complaint != nil {
		return nil, complaint
	}
	k, _, complaint := b.read(folder)
	if complaint != nil {
		return nil, complaint
	}
	change(k)
	k.SortOptions, k.BuildMetadata = nil, nil // of the outermost kustomization only
	text, err := yaml.Marshal(k)
	if err != nil {
		return nil, complain(problem.SourceUnreadable, file, firstLine(err), "")
	}
	disk := filesys.MakeFsInMemory()
	for name, data := range b.files {
		if name == file {
			data = text
		}
		if err := disk.WriteFile("/"+name, keepLocal(data)); err != nil {
			return nil, complain(problem.SourceUnreadable, name, firstLine(err), "")
		}
	}
	result, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, "/"+folder)
	if err != nil {
		return nil, complain(problem.SourceUnreadable, file, "kustomize cannot build this: "+firstLine(err), "")
	}
	if result.Size() > maxBuildObjects {
		return nil, complain(problem.SourceTooLarge, file, fmt.Sprintf("this kustomization has more than %d objects", maxBuildObjects), "kustomize is slow with that many; a TenantGenerator's path can name the folder of specifications itself")
	}
	stream, err := result.AsYaml()
	if err != nil {
		return nil, complain(problem.SourceUnreadable, file, firstLine(err), "")
	}
	return b.documents(file, stream)
}

// The annotation of objects that kustomize drops from what it prints. A
// function sees them still, so a build on its behalf has to keep them.
const (
	localConfig = "config.kubernetes.io/local-config"
	keptLocal   = "config.kubernetes.io/local-konfig"
)

func keepLocal(data []byte) []byte {
	return bytes.ReplaceAll(data, []byte(localConfig), []byte(keptLocal))
}

func restoreLocal(text string) string { return strings.ReplaceAll(text, keptLocal, localConfig) }

// edit changes lists of a kustomization, and removes fields. A list that is
// empty is removed. All else stays as it is written, comments too.
func (b *builder) edit(file string, lists map[string][]string, remove []string) *problem.Problem {
	node, err := yaml.Parse(string(b.files[file]))
	if err != nil {
		return complain(problem.YAMLSyntax, file, "this cannot be read: "+firstLine(err), "")
	}
	for _, field := range remove {
		if _, has := lists[field]; !has {
			lists[field] = nil
		}
	}
	for field, values := range lists {
		set := yaml.Clear(field)
		if len(values) > 0 {
			err = node.PipeE(yaml.SetField(field, yaml.NewListRNode(values...)))
		} else {
			_, err = node.Pipe(set)
		}
		if err != nil {
			return complain(problem.SourceUnreadable, file, firstLine(err), "")
		}
	}
	text, err := node.String()
	if err != nil {
		return complain(problem.SourceUnreadable, file, firstLine(err), "")
	}
	b.files[file] = []byte(text)
	return nil
}
