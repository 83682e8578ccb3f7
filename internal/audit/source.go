package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Source is one log. It is opened when it is its turn.
type Source struct {
	Name string // as it is reported
	Open func() (io.ReadCloser, error)
}

// maxFiles bounds how many logs are read.
const maxFiles = 100_000

// Find gives the logs that the names mean, in one order: files, folders (all
// files below them but hidden ones), patterns, and "-" for standard input. What
// means nothing is a problem.
func Find(names []string, stdin io.Reader) ([]Source, problem.List) {
	var problems problem.List
	files := map[string]bool{}
	var standard []Source
	for _, name := range names {
		if name == "-" {
			standard = []Source{{Name: "-", Open: func() (io.ReadCloser, error) { return io.NopCloser(stdin), nil }}}
			continue
		}
		found, p := find(name)
		problems = append(problems, p...)
		for _, file := range found {
			files[filepath.Clean(file)] = true
		}
	}
	sorted := make([]string, 0, len(files))
	for file := range files {
		sorted = append(sorted, file)
	}
	slices.Sort(sorted)
	var sources []Source
	for _, file := range sorted {
		sources = append(sources, Source{Name: file, Open: func() (io.ReadCloser, error) { return os.Open(file) }})
	}
	return append(sources, standard...), problems
}

func find(name string) ([]string, problem.List) {
	info, err := os.Stat(name)
	switch {
	case err != nil && errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(name, "*?["):
		matches, wrong := filepath.Glob(name)
		if wrong != nil || len(matches) == 0 {
			return nil, problem.List{unreadable(name, "no file matches this pattern")}
		}
		var all []string
		var problems problem.List
		for _, match := range matches {
			found, p := find(match)
			all, problems = append(all, found...), append(problems, p...)
		}
		return all, problems
	case err != nil:
		return nil, problem.List{unreadable(name, "this cannot be read: "+cause(err))}
	case info.IsDir():
		return folder(name)
	default:
		return []string{name}, nil
	}
}

func folder(name string) ([]string, problem.List) {
	var all []string
	var problems problem.List
	_ = filepath.WalkDir(name, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			problems = append(problems, unreadable(file, "this cannot be read: "+cause(err)))
		case entry.IsDir() && file != name && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case !entry.Type().IsRegular() || strings.HasPrefix(entry.Name(), "."):
		case len(all) >= maxFiles:
			problems = append(problems, unreadable(name, fmt.Sprintf("this folder has more than %d files", maxFiles)))
			return fs.SkipAll
		default:
			all = append(all, file)
		}
		return nil
	})
	if len(all) == 0 && len(problems) == 0 {
		problems = problem.List{unreadable(name, "there is no file in this folder")}
	}
	return all, problems
}

func unreadable(file, message string) problem.Problem {
	return problem.Problem{Rule: problem.SourceUnreadable, Position: problem.Position{File: file}, Message: message}
}

// cause is an error without the name of the file, which stands before it anyway.
func cause(err error) string {
	if named := (*fs.PathError)(nil); errors.As(err, &named) {
		err = named.Err
	}
	return err.Error()
}

// maxWindow bounds what unpacking zstd holds, in bytes. zstd --ultra --long
// makes up to 128 MiB.
const maxWindow = 128 << 20

var errUTF16 = errors.New("this is UTF-16; make it UTF-8, with iconv -f UTF-16 -t UTF-8")

// unpacked is a log's text: what it is packed with, its first bytes say.
func unpacked(from io.Reader) (io.Reader, func(), error) {
	buffered := bufio.NewReaderSize(from, 1<<16)
	start, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	nothing := func() {}
	switch {
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}):
		r, err := gzip.NewReader(buffered)
		return r, nothing, err
	case bytes.HasPrefix(start, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		r, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return r, r.Close, nil
	case bytes.HasPrefix(start, []byte{0xff, 0xfe}), bytes.HasPrefix(start, []byte{0xfe, 0xff}),
		bytes.HasPrefix(start, []byte{'{', 0}), bytes.HasPrefix(start, []byte{0, '{'}): // without a byte order mark
		return nil, nil, errUTF16
	case bytes.HasPrefix(start, []byte{0xef, 0xbb, 0xbf}):
		_, err := buffered.Discard(3)
		return buffered, nothing, err
	default:
		return buffered, nothing, nil
	}
}
