package main

const (
	summary     = "Fence External Secrets Operator, tenant by tenant"
	description = `eso-tenant turns one small, checked specification per tenant into the
manifests that fence External Secrets Operator on a multi-tenant cluster, and
proves from them, or from a live cluster, whose tokens the operator can come by.
`
	caveats = `For completion, give the plugin a second name on the PATH:

  ln -s "$(command -v kubectl-eso_tenant)" ~/.local/bin/kubectl_complete-eso_tenant
`
)

// fluxManifest is a Plugin of Flux's catalogue (RFC-0013; fluxcd/flux2 v2.9.2,
// pkg/plugin/types.go; fluxcd/plugins b8c6437, schemas/plugin-cli-v1beta1.json,
// which takes no extractPath).
type fluxManifest struct {
	APIVersion  string        `json:"apiVersion"`
	Kind        string        `json:"kind"`
	Name        string        `json:"name"`
	Description string        `json:"description"`
	Homepage    string        `json:"homepage"`
	Source      string        `json:"source"`
	Bin         string        `json:"bin"`
	Versions    []fluxVersion `json:"versions"`
}

type fluxVersion struct {
	Version   string         `json:"version"`
	Platforms []fluxPlatform `json:"platforms"`
}

type fluxPlatform struct {
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	URL      string `json:"url"`
	Checksum string `json:"checksum"`
}

func newFluxManifest(version string) fluxManifest {
	return fluxManifest{
		APIVersion: "cli.fluxcd.io/v1beta1", Kind: "Plugin", Name: "eso-tenant",
		Description: summary, Homepage: repositoryURL, Source: repositoryURL, Bin: fluxBinary,
		Versions: []fluxVersion{{Version: version}},
	}
}

func (m *fluxManifest) add(goos, goarch, url, sum string) {
	v := &m.Versions[0]
	v.Platforms = append(v.Platforms, fluxPlatform{OS: goos, Arch: goarch, URL: url, Checksum: "sha256:" + sum})
}

// krewManifest is a Plugin of krew's index (sigs.k8s.io/krew v0.5.0,
// pkg/index/types.go).
type krewManifest struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Metadata   krewMetadata `json:"metadata"`
	Spec       krewSpec     `json:"spec"`
}

type krewMetadata struct {
	Name string `json:"name"`
}

type krewSpec struct {
	Version          string         `json:"version"`
	ShortDescription string         `json:"shortDescription"`
	Description      string         `json:"description"`
	Caveats          string         `json:"caveats"`
	Homepage         string         `json:"homepage"`
	Platforms        []krewPlatform `json:"platforms"`
}

type krewPlatform struct {
	Selector krewSelector `json:"selector"`
	URI      string       `json:"uri"`
	SHA256   string       `json:"sha256"`
	Bin      string       `json:"bin"`
	Files    []krewFile   `json:"files"`
}

type krewSelector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

type krewFile struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// newKrewManifest calls the plugin as users type it: krew makes an underscore
// of the dash in the file's name.
func newKrewManifest(version string) krewManifest {
	return krewManifest{
		APIVersion: "krew.googlecontainertools.github.com/v1alpha2", Kind: "Plugin", Metadata: krewMetadata{"eso-tenant"},
		Spec: krewSpec{Version: "v" + version, ShortDescription: summary, Description: description, Caveats: caveats, Homepage: repositoryURL},
	}
}

func (m *krewManifest) add(goos, goarch, url, sum, binary string) {
	m.Spec.Platforms = append(m.Spec.Platforms, krewPlatform{
		Selector: krewSelector{map[string]string{"os": goos, "arch": goarch}}, URI: url, SHA256: sum, Bin: binary,
		Files: []krewFile{{binary, "."}, {licenseFile, "."}},
	})
}
