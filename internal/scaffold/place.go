package scaffold

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// temporary is the prefix of folders and files that are not whole yet. They are
// hidden, so that no other run reads them.
const temporary = ".eso-tenant-"

// CheckEmpty says why no repository can be made in dir: it may be missing, be
// empty, or hold a .git only.
func CheckEmpty(dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return checkParents(dir)
	case err != nil:
		return fmt.Errorf("looking at the folder: %w", err)
	case info.Mode()&fs.ModeSymlink != 0:
		if info, err = os.Stat(dir); err != nil {
			return fmt.Errorf("%s is a symbolic link that leads nowhere", problem.Quote(dir))
		}
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is a file, and a repository is a folder", problem.Quote(dir))
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("looking at the folder: %w", err)
	}
	var there []string
	for _, entry := range entries {
		if entry.Name() != ".git" {
			there = append(there, entry.Name())
		}
	}
	if len(there) == 0 {
		return nil
	}
	return notEmpty(dir, there)
}

func notEmpty(dir string, there []string) error {
	cure := "name a new folder"
	if slices.Contains(there, platformFile) {
		cure = "eso-tenant init tenant NAME adds a tenant to it"
	}
	const shown = 3
	more := ""
	if rest := len(there) - shown; rest > 0 {
		there, more = there[:shown], fmt.Sprintf(" and %d more", rest)
	}
	return fmt.Errorf("%s is not empty: it has %s%s, and init overwrites nothing; %s", problem.Quote(dir), problem.QuoteAll(there), more, cure)
}

// checkParents looks at the nearest thing above dir that is there.
func checkParents(dir string) error {
	parent := filepath.Dir(filepath.Clean(dir))
	for parent != filepath.Dir(parent) {
		info, err := os.Stat(parent)
		switch {
		case err == nil && !info.IsDir():
			return fmt.Errorf("%s is a file, and no folder can be made in it", problem.Quote(parent))
		case err == nil:
			return nil
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
			return fmt.Errorf("looking at the folder: %w", err)
		}
		if _, err := os.Lstat(parent); err == nil {
			return fmt.Errorf("%s is a symbolic link that leads nowhere", problem.Quote(parent))
		}
		parent = filepath.Dir(parent)
	}
	return nil
}

// Write makes a repository of files in dir, for which CheckEmpty has nothing to
// say. They are written to a temporary folder and moved when whole: after an
// error, or if ctx ends, nothing is left behind.
func Write(ctx context.Context, dir string, made []File) (err error) {
	if err := CheckEmpty(dir); err != nil {
		return err
	}
	// What is missing of the path is made in the temporary folder, too, and so
	// comes into being with the first move.
	base, missing := existing(dir)
	stage, err := os.MkdirTemp(base, temporary)
	if err != nil {
		return fmt.Errorf("making a folder in %s: %w", base, cause(err))
	}
	defer func() {
		if removeErr := os.RemoveAll(stage); removeErr != nil && err == nil {
			err = fmt.Errorf("removing the temporary folder: %w", removeErr)
		}
	}()
	if err := writeFiles(ctx, filepath.Join(stage, missing), made); err != nil {
		return err
	}
	return moveAll(stage, base)
}

func writeFiles(ctx context.Context, dir string, made []File) error {
	for _, file := range made {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("writing %s: %w", file.Name, err)
		}
		full := filepath.Join(dir, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return fmt.Errorf("making the folder of %s: %w", file.Name, cause(err))
		}
		if err := os.WriteFile(full, file.Data, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", file.Name, cause(err))
		}
	}
	return nil
}

// cause is an error without the name of a file that is temporary, and says
// nothing to the user.
func cause(err error) error {
	if named := (*fs.PathError)(nil); errors.As(err, &named) {
		return named.Err
	}
	return err
}

// moveAll moves what is in a folder into another one. Where something is in
// the way, what was moved goes again.
func moveAll(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("moving files into place: %w", err)
	}
	var moved []string
	for _, entry := range entries {
		target := filepath.Join(to, entry.Name())
		if err := moveNew(filepath.Join(from, entry.Name()), target); err != nil {
			for _, name := range moved {
				_ = os.RemoveAll(name) // it was not there a moment ago
			}
			return err
		}
		moved = append(moved, target)
	}
	return nil
}

// moveNew moves a file or a folder to where there is none.
func moveNew(from, to string) error {
	err := os.Link(from, to) // unlike a rename, it replaces nothing
	if err == nil {
		return nil // the temporary name goes later
	}
	// No folder can be linked, and on some file systems no file.
	if _, statErr := os.Lstat(to); !errors.Is(statErr, fs.ErrNotExist) {
		return fmt.Errorf("%s came into being meanwhile, and stays as it is", problem.Quote(to))
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("moving files into place: %w", err)
	}
	return nil
}

// stageFile writes a file beside its place, under a name that nobody reads.
func stageFile(target string, data []byte, mode fs.FileMode) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(target), temporary+"*")
	if err != nil {
		return "", fmt.Errorf("writing %s: %w", target, cause(err))
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err != nil {
		_ = os.Remove(f.Name())
		return "", fmt.Errorf("writing %s: %w", target, cause(err))
	}
	return f.Name(), nil
}
