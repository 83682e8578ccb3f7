package expand

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/schema"
)

const (
	repoRoot = "../.."
	examples = repoRoot + "/examples"
)

// toolbox is a folder with eso-tenant, built from this tree, and kustomize.
var toolbox = sync.OnceValues(func() (string, error) {
	kustomize := os.Getenv("KUSTOMIZE")
	if kustomize == "" {
		kustomize = filepath.Join(repoRoot, ".cache", "bin", "kustomize")
	}
	kustomize, err := exec.LookPath(kustomize)
	if err != nil {
		return "", fmt.Errorf("these tests run the real kustomize; run `make tools`, or name one in KUSTOMIZE: %w", err)
	}
	if kustomize, err = filepath.Abs(kustomize); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "eso-tenant-test-")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(dir, "eso-tenant"), "./cmd/eso-tenant")
	build.Dir = repoRoot
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building eso-tenant: %w\n%s", err, out)
	}
	return dir, os.Symlink(kustomize, filepath.Join(dir, "kustomize"))
})

func TestMain(m *testing.M) {
	m.Run()
	if dir, err := toolbox(); err == nil {
		os.RemoveAll(dir)
	}
}

// run runs a program of the toolbox.
func run(t testing.TB, dir, name string, args ...string) (string, error) {
	t.Helper()
	tools, err := toolbox()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(tools, name), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+tools)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %q: %w\n%s", name, args, err, &stderr)
	}
	return stdout.String(), nil
}

