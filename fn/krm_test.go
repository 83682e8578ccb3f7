package fn

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	yamlv3 "go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// resourceList writes a ResourceList of items, each of which is a YAML text. A
// config of "" is none.
func resourceList(config string, items ...string) string {
	var text strings.Builder
	text.WriteString("apiVersion: config.kubernetes.io/v1\nkind: ResourceList\n")
	if config != "" {
		text.WriteString("functionConfig:\n" + indented(config, "  ", "  "))
	}
	if len(items) == 0 {
		return text.String() + "items: []\n"
	}
	text.WriteString("items:\n")
	for _, item := range items {
		text.WriteString(indented(item, "- ", "  "))
	}
	return text.String()
}

func indented(text, first, rest string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	return first + strings.Join(lines, "\n"+rest) + "\n"
}

// reply is what the function answers.
type reply struct {
	text     string
	Items    []yamlv3.Node
	Results  []map[string]any
	problems problem.List
}

// run calls the function with a ResourceList, which it has to answer.
func run(t fataler, in string) reply {
	t.Helper()
	var out bytes.Buffer
	problems, err := Run(strings.NewReader(in), &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, in)
	}
	r := reply{text: out.String(), problems: problems}
	if err := yamlv3.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	return r
}

// names lists the items as "Kind/name".
func (r reply) names(t fataler) []string {
	t.Helper()
	var all []string
	for i := range r.Items {
		var item struct {
			Kind     string
			Metadata struct{ Name string }
		}
		if err := r.Items[i].Decode(&item); err != nil {
			t.Fatalf("%v", err)
		}
		all = append(all, item.Kind+"/"+item.Metadata.Name)
	}
	return all
}

const (
	transformConfig = "{apiVersion: eso-tenant.dev/v1alpha1, kind: TenantTransformer, metadata: {name: expand}}"
	validatorConfig = "{apiVersion: eso-tenant.dev/v1alpha1, kind: TenantValidator, metadata: {name: check}}"
	foreign         = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: foreign}\n"
)

// specs are an example's Platform and its two Tenants.
func specs(t testing.TB) []string {
	t.Helper()
	var all []string
	for _, name := range []string{"platform", "tenants/cart", "tenants/orders"} {
		all = append(all, read(t, "../examples/kustomize-transformer/specs/"+name+".yaml"))
	}
	return all
}

func generatorConfig(t testing.TB) string {
	t.Helper()
	return read(t, "../examples/kustomize-generator/config/tenantset.yaml")
}

// A kustomize or kpt that runs the function on its own output gets that output.
func TestRunTwice(t *testing.T) {
	for name, config := range map[string]string{"no configuration": "", "transformer": transformConfig} {
		first := run(t, resourceList(config, append(specs(t), foreign)...))
		if len(first.Items) < 15 {
			t.Fatalf("%s: only %d items", name, len(first.Items))
		}
		second := run(t, first.text)
		if diff := cmp.Diff(first.text, second.withoutNothing(t)); diff != "" {
			t.Errorf("%s: the second run changes the first one's output:\n%s", name, diff)
		}
	}
}

// withoutNothing is the output less the warning that there was nothing to
// expand, which has to be the only result.
func (r reply) withoutNothing(t fataler) string {
	t.Helper()
	if len(r.problems) != 1 || r.problems[0].Rule != problem.SourceEmpty || r.problems.Errors() != 0 {
		t.Fatalf("problems: %v", r.problems)
	}
	items, _, _ := strings.Cut(r.text, "results:\n")
	return items
}

// A generator that is run on its own output would have all objects twice, and
// kustomize says so. Nothing else changes.
func TestRunGeneratorTwice(t *testing.T) {
	first := run(t, resourceList(generatorConfig(t), foreign))
	second := run(t, first.text).names(t)
	generated := first.names(t)[1:]
	if want := slices.Concat(first.names(t), generated); !slices.Equal(second, want) {
		t.Errorf("other items (-want +got):\n%s", cmp.Diff(want, second))
	}
}

