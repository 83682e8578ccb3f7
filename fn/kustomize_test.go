package fn

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// tools fills the toolbox, once.
var tools = sync.OnceValue(func() error {
	kustomize, err := findKustomize()
	if err != nil {
		return err
	}
	if toolbox, err = os.MkdirTemp("", "eso-tenant-test-"); err != nil {
		return err
	}
	if err := os.Symlink(kustomize, filepath.Join(toolbox, "kustomize")); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(toolbox, "eso-tenant"), "./cmd/eso-tenant")
	build.Dir = ".."
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as the Makefile's, so that nothing is compiled twice
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building eso-tenant: %w\n%s", err, out)
	}
	return nil
})

// toolbox is a folder with eso-tenant, built from this tree, and kustomize: the
// two that a user of kustomize has on the PATH. It is empty until the first
// test asks for it, as none does in a fuzz worker.
var toolbox string

func TestMain(m *testing.M) {
	m.Run()
	if toolbox != "" {
		os.RemoveAll(toolbox)
	}
}

// findKustomize finds the kustomize that `make tools` builds, or another one.
func findKustomize() (string, error) {
	const cure = "run `make tools`, or name a kustomize in KUSTOMIZE"
	if named := os.Getenv("KUSTOMIZE"); named != "" {
		found, err := exec.LookPath(named)
		if err != nil {
			return "", fmt.Errorf("there is no kustomize where KUSTOMIZE says; %s: %w", cure, err)
		}
		return filepath.Abs(found)
	}
	for _, name := range []string{filepath.Join("..", ".cache", "bin", "kustomize"), "kustomize"} {
		if found, err := exec.LookPath(name); err == nil {
			return filepath.Abs(found)
		}
	}
	return "", errors.New("these tests run the real kustomize, and there is none; " + cure)
}

// command is a program of the toolbox, or a shell that finds them.
func command(t testing.TB, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	if err := tools(); err != nil {
		t.Fatal(err)
	}
	if name != "bash" {
		name = filepath.Join(toolbox, name)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+toolbox+string(os.PathListSeparator)+os.Getenv("PATH"), "LC_ALL=C")
	return cmd
}

// output runs a command that has to work and returns its standard output.
func output(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, &stderr)
	}
	return stdout.String()
}

// build runs kustomize as a user has to, in order for functions to run.
func build(t testing.TB, dir string) string {
	t.Helper()
	return output(t, kustomize(t, dir))
}

func kustomize(t testing.TB, dir string) *exec.Cmd {
	t.Helper()
	return command(t, dir, "kustomize", "build", "--enable-alpha-plugins", "--enable-exec", ".")
}

// refusal runs a build that has to fail and returns what the user sees.
func refusal(t testing.TB, dir string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := kustomize(t, dir)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err == nil {
		t.Fatalf("kustomize did not fail:\n%s", &stdout)
	}
	if stdout.Len() > 0 {
		t.Errorf("kustomize failed, and wrote:\n%s", &stdout)
	}
	return stderr.String()
}

