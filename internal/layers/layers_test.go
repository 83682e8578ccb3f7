package layers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module   = "github.com/eso-tenant/eso-tenant"
	repoRoot = "../.."
)

// rule is what one package may import.
type rule struct {
	row     int      // it imports only packages of lower rows
	outside []string // modules or packages it may import directly from outside the module and the standard library
	pure    bool     // the same input gives the same output: no files, clocks, networks, chance
}

var (
	objects    = []string{"k8s.io/api", "k8s.io/apimachinery"}
	controller = []string{
		"sigs.k8s.io/controller-runtime", "github.com/fluxcd/pkg", "github.com/fluxcd/source-controller/api",
		"github.com/opencontainers/go-digest", "github.com/prometheus/client_golang", "github.com/spf13/pflag",
		"k8s.io/api", "k8s.io/apimachinery", "k8s.io/client-go",
	}
)

// rules are drawn in DESIGN.md. Keys are relative to the module's path.
var rules = map[string]rule{
	"internal/bench":    {row: 0},
	"internal/deploy":   {row: 0}, // tests only
	"internal/fluxload": {row: 0},
	"internal/image":    {row: 0},
	"internal/layers":   {row: 0},
	"internal/plugins":  {row: 0, outside: []string{"sigs.k8s.io/yaml"}},
	"internal/problem":  {row: 0},

	// The rules of ESO's own roles are data: schema asks it which versions there are, generators what to trim.
	"generators/eso": {row: 1, outside: append([]string{"golang.org/x/mod/semver"}, objects...), pure: true},
	"internal/format": {row: 1, outside: []string{
		"github.com/owenrumney/go-sarif/v3", "github.com/jstemmer/go-junit-report/v2",
	}},
	"internal/rbac":          {row: 1, outside: append([]string{"k8s.io/component-helpers"}, objects...), pure: true},
	"internal/rbac/rbactest": {row: 2, outside: objects},

	"schema": {row: 2, outside: []string{"cuelang.org/go", "go.yaml.in/yaml/v3", "golang.org/x/mod"}},

	"internal/explain":   {row: 3},
	"internal/inventory": {row: 3, outside: []string{"go.yaml.in/yaml/v3"}, pure: true},

	"generators":       {row: 3, outside: objects, pure: true},
	"generators/trust": {row: 3, outside: objects},

	"internal/kubectl": {row: 1},

	"internal/diff":   {row: 4, pure: true},
	"internal/verify": {row: 4, outside: append([]string{"golang.org/x/mod/semver"}, objects...), pure: true},
	"internal/audit":  {row: 4, outside: []string{"github.com/klauspost/compress", "go.yaml.in/yaml/v3"}},
	"internal/report": {row: 4, outside: objects},
	"internal/oci":    {row: 4, outside: []string{"github.com/google/go-containerregistry"}},

	"fn": {row: 5, outside: []string{
		"sigs.k8s.io/kustomize/kyaml", "sigs.k8s.io/kustomize/api", "github.com/fluxcd/pkg/apis/meta",
		"k8s.io/apimachinery", "golang.org/x/sys",
	}},

	"internal/adopt":    {row: 6, outside: append([]string{"go.yaml.in/yaml/v3"}, objects...), pure: true},
	"internal/offboard": {row: 6, pure: true},
	"internal/scaffold": {row: 6, outside: []string{"sigs.k8s.io/kustomize/kyaml", "go.yaml.in/yaml/v3"}},
	// It builds kustomizations in process, which nothing that the command line links should have to.
	"internal/expand":              {row: 6, outside: []string{"sigs.k8s.io/kustomize/api", "sigs.k8s.io/kustomize/kyaml"}},
	"internal/controller/v1alpha1": {row: 6, outside: []string{"github.com/fluxcd/pkg/apis/meta", "k8s.io/apimachinery"}},

	"cmd/eso-tenant":      {row: 7, outside: []string{"github.com/spf13/cobra", "golang.org/x/term", "charm.land/huh/v2"}},
	"internal/controller": {row: 7, outside: controller},

	"cmd/eso-tenant-controller": {row: 8, outside: controller},
}

// impure are the standard library's doors to the world; embed and io/fs stay open.
var impure = []string{
	"os", "os/exec", "os/user", "net", "net/http", "time", "math/rand", "math/rand/v2", "crypto/rand", "syscall",
}

// folders are all that may stand at the top level.
var folders = []string{"cmd", "deploy", "docs", "examples", "fn", "generators", "golden", "internal", "schema"}