// kustomize hands a generator its configuration as an item as well. That one
// goes; others of its kind and name do not exist in one build.
func TestRunGeneratorDropsItself(t *testing.T) {
	config := generatorConfig(t)
	other := strings.Replace(config, "name: shop\n", "name: other\n", 1)
	names := run(t, resourceList(config, config, foreign, other)).names(t)
	if slices.Contains(names, "TenantSet/shop") || !slices.Equal(names[:2], []string{"ConfigMap/foreign", "TenantSet/other"}) {
		t.Errorf("items are %q", names)
	}
	if !slices.Contains(names, "Namespace/stock-prod") {
		t.Errorf("nothing is generated: %q", names)
	}
}

func TestRunValidatorReturnsNothing(t *testing.T) {
	if got := run(t, resourceList(validatorConfig, append(specs(t), foreign)...)); len(got.Items)+len(got.Results)+len(got.problems) > 0 {
		t.Errorf("the answer is\n%s", got.text)
	}
}

// Annotations by which kustomize and kpt keep track of an item stay as they are.
func TestRunKeepsInternalAnnotations(t *testing.T) {
	const item = `apiVersion: v1
kind: ConfigMap
metadata:
  name: tracked
  annotations:
    config.kubernetes.io/index: '7'
    config.kubernetes.io/path: 'a/b.yaml'
    internal.config.kubernetes.io/index: '7'
    internal.config.kubernetes.io/path: 'a/b.yaml'
    internal.config.kubernetes.io/previousKinds: ConfigMap
    internal.config.kubernetes.io/previousNames: old
    internal.config.kubernetes.io/previousNamespaces: default
    internal.config.kubernetes.io/refBy: x
`
	for name, in := range map[string]string{
		"alone":       resourceList("", item),
		"transformer": resourceList(transformConfig, append([]string{item}, specs(t)...)...),
		"generator":   resourceList(generatorConfig(t), item),
	} {
		if got := run(t, in); !strings.Contains(got.text, indented(item, "- ", "  ")) {
			t.Errorf("%s: the item is not in\n%.2000s", name, got.text)
		}
	}
}

// oddBodies are the rest of an item, in ways that are easily lost on the way.
var oddBodies = []string{
	"data: {a: \"x\", b: 'y', c: z} # beside",
	"# above\ndata:\n  a: 1 # beside\n", // kyaml moves a comment below by two columns each time
	"data:\n  text: |\n    one\n\n    two\n  folded: >-\n    one\n    two\n",
	"data:\n  kept: |+\n    x\n\n",
	"data: {\"no\": \"no\", \"010\": \"010\", 'null': '~', \"1e3\": !!str 1e3}",
	"spec: {numbers: [010, 0x1F, 1e3, 1.0, .5, 12345678901234567890], none: ~, on: off}",
	"spec:\n- a\n- - b\n  - c\n-   deep:   {}\n",
	"spec: &anchor {a: b}\nstatus: *anchor\n",
	"spec: !!binary aGVsbG8=",
	"items: [{apiVersion: eso-tenant.dev/v1alpha1, kind: Tenant, metadata: {name: inside}}]",
	"spec: {created: 2001-12-14t21:59:43.10-05:00, empty: \"\", 🔑: é}",
	"spec: {apiVersion: eso-tenant.dev/v1alpha1, kind: Platform}",
}

// foreignItem draws an item of another kind, as a text.
func foreignItem() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		head := rapid.SampledFrom([]string{
			"apiVersion: v1\nkind: ConfigMap\n",
			"kind: \"Tenant\" # another group's\napiVersion: example.com/eso-tenant.dev\n",
			"{apiVersion: eso-tenant.dev.example.com/v1alpha1, kind: Platform, metadata: {name: x}}\n",
			"apiVersion: v1\nkind: List\n",
			"apiVersion: config.kubernetes.io/v1\nkind: ResourceList\n",
		}).Draw(t, "head")
		if strings.HasPrefix(head, "{") {
			return head
		}
		name := rapid.SampledFrom([]string{"a", "b", "\"123\"", "'yes'"}).Draw(t, "name")
		head += "metadata: {name: " + name + "}\n"
		if rapid.Bool().Draw(t, "odd") {
			return head + rapid.SampledFrom(oddBodies).Draw(t, "body") + "\n"
		}
		body, err := appendYAML(nil, map[string]any{"drawn": tree(3).Draw(t, "tree")})
		if err != nil {
			t.Skip("JSON has no such value") // NaN, or keys that are the same text
		}
		return head + string(body)
	})
}

