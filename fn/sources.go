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
}

// ReadSources reads files, folders (all their *.yaml, *.yml and *.json files, but
// for hidden ones and for kustomizations) and "-" for stdin. What cannot be
// read is a problem.
func ReadSources(paths []string, stdin io.Reader) ([]schema.Source, problem.List) {
	r := &sourceReader{stdin: stdin, seen: map[string]bool{}}
	for _, p := range paths {
		r.path(p)
	}
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
		r.file(name, func() (io.ReadCloser, error) { return os.Open(name) })
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
		case entry.IsDir() || !isSource(entry.Name()):
			return nil
		}
		if files++; files > maxFiles {
			r.report(problem.SourceTooLarge, name, fmt.Sprintf("this folder has more than %d files", maxFiles), "name fewer folders at a time")
			return fs.SkipAll
		}
		r.entry(root, inside, full)
		return nil
	})
	if files == 0 && before == len(r.sources)+len(r.problems) {
		r.report(problem.SourceEmpty, name, "there is no *.yaml, *.yml or *.json file in this folder", "")
	}
}

// entry reads one file of a folder, which has to be a regular one: a pipe or a
// device would never end.
func (r *sourceReader) entry(root *os.Root, inside, full string) {
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
		r.file(full, func() (io.ReadCloser, error) { return root.Open(inside) })
		if n := len(r.sources); n > 0 && r.sources[n-1].File == full && bytes.HasPrefix(r.sources[n-1].Data, []byte(header)) {
			r.sources = r.sources[:n-1] // rendered into the folder by an earlier run
		}
	}
}

// isSource tells whether a folder's file is read.
func isSource(name string) bool {
	stem := strings.TrimSuffix(name, path.Ext(name))
	return slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(name)) && !strings.EqualFold(stem, "kustomization")
}

func (r *sourceReader) file(name string, open func() (io.ReadCloser, error)) {
	clean := filepath.Clean(name)
	if r.seen[clean] {
		return
	}
	r.seen[clean] = true
	if path.Ext(name) == ".cue" {
		r.report(problem.NotYet, name, "CUE files are not read by this version yet", "write the specification as YAML or JSON")
		return
	}
	f, err := open()
	if err != nil {
		r.unreadable(name, err)
		return
	}
	defer f.Close()
	r.read(name, f)
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
