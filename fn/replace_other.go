//go:build !linux

package fn

import (
	"os"
	"path/filepath"
)

// replaceFolder moves a whole folder to where another may be.
func replaceFolder(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return swapFolder(from, to)
}
