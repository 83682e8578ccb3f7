package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// key returns 16 hexadecimal digits that stand for all a component is made of: its folder, how it is built, and the
// version and target of Go.
func (b *Builder) key(ctx context.Context, c Component) (string, error) {
	folder := filepath.Join(b.Components, c.Name)
	toolchain, err := run(ctx, folder, "env", "GOVERSION", "GOOS", "GOARCH")
	if err != nil {
		return "", err
	}
	how, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n", toolchain, how)
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // our own sources
		fmt.Fprintf(sum, "%q %d\n%s", filepath.ToSlash(relative), len(content), content)
		return err
	})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}