// decoded are a ResourceList's items as kubectl reads them.
func decoded(t fataler, text string) []any {
	t.Helper()
	var list struct{ Items []any }
	if err := yaml.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return list.Items
}

// Items of other kinds stay as they are: their values, their order, and the
// comments and style that the first reading and writing left.
func TestRunLeavesForeignItems(t *testing.T) {
	ours := specs(t)
	for mode, config := range map[string]string{"no configuration": "", "transformer": transformConfig, "generator": generatorConfig(t)} {
		t.Run(mode, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				items := rapid.SliceOfN(foreignItem(), 1, 6).Draw(t, "items")
				in := resourceList(config, items...)
				if mode == "transformer" {
					mixed := rapid.Permutation(append(slices.Clone(items), ours...)).Draw(t, "mixed")
					items = slices.DeleteFunc(slices.Clone(mixed), func(item string) bool { return slices.Contains(ours, item) })
					in = resourceList(config, mixed...)
				}
				got := run(t, in)
				want := decoded(t, resourceList("", items...))
				after := decoded(t, got.text)
				if len(after) < len(want) || !cmp.Equal(want, after[:len(want)]) {
					t.Fatalf("other items:\n%s\nof\n%s", got.text, in)
				}
				if mode == "generator" {
					return // a second run generates anew
				}
				first := got.text
				if mode == "no configuration" {
					first = got.withoutNothing(t)
				}
				if again := run(t, got.text).withoutNothing(t); again != first {
					t.Fatalf("not the same bytes the second time:\n%s", cmp.Diff(first, again))
				}
			})
		})
	}
}

// Comments stay with their items.
func TestRunKeepsComments(t *testing.T) {
	const item = `# above
apiVersion: v1 # beside
kind: ConfigMap
metadata:
  # inside
  name: commented
data: {a: "1"} # after a flow map
`
	got := run(t, resourceList(transformConfig, append([]string{item}, specs(t)...)...))
	for _, comment := range []string{"# above", "# beside", "# inside", "# after a flow map"} {
		if !strings.Contains(got.text, comment) {
			t.Errorf("%q is lost:\n%.600s", comment, got.text)
		}
	}
	if strings.Contains(got.text, "For the build only") {
		t.Error("a comment of what is expanded stays behind")
	}
}

