package scale

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// fleet are the files of so many tenants, each with a namespace and a store: few objects, so that what is done once for
// each tenant weighs the most.
func fleet(tenants int) map[string]string {
	files := map[string]string{"platform.yaml": `apiVersion: eso-tenant.dev/v1alpha1
kind: Platform
metadata: {name: eu-1}
spec:
  externalSecrets: {version: v2.9.0}
  enforcement: enforce
  providers:
    vault:
      audiences: [vault]
      vault: {server: https://vault.example.com:8200, path: kv, version: v2, auth: {kubernetes: {mountPath: kubernetes}}}
`}
	for i := range tenants {
		name := fmt.Sprintf("t%05d", i)
		files["tenants/"+name+".yaml"] = tenant(name, "")
	}
	return files
}

// tenant is a tenant's file, with more to say of its store.
func tenant(name, more string) string {
	return fmt.Sprintf(`apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: %s}
spec:
  namespaces:
    %s-prod:
      stores:
        vault: {provider: vault%s}
`, name, name, more)
}

// write writes files below a folder.
func write(b *testing.B, folder string, files map[string]string) {
	b.Helper()
	for name, text := range files {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

// source is a GitRepository that says what source-controller would, which leaves it alone: its share is not measured.
type source struct {
	b      *testing.B
	bed    *bed.Bed
	server *httptest.Server
	object *unstructured.Unstructured

	mutex   sync.Mutex
	archive []byte
}

func newSource(b *testing.B, on *bed.Bed, name string) *source {
	b.Helper()
	s := &source{b: b, bed: on}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		_, _ = w.Write(s.archive)
	}))
	b.Cleanup(s.server.Close)
	objects := apply(b, on, `
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: `+name+`, namespace: flux-system}
spec: {interval: 1h, url: "https://git.example.com/`+name+`.git", suspend: true}
`)
	s.object = objects[0]
	return s
}

// apply applies objects of a text.
func apply(b *testing.B, on *bed.Bed, text string) bed.Objects {
	b.Helper()
	objects, err := bed.Parse(text)
	if err == nil {
		err = on.TryApply(b.Context(), objects)
	}
	if err != nil {
		b.Fatal(err)
	}
	return objects
}

// commit gives the source a revision with files.
func (s *source) commit(revision string, files map[string]string) {
	s.b.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(files[name])), Mode: 0o644}); err != nil {
			s.b.Fatal(err)
		}
		if _, err := archive.Write([]byte(files[name])); err != nil {
			s.b.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		s.b.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		s.b.Fatal(err)
	}
	s.mutex.Lock()
	s.archive = out.Bytes()
	s.mutex.Unlock()
	sum := sha256.Sum256(out.Bytes())
	status, err := json.Marshal(map[string]any{"status": map[string]any{
		"observedGeneration": 1,
		"artifact": map[string]any{
			"path": "fleet.tar.gz", "url": s.server.URL + "/fleet.tar.gz", "revision": revision,
			"digest": "sha256:" + hex.EncodeToString(sum[:]), "lastUpdateTime": time.Now().UTC().Format(time.RFC3339),
		},
	}})
	if err != nil {
		s.b.Fatal(err)
	}
	resource, err := s.bed.Resource(s.object.GroupVersionKind(), s.object.GetNamespace())
	if err != nil {
		s.b.Fatal(err)
	}
	if _, err := resource.Patch(s.b.Context(), s.object.GetName(), types.MergePatchType, status, metav1.PatchOptions{}, "status"); err != nil {
		s.b.Fatal(err)
	}
}

// published waits until a TenantGenerator has published a revision.
func published(b *testing.B, on *bed.Bed, generator *unstructured.Unstructured, revision string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 15*time.Minute)
	defer cancel()
	for {
		got, err := on.Get(ctx, generator)
		if err != nil {
			b.Fatal(err)
		}
		if now, _, _ := unstructured.NestedString(got.Object, "status", "publishedSourceRevision"); now == revision {
			return
		}
		conditions, _, _ := unstructured.NestedSlice(got.Object, "status", "conditions")
		for _, c := range conditions {
			if condition, _ := c.(map[string]any); condition["type"] == "Ready" && condition["status"] == "False" {
				b.Fatal(condition["message"])
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
}
