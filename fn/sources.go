package fn

import (
	"bytes"
	"errors"
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

// maxFiles bounds how many files of a folder are read.
const maxFiles = 100_000

// maxTotalBytes bounds what is read in one run.
const maxTotalBytes = 512 << 20

// sourceReader collects the sources that paths name.
type sourceReader struct {
	stdin    io.Reader
	sources  []schema.Source
	problems problem.List
	seen     map[string]bool
	total    int
	beside   bool // nobody named what is read now
}

// ReadSources reads files, folders (all their *.yaml, *.yml, *.json and *.cue
// files, but for hidden ones and for kustomizations) and "-" for stdin. With a
// file comes the CUE of its folder, or a Platform named without its rules would
// be one without rules. What cannot be read is a problem.
func ReadSources(paths []string, stdin io.Reader) ([]schema.Source, problem.List) {
	r := &sourceReader{stdin: stdin, seen: map[string]bool{}}
	for _, p := range paths {
		r.path(p)
	}
	r.cueBesideFiles()
	r.cueModules()
	return r.sources, r.problems
}

func (r *sourceReader) path(name string) {
	if name == "-" {
		r.read(name, r.stdin)
		return
	}
	info, err := os.Stat(name)
	switch {
	case name == "":
		r.report(problem.SourceUnreadable, `""`, "this names no file", "is a variable of your shell empty?")
	case err != nil:
		r.unreadable(name, err)
	case info.IsDir():
		r.folder(name)
	default:
		r.file(name, "", func() (io.ReadCloser, error) { return os.Open(name) })
	}
}

// folder reads what lies below a folder. It is opened as a root, so that no
// symbolic link of a tenant's leads out of it.
func (r *sourceReader) folder(name string) {
	root, err := os.OpenRoot(name)
	if err != nil {
		r.unreadable(name, err)
		return
	}
	defer root.Close()
	before := len(r.sources) + len(r.problems)
	files := 0
	_ = fs.WalkDir(root.FS(), ".", func(inside string, entry fs.DirEntry, err error) error {
		full := filepath.Join(name, inside)
		switch {
		case err != nil:
			r.unreadable(full, err)
			return fs.SkipDir
		case inside != "." && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir() || !isSource(inside) || r.beside && path.Ext(inside) != ".cue":
			return nil
		}
		if files++; files > maxFiles {
			r.report(problem.SourceTooLarge, name, fmt.Sprintf("this folder has more than %d files", maxFiles), "name fewer folders at a time")
			return fs.SkipAll
		}
		r.entry(root, inside, full, name)
		return nil
	})
	if files == 0 && before == len(r.sources)+len(r.problems) && !r.beside {
		r.report(problem.SourceEmpty, name, "there is no *.yaml, *.yml, *.json or *.cue file in this folder", "")
	}
}

// entry reads one file of a folder, which has to be a regular one: a pipe or a
// device would never end.
func (r *sourceReader) entry(root *os.Root, inside, full, folder string) {
	info, err := root.Stat(inside)
	switch {
	case err != nil:
		if link, linkErr := root.Lstat(inside); linkErr == nil && link.Mode()&fs.ModeSymlink != 0 {
			r.report(problem.SourceEscapes, full, "this symbolic link does not end at a file inside the folder", "put a copy of the file there")
			return
		}
		r.unreadable(full, err)
	case info.IsDir():
		// A link to a folder; what is in it stands elsewhere in the tree.
	case !info.Mode().IsRegular():
		r.report(problem.SourceUnreadable, full, "this is no regular file", "remove it from the folder")
	default:
		tree := filepath.Join(filepath.Base(filepath.Clean(folder)), inside)
		r.file(full, tree, func() (io.ReadCloser, error) { return root.Open(inside) })
		if n := len(r.sources); n > 0 && r.sources[n-1].File == full && bytes.HasPrefix(r.sources[n-1].Data, []byte(header)) {
			r.sources = r.sources[:n-1] // rendered into the folder by an earlier run
		}
	}
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

// file reads one file. tree is where it is in the folder that was named, if one was.
func (r *sourceReader) file(name, tree string, open func() (io.ReadCloser, error)) {
	clean := filepath.Clean(name)
	if r.seen[clean] {
		return
	}
	r.seen[clean] = true
	f, err := open()
	if err != nil {
		r.unreadable(name, err)
		return
	}
	defer f.Close()
	before := len(r.sources)
	r.read(name, f)
	if len(r.sources) > before {
		r.sources[before].Tree, r.sources[before].Beside = tree, r.beside
	}
}

// cueBesideFiles reads the CUE in and below the folders of the files that were
// named, where there is some beside them.
func (r *sourceReader) cueBesideFiles() {
	r.beside = true
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
	r.read(file, f)
	if len(r.sources) > before {
		r.sources[before].Module = of
	}
}

func (r *sourceReader) read(name string, from io.Reader) {
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
	r.sources = append(r.sources, schema.Source{File: name, Data: data})
}

func (r *sourceReader) unreadable(name string, err error) {
	hint := ""
	if errors.Is(err, fs.ErrNotExist) {
		hint = "check the path"
	}
	cause := err
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		cause = pathErr.Err // the path itself stands in front
	}
	r.report(problem.SourceUnreadable, name, "this cannot be read: "+cause.Error(), hint)
}

func (r *sourceReader) report(rule problem.Rule, name, message, hint string) {
	r.problems = append(r.problems, problem.Problem{
		Rule: rule, Position: problem.Position{File: name}, Message: message, Hint: hint,
	})
}