// example is a copy of an example's folder.
func example(t testing.TB, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "examples", name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// write makes files, and the folders that they need.
func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// edit replaces a text that has to be in the file.
func edit(t testing.TB, file, from, to string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(from)) {
		t.Fatalf("%s has no %q", file, from)
	}
	if err := os.WriteFile(file, bytes.ReplaceAll(data, []byte(from), []byte(to)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// values parses a stream of documents as kubectl does.
func values(t testing.TB, stream string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for text := range strings.SplitSeq(stream, "\n---\n") {
		var value map[string]any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if value != nil {
			all = append(all, value)
		}
	}
	return all
}

// inside is the map under a key; nil where there is none.
func inside(value map[string]any, key string) map[string]any {
	found, _ := value[key].(map[string]any)
	return found
}

// objects are a stream's documents by what identifies them in a cluster.
func objects(t testing.TB, stream string) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for _, value := range values(t, stream) {
		meta := inside(value, "metadata")
		id := fmt.Sprint(value["apiVersion"], " ", value["kind"], " ", meta["namespace"], "/", meta["name"])
		if all[id] != nil {
			t.Fatalf("%s is there twice", id)
		}
		all[id] = value
	}
	return all
}

// canonical is a stream's documents in one form, in one order.
func canonical(t testing.TB, stream string) string {
	t.Helper()
	var documents []string
	for _, value := range values(t, stream) {
		text, err := appendYAML(nil, value)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, string(text))
	}
	slices.Sort(documents)
	return strings.Join(documents, separator)
}

// sameObjects compares two streams, whatever the order and style of each.
func sameObjects(t *testing.T, want, got string) {
	t.Helper()
	if len(objects(t, want)) == 0 {
		t.Error("there are no objects to compare")
	}
	if diff := cmp.Diff(objects(t, want), objects(t, got)); diff != "" {
		t.Errorf("other objects (-want +got):\n%s", diff)
	}
	if canonical(t, want) != canonical(t, got) {
		t.Errorf("the objects are the same, and their canonical bytes are not:\n%s", cmp.Diff(canonical(t, want), canonical(t, got)))
	}
}

const (
	transformer = `apiVersion: eso-tenant.dev/v1alpha1
kind: TenantTransformer
metadata:
  name: expand
  annotations:
    config.kubernetes.io/function: |
      exec: {path: eso-tenant}
`
	fifo = "sortOptions: {order: fifo}\n"
)

// wrapped puts the specifications below dir into a kustomization that expands
// them. spec is the transformer's.
func wrapped(t testing.TB, dir, spec string) {
	t.Helper()
	var resources []string
	for name := range filesBelow(t, dir) {
		if isSource(filepath.Base(name)) {
			resources = append(resources, name)
		}
	}
	slices.Sort(resources)
	write(t, dir, map[string]string{
		"kustomization.yaml": "resources: [" + strings.Join(resources, ", ") + "]\ntransformers: [expand.yaml]\n" + fifo,
		"expand.yaml":        transformer + spec,
	})
}

// tenantSet makes one generator's configuration of a Platform and its Tenants.
func tenantSet(t testing.TB, stream string) string {
	t.Helper()
	tenants := map[string]any{}
	var platform map[string]any
	for _, value := range values(t, stream) {
		spec, name := inside(value, "spec"), fmt.Sprint(inside(value, "metadata")["name"])
		if value["kind"] == "Platform" {
			platform = maps.Clone(spec)
			platform["name"] = name
			continue
		}
		tenants[name] = spec
	}
	text, err := appendYAML(nil, map[string]any{
		"apiVersion": "eso-tenant.dev/v1alpha1",
		"kind":       "TenantSet",
		"metadata": map[string]any{"name": "all", "annotations": map[string]string{
			"config.kubernetes.io/function": "exec: {path: eso-tenant}\n",
		}},
		"spec": map[string]any{"platform": platform, "tenants": tenants},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// However eso-tenant is called, the same specifications make the same objects.
func TestKustomizeIsRender(t *testing.T) {
	render := func(t *testing.T, dir string, args ...string) string {
		t.Helper()
		return output(t, command(t, dir, "eso-tenant", append([]string{"render"}, args...)...))
	}
	t.Run("quickstart as resources", func(t *testing.T) {
		dir := example(t, "quickstart")
		want := render(t, dir)
		wrapped(t, dir, "")
		sameObjects(t, want, build(t, dir))
	})
	t.Run("quickstart as a generator", func(t *testing.T) {
		dir := example(t, "quickstart")
		set := tenantSet(t, read(t, dir+"/platform.yaml")+separator+read(t, dir+"/tenants/secure.yaml"))
		generator := t.TempDir()
		write(t, generator, map[string]string{"kustomization.yaml": "generators: [set.yaml]\n", "set.yaml": set})
		sameObjects(t, render(t, dir), build(t, generator))
	})
	for _, cluster := range []string{"eu-1", "us-1"} {
		t.Run("fleet on "+cluster, func(t *testing.T) {
			dir := example(t, "fleet")
			want := render(t, dir, "--cluster", cluster)
			wrapped(t, dir, "spec: {cluster: "+cluster+"}\n")
			sameObjects(t, want, build(t, dir))
		})
	}
	t.Run("kustomize-generator", func(t *testing.T) {
		dir := example(t, "kustomize-generator")
		sameObjects(t, render(t, dir, "config"), build(t, dir))
	})
	t.Run("kustomize-generator's overlay", func(t *testing.T) {
		dir := example(t, "kustomize-generator")
		patched := build(t, dir+"/overlays/us-1/config") // as a resource it is not run
		cmd := command(t, dir, "eso-tenant", "render", "-")
		cmd.Stdin = strings.NewReader(patched)
		sameObjects(t, output(t, cmd), build(t, dir+"/overlays/us-1"))
	})
	t.Run("kustomize-transformer", func(t *testing.T) {
		dir := example(t, "kustomize-transformer")
		sameObjects(t, read(t, dir+"/announcement.yaml")+separator+render(t, dir, "specs"), build(t, dir))
	})
}

// What render writes to a folder can be built as it is, without functions.
func TestKustomizeBuildsFolders(t *testing.T) {
	dir := example(t, "fleet")
	output(t, command(t, dir, "eso-tenant", "render", "-o", "rendered"))
	for _, cluster := range []string{"eu-1", "us-1"} {
		var stream []string
		kustomizations, err := filepath.Glob(filepath.Join(dir, "rendered", cluster, "*", "*", "kustomization.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range append(kustomizations, filepath.Join(dir, "rendered", cluster, "platform", "kustomization.yaml")) {
			stream = append(stream, output(t, command(t, filepath.Dir(name), "kustomize", "build", ".")))
		}
		sameObjects(t, output(t, command(t, dir, "eso-tenant", "render", "platforms", "tenants", "--cluster", cluster)), strings.Join(stream, separator))
	}
}

// What is wrong fails the build, and kustomize shows what, of which object and
// at which path.
func TestKustomizeRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		example, build, file, old, new string
		want                           []string
	}{
		"a generator": {
			"kustomize-generator", ".", "config/tenantset.yaml", "{provider: vault}", "{provider: valt}",
			[]string{`TenantSet/shop: spec.tenants.orders.namespaces.orders-prod.stores.vault.provider: "valt" is no provider of Platform eu-1 [provider-unknown]`, "3 problems"},
		},
		"a generator that a patch broke": {
			"kustomize-generator", "overlays/us-1", "overlays/us-1/config/kustomization.yaml", "serviceAccount: orders-vault-sa", "serviceAccount: default",
			[]string{`TenantSet/shop: spec.tenants.orders.namespaces.orders-prod.stores.vault.serviceAccount: service account "default" is`},
		},
		"a transformer's Tenant": {
			"kustomize-transformer", ".", "specs/tenants/cart.yaml", "cart-prod:", "orders-prod:",
			[]string{`Tenant/cart: spec.namespaces.orders-prod: namespace "orders-prod" is outside what tenant "cart" may claim`, "[namespace-outside-policy]"},
		},
		"a transformer's Platform": {
			"kustomize-transformer", ".", "specs/platform.yaml", "version: v2.9.0", "version: v99.0.0",
			[]string{`Platform/eu-1: spec.externalSecrets.version: the roles of External Secrets Operator "v99.0.0" are not known [eso-version-unknown]`},
		},
		"a transformer's own configuration": {
			"kustomize-transformer", ".", "expand.yaml", "cluster: eu-1", "cluster: eu-2",
			[]string{`TenantTransformer/expand: spec.cluster: there is no cluster "eu-2"; there are "eu-1" [cluster-unknown]`},
		},
		"a validator": {
			"kustomize-transformer", "checked", "specs/tenants/orders.yaml", "provider: vault", "provider: vault\n          hurry: true",
			[]string{`Tenant/orders: spec.namespaces.orders-prod.stores.vault.hurry: there is no field "hurry" [field-unknown]`, "1 problem"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := example(t, test.example)
			build(t, filepath.Join(dir, test.build)) // right before the edit
			edit(t, filepath.Join(dir, test.file), test.old, test.new)
			stderr := refusal(t, filepath.Join(dir, test.build))
			for _, want := range test.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("standard error has no\n%s\nbut\n%s", want, stderr)
				}
			}
		})
	}
}

// A validator changes nothing: the specifications come out as they went in.
func TestKustomizeValidates(t *testing.T) {
	dir := example(t, "kustomize-transformer")
	for name := range filesBelow(t, dir+"/specs") {
		if name != "kustomization.yaml" {
			edit(t, filepath.Join(dir, "specs", name), `config.kubernetes.io/local-config: "true"`, `kept: "true"`)
		}
	}
	want := build(t, dir+"/specs")
	if got := objects(t, want); len(got) != 3 {
		t.Fatalf("%d specifications are to be validated, not 3", len(got))
	}
	if diff := cmp.Diff(want, build(t, dir+"/checked")); diff != "" {
		t.Errorf("-without +with the validator:\n%s", diff)
	}
}

// odd are resources that mean something else to a careless reader, or look
// other than what we would write.
const odd = `# a comment above
apiVersion: v1
kind: ConfigMap
metadata: {name: odd, namespace: "123", annotations: {"a.b/c": 'yes', empty: ""}}
data:
  octal: "010"
  "no": "no" # a comment beside
  text: |+
    kept

  folded: >-
    one
    two
  z: last
  a: first
---
apiVersion: example.com/v1
kind: Widget
metadata:
  name: widget
spec: {numbers: [010, 0x1F, 1e3, 1.0, .5, 12345678901234567890], nil: ~, on: off, nested: [[1, [2]], {}], list: []}
status: {kept: true}
---
apiVersion: eso-tenant.example/v1
kind: Tenant
metadata:
  name: not-ours
`

// Other resources come out as a build without eso-tenant writes them: the same
// bytes, in the same order, before ours.
func TestKustomizeForeignResources(t *testing.T) {
	for _, spec := range []string{"", "spec: {cluster: eu-1}\n"} {
		dir := t.TempDir()
		write(t, dir, map[string]string{
			"plain/kustomization.yaml": "resources: [odd.yaml]\n" + fifo, "plain/odd.yaml": odd,
			"kustomization.yaml": "resources: [plain]\ntransformers: [expand.yaml]\n" + fifo, "expand.yaml": transformer,
			"with/kustomization.yaml": "resources: [../plain, ../specs]\ntransformers: [expand.yaml]\n" + fifo, "with/expand.yaml": transformer + spec,
		})
		if err := os.CopyFS(dir+"/specs", os.DirFS("../examples/kustomize-transformer/specs")); err != nil {
			t.Fatal(err)
		}
		plain := build(t, dir+"/plain")
		if diff := cmp.Diff(plain, build(t, dir)); diff != "" {
			t.Errorf("without specifications, other bytes:\n%s", diff)
		}
		others, ours, found := strings.Cut(build(t, dir+"/with"), plain+separator)
		if !found || others != "" || len(objects(t, ours)) < 10 {
			t.Errorf("the resources do not begin the output:\n%s", others)
		}
	}
}

// A patch over a TenantSet changes what it names, since collections are maps.
func TestKustomizePatchesOneTenant(t *testing.T) {
	dir := example(t, "kustomize-generator")
	write(t, dir, map[string]string{
		"patched/kustomization.yaml": "generators: [config]\n",
		"patched/config/kustomization.yaml": `resources: [../../config]
patches:
- patch: |
    {apiVersion: eso-tenant.dev/v1alpha1, kind: TenantSet, metadata: {name: shop},
     spec: {tenants: {orders: {namespaces: {orders-prod: {stores: {vault: {serviceAccount: other-sa}}}}}}}}
`,
	})
	before, after := objects(t, build(t, dir)), objects(t, build(t, dir+"/patched"))
	tenantsOf := func(all map[string]map[string]any) map[string]map[string]map[string]any {
		tenants := map[string]map[string]map[string]any{}
		for id, object := range all {
			tenant := fmt.Sprint(inside(inside(object, "metadata"), "labels")["eso-tenant.dev/tenant"])
			if tenants[tenant] == nil {
				tenants[tenant] = map[string]map[string]any{}
			}
			tenants[tenant][id] = object
		}
		return tenants
	}
	was, is := tenantsOf(before), tenantsOf(after)
	for _, tenant := range []string{"cart", "platform", "stock"} {
		if diff := cmp.Diff(was[tenant], is[tenant]); diff != "" || len(was[tenant]) < 6 {
			t.Errorf("%s has %d objects, and they changed:\n%s", tenant, len(was[tenant]), diff)
		}
	}
	if len(is["orders"]) != len(was["orders"]) {
		t.Errorf("orders had %d objects and has %d", len(was["orders"]), len(is["orders"]))
	}
	for _, id := range []string{
		"v1 ServiceAccount orders-prod/other-sa",
		"rbac.authorization.k8s.io/v1 Role orders-prod/eso-tenant-token-other-sa",
		"external-secrets.io/v1 SecretStore orders-prod/vault",
	} {
		if is["orders"][id] == nil {
			t.Errorf("there is no %s", id)
		}
	}
}

// A list, which kustomize merges by key for Kubernetes' own kinds, is replaced
// whole in a kind that it does not know.
func TestKustomizePatchesLists(t *testing.T) {
	dir := example(t, "kustomize-generator")
	edit(t, dir+"/overlays/us-1/config/kustomization.yaml", "vault: {vault:", "vault: {audiences: [other], vault:")
	got := build(t, dir+"/overlays/us-1")
	if strings.Count(got, "audiences:\n            - other\n            name:") != 3 {
		t.Errorf("the audiences are not just the patch's:\n%s", got)
	}
}

// In the folder of a generator's configuration, all resources are generators.
func TestKustomizeGeneratorFolder(t *testing.T) {
	dir := example(t, "kustomize-generator")
	build(t, dir)
	write(t, dir, map[string]string{"config/facts.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: facts, annotations: {config.kubernetes.io/local-config: \"true\"}}\n"})
	edit(t, dir+"/config/kustomization.yaml", "[tenantset.yaml]", "[tenantset.yaml, facts.yaml]")
	if stderr := refusal(t, dir); !strings.Contains(stderr, "loading generator plugins: ") {
		t.Errorf("another refusal:\n%s", stderr)
	}
}

// A program with a slash in its path is looked for from the kustomization that
// lists the function, wherever the function's configuration and the build are.
func TestKustomizeExecPath(t *testing.T) {
	dir := example(t, "kustomize-generator")
	want := build(t, dir)
	edit(t, dir+"/config/tenantset.yaml", "path: eso-tenant", "path: ./bin/fence")
	write(t, dir, map[string]string{"over/kustomization.yaml": "resources: [../base]\n", "base/kustomization.yaml": "generators: [../config]\n", "base/bin/README": ""})
	if err := os.Symlink(filepath.Join(toolbox, "eso-tenant"), dir+"/base/bin/fence"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, build(t, dir+"/over")); diff != "" {
		t.Errorf("another output:\n%s", diff)
	}
}

// A replacement fills a field of a TenantSet before it is expanded.
func TestKustomizeReplacement(t *testing.T) {
	dir := example(t, "kustomize-generator")
	if got := build(t, dir+"/overlays/us-1"); strings.Count(got, "mountPath: us-1\n") != 3 || strings.Contains(got, "mountPath: eu-1") {
		t.Errorf("the three stores do not have the replaced mount:\n%s", got)
	}
}

// consumed is a kustomization that expands one tenant: one that reads Secrets
// of another namespace as well, so that all kinds of references are in it.
func consumed(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"base/platform.yaml":            read(t, "../examples/fleet/platforms/eu-1.yaml"),
		"base/tenants/status-page.yaml": strings.Replace(read(t, "../examples/fleet/tenants/status-page.yaml"), "  clusters: [eu-1]\n", "", 1),
	})
	wrapped(t, dir+"/base", "")
	return dir
}

