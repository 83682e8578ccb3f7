package fn

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// maxTotalBytes bounds what is read in one run.
const maxTotalBytes = 512 << 20

// sourceReader collects the sources that paths name.
type sourceReader struct {
	pathReader
	sources []schema.Source
	total   int
	beside  bool // nobody named what is read now
}

// ReadSources reads files, folders (all their *.yaml, *.yml, *.json and *.cue
// files, but for hidden ones and for kustomizations) and "-" for stdin. With a
// file comes the CUE of its folder, or a Platform named without its rules would
// be one without rules. What cannot be read is a problem.
func ReadSources(paths []string, stdin io.Reader) ([]schema.Source, problem.List) {
	r := &sourceReader{}
	r.pathReader = pathReader{
		stdin: stdin, read: r.read, wanted: r.wanted, seen: map[string]bool{},
		nothing: "there is no *.yaml, *.yml, *.json or *.cue file in this folder",
	}
	for _, p := range paths {
		r.path(p)
	}
	r.cueBesideFiles()
	r.cueModules()
	return r.sources, r.problems
}

func (r *sourceReader) wanted(inside string) bool {
	return isSource(inside) && (!r.beside || path.Ext(inside) == ".cue")
}

// isSource tells whether a folder's file is read. Below cue.mod are other
// people's packages, which nothing here imports, and the module's own file.
func isSource(inside string) bool {
	name := filepath.Base(inside)
	stem := strings.TrimSuffix(name, path.Ext(name))
	if slices.Contains(strings.Split(filepath.ToSlash(filepath.Dir(inside)), "/"), "cue.mod") {
		return name == "module.cue" && filepath.Base(filepath.Dir(inside)) == "cue.mod"
	}
	return slices.Contains([]string{".yaml", ".yml", ".json", ".cue"}, path.Ext(name)) && !strings.EqualFold(stem, "kustomization")
}

// cueBesideFiles reads the CUE in and below the folders of the files that were
// named, where there is some beside them.
func (r *sourceReader) cueBesideFiles() {
	r.beside, r.nothing = true, ""
	defer func() { r.beside = false }()
	done := map[string]bool{}
	for _, src := range slices.Clone(r.sources) {
		dir := filepath.Dir(src.File)
		if src.Tree != "" || src.File == "-" || done[dir] {
			continue
		}
		done[dir] = true
		if holdsCUE(dir) {
			r.folder(dir)
		}
	}
}

func holdsCUE(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return path.Ext(e.Name()) == ".cue" })
}

// cueModules reads, for folders that hold CUE, the file that names their
// module, where it is above what was named.
func (r *sourceReader) cueModules() {
	done := map[string]bool{}
	for _, src := range slices.Clone(r.sources) {
		if dir := filepath.Dir(src.File); path.Ext(src.File) == ".cue" && !done[dir] {
			done[dir] = true
			r.cueModule(dir)
		}
	}
}

func (r *sourceReader) cueModule(dir string) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return
	}
	inside := ""
	for root, name := abs, dir; ; root, name = filepath.Dir(root), filepath.Join(name, "..") {
		file := filepath.Join(name, "cue.mod", "module.cue")
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			r.module(file, schema.Module{Folder: dir, Path: filepath.ToSlash(inside)})
			return
		}
		if filepath.Dir(root) == root {
			return
		}
		inside = filepath.Join(filepath.Base(root), inside)
	}
}

// module reads the file of a module that begins above a folder, once for each
// such folder, since what the folder is called in it differs.
func (r *sourceReader) module(file string, of schema.Module) {
	if of.Path == "" || r.seen[filepath.Clean(file)] {
		return // it was read with the folder
	}
	f, err := os.Open(file)
	if err != nil {
		r.unreadable(file, err)
		return
	}
	defer f.Close()
	before := len(r.sources)
	r.read(file, "", f)
	if len(r.sources) > before {
		r.sources[before].Module = of
	}
}

// read reads one file. tree is where it is in the folder that was named, if one was.
func (r *sourceReader) read(name, tree string, from io.Reader) {
	data, err := io.ReadAll(io.LimitReader(from, schema.MaxSourceBytes+1))
	if err != nil {
		r.unreadable(name, err)
		return
	}
	if r.total += len(data); r.total > maxTotalBytes {
		r.report(problem.SourceTooLarge, name, fmt.Sprintf("with this file, more than %d MiB are to be read", maxTotalBytes>>20), "name fewer files at a time")
		return
	}
	if len(bytes.TrimSpace(data)) == 0 {
		// A tenant's file that was emptied by accident would take the tenant away.
		r.report(problem.SourceEmpty, name, "this is empty", "remove the file, or write what it is for as a comment")
		return
	}
	if tree != "" && bytes.HasPrefix(data, []byte(header)) {
		return // rendered into the folder by an earlier run
	}
	r.sources = append(r.sources, schema.Source{File: name, Data: data, Tree: tree, Beside: r.beside})
}
