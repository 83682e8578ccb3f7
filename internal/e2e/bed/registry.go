package bed

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"io/fs"
	"log"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"

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

// Digest returns the digest of what a tag of a repository names.
func (r *Registry) Digest(ctx context.Context, repository, tag string) (string, error) {
	reference, err := name.ParseReference(r.Host+"/"+repository+":"+tag, name.Insecure)
	if err != nil {
		return "", err
	}
	found, err := remote.Head(reference, remote.WithContext(ctx))
	if err != nil {
		return "", err
	}
	return found.Digest.String(), nil
}

// archive returns a folder's files as Archive does.
func archive(folder string) ([]byte, error) {
	contents := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // a folder of the test
		contents[filepath.ToSlash(relative)] = string(content)
		return err
	})
	if err != nil {
		return nil, err
	}
	return Archive(contents)
}

// Archive returns files as a tar.gz; the same files give the same bytes.
func Archive(contents map[string]string) ([]byte, error) {
	var out bytes.Buffer
	compressed := gzip.NewWriter(&out)
	files := tar.NewWriter(compressed)
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		if err := files.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(contents[name]))}); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(files, contents[name]); err != nil {
			return nil, err
		}
	}
	if err := files.Close(); err != nil {
		return nil, err
	}
	if err := compressed.Close(); err != nil { // writes what is left
		return nil, err
	}
	return out.Bytes(), nil
}
