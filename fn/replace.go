package fn

import (
	"errors"
	"io/fs"
	"os"
)

// swapFolder moves what is at to out of the way, moves from there, and moves
// the old one back if that fails.
func swapFolder(from, to string) error {
	aside := from + ".old"
	if err := os.Rename(to, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // the caller says what was being done
	}
	if err := os.Rename(from, to); err != nil {
		return errors.Join(err, os.Rename(aside, to))
	}
	return nil
}
