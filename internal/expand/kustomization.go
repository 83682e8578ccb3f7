package expand

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// builder expands the functions of one source's kustomizations.
type builder struct {
	files   map[string][]byte // as they are by now
	folders map[string]bool
	done    map[string]bool // kustomizations that are expanded
	tenants map[string]bool
	found   problem.List
	nesting int // of folders of configurations
}

// maxNesting bounds how deep kustomizations name each other.
const maxNesting = 32

func newBuilder(files []fn.TreeFile) *builder {
	b := &builder{files: map[string][]byte{}, folders: map[string]bool{"": true}, done: map[string]bool{}, tenants: map[string]bool{}}
	for _, f := range files {
		b.files[f.Inside] = f.Data
		for folder := path.Dir(f.Inside); folder != "."; folder = path.Dir(folder) {
			b.folders[folder] = true
		}
	}
	return b
}

// find is the kustomization of a folder, if it has one.
func (b *builder) find(folder string) (file string, found bool) {
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		if file := path.Join(folder, name); b.files[file] != nil {
			return file, true
		}
	}
	return "", false
}

// read reads a folder's kustomization.
func (b *builder) read(folder string) (*types.Kustomization, string, *problem.Problem) {
	file, found := b.find(folder)
	if !found {
		return nil, "", complain(problem.SourceUnreadable, shown(folder), "this folder has no kustomization.yaml", "")
	}
	k := &types.Kustomization{}
	if schema.Crowded(b.files[file]) {
		return nil, file, complain(problem.SourceTooLarge, file, "this kustomization has more values than are read", "")
	}
	if err := k.Unmarshal(b.files[file]); err != nil {
		return nil, file, complain(problem.SourceUnreadable, file, "this is no kustomization: "+firstLine(err), "")
	}
	k.FixKustomization()
	return k, file, nil
}

// firstLine is an error in one line, without what it repeats of the input.
func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	text, _, _ = strings.Cut(text, ": node contents:")
	return problem.Clean(text)
}

// local is the file or folder of the tree that a kustomization's entry names.
func (b *builder) local(folder, entry string) (name string, isFolder, ok bool) {
	if strings.HasPrefix(entry, "/") || strings.ContainsAny(entry, "\n") {
		return "", false, false
	}
	name = path.Join("/", folder, entry)[1:]
	if strings.HasPrefix(path.Join(folder, entry), "..") {
		return "", false, false // Join at the root would fold it away
	}
	if b.folders[name] {
		return name, true, true
	}
	return name, false, b.files[name] != nil
}

// calls tells whether a folder's kustomization, or one that it is made of, runs
// eso-tenant as a function.
func (b *builder) calls(folder string, above []string) (bool, *problem.Problem) {
	if slices.Contains(above, folder) || len(above) > maxNesting {
		return false, complain(problem.SourceUnreadable, shown(folder), "kustomizations name each other in a circle, or too deep", "")
	}
	k, _, complaint := b.read(folder)
	if complaint != nil {
		return false, complaint
	}
	for _, entry := range slices.Concat(k.Generators, k.Transformers, k.Validators) {
		if b.isCall(folder, entry, above) {
			return true, nil
		}
	}
	for _, entry := range slices.Concat(k.Resources, k.Components) {
		name, isFolder, ok := b.local(folder, entry)
		if !ok || !isFolder {
			continue
		}
		if calls, complaint := b.calls(name, append(slices.Clone(above), folder)); calls || complaint != nil {
			return calls, complaint
		}
	}
	return false, nil
}

// isCall tells whether an entry of generators, transformers or validators is a
// configuration of ours: a file, the text itself, or a folder of such files.
func (b *builder) isCall(folder, entry string, above []string) bool {
	if strings.Contains(entry, "\n") {
		return holdsOurs([]byte(entry))
	}
	name, isFolder, ok := b.local(folder, entry)
	switch {
	case !ok || len(above) > maxNesting:
		return false
	case !isFolder:
		return holdsOurs(b.files[name])
	}
	k, _, complaint := b.read(name)
	if complaint != nil {
		return false
	}
	return slices.ContainsFunc(k.Resources, func(r string) bool { return b.isCall(name, r, append(slices.Clone(above), folder)) })
}

// holdsOurs tells whether a file has a document of eso-tenant's API.
func holdsOurs(data []byte) bool {
	if !strings.Contains(string(data), schema.APIVersion) || schema.Crowded(data) {
		return false
	}
	for text := range strings.SplitSeq("\n"+string(data), "\n---") {
		var head struct {
			APIVersion string `yaml:"apiVersion"`
		}
		if yaml.Unmarshal([]byte(text), &head) == nil && head.APIVersion == schema.APIVersion {
			return true
		}
	}
	return false
}

// onlyLists refuses a kustomization that changes specifications and leaves them
// to nobody: the folder would be read as if the kustomization were not there.
func (b *builder) onlyLists(folder string) *problem.Problem {
	k, file, complaint := b.read(folder)
	if complaint != nil {
		return complaint
	}
	bare := types.Kustomization{TypeMeta: k.TypeMeta, MetaData: k.MetaData, Resources: k.Resources, SortOptions: k.SortOptions}
	left, err1 := yaml.Marshal(bare)
	all, err2 := yaml.Marshal(k)
	if err1 != nil || err2 != nil || !bytes.Equal(left, all) {
		return complain(problem.SourceUnreadable, file, "this kustomization changes what it lists, and runs no function of eso-tenant's", "list a "+schema.KindTransformer+" in its transformers; or take all but resources out of it")
	}
	return nil
}
