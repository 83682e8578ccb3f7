package controller

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"
)

// Collect removes what is in the storage, is not live, and has not been written
// or touched since before. Live are the paths that ExternalArtifacts name.
// Nothing that is live is removed, however old it is. It returns how many files
// were removed.
func (s *Storage) Collect(live map[string]bool, before time.Time) (int, error) {
	removed := 0
	var folders []string
	err := fs.WalkDir(s.root.FS(), storedFolder, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // gone in between
		case err != nil:
			return err
		case entry.IsDir():
			folders = append(folders, name)
			return nil
		case live[name]:
			return nil
		}
		info, err := entry.Info()
		if err != nil || !info.ModTime().Before(before) {
			return nil //nolint:nilerr // it is gone, or too new
		}
		if err := s.root.Remove(name); err != nil {
			return err
		}
		removed++
		return nil
	})
	if err != nil {
		return removed, fmt.Errorf("collecting garbage: %w", err)
	}
	for _, folder := range slices.Backward(folders) {
		s.removeEmpty(folder, before)
	}
	return removed, nil
}

// removeEmpty removes a folder of an artifact in which nothing is left, unless
// somebody may be about to write there.
func (s *Storage) removeEmpty(folder string, before time.Time) {
	info, err := s.root.Lstat(folder)
	if err != nil || path.Dir(folder) == "." || !info.ModTime().Before(before) {
		return
	}
	_ = s.root.Remove(folder) // which fails if something is in it
}
