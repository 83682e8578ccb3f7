package fn

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A file that cannot be written, whatever the reason. Here it is a name that is
// too long for the system, which holds for root as well: the files of the first
// tenant can be written, those of the second cannot.
func TestWriteFolderFails(t *testing.T) {
	const pathMax = 4096 // of Linux
	dir := t.TempDir()
	for len(dir) < pathMax-250 {
		dir = filepath.Join(dir, strings.Repeat("x", 40))
	}
	dir += "/" + strings.Repeat("y", pathMax-160-len(dir))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	before := writeFolder(t, twoClusters(t, "v2.8.0", "t"), dir)
	err := twoClusters(t, "v2.9.0", "t", strings.Repeat("u", 63)).WriteFolder(t.Context(), dir)
	if !errors.Is(err, syscall.ENAMETOOLONG) {
		t.Fatalf("got %v", err)
	}
	if diff := cmp.Diff(before, folderFiles(t, dir)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}
