package fn

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// maxFiles bounds how many files of a folder are read.
const maxFiles = 100_000

// pathReader finds the files that paths name, and opens one after another.
type pathReader struct {
	stdin   io.Reader
	read    func(name, tree string, from io.Reader) // tree: as of file
	wanted  func(inside string) bool                // tells whether a folder's file is read
	nothing string                                  // what to say of a folder without such files; "" to say nothing

	problems problem.List
	seen     map[string]bool
}

func (r *pathReader) path(name string) {
	if name == "-" {
		r.read(name, "", r.stdin)
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
func (r *pathReader) folder(name string) {
	root, err := os.OpenRoot(name)
	if err != nil {
		r.unreadable(name, err)
		return
	}
	defer root.Close()
	before := len(r.problems)
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
		case entry.IsDir() || !r.wanted(inside):
			return nil
		}
		if files++; files > maxFiles {
			r.report(problem.SourceTooLarge, name, fmt.Sprintf("this folder has more than %d files", maxFiles), "name fewer folders at a time")
			return fs.SkipAll
		}
		r.entry(root, inside, full, name)
		return nil
	})
	if files == 0 && before == len(r.problems) && r.nothing != "" {
		r.report(problem.SourceEmpty, name, r.nothing, "")
	}
}

// entry reads one file of a folder, which has to be a regular one: a pipe or a
// device would never end.
func (r *pathReader) entry(root *os.Root, inside, full, folder string) {
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
	}
}

// file reads one file. tree is where it is in the folder that was named, if one was.
func (r *pathReader) file(name, tree string, open func() (io.ReadCloser, error)) {
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
	r.read(name, tree, f)
}

func (r *pathReader) unreadable(name string, err error) {
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

func (r *pathReader) report(rule problem.Rule, name, message, hint string) {
	r.problems = append(r.problems, problem.Problem{
		Rule: rule, Position: problem.Position{File: name}, Message: message, Hint: hint,
	})
}
