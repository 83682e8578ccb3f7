package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Flux's media types (fluxcd/pkg, oci/client.go).
const (
	configType types.MediaType = "application/vnd.cncf.flux.config.v1+json"
	layerType  types.MediaType = "application/vnd.cncf.flux.content.v1.tar+gzip"
)

// Annotations that Flux reads (fluxcd/pkg, oci/meta.go): `flux get sources oci`
// shows the revision, and notification-controller reports on its commit.
const (
	annotationSource   = "org.opencontainers.image.source"
	annotationRevision = "org.opencontainers.image.revision"
	annotationCreated  = "org.opencontainers.image.created"
)

// File is one file of an artifact. Its name is relative, with slashes.
type File struct {
	Name string
	Data []byte
}

// Provenance is where an artifact's content is from.
type Provenance struct {
	Source   string    // the repository's URL
	Revision string    // such as main@sha1:0c1…
	Created  time.Time // the commit's time; zero for unknown
}

// Artifact is a Flux OCI artifact: a configuration, and one layer.
type Artifact struct {
	image v1.Image
}

// Pack makes an artifact of files, in whatever order they come. An error means
// that a name cannot be one in an archive.
func Pack(files []File, from Provenance) (*Artifact, error) {
	archive, err := archived(files)
	if err != nil {
		return nil, err
	}
	l, err := newLayer(archive)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), configType)
	image, err = mutate.Append(image, mutate.Addendum{Layer: l})
	if err != nil {
		return nil, fmt.Errorf("making the artifact: %w", err)
	}
	image, isImage := mutate.Annotations(image, from.annotations()).(v1.Image)
	if !isImage { // the library says that it returns what it is given
		return nil, errors.New("making the artifact: annotations make no image of it")
	}
	return &Artifact{image: image}, nil
}

func (p Provenance) annotations() map[string]string {
	all := map[string]string{annotationSource: p.Source, annotationRevision: p.Revision}
	if !p.Created.IsZero() {
		all[annotationCreated] = p.Created.UTC().Format(time.RFC3339)
	}
	return all
}

// Digest is the manifest's, as in "sha256:0c1…".
func (a *Artifact) Digest() (string, error) {
	digest, err := a.image.Digest()
	if err != nil {
		return "", fmt.Errorf("hashing the artifact: %w", err)
	}
	return digest.String(), nil
}

// archived is the files as a tar archive that depends on nothing but their
// names and content: sorted, of nobody's, of no time, in the oldest format that
// holds a long name.
func archived(files []File) ([]byte, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	sorted := slices.SortedFunc(slices.Values(files), func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	for _, f := range sorted {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: f.Name, Size: int64(len(f.Data)), Mode: 0o644,
			ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("archiving %s: %w", f.Name, err)
		}
		if _, err := w.Write(f.Data); err != nil {
			return nil, fmt.Errorf("archiving %s: %w", f.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("archiving: %w", err)
	}
	return archive.Bytes(), nil
}

// layer is a compressed archive (a v1.Layer).
type layer struct {
	compressed   []byte
	digest, diff v1.Hash
}

// newLayer compresses an archive. A gzip header that is not filled in has
// neither a name nor a time, nor the system it was made on.
func newLayer(archive []byte) (*layer, error) {
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	if _, err := w.Write(archive); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	return &layer{compressed: compressed.Bytes(), digest: hashOf(compressed.Bytes()), diff: hashOf(archive)}, nil
}

func hashOf(data []byte) v1.Hash {
	sum := sha256.Sum256(data)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

func (l *layer) Digest() (v1.Hash, error)          { return l.digest, nil }
func (l *layer) DiffID() (v1.Hash, error)          { return l.diff, nil }
func (l *layer) Size() (int64, error)              { return int64(len(l.compressed)), nil }
func (*layer) MediaType() (types.MediaType, error) { return layerType, nil }
func (l *layer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.compressed)), nil
}

func (l *layer) Uncompressed() (io.ReadCloser, error) {
	return gzip.NewReader(bytes.NewReader(l.compressed))
}
