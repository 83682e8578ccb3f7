package build

// Component is something that is built: a folder below components, which is a module of its own and pins all versions.
type Component struct {
	// Name is the folder's.
	Name string
	// Packages are what is built, by the names of the binaries.
	Packages map[string]string
	// Variables are set by the linker, and say the version where a program is asked for it.
	Variables map[string]string
	// Upstream is the module that Files and Trim are about.
	Upstream string
	// Files are folders and files of Upstream that are kept beside the binaries, under their own paths.
	Files []string
	// Trim builds Upstream from a copy in which some files are replaced.
	Trim *Trim
}

// Trim says what a copy is made of. A module's cache cannot be written to, and `go build -overlay` refuses to touch it.
type Trim struct {
	// Copy are the folders and files that the build needs.
	Copy []string
	// Imports are the packages that a file has to import, by the file's path; it does nothing else.
	Imports map[string][]string
}

// The components of the test bed.
var (
	Etcd = Component{
		Name:     "etcd",
		Packages: map[string]string{"etcd": "go.etcd.io/etcd/server/v3"},
	}
	Kubernetes = Component{
		Name: "kubernetes",
		Packages: map[string]string{
			"kube-apiserver":          "k8s.io/kubernetes/cmd/kube-apiserver",
			"kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
			"kubectl":                 "k8s.io/kubernetes/cmd/kubectl",
		},
		Variables: map[string]string{"k8s.io/component-base/version.gitVersion": "v1.36.3"},
	}
	Vault = Component{
		Name:     "vault",
		Packages: map[string]string{"vault": "."},
	}
	// ESO has three of its 38 providers and three of its 15 generators: the others bring the SDK of every cloud along.
	ESO = Component{
		Name:     "eso",
		Packages: map[string]string{"external-secrets": "."},
		Upstream: "github.com/external-secrets/external-secrets",
		Files:    []string{"config/crds/bases", "deploy/charts/external-secrets"},
		Trim: &Trim{
			Copy: []string{"apis", "cmd", "pkg", "main.go", "go.mod", "go.sum"},
			Imports: map[string][]string{
				"pkg/provider/register/register.go":  {"pkg/provider/fake", "pkg/provider/kubernetes", "pkg/provider/vault"},
				"pkg/generator/register/register.go": {"pkg/generator/fake", "pkg/generator/password", "pkg/generator/uuid"},
			},
		},
	}
	SourceController = Component{
		Name:     "source-controller",
		Packages: map[string]string{"source-controller": "github.com/fluxcd/source-controller"},
		Upstream: "github.com/fluxcd/source-controller",
		Files:    []string{"config/crd/bases"},
	}
	KustomizeController = Component{
		Name:     "kustomize-controller",
		Packages: map[string]string{"kustomize-controller": "github.com/fluxcd/kustomize-controller"},
		Upstream: "github.com/fluxcd/kustomize-controller",
		Files:    []string{"config/crd/bases"},
	}
	Gatekeeper = Component{
		Name:     "gatekeeper",
		Packages: map[string]string{"gatekeeper": "github.com/open-policy-agent/gatekeeper/v3"},
		Upstream: "github.com/open-policy-agent/gatekeeper/v3",
		Files:    []string{"charts/gatekeeper"},
	}
)

// Core are the components that every bed runs, quickest first, so that a mistake shows early.
func Core() []Component { return []Component{Etcd, ESO, Vault, Kubernetes} }

// All are the components.
func All() []Component { return append(Core(), Gatekeeper, KustomizeController, SourceController) }
