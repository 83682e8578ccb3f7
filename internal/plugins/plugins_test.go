package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// published is what a release of made-up binaries, one for each platform,
// writes.
func published(t *testing.T) map[string][]byte {
	t.Helper()
	t.Chdir(filepath.Join("..", ".."))
	r := newRelease("v1.2.3")
	for _, p := range platforms {
		if err := r.add(p, []byte("the binary for "+p)); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "plugins")
	if err := os.MkdirAll(filepath.Join(dir, "old"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	root := os.DirFS(dir)
	for _, pattern := range []string{"*", "*/*"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			inside, _ := filepath.Rel(dir, name)
			f, err := root.Open(filepath.ToSlash(inside))
			if err != nil {
				t.Fatal(err)
			}
			if info, err := f.Stat(); err == nil && !info.IsDir() {
				if files[filepath.ToSlash(inside)], err = io.ReadAll(f); err != nil {
					t.Fatal(err)
				}
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return files
}

// unpacked is what an archive has: names with modes, and contents.
func unpacked(t *testing.T, name string, data []byte) map[string]string {
	t.Helper()
	files := map[string]string{}
	if strings.HasSuffix(name, ".zip") {
		r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.File {
			content, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(content)
			if err != nil {
				t.Fatal(err)
			}
			files[f.Name+" "+f.Mode().String()] = string(text)
		}
		return files
	}
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(zr); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name+" "+h.FileInfo().Mode().String()] = string(text)
	}
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// What Flux's catalogue wants of a manifest (fluxcd/plugins b8c6437,
// schemas/plugin-cli-v1beta1.json): the program in an archive is called as bin
// says, with .exe on Windows, and every archive has its checksum.
func TestFluxManifest(t *testing.T) {
	files := published(t)
	var m fluxManifest
	if err := yaml.UnmarshalStrict(files["flux/eso-tenant.yaml"], &m); err != nil {
		t.Fatal(err)
	}
	if m.APIVersion != "cli.fluxcd.io/v1beta1" || m.Kind != "Plugin" || !strings.HasPrefix(m.Homepage, "https://") || !strings.HasPrefix(m.Source, "https://") || m.Description == "" {
		t.Errorf("%+v", m)
	}
	name := regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	if !name.MatchString(m.Name) || !name.MatchString(m.Bin) || m.Bin != "flux-"+m.Name {
		t.Errorf("name %q, bin %q", m.Name, m.Bin)
	}
	if len(m.Versions) != 1 || m.Versions[0].Version != "1.2.3" || len(m.Versions[0].Platforms) != len(platforms) {
		t.Fatalf("%+v", m.Versions)
	}
	for _, p := range m.Versions[0].Platforms {
		file := path.Base(p.URL)
		data := files[file]
		if p.URL != "https://github.com/eso-tenant/eso-tenant/releases/download/v1.2.3/"+file || p.Checksum != "sha256:"+sum(data) {
			t.Errorf("%+v is not for %s with %s", p, file, sum(data))
		}
		bin := m.Bin
		if p.OS == "windows" {
			bin += ".exe"
		}
		checkArchive(t, file, data, bin, p.OS+"/"+p.Arch)
	}
}

func checkArchive(t *testing.T, file string, data []byte, binary, platform string) {
	t.Helper()
	license, err := os.ReadFile("LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{binary + " -rwxr-xr-x": "the binary for " + platform, "LICENSE -rw-r--r--": string(license)}
	if diff := cmp.Diff(want, unpacked(t, file, data)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// What krew wants (sigs.k8s.io/krew v0.5.0, internal/index/validation): one
// archive for a platform, the program in it, and a checksum.
func TestKrewManifest(t *testing.T) {
	files := published(t)
	var m krewManifest
	if err := yaml.UnmarshalStrict(files["krew/eso-tenant.yaml"], &m); err != nil {
		t.Fatal(err)
	}
	if m.APIVersion != "krew.googlecontainertools.github.com/v1alpha2" || m.Kind != "Plugin" || m.Metadata.Name != "eso-tenant" || m.Spec.Version != "v1.2.3" || m.Spec.ShortDescription == "" || strings.Contains(m.Spec.ShortDescription, "\n") {
		t.Errorf("%+v", m)
	}
	var seen []string
	for _, p := range m.Spec.Platforms {
		platform := p.Selector.MatchLabels["os"] + "/" + p.Selector.MatchLabels["arch"]
		seen = append(seen, platform)
		file := path.Base(p.URI)
		if p.SHA256 != sum(files[file]) || !regexp.MustCompile(`^[a-f0-9]{64}$`).MatchString(p.SHA256) || !strings.HasPrefix(p.URI, "https://") {
			t.Errorf("%+v", p)
		}
		if want := []krewFile{{p.Bin, "."}, {"LICENSE", "."}}; !slices.Equal(p.Files, want) {
			t.Errorf("%s: files %v", platform, p.Files)
		}
		checkArchive(t, file, files[file], p.Bin, platform)
	}
	if !slices.Equal(seen, platforms) {
		t.Errorf("platforms %q", seen)
	}
}

// The same binaries make the same bytes, and what was in the folder is gone.
func TestReproducible(t *testing.T) {
	first := published(t)
	if want := 2*len(platforms) + 3; len(first) != want {
		t.Errorf("%d files, not %d: %q", len(first), want, slices.Sorted(maps.Keys(first)))
	}
	t.Chdir(filepath.Join("internal", "plugins"))
	if diff := cmp.Diff(first, published(t)); diff != "" {
		t.Error(diff)
	}
	for line := range strings.Lines(string(first["checksums.txt"])) {
		hash, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if hash != sum(first[name]) {
			t.Errorf("%s: %s", name, hash)
		}
	}
}

func TestVersions(t *testing.T) {
	for described, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3": "1.2.3", "v1.2.3-rc.1": "1.2.3-rc.1", "v1.2.3-4-g0c1-dirty": "1.2.3-4-g0c1-dirty",
		"0123456": "0.0.0-g0123456", "dev": "0.0.0-gdev", "feature/x": "0.0.0-gfeature-x",
	} {
		if got := newRelease(described).version; got != want {
			t.Errorf("%s: %s, not %s", described, got, want)
		}
	}
}

// Wrong command lines build nothing.
func TestRunRefuses(t *testing.T) {
	for _, args := range [][]string{{}, {"-version", "v1", "x"}, {"-version", "v1", "-platforms", "plan9/amd64"}, {"-version", "v1", "-platforms", "linux/amd64,linux/amd64"}, {"-nosuch"}} {
		if code := run(t.Context(), args, io.Discard); code != 2 {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
}
