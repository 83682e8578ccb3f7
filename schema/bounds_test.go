package schema

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"go.yaml.in/yaml/v3"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// rulesOf lists the rules of the problems, each once in a row.
func rulesOf(problems problem.List) string {
	var names []string
	for _, p := range problems {
		if n := len(names); n == 0 || names[n-1] != string(p.Rule) {
			names = append(names, string(p.Rule))
		}
	}
	return strings.Join(names, " ")
}

// aliasBomb doubles a list of ten texts with each level.
func aliasBomb(levels int) string {
	text := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i <= levels; i++ {
		text += fmt.Sprintf("a%d: &a%d [*a%d, *a%d]\n", i, i, i-1, i-1)
	}
	return text
}

func utf16LE(text string) string {
	var b strings.Builder
	for _, unit := range append([]uint16{0xfeff}, utf16.Encode([]rune(text))...) {
		b.WriteByte(byte(unit))
		b.WriteByte(byte(unit >> 8))
	}
	return b.String()
}

// block nests maps in block style, each a column deeper.
func block(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// manyNamespaces are n namespaces of the tenant web, in flow style.
func manyNamespaces(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "web-%d: {}, ", i)
	}
	return b.String()
}

// tenantSetText is a TenantSet of one tenant, web.
func tenantSetText(namespaces string) string {
	return "apiVersion: " + APIVersion + "\nkind: TenantSet\nmetadata: {name: all}\nspec:\n" +
		"  platform: {name: eu-1, externalSecrets: {version: 2.9.0}, enforcement: enforce, providers: {}}\n" +
		"  tenants: {web: {namespaces: " + namespaces + "}}\n"
}

// TestBounds: what is too much is refused with the rule that says so, whole, and without any other problem.
func TestBounds(t *testing.T) {
	honest := tenantText("  namespaces: {web: {}}\n")
	tests := map[string]struct{ text, rules string }{
		"alias bomb":           {aliasBomb(40), "yaml-too-deep"},
		"wide alias bomb":      {aliasBomb(25), "yaml-too-deep"},
		"alias of itself":      {"a: &a [*a]\n", "yaml-too-deep"},
		"alias in its map":     {"&a {b: *a}\n", "yaml-too-deep"},
		"deep flow lists":      {strings.Repeat("[", 100) + strings.Repeat("]", 100), "yaml-too-deep"},
		"very deep flow lists": {strings.Repeat("[", 100_000), "yaml-syntax"},
		"very deep flow maps":  {strings.Repeat("{a: ", 100_000), "yaml-syntax"},
		"deep blocks":          {block(100), "yaml-too-deep"},
		"deep sequences":       {strings.Repeat("- ", 100) + "x", "yaml-too-deep"},
		"very deep sequences":  {strings.Repeat("- ", 20_000) + "x", "yaml-syntax"},
		"huge text":            {"a: " + strings.Repeat("x", maxScalarBytes+1) + "\nkind: x\napiVersion: v1\n", "source-too-large"},
		"huge number":          {minimalPlatform("  retired: [" + strings.Repeat("9", maxScalarBytes+1) + "]\n  providers: {}\n"), "source-too-large"},
		"huge key":             {"? " + strings.Repeat("x", maxScalarBytes+1) + "\n: a\nkind: x\napiVersion: v1\n", "source-too-large"},
		"long plain key":       {strings.Repeat("x", 1_100) + ": a\n", "yaml-syntax"},
		"huge source":          {strings.Repeat("#\n", MaxSourceBytes/2) + "#\n", "source-too-large"},
		"too many values":      {minimalPlatform("  providers: {}\n") + "---\n" + tenantText("  namespaces: {"+manyNamespaces(maxObjectNodes)+"}\n"), "source-too-large"},
		"too many in a set":    {tenantSetText("{" + manyNamespaces(maxObjectNodes) + "}"), "source-too-large"},
		"crowded flow":         {"[" + strings.Repeat("a,", maxMarks) + "]\n", "source-too-large"},
		"crowded block":        {strings.Repeat("- a\n", maxMarks+1), "source-too-large"},
		"too many documents":   {strings.Repeat("---\n", maxDocuments+1), "source-too-large"},
		"too many problems":    {tenantText("  namespaces:\n" + strings.Repeat("    w: {}\n", maxProblems+50)), "yaml-duplicate-key too-many-problems yaml-duplicate-key"},
		"NUL":                  {"a: \x00\n", "yaml-encoding"},
		"invalid UTF-8":        {"a: \xff\xfe\n", "yaml-encoding"},
		"cut UTF-8":            {"a: \xe2\x82", "yaml-encoding"},
		"Latin-1":              {"a: caf\xe9\n", "yaml-encoding"},
		"UTF-16":               {utf16LE(honest), "yaml-encoding"},
		"UTF-16 without ASCII": {utf16LE("ёж"), "yaml-encoding"},
		"escape sequence":      {"a: \x1b[31m\n", "yaml-encoding"},
		"DEL":                  {"a: \x7f\n", "yaml-encoding"},
		"C1 control":           {"a: \u009b31m\n", "yaml-encoding"},
		"BOM inside":           {"a: \ufeff\n", "yaml-encoding"},
		"carriage returns":     {strings.ReplaceAll(honest, "\n", "\r"), "yaml-encoding"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, problems := decodeText(test.text)
			if got := rulesOf(problems); got != test.rules {
				t.Errorf("got %q, want %q", got, test.rules)
			}
			if len(problems) > maxProblems+1 {
				t.Errorf("%d problems", len(problems))
			}
			for _, p := range problems {
				if complaint := misplaced(p, map[string]string{"spec.yaml": test.text}); complaint != "" {
					t.Errorf("%s: %s", p.Line(), complaint)
				}
				if len(p.Line()) > 500 {
					t.Errorf("a problem of %d bytes", len(p.Line()))
				}
			}
		})
	}
}

