package expand

import (
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// reachable refuses a kustomization that names anything but files of the
// source. kustomize would run git, or ask a server: whoever writes to the source
// would have the controller, in its place in the network, ask for them.
func (b *builder) reachable(folder string, above []string) *problem.Problem {
	if slices.Contains(above, folder) || len(above) > maxNesting {
		return complain(problem.SourceUnreadable, shown(folder), "kustomizations name each other in a circle, or too deep", "")
	}
	k, file, complaint := b.read(folder)
	if complaint != nil {
		return complaint
	}
	if len(k.HelmCharts) > 0 || k.HelmGlobals != nil || len(k.HelmChartInflationGenerator) > 0 {
		return complain(problem.SourceUnreadable, file, "Flux renders no charts inside of kustomizations", "use a HelmRelease")
	}
	for _, name := range filesOf(k) {
		if _, isFolder, ok := b.local(folder, name); !ok || isFolder {
			return b.outside(file, name)
		}
	}
	for _, entry := range slices.Concat(k.Resources, k.Components) {
		name, isFolder, ok := b.local(folder, entry)
		if !ok {
			return b.outside(file, entry)
		}
		if !isFolder {
			continue
		}
		if complaint := b.reachable(name, append(slices.Clone(above), folder)); complaint != nil {
			return complaint
		}
	}
	for _, entry := range slices.Concat(k.Generators, k.Transformers, k.Validators) {
		if complaint := b.pluginEntry(folder, file, entry); complaint != nil {
			return complaint
		}
	}
	return nil
}

// pluginEntry looks at an entry of generators, transformers or validators: a
// text, a file, or a folder of configurations.
func (b *builder) pluginEntry(folder, file, entry string) *problem.Problem {
	if strings.Contains(entry, "\n") {
		return b.plugin(folder, file, []byte(entry))
	}
	name, isFolder, ok := b.local(folder, entry)
	switch {
	case !ok:
		return b.outside(file, entry)
	case isFolder:
		return b.pluginFolder(name)
	default:
		return b.plugin(folder, name, b.files[name])
	}
}

func (*builder) outside(file, entry string) *problem.Problem {
	return complain(problem.SourceUnreadable, file, problem.Quote(withoutQuery(entry))+" is no file and no folder of this source", "put it into the source: nothing is fetched from elsewhere")
}

// withoutQuery is an address without what may be a token in it.
func withoutQuery(entry string) string {
	entry, _, _ = strings.Cut(entry, "?")
	if scheme, rest, ok := strings.Cut(entry, "://"); ok {
		if _, host, ok := strings.Cut(rest, "@"); ok {
			return scheme + "://" + host
		}
	}
	return entry
}

// filesOf are the files that a kustomization names outside of its lists of
// resources.
func filesOf(k *types.Kustomization) []string {
	names := slices.Concat(k.Crds, k.Configurations)
	for _, p := range k.PatchesStrategicMerge { //nolint:staticcheck // kustomize reads it still
		if text := string(p); !strings.Contains(text, "\n") {
			names = append(names, text)
		}
	}
	for _, p := range slices.Concat(k.Patches, k.PatchesJson6902) { //nolint:staticcheck // kustomize reads it still
		names = append(names, p.Path)
	}
	for i := range k.Replacements {
		names = append(names, k.Replacements[i].Path)
	}
	for i := range k.ConfigMapGenerator {
		names = append(names, sourcesOf(k.ConfigMapGenerator[i].KvPairSources)...)
	}
	for i := range k.SecretGenerator {
		names = append(names, sourcesOf(k.SecretGenerator[i].KvPairSources)...)
	}
	names = append(names, k.OpenAPI["path"])
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

func sourcesOf(s types.KvPairSources) []string {
	names := slices.Concat(s.EnvSources, []string{s.EnvSource})
	for _, f := range s.FileSources {
		if _, name, ok := strings.Cut(f, "="); ok {
			f = name
		}
		names = append(names, f)
	}
	return names
}

// plugin refuses the configuration of a plugin that is built into kustomize and
// names what is no file of the source.
func (b *builder) plugin(folder, file string, data []byte) *problem.Problem {
	nodes, complaint := b.documents(file, data)
	if complaint != nil {
		return complaint
	}
	return b.plugins(folder, file, nodes)
}

// pluginFolder looks at what a folder of configurations comes to, since its
// kustomization may have changed them.
func (b *builder) pluginFolder(folder string) *problem.Problem {
	if b.nesting++; b.nesting > maxNesting {
		return complain(problem.SourceUnreadable, shown(folder), "configurations of plugins name each other in a circle, or too deep", "")
	}
	defer func() { b.nesting-- }()
	file, _ := b.find(folder)
	nodes, complaint := b.build(folder, file, func(*types.Kustomization) {})
	if complaint != nil {
		return complaint
	}
	return b.plugins(folder, file, nodes)
}

func (b *builder) plugins(folder, file string, nodes []*yaml.RNode) *problem.Problem {
	for _, node := range nodes {
		if node.GetApiVersion() != "builtin" {
			continue
		}
		if entry := b.foreign(folder, node.YNode(), false); entry != "" {
			return b.outside(file, entry)
		}
	}
	return nil
}

// fileFields are those of built-in plugins that name files.
var fileFields = []string{"path", "paths", "files", "env", "envs", "valuesFile", "additionalValuesFiles", "repo", "chartHome"}

// objectFields are those in which a path is one of an object's fields.
var objectFields = []string{"fieldSpecs", "fieldSpec", "target", "targets"}

// foreign is a text below a field that names files, which is no file.
func (b *builder) foreign(folder string, n *yaml.Node, names bool) string {
	switch n.Kind {
	case yaml.ScalarNode:
		if names && n.Value != "" && !strings.Contains(n.Value, "\n") && !b.isFile(folder, n.Value) {
			return n.Value
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			field := n.Content[i].Value
			if slices.Contains(objectFields, field) {
				continue
			}
			if found := b.foreign(folder, n.Content[i+1], slices.Contains(fileFields, field)); found != "" {
				return found
			}
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			if found := b.foreign(folder, item, names); found != "" {
				return found
			}
		}
	default:
		return "an alias" // an anchor could hide a name
	}
	return ""
}

// isFile tells whether name, or what follows its "=", is a file of the source.
func (b *builder) isFile(folder, name string) bool {
	if _, after, ok := strings.Cut(name, "="); ok {
		name = after
	}
	_, isFolder, ok := b.local(folder, name)
	return ok && !isFolder
}