// tree reads a folder as a source.
func tree(t testing.TB, dir string) []fn.TreeFile {
	t.Helper()
	var files []fn.TreeFile
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		files = append(files, fn.TreeFile{Inside: name, Data: data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// write writes files below a folder.
func write(t testing.TB, dir string, files []fn.TreeFile) {
	t.Helper()
	for _, f := range files {
		full := filepath.Join(dir, f.Inside)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func text(files map[string]string) []fn.TreeFile {
	var all []fn.TreeFile
	for name, data := range files {
		all = append(all, fn.TreeFile{Inside: name, Data: []byte(data)})
	}
	slices.SortFunc(all, func(a, b fn.TreeFile) int { return strings.Compare(a.Inside, b.Inside) })
	return all
}

func request(files []fn.TreeFile, path, cluster string) Request {
	return Request{
		Files: files, Path: path, Cluster: cluster, Memory: &schema.Memory{},
		Delivery: fn.Delivery{Namespace: "flux-system", Artifact: func(u fn.Unit) string { return "x." + string(u.Kind) + u.Tenant }},
	}
}

func units(t testing.TB, e *Expansion) []fn.Unit {
	t.Helper()
	if e.Problems.Errors() > 0 {
		var all bytes.Buffer
		for _, p := range e.Problems {
			all.WriteString(p.Line() + "\n")
		}
		t.Fatalf("problems:\n%s", &all)
	}
	var all []fn.Unit
	if err := e.Units(context.Background(), func(u fn.Unit) error { all = append(all, u); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// Whatever kustomization of an example Flux builds, without functions, gives
// what kustomize gives with them on a laptop.
func TestExamplesBuildTheSame(t *testing.T) {
	found := 0
	err := fs.WalkDir(os.DirFS(examples), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || path.Base(name) != "kustomization.yaml" {
			return err
		}
		example, folder, _ := strings.Cut(path.Dir(name), "/")
		files := tree(t, filepath.Join(examples, example))
		for i := range files { // a container has the same program
			files[i].Data = bytes.ReplaceAll(files[i].Data, []byte("container:\n        image: localhost/eso-tenant:dev"), []byte("exec:\n        path: eso-tenant"))
		}
		b := newBuilder(files)
		if calls, complaint := b.calls(folder, nil); complaint != nil || !calls {
			return nil // a part of another
		}
		found++
		t.Run(path.Dir(name), func(t *testing.T) { sameBuild(t, files, folder, true) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 5 {
		t.Errorf("only %d kustomizations were tried", found)
	}
}

// sameBuild compares kustomize with functions on the source with kustomize
// without, on what is published.
func sameBuild(t *testing.T, files []fn.TreeFile, folder string, wantChange bool) {
	t.Helper()
	source, published := t.TempDir(), t.TempDir()
	write(t, source, files)
	want, err := run(t, filepath.Join(source, folder), "kustomize", "build", "--enable-alpha-plugins", "--enable-exec", ".")
	if err != nil {
		t.Fatal(err)
	}
	all := units(t, Do(request(files, folder, "")))
	if len(all) != 1 || all[0].Kind != UnitBuild {
		t.Fatalf("units %v", all)
	}
	write(t, published, all[0].Files)
	got, err := run(t, filepath.Join(published, folder), "kustomize", "build", ".")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("built otherwise (-functions +published):\n%s", diff)
	}
	if (len(want) == 0) == wantChange && !strings.Contains(folder, "checked") {
		t.Error("nothing is built")
	}
}

const (
	function  = "  annotations:\n    config.kubernetes.io/function: |\n      exec:\n        path: eso-tenant\n"
	transform = "apiVersion: eso-tenant.dev/v1alpha1\nkind: TenantTransformer\nmetadata:\n  name: expand\n" + function
	configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {a: b}\n"
)

// specs are files of a platform and two tenants, below specs/.
func specs(t testing.TB, local bool) map[string]string {
	t.Helper()
	files := map[string]string{"specs/kustomization.yaml": "resources: [platform.yaml, tenants/cart.yaml, tenants/orders.yaml]\n"}
	for _, name := range []string{"platform.yaml", "tenants/cart.yaml", "tenants/orders.yaml"} {
		data, err := os.ReadFile(filepath.Join(examples, "kustomize-transformer", "specs", name))
		if err != nil {
			t.Fatal(err)
		}
		files["specs/"+name] = string(data)
		if local {
			files["specs/"+name] = strings.Replace(string(data), "\nmetadata:\n", "\nmetadata:\n  annotations: {config.kubernetes.io/local-config: \"true\"}\n", 1)
			if files["specs/"+name] == string(data) {
				t.Fatal("nothing was annotated")
			}
		}
	}
	return files
}

// More ways of writing kustomizations than the examples have.
func TestKustomizationsBuildTheSame(t *testing.T) {
	tenantSet, err := os.ReadFile(filepath.Join(examples, "kustomize-generator", "config", "tenantset.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	indented := "  - |\n    " + strings.ReplaceAll(strings.TrimSpace(transform), "\n", "\n    ") + "\n"
	tests := map[string]struct {
		folder string
		local  bool
		files  map[string]string
	}{
		"local configuration": {files: map[string]string{
			"kustomization.yaml": "resources: [specs, cm.yaml]\ntransformers: [expand.yaml]\n", "expand.yaml": transform,
			"cm.yaml": strings.Replace(fmt.Sprintf(configMap, "hidden"), "metadata: {", "metadata: {annotations: {config.kubernetes.io/local-config: 'true'}, ", 1),
		}, local: true},
		"text instead of a file": {files: map[string]string{"kustomization.yaml": "resources: [specs]\ntransformers:\n" + indented}},
		"a folder of transformers": {files: map[string]string{
			"kustomization.yaml": "resources: [specs]\ntransformers: [functions]\n", "functions/kustomization.yaml": "resources: [expand.yaml]\n", "functions/expand.yaml": transform,
		}},
		"an overlay over it": {folder: "overlay", files: map[string]string{
			"overlay/kustomization.yaml": "resources: [../base]\nnamePrefix: eu-\nlabels: [{pairs: {team: x}}]\npatches:\n  - target: {kind: ClusterRole}\n    patch: '[{\"op\": \"add\", \"path\": \"/metadata/labels/a\", \"value\": \"b\"}]'\n",
			"base/kustomization.yaml":    "resources: [../specs]\ntransformers: [expand.yaml]\n", "base/expand.yaml": transform,
		}},
		"all that a kustomization does": {files: map[string]string{
			"kustomization.yaml": "resources: [specs, cm.yaml]\ncomponents: [extra]\nnamePrefix: ''\ncommonAnnotations: {x: z}\nconfigMapGenerator: [{name: made, literals: [a=b]}]\npatches:\n  - {path: patch.yaml}\ntransformers: [expand.yaml]\n",
			"expand.yaml":        transform, "cm.yaml": fmt.Sprintf(configMap, "plain"),
			"patch.yaml":               "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\ndata: {more: yes-please}\n",
			"extra/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [cm.yaml]\n", "extra/cm.yaml": fmt.Sprintf(configMap, "extra"),
		}},
		"a transformer after it": {files: map[string]string{
			"kustomization.yaml": "resources: [specs]\ntransformers: [expand.yaml, prefix.yaml]\n", "expand.yaml": transform,
			"prefix.yaml": "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: p}\nprefix: eu-\nfieldSpecs: [{kind: ServiceAccount, path: metadata/name}]\n",
		}},
		"a transformer before it": {files: map[string]string{
			"kustomization.yaml": "resources: [specs]\ntransformers: [annotate.yaml, expand.yaml]\n", "expand.yaml": transform,
			"annotate.yaml": "apiVersion: builtin\nkind: AnnotationsTransformer\nmetadata: {name: a}\nannotations: {a: b}\nfieldSpecs: [{kind: ConfigMap, path: metadata/annotations, create: true}]\n",
		}},
		"a generator among other things": {files: map[string]string{
			"kustomization.yaml": "resources: [cm.yaml]\ncomponents: [extra]\ngenerators: [set.yaml]\nconfigMapGenerator: [{name: made, literals: [a=b]}]\nnamespace: ''\ncommonLabels: {a: b}\n",
			"set.yaml":           string(tenantSet), "cm.yaml": fmt.Sprintf(configMap, "plain"),
			"extra/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches: [{target: {kind: ServiceAccount}, patch: '[{\"op\": \"add\", \"path\": \"/metadata/labels/a\", \"value\": \"b\"}]'}]\n",
		}},
		"an overlay over a generator": {folder: "overlay", files: map[string]string{
			"overlay/kustomization.yaml": "resources: [../base]\nnamePrefix: eu-\nsortOptions: {order: fifo}\n", "base/kustomization.yaml": "generators: [set.yaml]\n", "base/set.yaml": string(tenantSet),
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			files := specs(t, test.local)
			maps.Copy(files, test.files)
			sameBuild(t, text(files), test.folder, true)
		})
	}
}

// A folder of specifications gives the bytes that `render -o` gives.
func TestSpecificationsAreRendered(t *testing.T) {
	for example, test := range map[string]struct{ path, cluster string }{
		"quickstart": {"", ""}, "brownfield": {".", ""}, "cue-policy": {"./", ""}, "fleet": {"", "us-1"}, "kustomize-transformer": {"specs", ""},
	} {
		t.Run(example, func(t *testing.T) {
			rendered := t.TempDir()
			files := tree(t, filepath.Join(examples, example))
			if _, err := run(t, filepath.Join(examples, example), "eso-tenant", "render", path.Clean(test.path), "-o", rendered); err != nil {
				t.Fatal(err)
			}
			clusters, err := os.ReadDir(rendered)
			if err != nil {
				t.Fatal(err)
			}
			cluster := clusters[0].Name()
			if test.cluster != "" {
				cluster = test.cluster
			}
			want, got := map[string]string{}, map[string]string{}
			for _, f := range tree(t, filepath.Join(rendered, cluster)) {
				if !strings.HasPrefix(f.Inside, "flux/") { // whose Kustomizations name artifacts here
					want[f.Inside] = string(f.Data)
				}
			}
			e := Do(request(files, test.path, test.cluster))
			for _, u := range units(t, e) {
				folder := "platform"
				if u.Kind == fn.UnitFlux {
					continue
				}
				if u.Kind == fn.UnitTenant {
					folder = "tenants/" + u.Tenant
				}
				for _, f := range u.Files {
					got[folder+"/"+f.Inside] = string(f.Data)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" || len(want) < 3 {
				t.Error(diff)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	base := map[string]string{"kustomization.yaml": "resources: [specs]\ntransformers: [expand.yaml]\n", "expand.yaml": transform}
	tests := map[string]struct {
		path  string
		files map[string]string
		want  string
	}{
		"no such folder":      {"nowhere", nil, "no such folder"},
		"a tenant is wrong":   {"", map[string]string{"specs/tenants/cart.yaml": "apiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {name: cart}\nspec: {nothing: {}}\n"}, "nothing"},
		"a remote base":       {"", map[string]string{"kustomization.yaml": "resources: [specs, 'https://token@example.com/x?ref=secret']\ntransformers: [expand.yaml]\n"}, `"https://example.com/x" is no file`},
		"git":                 {"", map[string]string{"specs/kustomization.yaml": "resources: ['git@example.com:a/b.git']\n"}, "is no file"},
		"a path out of it":    {"", map[string]string{"kustomization.yaml": "resources: [specs, ../../etc]\ntransformers: [expand.yaml]\n"}, "is no file"},
		"an absolute path":    {"", map[string]string{"kustomization.yaml": "resources: [specs, /etc]\ntransformers: [expand.yaml]\n"}, "is no file"},
		"a remote patch":      {"", map[string]string{"kustomization.yaml": "resources: [specs]\npatches: [{path: 'http://127.0.0.1:1/x'}]\ntransformers: [expand.yaml]\n"}, "is no file"},
		"a remote config map": {"", map[string]string{"kustomization.yaml": "resources: [specs]\nconfigMapGenerator: [{name: x, files: ['a=http://127.0.0.1:1/x']}]\ntransformers: [expand.yaml]\n"}, "is no file"},
		"a remote openapi":    {"", map[string]string{"kustomization.yaml": "resources: [specs]\nopenapi: {path: 'http://127.0.0.1:1/x'}\ntransformers: [expand.yaml]\n"}, "is no file"},
		"a builtin plugin": {"", map[string]string{
			"kustomization.yaml": "resources: [specs]\ntransformers: [patch.yaml, expand.yaml]\n",
			"patch.yaml":         "apiVersion: \"b\\x75iltin\"\nkind: PatchTransformer\nmetadata: {name: x}\npath: http://127.0.0.1:1/x\n",
		}, "is no file"},
		"a builtin plugin, patched": {"", map[string]string{
			"kustomization.yaml":   "resources: [specs]\ntransformers: [p, expand.yaml]\n",
			"p/kustomization.yaml": "resources: [patch.yaml]\npatches: [{patch: '[{\"op\": \"replace\", \"path\": \"/path\", \"value\": \"http://127.0.0.1:1/x\"}]', target: {kind: PatchTransformer}}]\n",
			"p/patch.yaml":         "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: x}\npath: patch.yaml\n",
		}, "is no file"},
		"a chart":           {"", map[string]string{"kustomization.yaml": "resources: [specs]\nhelmCharts: [{name: x, repo: 'https://example.com'}]\ntransformers: [expand.yaml]\n"}, "no charts"},
		"a circle":          {"", map[string]string{"specs/kustomization.yaml": "resources: [..]\n"}, "circle"},
		"a circle of calls": {"", map[string]string{"kustomization.yaml": "resources: [specs]\ntransformers: [p, expand.yaml]\n", "p/kustomization.yaml": "resources: [../q]\n", "q/kustomization.yaml": "resources: [../p]\n"}, "circle"},
		"a hash below an overlay": {"overlay", map[string]string{
			"overlay/kustomization.yaml": "resources: [..]\nnamePrefix: x-\n",
			"kustomization.yaml":         "resources: [specs]\nconfigMapGenerator: [{name: x, literals: [a=b]}]\ntransformers: [expand.yaml]\n",
		}, "names get a hash"},
		"a function of a component": {"", map[string]string{
			"kustomization.yaml": "resources: [specs]\ncomponents: [c]\n", "c/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ntransformers: [../expand.yaml]\n",
		}, "a function of a component"},
		"changed, and left to nobody": {"", map[string]string{"kustomization.yaml": "resources: [specs]\nnamePrefix: x-\n"}, "runs no function"},
		"nothing of ours":             {"", map[string]string{"kustomization.yaml": "resources: [cm.yaml]\n", "cm.yaml": fmt.Sprintf(configMap, "x"), "specs/platform.yaml": "a: b\n"}, ""},
		"a name that is taken":        {"", map[string]string{expandedFile: "x: y\n"}, "would stand here"},
		"no YAML":                     {"", map[string]string{"kustomization.yaml": "resources: [\n"}, "no kustomization"},
		"a field too many":            {"", map[string]string{"kustomization.yaml": "resorces: [specs]\ntransformers: [expand.yaml]\n"}, "no kustomization"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			files := specs(t, false)
			maps.Copy(files, base)
			maps.Copy(files, test.files)
			e := Do(request(text(files), test.path, ""))
			if e.Problems.Errors() == 0 || e.Units != nil {
				t.Fatalf("it was expanded: %v", e.Tenants)
			}
			var lines []string
			for _, p := range e.Problems {
				lines = append(lines, p.Line())
			}
			all := strings.Join(lines, "\n")
			if !strings.Contains(all, test.want) || strings.Contains(all, "secret") || strings.Contains(all, "token") {
				t.Errorf("problems:\n%s\nwant %q", all, test.want)
			}
		})
	}
}

// Units stop where whoever takes them does.
func TestUnitsStop(t *testing.T) {
	e := Do(request(tree(t, filepath.Join(examples, "fleet")), "", "eu-1"))
	stop := errors.New("stop")
	count := 0
	if err := e.Units(context.Background(), func(fn.Unit) error { count++; return stop }); !errors.Is(err, stop) || count != 1 {
		t.Errorf("%v after %d", err, count)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.Units(ctx, func(fn.Unit) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
