package fn

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkNames is what a press of the Tab key waits for, less the start of
// the process, on 1,000 tenants.
func BenchmarkNames(b *testing.B) {
	for _, layout := range []string{"files", "stream"} {
		for _, of := range []NameOf{TenantNames, ProviderNames} {
			b.Run(layout+"/"+string(of), func(b *testing.B) {
				paths := []string{namesFolder(b, layout == "stream")}
				for b.Loop() {
					if len(Names(b.Context(), of, paths)) == 0 {
						b.Fatal("no names")
					}
				}
			})
		}
	}
}

// namesFolder writes manyTenants to a folder, each to a file or all to one.
func namesFolder(b *testing.B, stream bool) string {
	b.Helper()
	dir := b.TempDir()
	for _, source := range manyTenants(1000) {
		documents := []string{string(source.Data)}
		if !stream {
			documents = strings.SplitAfter(string(source.Data), "\n---\n")
		}
		for i, document := range documents {
			name := filepath.Join(dir, fmt.Sprintf("%d-%s", i, source.File))
			if err := os.WriteFile(name, []byte(document), 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	return dir
}
