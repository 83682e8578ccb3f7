package controller

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Limits bound what is read of a source's artifact. It is made from what
// tenants write, and may be hostile.
type Limits struct {
	Download int64 // bytes of the archive
	Total    int64 // bytes of all files, unpacked
	File     int64 // bytes of one file
	Files    int   // files and folders
	Depth    int   // folders in a path
}

// DefaultLimits fit ten thousand tenants, twice over.
func DefaultLimits() Limits {
	return Limits{Download: 32 << 20, Total: 64 << 20, File: 8 << 20, Files: 50_000, Depth: 32}
}

// maxHeaders bounds the headers of a tar, its padding, and what else is no
// file's content: a part of Total, in which no honest archive comes near.
const maxHeaders = 2

// ArtifactError says that an artifact is not what it should be. To fetch it
// again would not help.
type ArtifactError struct {
	message string
}

func (e *ArtifactError) Error() string { return e.message }

func refuse(format string, args ...any) error {
	return &ArtifactError{message: fmt.Sprintf(format, args...)}
}

// readTree reads a tar.gz of regular files and folders into memory. Anything
// else in it is refused, not left out: a link that is not followed would be a
// tenant that is silently not read. Files are sorted by name.
func readTree(from io.Reader, limits Limits) ([]fn.TreeFile, error) {
	unzipped, err := gzip.NewReader(from)
	if err != nil {
		return nil, refuse("the artifact is no gzip archive: %v", err)
	}
	// Padding and headers are counted too: a tar can be all headers.
	bounded := &io.LimitedReader{R: unzipped, N: maxHeaders*limits.Total + 1}
	r := &treeReader{archive: tar.NewReader(bounded), limits: limits, seen: map[string]bool{}}
	for {
		header, err := r.archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = r.entry(header)
		}
		if refused := (*ArtifactError)(nil); errors.As(err, &refused) {
			return nil, err
		}
		if bounded.N <= 0 {
			return nil, refuse("the artifact has more than %d MiB", maxHeaders*limits.Total>>20)
		}
		if err != nil {
			return nil, refuse("the artifact is no whole archive: %v", err)
		}
	}
	// What comes behind the archive's end is read as well, or its checksum would not be.
	if _, err := io.Copy(io.Discard, bounded); err != nil {
		return nil, refuse("the artifact is no whole archive: %v", err)
	}
	slices.SortFunc(r.files, func(a, b fn.TreeFile) int { return strings.Compare(a.Inside, b.Inside) })
	return r.files, nil
}

type treeReader struct {
	archive *tar.Reader
	limits  Limits
	files   []fn.TreeFile
	entries int
	total   int64
	seen    map[string]bool // files true, folders false
}

func (r *treeReader) entry(header *tar.Header) error {
	if r.entries++; r.entries > r.limits.Files {
		return refuse("the artifact has more than %d files and folders", r.limits.Files)
	}
	name, err := r.name(header.Name)
	if err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeXGlobalHeader: // git archive's comment
		return nil
	case tar.TypeDir:
		if r.seen[name] {
			return refuse("the artifact has %s as a file and as a folder", problem.Quote(name))
		}
		return nil
	case tar.TypeReg:
		return r.file(name, header.Size)
	default:
		return refuse("%s in the artifact is no regular file and no folder; links and devices are not read", problem.Quote(name))
	}
}

// name is an entry's path, which has to be one inside of the tree, and written
// in the one way in which it can be.
func (r *treeReader) name(name string) (string, error) {
	clean := path.Clean(strings.TrimSuffix(name, "/"))
	parts := strings.Split(clean, "/")
	switch {
	case name == "" || strings.HasPrefix(name, "/") || slices.Contains(strings.Split(name, "/"), "..") || strings.ContainsAny(name, "\\\x00") || !utf8.ValidString(name):
		return "", refuse("%s in the artifact is no path inside of it", problem.Quote(name))
	case len(parts) > r.limits.Depth:
		return "", refuse("a path in the artifact has more than %d folders", r.limits.Depth)
	default:
		return clean, nil
	}
}

func (r *treeReader) file(name string, size int64) error {
	if _, twice := r.seen[name]; twice || name == "." {
		return refuse("%s is in the artifact twice", problem.Quote(name))
	}
	for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
		if r.seen[folder] {
			return refuse("the artifact has %s as a file and as a folder", problem.Quote(folder))
		}
		r.seen[folder] = false
	}
	r.seen[name] = true
	if r.total += size; size < 0 || size > r.limits.File || r.total > r.limits.Total {
		return refuse("with %s, the artifact's files have more than %d MiB, or this one more than %d", problem.Quote(name), r.limits.Total>>20, r.limits.File>>20)
	}
	data, err := io.ReadAll(r.archive)
	if err != nil {
		return fmt.Errorf("reading %s: %w", problem.Quote(name), err)
	}
	r.files = append(r.files, fn.TreeFile{Inside: name, Data: data})
	return nil
}