// TestInsideBounds: what is close to a bound, or odd but harmless, is read.
func TestInsideBounds(t *testing.T) {
	platform, tenant := platformText(t), tenantText("  namespaces: {web: {}}\n")
	for name, text := range map[string]string{
		"BOM":                     "\ufeff" + platform + "---\n" + tenant,
		"CRLF":                    strings.ReplaceAll(platform+"---\n"+tenant, "\n", "\r\n"),
		"no line end":             platform + "---\n" + strings.TrimSuffix(tenant, "\n"),
		"document ends":           platform + "...\n---\n" + tenant + "...\n",
		"empty documents":         "---\n---\n" + platform + "---\n---\n" + tenant + "---\n# nothing\n",
		"YAML directive":          "%YAML 1.1\n---\n" + platform + "---\n" + tenant,
		"aliases":                 platform + "---\n" + tenantText("  namespaces:\n    web: &same {manage: true}\n    web-2: *same\n"),
		"foreign documents":       platform + "---\n" + tenant + strings.Repeat("---\napiVersion: v1\nkind: ConfigMap\n", 2_000),
		"non-ASCII comment":       "# schlüssel 🔑\n" + platform + "---\n" + tenant,
		"foreign documents, deep": platform + "---\n" + tenant + "---\napiVersion: v1\nkind: ConfigMap\ndata: " + strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			spec, problems := decodeText(text)
			if len(problems) > 0 {
				t.Fatal(written(problems))
			}
			if len(spec.Clusters) != 1 || len(spec.Clusters[0].Tenants) != 1 {
				t.Errorf("clusters %v", spec.Clusters)
			}
		})
	}
}

// TestTooManyProblems: the list is cut, what was cut is counted, and the cut is an error of its own, since warnings alone
// would let the rest pass.
func TestTooManyProblems(t *testing.T) {
	_, problems := decodeText(tenantText("  namespaces:\n    web: {}\n" + strings.Repeat("    web: {}\n", maxProblems+50)))
	i := slices.IndexFunc(problems, func(p problem.Problem) bool { return p.Rule == problem.TooManyProblems })
	if len(problems) != maxProblems+1 || i < 0 || !problems[i].IsError() {
		t.Fatalf("%d problems; too-many-problems at %d", len(problems), i)
	}
	// 50 duplicate keys; and the Platform that is missing.
	if want := "51 more problems are not shown"; problems[i].Message != want {
		t.Errorf("%q, want %q", problems[i].Message, want)
	}
}

// TestHostileItem: an item of a ResourceList was parsed by somebody else, and is bounded all the same.
func TestHostileItem(t *testing.T) {
	cycle := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	cycle.Content = []*yaml.Node{cycle}
	for name, node := range map[string]*yaml.Node{
		"a list in itself": cycle,
		"an alias":         {Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: "a"}, {Kind: yaml.AliasNode, Alias: cycle}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems, _ := Decode([]Source{{Subject: "Tenant/web", Node: node}})
			if len(problems) != 1 || problems[0].Rule != problem.YAMLTooDeep || problems[0].Position.Subject != "Tenant/web" {
				t.Error(written(problems))
			}
		})
	}
}
