package schema

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// What CUE does that would surprise a user, and must not come through. Numbers are those of the traps that were found.

// Traps 1, 2, 3 and 4: places are the user's; a missing field points at its map; a wrong word is one problem; and all
// mistakes come in one run, a missing field beside other errors and an unknown field behind a bad sibling.
func TestAllAtOnceEachOnceInTheUsersFile(t *testing.T) {
	_, problems := decodeText(minimalPlatform("  providers: {}\n") + "---\n" + `apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata:
  name: web
spec:
  members:
    - kind: Robot
      rolle: view
  namespaces:
    web:
      manage: maybe
      unheard: of
      podSecurity: weak
`)
	want := []string{
		"15:7 field-missing", // name
		"15:7 field-missing", // role
		"15:13 field-value",  // one, not one for each kind that there is
		"16:7 field-unknown",
		"19:15 field-type",
		"20:7 field-unknown",
		"21:20 field-value",
	}
	if diff := cmp.Diff(want, brief(problems)); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, written(problems))
	}
}

// Trap 3: every enumeration of the schema, wherever it stands, gives one problem that names its words.
func TestWrongWordIsOneProblem(t *testing.T) {
	platform := func(field string) string { return minimalPlatform("  providers: {}\n  " + field + "\n") }
	tests := map[string]struct{ text, message string }{
		"among maps":        {tenantText("  namespaces: {web: {podSecurity: Wrong}}\n"), `"Wrong" is none of "privileged", "baseline", "restricted"`},
		"in a map":          {tenantText("  namespaces: {web: {podSecurity: {enforce: Wrong}}}\n"), `"Wrong" is none of "privileged", "baseline", "restricted"`},
		"in a list":         {tenantText("  members: [{kind: Wrong, name: x, role: view}]\n  namespaces: {}\n"), `"Wrong" is none of "Group", "User", "ServiceAccount"`},
		"in a list of text": {platform("tenantPolicy: {overrides: [Wrong]}"), `"Wrong" is none of "quota", "limits", "network", "manage", "prune"`},
		"of a reference":    {platform("tenantPolicy: {podSecurity: Wrong}"), `"Wrong" is none of "privileged", "baseline", "restricted"`},
		"of an empty text":  {platform(`tenantPolicy: {podSecurity: ""}`), `"" is none of "privileged", "baseline", "restricted"`},
		"of one word":       {strings.Replace(platform(""), "enforcement: enforce", "enforcement: Observe", 1), `"Observe" is none of "observe", "enforce"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := test.text
			if strings.Contains(text, "kind: Tenant") {
				text += "---\n" + platform("")
			}
			_, problems := decodeText(text)
			if len(problems) != 1 || problems[0].Message != test.message || problems[0].Rule != problem.FieldValue {
				t.Errorf("want one problem: %s\n%s", test.message, written(problems))
			}
		})
	}
}

// Trap 5: nothing that is required fills itself in.
func TestEmptyDoesNotPass(t *testing.T) {
	for name, text := range map[string]string{
		"kind alone":       "apiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\n",
		"empty spec":       "apiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {name: web}\nspec: {}\n",
		"null spec":        "apiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {name: web}\nspec:\n",
		"empty metadata":   "apiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {}\nspec: {namespaces: {}}\n",
		"empty name":       "apiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {name: \"\"}\nspec: {namespaces: {}}\n",
		"empty Platform":   "apiVersion: eso-tenant.dev/v1alpha1\nkind: Platform\nmetadata: {name: eu-1}\nspec: {}\n",
		"empty ESO":        "apiVersion: eso-tenant.dev/v1alpha1\nkind: Platform\nmetadata: {name: eu-1}\nspec: {externalSecrets: {}, enforcement: enforce, providers: {}}\n",
		"empty store":      tenantText("  namespaces: {web: {stores: {vault: {}}}}\n"),
		"empty TenantSet":  "apiVersion: eso-tenant.dev/v1alpha1\nkind: TenantSet\nmetadata: {name: all}\nspec: {}\n",
		"empty parts":      "apiVersion: eso-tenant.dev/v1alpha1\nkind: TenantSet\nmetadata: {name: all}\nspec: {platform: {}, tenants: {}}\n",
		"empty set tenant": "apiVersion: eso-tenant.dev/v1alpha1\nkind: TenantSet\nmetadata: {name: all}\nspec: {tenants: {web: {}}}\n",
		"null set tenant":  "apiVersion: eso-tenant.dev/v1alpha1\nkind: TenantSet\nmetadata: {name: all}\nspec: {tenants: {web: }}\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := decodeText(text + "---\n" + strings.Replace(minimalPlatform("  providers: {}\n"), "eu-1", "other", 1))
			var about problem.List
			for _, p := range problems {
				if p.Rule == problem.FieldMissing || p.Rule == problem.FieldType || p.Rule == problem.FieldValue {
					about = append(about, p)
				}
			}
			if len(about) == 0 {
				t.Errorf("nothing is missing:\n%s", written(problems))
			}
		})
	}
}

// Trap 6: CUE unifies duplicate keys, and kubectl takes the last; at any depth they are refused.
func TestDuplicateKeys(t *testing.T) {
	for name, text := range map[string]string{
		"same value":     tenantText("  namespaces:\n    web: {}\n    web: {}\n"),
		"other quotes":   tenantText("  namespaces:\n    web: {}\n    \"web\": {}\n"),
		"flow":           tenantText("  namespaces: {web: {}, web: {}}\n"),
		"unifiable":      tenantText("  namespaces: {web: {manage: true}, web: {prune: true}}\n"),
		"in a list":      tenantText("  members: [{kind: Group, name: x, name: x, role: view}]\n  namespaces: {web: {}}\n"),
		"top":            tenantText("  namespaces: {web: {}}\nkind: Tenant\n"),
		"JSON":           `{"apiVersion": "eso-tenant.dev/v1alpha1", "kind": "Tenant", "kind": "Tenant", "metadata": {"name": "web"}, "spec": {"namespaces": {"web": {}}}}` + "\n",
		"alias as a key": tenantText("  namespaces: {&a web: {}, *a : {}}\n"),
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := decodeText(text + "---\n" + minimalPlatform("  providers: {}\n"))
			if len(problems) != 1 || problems[0].Rule != problem.YAMLDuplicateKey || !strings.Contains(problems[0].Message, "first at spec.yaml:") {
				t.Error(written(problems))
			}
		})
	}
}

// Trap 7: documents of one source are documents of their own, and the line of a syntax error is the source's.
func TestDocumentsAreSplit(t *testing.T) {
	text := platformText(t) + "---\n" + tenantText("  namespaces: {web: {}}\n") + "---\n" + strings.ReplaceAll(tenantText("  namespaces: {web: {}}\n"), "web", "shop")
	spec, problems := decodeText(text)
	if len(problems) > 0 {
		t.Fatal(written(problems))
	}
	var names []string
	for _, tenant := range spec.Clusters[0].Tenants {
		names = append(names, tenant.Name)
	}
	if !slices.Equal(names, []string{"shop", "web"}) {
		t.Errorf("tenants %q", names)
	}
	lines := strings.Count(text, "\n")
	_, problems = decodeText(text + "---\na: b\nc: [\n")
	if len(problems) != 1 || problems[0].Rule != problem.YAMLSyntax || problems[0].Position.Line <= lines {
		t.Errorf("want one syntax error below line %d:\n%s", lines, written(problems))
	}
}

// Trap 8: what YAML parsers do not agree on is refused as such, and not by what it would mean to ours.
func TestAmbiguousScalars(t *testing.T) {
	for scalar, want := range map[string]string{
		"010": "yaml-ambiguous", "0o10": "yaml-ambiguous", "08": "yaml-ambiguous", "0x1F": "yaml-ambiguous", "0b1": "yaml-ambiguous",
		"+1": "yaml-ambiguous", "1_000": "yaml-ambiguous", "1e3": "yaml-ambiguous", "1.5e+3": "yaml-ambiguous", ".5": "yaml-ambiguous", "5.": "yaml-ambiguous",
		".inf": "yaml-ambiguous", "-.Inf": "yaml-ambiguous", ".NaN": "yaml-ambiguous", "1:20": "yaml-ambiguous", "190:20:30.15": "yaml-ambiguous",
		"yes": "yaml-ambiguous", "No": "yaml-ambiguous", "ON": "yaml-ambiguous", "off": "yaml-ambiguous", "y": "yaml-ambiguous", "N": "yaml-ambiguous",
		"2001-01-01": "yaml-ambiguous", "2001-12-14t21:59:43.10-05:00": "yaml-ambiguous", "!!bool yes": "yaml-ambiguous", "!!int 010": "yaml-ambiguous",
		"!!float 1": "yaml-ambiguous", "18446744073709551616": "yaml-ambiguous",
		"<<": "yaml-unsupported", "!!binary aGk=": "yaml-unsupported", "!x y": "yaml-unsupported",
		// The same to all, but no text.
		"~": "field-type", "null": "field-type", "Null": "field-type", "": "field-type", "true": "field-type", "TRUE": "field-type", "!!bool true": "field-type",
		"0": "field-type", "10": "field-type", "-1": "field-type", "1.5": "field-type", "0.10": "field-type",
		// The same to all, and a text.
		`"010"`: "", `'yes'`: "", `"1:20"`: "", `"2001-01-01"`: "", "!!str 010": "", "!!str yes": "", "1.2.3": "", "1:99": "", "12-34": "", "nope": "", "yesterday": "", "v1": "", "=": "",
	} {
		t.Run(scalar, func(t *testing.T) {
			text := minimalPlatform("  providers: {}\n  tenantPolicy: {annotations: [note]}\n") + "---\n" +
				tenantText("  namespaces:\n    web:\n      annotations:\n        note: "+scalar+"\n")
			if _, problems := decodeText(text); rulesOf(problems) != want {
				t.Errorf("want %q:\n%s", want, written(problems))
			}
		})
	}
}

// What is written as a whole number or as true reaches the Spec as written.
func TestScalarsAsWritten(t *testing.T) {
	spec, problems := decodeText(minimalPlatform("  providers: {}\n  tenantPolicy: {overrides: [quota, manage, prune]}\n") + "---\n" +
		tenantText("  namespaces: {web: {manage: FALSE, prune: !!bool true, quota: {pods: 50, cpu: 0.50, memory: 1Gi}}}\n"))
	if len(problems) > 0 {
		t.Fatal(written(problems))
	}
	ns := spec.Clusters[0].Tenants[0].Namespaces[0]
	if diff := cmp.Diff(map[string]string{"pods": "50", "cpu": "0.50", "memory": "1Gi"}, ns.Quota); diff != "" || ns.Managed || !ns.Prune {
		t.Errorf("managed %t, prune %t, quota (-want +got):\n%s", ns.Managed, ns.Prune, diff)
	}
}

// Trap 9: a cue.Value is not for concurrent use, so every call has its own; and a call that renews its context in the
// middle finds what others find. Run it under the race detector.
func TestDecodeConcurrently(t *testing.T) {
	var text strings.Builder
	text.WriteString(platformText(t))
	for i := range renewAfter/2 + 1 { // each is checked as a Tenant and as an identity
		text.WriteString("---\n" + strings.ReplaceAll(tenantText("  namespaces: {web: {stores: {vault: {provider: vault, idnetity: {}}}}}\n"), "web", fmt.Sprint("t", i)))
	}
	want, wantProblems := decodeText(text.String())
	if len(wantProblems) != renewAfter/2+1 {
		t.Fatalf("%d problems", len(wantProblems))
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			got, problems := decodeText(text.String())
			if diff := cmp.Diff(wantProblems, problems); diff != "" {
				t.Errorf("problems (-first +other):\n%s", diff)
			}
			if diff := cmp.Diff(want, got, exported); diff != "" {
				t.Errorf("specs (-first +other):\n%s", diff)
			}
		})
	}
	group.Wait()
}

// TestSchemaOther: where the walk finds nothing in what CUE refuses, the document is refused all the same. No definition
// of ours is known to be of that sort, so the test brings one.
func TestSchemaOther(t *testing.T) {
	dec := &decoder{}
	ctx := cuecontext.New()
	dec.validator = validator{ctx: ctx, root: ctx.CompileString("#Pair: {a: int, b: int, _sum: a + b, _sum: <9}"), defs: map[string]cue.Value{}}
	for text, want := range map[string]string{"a: 4\nb: 4\n": "", "a: 5\nb: 5\n": "schema-other"} {
		dec.problems = nil
		for _, doc := range dec.documents(Source{File: "spec.yaml", Data: []byte(text)}) {
			dec.validate(doc, "#Pair", "", doc.root)
		}
		if got := rulesOf(dec.problems); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}

// TestItemsHaveSubjects: an item of a ResourceList has no lines that the user knows, so problems name the object.
func TestItemsHaveSubjects(t *testing.T) {
	var item yaml.Node
	if err := yaml.Unmarshal([]byte(tenantText("  namespaces: {kube-system: {}, web: 1}\n")), &item); err != nil {
		t.Fatal(err)
	}
	_, problems, _ := Decode([]Source{{Subject: "item 3", Node: &item}, {File: "p.yaml", Data: []byte(minimalPlatform("  providers: {}\n"))}})
	want := []string{
		`Tenant/web: spec.namespaces.kube-system: namespace "kube-system" is the cluster's own [namespace-reserved]`,
		`Tenant/web: spec.namespaces.web: there is a whole number (1) here; it takes a map [field-type]`,
	}
	var got []string
	for _, p := range problems {
		got = append(got, p.Line())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
