package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	fluxtar "github.com/fluxcd/pkg/tar"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var (
	someFiles = []File{{"b/web.yaml", []byte("kind: Role\n")}, {"a.yaml", []byte("kind: Namespace\n")}}
	someone   = Provenance{Source: "https://git.example.com/fleet", Revision: "main@sha1:0c1", Created: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
)

func packed(t testing.TB, files []File, from Provenance) *Artifact {
	t.Helper()
	a, err := Pack(files, from)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func digestOf(t testing.TB, a *Artifact) string {
	t.Helper()
	digest, err := a.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// layerOf is the layer's compressed content and the hash of what is in it.
func layerOf(t testing.TB, a *Artifact) ([]byte, string) {
	t.Helper()
	layers, err := a.image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	content, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	diff, err := layers[0].DiffID()
	if err != nil {
		t.Fatal(err)
	}
	return data, diff.Hex
}

// The manifest is what Flux's own client makes: its media types, and
// annotations with the commit.
func TestManifest(t *testing.T) {
	raw, err := packed(t, someFiles, someone).image.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	type described struct {
		MediaType string `json:"mediaType"`
	}
	var got struct {
		described
		Config      described         `json:"config"`
		Layers      []described       `json:"layers"`
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(raw, &got); err != nil || len(got.Layers) != 1 {
		t.Fatalf("%v in %s", err, raw)
	}
	for what, pair := range map[string][2]string{
		"manifest": {got.MediaType, "application/vnd.oci.image.manifest.v1+json"},
		"config":   {got.Config.MediaType, "application/vnd.cncf.flux.config.v1+json"},
		"layer":    {got.Layers[0].MediaType, "application/vnd.cncf.flux.content.v1.tar+gzip"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("media type of the %s: %s, not %s", what, pair[0], pair[1])
		}
	}
	want := map[string]string{
		"org.opencontainers.image.source":   "https://git.example.com/fleet",
		"org.opencontainers.image.revision": "main@sha1:0c1",
		"org.opencontainers.image.created":  "2026-03-04T05:06:07Z",
	}
	if diff := cmp.Diff(want, got.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	raw, err = packed(t, someFiles, Provenance{Source: "x", Revision: "y"}).image.RawManifest()
	if err != nil || bytes.Contains(raw, []byte("created")) {
		t.Errorf("a time that nobody knows, %v: %s", err, raw)
	}
}

// What is hashed is the same on any machine. The archive's hash is written down
// here: it must not change with Go, nor with the time zone or the umask.
func TestLayerIsPinned(t *testing.T) {
	data, diff := layerOf(t, packed(t, someFiles, someone))
	if want := "596bde951efc0c372a38559fd440dc728ea90debb18c3c9b29ee0eda18ca03ce"; diff != want {
		t.Errorf("the archive's hash is %s, not %s", diff, want)
	}
	header := data[:10]
	if want := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}; !bytes.Equal(header, want) {
		t.Errorf("the gzip header is % x, not % x", header, want)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if h.Mode != 0o644 || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" || !h.ModTime.Equal(time.Unix(0, 0)) {
			t.Errorf("%s: %+v", h.Name, h)
		}
	}
	if diff := cmp.Diff([]string{"a.yaml", "b/web.yaml"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// The same files in any order make the same artifact; other files make another.
func TestPackIsAFunctionOfFiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.MapOfN(rapid.StringMatching(`[a-z]{1,8}(/[a-z]{1,8}){0,3}\.yaml`), rapid.SliceOfN(rapid.Byte(), 0, 300), 1, 12).Draw(t, "files")
		var files []File
		for name, data := range content {
			files = append(files, File{name, data})
		}
		pack := func(files []File) string {
			a, err := Pack(files, someone)
			if err != nil {
				t.Fatal(err)
			}
			digest, err := a.Digest()
			if err != nil {
				t.Fatal(err)
			}
			return digest
		}
		before := pack(files)
		if after := pack(rapid.Permutation(files).Draw(t, "order")); after != before {
			t.Fatalf("in another order %s, not %s", after, before)
		}
		other := append([]File{}, files...)
		other[0].Data = append(append([]byte{}, other[0].Data...), '\n')
		if pack(other) == before {
			t.Fatal("other content has the same digest")
		}
	})
}

// Flux's own reader of archives finds all files in it.
func TestFluxUnpacks(t *testing.T) {
	long := strings.Repeat("a", 63)
	files := append([]File{{long + "/tenants/" + long + "/" + "namespace." + long + ".yaml", []byte("x: 1\n")}}, someFiles...)
	data, _ := layerOf(t, packed(t, files, someone))
	dir := t.TempDir()
	if err := fluxtar.Untar(bytes.NewReader(data), dir); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		inside, _ := filepath.Rel(dir, name)
		got[filepath.ToSlash(inside)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, f := range files {
		want[f.Name] = string(f.Data)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPackRefuses(t *testing.T) {
	if _, err := Pack([]File{{Name: strings.Repeat("a", 300)}}, someone); err == nil {
		t.Error("a name that no archive takes is none to be told of")
	}
}