// changes lists what is other in the second of two streams of the same objects
// in the same order, as "Kind path"; or "Kind path: old -> new" for namespaces.
func changes(t testing.TB, before, after string) []string {
	t.Helper()
	was, is := values(t, before), values(t, after)
	if len(was) != len(is) {
		t.Fatalf("there were %d objects, and are %d", len(was), len(is))
	}
	var all []string
	for i := range was {
		kind := fmt.Sprint(was[i]["kind"])
		old, now := flat("", was[i]), flat("", is[i])
		for _, path := range slices.Sorted(maps.Keys(now)) {
			if !cmp.Equal(old[path], now[path]) {
				all = append(all, kind+" "+path)
			}
		}
		for path := range old {
			if now[path] == nil {
				all = append(all, kind+" "+path+" is gone")
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// flat is a value's leaves by their paths, those of a list together.
func flat(path string, value any) map[string][]any {
	leaves := map[string][]any{}
	add := func(inside map[string][]any) {
		for at, found := range inside {
			leaves[at] = append(leaves[at], found...)
		}
	}
	switch value := value.(type) {
	case map[string]any:
		for key, child := range value {
			add(flat(strings.TrimPrefix(path+"."+key, "."), child))
		}
	case []any:
		for _, child := range value {
			add(flat(path+"[]", child))
		}
	default:
		leaves[path] = []any{value}
	}
	return leaves
}

// What an overlay does to the output, measured. docs/kustomize.md tells it to
// users; a kustomize that does otherwise has to be told there as well.
func TestKustomizeOverlays(t *testing.T) {
	const renamed = `ClusterRole metadata.name
ClusterRoleBinding metadata.name
ClusterRoleBinding roleRef.name
ConfigMap metadata.name
LimitRange metadata.name
NetworkPolicy metadata.name
ResourceQuota metadata.name
Role metadata.name
RoleBinding metadata.name
RoleBinding roleRef.name
RoleBinding subjects[].name
SecretStore metadata.name
ServiceAccount metadata.name
ValidatingAdmissionPolicy metadata.name
ValidatingAdmissionPolicyBinding metadata.name
ValidatingAdmissionPolicyBinding spec.policyName`
	everything := func(path string) string {
		return "ClusterRole " + path + "\nClusterRoleBinding " + path + "\nConfigMap " + path + "\nLimitRange " + path +
			"\nNamespace " + path + "\nNetworkPolicy " + path + "\nResourceQuota " + path + "\nRole " + path +
			"\nRoleBinding " + path + "\nSecretStore " + path + "\nServiceAccount " + path +
			"\nValidatingAdmissionPolicy " + path + "\nValidatingAdmissionPolicyBinding " + path
	}
	dir := consumed(t)
	before := build(t, dir+"/base")
	for name, test := range map[string]struct{ overlay, want string }{
		// Not fixed: the Roles' resourceNames and the store's serviceAccountRef.
		// So ESO may mint for a service account that is not there.
		"namePrefix": {"namePrefix: acme-\n", renamed},
		"nameSuffix": {"nameSuffix: -acme\n", renamed},
		// Moved: ESO's own Role and the chart's values, and the Role in the
		// namespace that is read from. Not moved: the subjects that are ESO.
		"namespace": {"namespace: moved\n", `ConfigMap metadata.namespace
LimitRange metadata.namespace
Namespace metadata.name
NetworkPolicy metadata.namespace
ResourceQuota metadata.namespace
Role metadata.namespace
RoleBinding metadata.namespace
RoleBinding subjects[].namespace
SecretStore metadata.namespace
ServiceAccount metadata.namespace`},
		"labels":              {"labels: [{pairs: {team: x}}]\n", everything("metadata.labels.team")},
		"labels in selectors": {"labels: [{pairs: {team: x}, includeSelectors: true}]\n", everything("metadata.labels.team")},
		"commonLabels":        {"commonLabels: {team: x}\n", everything("metadata.labels.team")},
		// Ours are not protected.
		"our own label":     {"labels: [{pairs: {eso-tenant.dev/tenant: other}}]\n", everything("metadata.labels.eso-tenant.dev/tenant")},
		"commonAnnotations": {"commonAnnotations: {team: x}\n", everything("metadata.annotations.team")},
		// The fence opens, and nobody says a word.
		"a patch": {
			`patches:
- target: {kind: Role, name: eso-tenant-token-.*}
  patch: |
    - {op: remove, path: /rules/0/resourceNames}
- target: {kind: SecretStore}
  patch: |
    - {op: replace, path: /spec/provider/kubernetes/auth/serviceAccount/name, value: other}
`,
			`Role rules[].resourceNames[]
SecretStore spec.provider.kubernetes.auth.serviceAccount.name`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			write(t, dir, map[string]string{"over/kustomization.yaml": "resources: [../base]\n" + fifo + test.overlay})
			after := build(t, dir+"/over")
			if diff := cmp.Diff(strings.Split(test.want, "\n"), changes(t, before, after)); diff != "" {
				t.Errorf("other changes than are documented (-want +got):\n%s", diff)
			}
			const subject = "- kind: ServiceAccount\n  name: external-secrets\n  namespace: external-secrets\n"
			if was, is := strings.Count(before, subject), strings.Count(after, subject); was < 4 || was != is {
				t.Errorf("ESO was the subject of %d bindings, and is of %d", was, is)
			}
		})
	}
}

// With namespace:, tenants' Namespaces become one, which kustomize refuses.
func TestKustomizeNamespaceOfTwo(t *testing.T) {
	dir := example(t, "kustomize-transformer")
	write(t, dir, map[string]string{
		"all/kustomization.yaml": "resources: [../specs]\ntransformers: [expand.yaml]\n", "all/expand.yaml": transformer,
		"over/kustomization.yaml": "resources: [../all]\nnamespace: moved\n",
	})
	if stderr := refusal(t, dir+"/over"); !strings.Contains(stderr, "namespace transformation produces ID conflict") {
		t.Errorf("another refusal:\n%s", stderr)
	}
}

// In the kustomization that lists the transformer, kustomize's own go first:
// they see Platforms and Tenants, not what these become.
func TestKustomizeSameKustomization(t *testing.T) {
	t.Run("namePrefix renames the tenant, which may then claim nothing", func(t *testing.T) {
		dir := consumed(t) + "/base"
		edit(t, dir+"/kustomization.yaml", fifo, fifo+"namePrefix: acme-\n")
		want := `Tenant/acme-status-page: spec.namespaces.status-page: namespace "status-page" is outside what tenant "acme-status-page" may claim`
		if stderr := refusal(t, dir); !strings.Contains(stderr, want) {
			t.Errorf("another refusal:\n%s", stderr)
		}
	})
	for name, field := range map[string]string{
		"namespace":         "namespace: moved\n",
		"labels":            "labels: [{pairs: {team: x}}]\n",
		"commonAnnotations": "commonAnnotations: {team: x}\n",
	} {
		t.Run(name+" does nothing", func(t *testing.T) {
			dir := consumed(t) + "/base"
			want := build(t, dir)
			edit(t, dir+"/kustomization.yaml", fifo, fifo+field)
			if diff := cmp.Diff(want, build(t, dir)); diff != "" {
				t.Errorf("it changed the output:\n%s", diff)
			}
		})
	}
	t.Run("a transformer listed after it sees the output", func(t *testing.T) {
		const prefix = "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: p}\nprefix: acme-\nfieldSpecs: [{path: metadata/name}]\n"
		dir := consumed(t) + "/base"
		write(t, dir, map[string]string{"prefix.yaml": prefix})
		edit(t, dir+"/kustomization.yaml", "[expand.yaml]", "[expand.yaml, prefix.yaml]")
		if got := build(t, dir); !strings.Contains(got, "name: acme-published-access-sa\n") {
			t.Errorf("nothing is renamed:\n%s", got)
		}
		edit(t, dir+"/kustomization.yaml", "[expand.yaml, prefix.yaml]", "[prefix.yaml, expand.yaml]")
		if stderr := refusal(t, dir); !strings.Contains(stderr, "Tenant/acme-status-page") {
			t.Errorf("another refusal:\n%s", stderr)
		}
	})
	t.Run("after a generator they see the output", func(t *testing.T) {
		dir := example(t, "kustomize-generator")
		edit(t, dir+"/kustomization.yaml", "generators: [config]", "generators: [config]\nnamePrefix: acme-")
		if got := build(t, dir); !strings.Contains(got, "name: acme-vault-access-sa\n") {
			t.Errorf("nothing is renamed:\n%s", got)
		}
	})
	t.Run("a component's transformer runs before the overlay's", func(t *testing.T) {
		dir := example(t, "kustomize-transformer")
		write(t, dir, map[string]string{
			"component/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ntransformers: [expand.yaml]\n",
			"component/expand.yaml":        transformer,
			"over/kustomization.yaml":      "resources: [../specs]\ncomponents: [../component]\nnamePrefix: acme-\n",
		})
		if got := build(t, dir+"/over"); !strings.Contains(got, "name: acme-vault-access-sa\n") {
			t.Errorf("nothing is renamed:\n%s", got)
		}
	})
}

// Nothing of ours is in any output, annotated or not.
func TestKustomizeLeavesNoSpecifications(t *testing.T) {
	for _, name := range []string{"kustomize-generator", "kustomize-generator/overlays/us-1", "kustomize-transformer", "kustomize-transformer/checked"} {
		root, inside, _ := strings.Cut(name, "/")
		got := build(t, filepath.Join(example(t, root), inside))
		for _, text := range []string{"apiVersion: eso-tenant.dev/", "config.kubernetes.io"} {
			if strings.Contains(got, text) {
				t.Errorf("%s: %q is in the output:\n%s", name, text, got)
			}
		}
	}
	t.Run("without local-config", func(t *testing.T) {
		dir := consumed(t) + "/base" // the fleet's files have no annotation
		if got := build(t, dir); strings.Contains(got, "apiVersion: eso-tenant.dev/") {
			t.Errorf("a specification is in the output:\n%s", got)
		}
	})
}

// local-config hides a resource from the output, not from transformers, those
// of overlays included.
func TestKustomizeLocalConfig(t *testing.T) {
	dir := example(t, "kustomize-transformer")
	if got := build(t, dir+"/specs"); got != "" {
		t.Errorf("specifications alone give\n%s", got)
	}
	if got := objects(t, build(t, dir)); got["v1 Namespace <nil>/cart-prod"] == nil {
		t.Error("the overlay's transformer did not see them")
	}
	set := example(t, "kustomize-generator")
	want := build(t, set)
	edit(t, set+"/config/tenantset.yaml", "  annotations:\n", "  annotations:\n    config.kubernetes.io/local-config: \"true\"\n")
	if diff := cmp.Diff(want, build(t, set)); diff != "" {
		t.Errorf("a TenantSet with it gives something else:\n%s", diff)
	}
}

// Without --enable-exec, kustomize runs no function and says nothing: there is
// no error, and no fence. Who deploys has to look at the output.
func TestKustomizeWithoutExec(t *testing.T) {
	for name, others := range map[string]int{"kustomize-generator": 0, "kustomize-transformer": 1} {
		got := output(t, command(t, example(t, name), "kustomize", "build", "--enable-alpha-plugins", "."))
		if len(objects(t, got)) != others {
			t.Errorf("%s: the output is\n%s", name, got)
		}
	}
}
