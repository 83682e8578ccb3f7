package bed

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Registry is an OCI registry in memory, without TLS.
type Registry struct {
	// Host is where it listens; an artifact is at oci://<Host>/<repository>.
	Host   string
	server *http.Server
}

func newRegistry() (*Registry, error) {
	listener, err := listen()
	if err != nil {
		return nil, err
	}
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	return &Registry{Host: listener.Addr().String(), server: serve(listener, handler)}, nil
}

func (r *Registry) close() { _ = r.server.Close() }

// TryPush pushes a folder as Flux's own artifact, as `flux push artifact` does, and returns its digest.
func (r *Registry) TryPush(repository, tag, folder string) (digest string, err error) {
	reference, err := name.ParseReference(r.Host+"/"+repository+":"+tag, name.Insecure)
	if err != nil {
		return "", err
	}
	content, err := archive(folder)
	if err != nil {
		return "", err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1),
		"application/vnd.cncf.flux.config.v1+json")
	image, err = mutate.Append(image, mutate.Addendum{
		Layer: static.NewLayer(content, "application/vnd.cncf.flux.content.v1.tar+gzip"),
	})
	if err != nil {
		return "", err
	}
	if err := remote.Write(reference, image); err != nil {
		return "", err
	}
	hash, err := image.Digest()
	return hash.String(), err
}

// archive returns a folder's files as a tar.gz; the same files give the same bytes.
func archive(folder string) ([]byte, error) {
	var out bytes.Buffer
	compressed := gzip.NewWriter(&out)
	files := tar.NewWriter(compressed)
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // a folder of the test
		if err != nil {
			return err
		}
		header := &tar.Header{Name: filepath.ToSlash(relative), Mode: 0o644, Size: int64(len(content))}
		if err := files.WriteHeader(header); err != nil {
			return err
		}
		_, err = files.Write(content)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := files.Close(); err != nil {
		return nil, err
	}
	if err := compressed.Close(); err != nil { // writes what is left
		return nil, err
	}
	return out.Bytes(), nil
}
