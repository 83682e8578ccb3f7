package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Where the archives are downloaded from.
const (
	repositoryURL = "https://github.com/eso-tenant/eso-tenant"
	downloadURL   = repositoryURL + "/releases/download/v"
)

// The plugins' binaries, as flux and kubectl look for them.
const (
	fluxBinary    = "flux-eso-tenant"
	kubectlBinary = "kubectl-eso_tenant"
	licenseFile   = "LICENSE" // which krew wants in the archive
)

// release is all that is published of a version.
type release struct {
	version string // semantic, without a v
	files   map[string][]byte
	flux    fluxManifest
	krew    krewManifest
}

// semver is what Flux's catalogue takes for a version.
var semver = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$`)

func newRelease(described string) *release {
	version := strings.TrimPrefix(described, "v")
	if !semver.MatchString(version) { // no tag yet
		// A hash alone could be a number that begins with a zero, which is no version's part.
		version = "0.0.0-g" + regexp.MustCompile(`[^0-9A-Za-z.-]`).ReplaceAllString(described, "-")
	}
	return &release{version: version, files: map[string][]byte{}, flux: newFluxManifest(version), krew: newKrewManifest(version)}
}

// add packs a platform's binary, for flux and for kubectl, and enters both into
// their manifests.
func (r *release) add(platform string, binary []byte) error {
	license, err := os.ReadFile(licenseFile)
	if err != nil {
		return fmt.Errorf("reading the licence: %w", err)
	}
	goos, goarch, _ := strings.Cut(platform, "/")
	for _, name := range []string{fluxBinary, kubectlBinary} {
		entry, archive, pack := name, "tar.gz", tarGz
		if goos == "windows" {
			entry, archive, pack = name+".exe", "zip", zipped
		}
		content, err := pack([]packedFile{{entry, 0o755, binary}, {licenseFile, 0o644, license}})
		if err != nil {
			return fmt.Errorf("packing for %s: %w", platform, err)
		}
		file := fmt.Sprintf("%s_%s_%s_%s.%s", name, r.version, goos, goarch, archive)
		r.files[file] = content
		url, sum := downloadURL+r.version+"/"+file, sha256.Sum256(content)
		if name == fluxBinary {
			r.flux.add(goos, goarch, url, hex.EncodeToString(sum[:]))
		} else {
			r.krew.add(goos, goarch, url, hex.EncodeToString(sum[:]), entry)
		}
	}
	return nil
}

// write fills a folder, which is replaced: archives of another version in it
// would be published, too.
func (r *release) write(folder string) error {
	for name, manifest := range map[string]any{"flux/eso-tenant.yaml": r.flux, "krew/eso-tenant.yaml": r.krew} {
		text, err := yaml.Marshal(manifest)
		if err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
		r.files[name] = text
	}
	r.files["checksums.txt"] = r.checksums()
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("emptying the folder: %w", err)
	}
	for name, content := range r.files {
		full := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return fmt.Errorf("making a folder: %w", err)
		}
		if err := os.WriteFile(full, content, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}

// checksums are for `sha256sum -c`.
func (r *release) checksums() []byte {
	var lines []string
	for name, content := range r.files {
		if strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".zip") {
			sum := sha256.Sum256(content)
			lines = append(lines, hex.EncodeToString(sum[:])+"  "+name+"\n")
		}
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	return []byte(strings.Join(lines, ""))
}
