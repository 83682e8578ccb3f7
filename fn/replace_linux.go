package fn

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// replaceFolder moves a whole folder to where another may be. On Linux the two
// change places in one step, so that a reader sees the one or the other; what
// was there before ends up at from, for the caller to remove.
func replaceFolder(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err // the caller says what was being done
	}
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT):
		return os.Rename(from, to)
	default:
		return swapFolder(from, to) // a file system that cannot exchange
	}
}