// An error among the results, a problem that is an error (the exit code is made
// of it) and a refusal to expand are one and the same.
func TestRunResultsAreProblems(t *testing.T) {
	breaks := []struct{ old, new string }{
		{"provider: vault", "provider: valt"},
		{"version: v2.9.0", "version: v0.1.0"},
		{"enforcement: enforce", "enforcement: maybe"},
		{"audiences: [vault]", "audiences: [https://kubernetes.default.svc]"},
		{"-prod:", "_prod:"},
		{"spec:", "spce:"},
		{"metadata:", "metadata: 5 #"},
		{"https://vault", "http://vault"}, // a warning
		{"name: c", "name: d"},
		{"vault:", "vault: []\n#"},
		{"v1alpha1", "v1"},
		{"kind: T", "kind: X"},
		{"{", "["},
	}
	modes := map[string]func(docs []string) string{
		"no configuration": func(docs []string) string { return resourceList("", docs...) },
		"transformer":      func(docs []string) string { return resourceList(transformConfig, docs...) },
		"validator":        func(docs []string) string { return resourceList(validatorConfig, docs...) },
		"generator":        func(docs []string) string { return resourceList(docs[0]) },
	}
	for mode, list := range modes {
		t.Run(mode, func(t *testing.T) {
			docs := specs(t)
			if mode == "generator" {
				docs = []string{generatorConfig(t)}
			}
			failed, passed := 0, 0
			rapid.Check(t, func(t *rapid.T) {
				broken := slices.Clone(docs)
				for range rapid.IntRange(0, 2).Draw(t, "breaks") {
					i := rapid.IntRange(0, len(docs)-1).Draw(t, "document")
					b := rapid.SampledFrom(breaks).Draw(t, "break")
					broken[i] = strings.Replace(broken[i], b.old, b.new, 1)
				}
				in := list(broken)
				var out bytes.Buffer
				problems, err := Run(strings.NewReader(in), &out)
				if err != nil { // no ResourceList any more
					if out.Len() > 0 || len(problems) > 0 {
						t.Fatalf("an error %v, and %d problems, and output\n%s", err, len(problems), &out)
					}
					return
				}
				got := run(t, in)
				count := map[string]int{}
				for _, result := range got.Results {
					count[fmt.Sprint(result["severity"])]++
				}
				sorted := got.problems.Sorted()
				if want := map[string]int{"error": sorted.Errors(), "warning": len(sorted) - sorted.Errors()}; count["error"] != want["error"] || count["warning"] != want["warning"] {
					t.Fatalf("results %v, problems %v\n%s", count, want, got.text)
				}
				expanded := strings.Contains(strings.Join(got.names(t), " "), "Role/eso-tenant-")
				if count["error"] > 0 {
					failed++
				} else {
					passed++
				}
				if want := count["error"] == 0 && mode != "validator"; expanded != want {
					t.Fatalf("expanded is %v, and there are %d errors\n%s", expanded, count["error"], in)
				}
			})
			if failed == 0 || passed == 0 {
				t.Errorf("%d failed and %d passed: the draw reaches one of them only", failed, passed)
			}
		})
	}
}

// What is no ResourceList is an error, and nothing is written.
func TestRunRefusesOtherInput(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":          "",
		"a newline":        "\n",
		"not YAML":         "items: [",
		"a tab":            "\tx",
		"bytes":            "\x00\xff\xfe",
		"a scalar":         "5",
		"a list":           "[a]",
		"another object":   "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
		"a List":           "apiVersion: v1\nkind: List\nitems: []\n",
		"two documents":    resourceList("", foreign) + "---\n" + resourceList("", foreign),
		"no items":         "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\n",
		"an item no map":   resourceList("", "5"),
		"an item a list":   resourceList("", "[{a: b}]"),
		"an item an alias": "kind: ResourceList\nitems: [&a {apiVersion: v1, kind: A, metadata: {name: a}}, *a]\n",
		"metadata a text":  resourceList("", "{apiVersion: v1, kind: A, metadata: x}"),
	} {
		var out bytes.Buffer
		problems, err := Run(strings.NewReader(in), &out)
		if err == nil || len(problems) > 0 || out.Len() > 0 {
			t.Errorf("%s: error %v, %d problems, output %q", name, err, len(problems), &out)
		}
	}
}

// kyaml repeats in its errors what it could not read. That may be a Secret.
func TestRunErrorsRepeatNoContent(t *testing.T) {
	for _, item := range []string{"hunter2", "[hunter2]", "{kind: Secret, metadata: [hunter2]}"} {
		_, err := Run(strings.NewReader(resourceList("", item)), &bytes.Buffer{})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error for %s is %v", item, err)
		}
	}
}

func TestRunWithoutItems(t *testing.T) {
	for _, items := range []string{"[]", "null", "", "~"} {
		got := run(t, "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: "+items+"\n")
		if want := "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: []\n"; got.withoutNothing(t) != want {
			t.Errorf("items: %s gives\n%s", items, got.text)
		}
	}
}