// unlinked must not be in the command-line binary: client-go alone would double its size and its list of advisories,
// and --live works through the user's own kubectl.
var unlinked = []string{
	"k8s.io/client-go", "sigs.k8s.io/controller-runtime", "github.com/fluxcd/pkg/runtime", "github.com/prometheus/client_golang",
	"sigs.k8s.io/kustomize/api/krusty",
}

// listed is what the test asks of `go list`.
type listed struct {
	ImportPath string
	Imports    []string
	Standard   bool
	DepOnly    bool
}

// list runs `go list -deps`, without tests: a test may import what it likes.
func list(t *testing.T, pattern string) []listed {
	t.Helper()
	watch(t)
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports,Standard,DepOnly", pattern)
	cmd.Dir = repoRoot
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing packages: %v\n%s", err, stderr.String())
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// watch looks at every source file, since `go test` keeps a cached result for as long as the files that the test itself
// has looked at stay as they are, and does not know what a child process reads.
func watch(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(repoRoot, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden := strings.HasPrefix(entry.Name(), "."); entry.IsDir() && hidden && name != repoRoot {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestImportDirection(t *testing.T) {
	packages := list(t, "./...")
	standard := map[string]bool{}
	for _, p := range packages {
		standard[p.ImportPath] = p.Standard
	}
	for _, p := range packages {
		if p.DepOnly {
			continue
		}
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		r, ok := rules[name]
		if !ok {
			t.Errorf("%s has no row in the table of layers_test.go", name)
			continue
		}
		for _, imported := range p.Imports {
			if complaint := r.complaint(imported, standard[imported]); complaint != "" {
				t.Errorf("%s (row %d) imports %s: %s", name, r.row, imported, complaint)
			}
		}
	}
}

// complaint says why the rule forbids an import, or nothing.
func (r rule) complaint(imported string, standard bool) string {
	if name, own := strings.CutPrefix(imported, module+"/"); own {
		if above, ok := rules[name]; ok && above.row >= r.row {
			return "a package imports only packages of lower rows"
		}
		return ""
	}
	if standard {
		if r.pure && slices.Contains(impure, imported) {
			return "this package is pure"
		}
		return ""
	}
	if !within(r.outside, imported) {
		return "not in this package's list of what it may import from outside"
	}
	return ""
}

// within reports whether a package is one of, or below one of, the given paths.
func within(paths []string, imported string) bool {
	return slices.ContainsFunc(paths, func(p string) bool {
		return imported == p || strings.HasPrefix(imported, p+"/")
	})
}

func TestBinaryLinksNoClient(t *testing.T) {
	const binary = "cmd/eso-tenant"
	if _, err := os.Stat(path.Join(repoRoot, binary)); err != nil {
		t.Skip("there is no binary yet")
	}
	for _, p := range list(t, "./"+binary) {
		if within(unlinked, p.ImportPath) {
			t.Errorf("%s links %s", binary, p.ImportPath)
		}
	}
}

func TestTopLevelFolders(t *testing.T) {
	entries, err := os.ReadDir(repoRoot)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		ignored := strings.HasPrefix(name, ".") || name == "bin" // git ignores what is built
		if entry.IsDir() && !ignored && !slices.Contains(folders, name) {
			t.Errorf("folder %s: not one of %s", name, strings.Join(folders, ", "))
		}
	}
}

func TestRuleComplains(t *testing.T) {
	tests := map[string]struct {
		from     string
		imported string
		standard bool
		refused  bool
	}{
		"a lower row":                {"fn", module + "/schema", false, false},
		"a higher row":               {"schema", module + "/fn", false, true},
		"the same row":               {"generators", module + "/generators/trust", false, true},
		"the standard library":       {"schema", "os", true, false},
		"the world in a pure one":    {"generators", "os", true, true},
		"embed in a pure one":        {"generators/eso", "embed", true, false},
		"an allowed module":          {"schema", "cuelang.org/go/cue", false, false},
		"a module of another":        {"generators", "cuelang.org/go/cue", false, true},
		"a module with a like name":  {"schema", "cuelang.org/gone", false, true},
		"anything from the very top": {"internal/problem", "github.com/spf13/cobra", false, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			complaint := rules[test.from].complaint(test.imported, test.standard)
			if (complaint != "") != test.refused {
				t.Errorf("got complaint %q, want one: %t", complaint, test.refused)
			}
		})
	}
}
