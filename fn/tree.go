package fn

import (
	"bufio"
	"bytes"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// Tree is a file, or the files of a folder, that are not on a disk: standard
// input, or what git has of another revision.
type Tree struct {
	Name  string // as the user named it: "-", "main:tenants"
	Files []TreeFile
}

// TreeFile is one file. Inside is where it is in the folder, with slashes; ""
// where the tree is a file itself.
type TreeFile struct {
	Inside string
	Data   []byte
}

// IsTreeFile tells whether a folder's file is read at all, for specifications
// or for objects.
func IsTreeFile(inside string) bool {
	hidden := func(part string) bool { return strings.HasPrefix(part, ".") }
	return !slices.ContainsFunc(strings.Split(inside, "/"), hidden) && (isSource(inside) || isManifest(inside))
}

// Sources are the specifications in a tree, as ReadSources reads them, but for
// CUE outside of the tree: what is beside a file, or a module that begins above.
func (t Tree) Sources() ([]schema.Source, problem.List) {
	r := &sourceReader{}
	for _, f := range t.Files {
		if f.Inside == "" || isSource(f.Inside) {
			r.read(t.file(f), t.tree(f), bytes.NewReader(f.Data))
		}
	}
	return r.sources, r.problems
}

// Objects are the objects in a tree, as ReadObjects reads them.
func (t Tree) Objects(keep func(group, kind string) bool) (*inventory.Set, problem.List) {
	return inventory.Read(func(yield func(inventory.Source) bool) {
		for _, f := range t.Files {
			name := t.file(f)
			if f.Inside != "" && !isManifest(f.Inside) {
				continue
			}
			from := bufio.NewReader(bytes.NewReader(f.Data))
			if !yield(inventory.Source{File: name, Reader: from, Kustomization: isKustomization(name) || isChartFile(name, from)}) {
				return
			}
		}
	}, keep)
}

// file is what a file of the tree is called.
func (t Tree) file(f TreeFile) string {
	switch {
	case f.Inside == "":
		return t.Name
	case t.Name == ".":
		return f.Inside
	case strings.HasSuffix(t.Name, ":"): // the whole of a revision
		return t.Name + f.Inside
	default:
		return strings.TrimSuffix(t.Name, "/") + "/" + f.Inside
	}
}

// tree is the file's path from the tree's folder, that one's own name first.
func (t Tree) tree(f TreeFile) string {
	if f.Inside == "" {
		return ""
	}
	_, folder, _ := strings.Cut(t.Name, ":")
	return filepath.Join(path.Base(path.Clean("/"+folder)), f.Inside)
}