// A functionConfig that is not one of ours, or has what ours do not have, is a
// problem. A misspelt field would otherwise be a selection that is not made.
func TestRunRefusesConfiguration(t *testing.T) {
	of := func(kind, rest string) string {
		return "{apiVersion: eso-tenant.dev/v1alpha1, kind: " + kind + ", metadata: {name: x}" + rest + "}"
	}
	for config, want := range map[string]string{
		"5":   "functionConfig: this is no map [field-type]",
		"[a]": "functionConfig: this is no map [field-type]",
		"{apiVersion: eso-tenant.dev/v1alpha1, kind: TenantTransformer, metadata: [a]}": "TenantTransformer: metadata: there is a list here; it takes a map [field-type]",
		"{apiVersion: eso-tenant.dev/v1alpha1, kind: TenantTransformer, metadata: a}":   "TenantTransformer: metadata: there is a text here; it takes a map [field-type]",
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}":                        `ConfigMap/x: functionConfig "v1 ConfigMap" is not known [kind-unknown]`,
		"{apiVersion: eso-tenant.dev/v2, kind: TenantSet, metadata: {name: x}}":         `TenantSet/x: functionConfig "eso-tenant.dev/v2 TenantSet" is not known [kind-unknown]`,
		of("Tenant", ""):                                  `Tenant/x: functionConfig "eso-tenant.dev/v1alpha1 Tenant" is not known [kind-unknown]`,
		of("TenantSet", ""):                               `TenantSet/x: field "spec" is required and not there [field-missing]`,
		of("TenantTransformer", ", spec: 5"):              "TenantTransformer/x: spec: there is a whole number (5) here; it takes a map [field-type]",
		of("TenantTransformer", ", spec: {clusters: a}"):  `TenantTransformer/x: spec.clusters: there is no field "clusters" [field-unknown]`,
		of("TenantTransformer", ", spec: {cluster: [a]}"): "TenantTransformer/x: spec.cluster: there is a list here; it takes a text [field-type]",
		of("TenantTransformer", ", spec: {cluster: a}"):   `TenantTransformer/x: spec.cluster: there is no cluster "a"; there are "eu-1" [cluster-unknown]`,
		of("TenantValidator", ", spec: {cluster: a}"):     `TenantValidator/x: spec: there is no field "spec" [field-unknown]`,
	} {
		got := run(t, resourceList(config, specs(t)...))
		if len(got.problems) != 1 || got.problems[0].Line() != want || len(got.Results) != 1 {
			t.Errorf("%s: %v\n%.300s", config, got.problems, got.text)
		}
	}
}

// Two clusters in one build would be one heap of objects.
func TestRunSeveralPlatforms(t *testing.T) {
	platform := specs(t)[0]
	items := []string{platform, strings.Replace(platform, "name: eu-1", "name: us-1", 1)}
	got := run(t, resourceList(transformConfig, items...))
	if want := `Platform/us-1: there are several Platforms, "eu-1", "us-1"; objects of two clusters cannot stand in one build [cluster-missing]`; len(got.problems) != 1 || got.problems[0].Line() != want {
		t.Errorf("problems are %v", got.problems)
	}
	chosen := run(t, resourceList(strings.TrimSuffix(transformConfig, "}")+", spec: {cluster: us-1}}", items...))
	if len(chosen.problems) > 0 || !slices.Contains(chosen.names(t), "ClusterRole/eso-tenant-external-secrets-controller") {
		t.Errorf("problems are %v, items %q", chosen.problems, chosen.names(t))
	}
}

func TestRunManyItems(t *testing.T) {
	const n = 10_000
	items := make([]string, n, n+3)
	for i := range items {
		items[i] = fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d}}", i)
	}
	got := run(t, resourceList(transformConfig, append(items, specs(t)...)...))
	_, want, _ := strings.Cut(resourceList(transformConfig, items[:n]...), "\nitems:\n")
	_, all, _ := strings.Cut(got.text, "\nitems:\n")
	if rest, found := strings.CutPrefix(all, want); !found || !strings.Contains(rest, "name: cart-prod\n") {
		t.Error("the items do not come first and unchanged, and what is expanded after them")
	}
}

