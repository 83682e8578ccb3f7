package fn

import (
	"bufio"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/generators"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// ReadObjects reads the Kubernetes objects in files, in folders (all their
// *.yaml, *.yml and *.json files, ours too, but for hidden ones) and in "-" for
// stdin; see inventory.Read. Files are opened one by one and streamed. What
// cannot be read is a problem.
//
// kustomization.yaml files are read as well: kustomize takes no objects from
// them, but whoever applies the folder as it is does.
func ReadObjects(paths []string, stdin io.Reader, keep func(group, kind string) bool) (*inventory.Set, problem.List) {
	r := &pathReader{
		stdin: stdin, wanted: isManifest, seen: map[string]bool{},
		nothing: "there is no *.yaml, *.yml or *.json file in this folder",
	}
	set, problems := inventory.Read(func(yield func(inventory.Source) bool) {
		more := true
		r.read = func(name, _ string, from io.Reader) {
			if more {
				from := bufio.NewReader(from)
				more = yield(inventory.Source{File: name, Reader: from, Kustomization: isKustomization(name) || isChartFile(name, from)})
			}
		}
		for _, name := range paths {
			r.path(name)
		}
	}, keep)
	return set, slices.Concat(r.problems, problems)
}

// isManifest tells whether a folder's file may hold objects.
func isManifest(inside string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(inside))
}

// isChartFile tells whether a file is one of ours for Helm, which holds values
// and no objects.
func isChartFile(name string, from *bufio.Reader) bool {
	first, _ := from.Peek(len(header)) // a file may be shorter
	return string(first) == header && slices.Contains([]string{generators.ValuesKey, generators.PostRenderersKey}, filepath.Base(name))
}

// isKustomization tells whether kustomize reads a file by its name.
func isKustomization(name string) bool {
	base := filepath.Base(name)
	return strings.EqualFold(strings.TrimSuffix(base, path.Ext(base)), "kustomization")
}