// Whatever stands in a ResourceList, there is an answer: no panic, and either
// an error without output or results that say as much as the problems.
func TestRunHostile(t *testing.T) {
	keys := []string{"apiVersion", "kind", "metadata", "name", "annotations", "spec", "platform", "tenants", "namespaces", "cluster", "items"}
	content := rapid.OneOf(rapid.MapOfN(rapid.SampledFrom(keys), tree(3), 0, 5).AsAny(), tree(2))
	ours := rapid.Custom(func(t *rapid.T) any {
		return map[string]any{
			"apiVersion": "eso-tenant.dev/v1alpha1",
			"kind":       rapid.SampledFrom([]string{"Platform", "Tenant", "TenantSet", "TenantTransformer", "TenantValidator", "Other"}).Draw(t, "kind"),
			"metadata":   rapid.OneOf(rapid.Just[any](map[string]any{"name": "x"}), content).Draw(t, "metadata"),
			"spec":       content.Draw(t, "spec"),
		}
	})
	drawn := rapid.OneOf(ours, ours, content)
	rapid.Check(t, func(t *rapid.T) {
		list := map[string]any{"kind": "ResourceList", "items": rapid.OneOf(rapid.SliceOfN(drawn, 0, 4).AsAny(), tree(2)).Draw(t, "items")}
		if rapid.Bool().Draw(t, "configured") {
			list["functionConfig"] = drawn.Draw(t, "functionConfig")
		}
		in, err := appendYAML(nil, list)
		if err != nil {
			t.Skip("JSON has no such value")
		}
		var out bytes.Buffer
		problems, err := Run(bytes.NewReader(in), &out)
		if err != nil {
			if out.Len() > 0 {
				t.Fatalf("an error %v, and output\n%s", err, &out)
			}
			return
		}
		if results := strings.Count(out.String(), "\n  severity: "); results != len(problems.Sorted()) {
			t.Fatalf("%d results, %d problems\n%s", results, len(problems.Sorted()), &out)
		}
	})
}

// Aliases that stand for more than the input is long, or for themselves, are
// no way in.
func TestRunAliases(t *testing.T) {
	const head = "kind: ResourceList\nitems:\n- apiVersion: eso-tenant.dev/v1alpha1\n  kind: Tenant\n  metadata: {name: bomb}\n  spec:\n    a: &a [x, x, x, x, x, x, x, x, x]\n"
	var bomb strings.Builder
	bomb.WriteString(head)
	for c := 'b'; c < 'm'; c++ {
		fmt.Fprintf(&bomb, "    %c: &%[1]c [*%[2]c, *%[2]c, *%[2]c, *%[2]c, *%[2]c, *%[2]c, *%[2]c, *%[2]c, *%[2]c]\n", c, c-1)
	}
	for name, in := range map[string]string{
		"bomb":  bomb.String(),
		"cycle": "kind: ResourceList\nitems: &all\n- {apiVersion: eso-tenant.dev/v1alpha1, kind: Tenant, metadata: {name: cycle}, spec: *all}\n",
	} {
		problems, err := Run(strings.NewReader(in), &bytes.Buffer{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.ContainsFunc(problems, func(p problem.Problem) bool { return p.Rule == problem.YAMLTooDeep }) {
			t.Errorf("%s: problems are %v", name, problems)
		}
	}
}

// Results carry what the text on standard error says, for tools.
func TestRunResult(t *testing.T) {
	items := specs(t)
	items[2] = strings.Replace(items[2], "provider: vault", "provider: valt", 1)
	got := run(t, resourceList(transformConfig, items...))
	want := []map[string]any{{
		"message":     `"valt" is no provider of Platform eu-1; did you mean "vault"?`,
		"severity":    "error",
		"resourceRef": map[string]any{"apiVersion": "eso-tenant.dev/v1alpha1", "kind": "Tenant", "name": "orders"},
		"field":       map[string]any{"path": "spec.namespaces.orders-prod.stores.vault.provider"},
		"tags":        map[string]any{"rule": "provider-unknown"},
	}}
	if diff := cmp.Diff(want, got.Results); diff != "" {
		t.Errorf("other results (-want +got):\n%s", diff)
	}
	if names := got.names(t); !slices.Equal(names, []string{"Platform/eu-1", "Tenant/cart", "Tenant/orders"}) {
		t.Errorf("the items are %q", names)
	}
}

func TestRunCannotWrite(t *testing.T) {
	closed, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if _, err := Run(strings.NewReader(resourceList("", foreign)), closed); err == nil || !strings.Contains(err.Error(), "writing output: ") {
		t.Errorf("the error is %v", err)
	}
}
