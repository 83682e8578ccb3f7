package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

func compileSchema(t *testing.T) cue.Value {
	t.Helper()
	schema := cuecontext.New().CompileString(CUE, cue.Filename("schema.cue"))
	if err := schema.Validate(); err != nil {
		t.Fatal(err)
	}
	return schema
}

// definitions yields the definitions of the schema's text, by name.
func definitions(t *testing.T) map[string]*ast.Field {
	t.Helper()
	file, err := parser.ParseFile("schema.cue", CUE, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]*ast.Field{}
	for _, decl := range file.Decls {
		if field, ok := decl.(*ast.Field); ok {
			name, _, err := ast.LabelName(field.Label)
			if err != nil {
				t.Fatal(err)
			}
			fields[name] = field
		}
	}
	return fields
}

func TestSchemaIsFormatted(t *testing.T) {
	compileSchema(t)
	formatted, err := format.Source([]byte(CUE))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(formatted), CUE); diff != "" {
		t.Errorf("run cue fmt (-formatted +schema.cue):\n%s", diff)
	}
}

// TestPatternsSayWhatTheyWant: a regular expression is no message.
func TestPatternsSayWhatTheyWant(t *testing.T) {
	schema := compileSchema(t)
	found := 0
	for name, field := range definitions(t) {
		if !strings.HasPrefix(name, "#") || !slices.Contains([]string{"*ast.UnaryExpr", "*ast.BinaryExpr"}, fmt.Sprintf("%T", field.Value)) {
			continue
		}
		value := schema.LookupPath(cue.ParsePath(name))
		if len(enumeration(value)) > 0 {
			continue // the words say it
		}
		if value.IncompleteKind()&cue.StructKind != 0 {
			continue
		}
		found++
		if wanted(value) == "" {
			t.Errorf("%s has no @want", name)
		}
	}
	if found < 20 {
		t.Errorf("only %d definitions were looked at", found)
	}
}

// documentedElsewhere are definitions whose fields are somebody else's.
var documentedElsewhere = map[string]string{
	"#Platform": "a Kubernetes object's envelope", "#Tenant": "a Kubernetes object's envelope", "#TenantSet": "a Kubernetes object's envelope",
	"#KRMMetadata":    "a Kubernetes object's metadata",
	"#Providers":      "External Secrets Operator's own spec.provider, word for word",
	"#CA":             "External Secrets Operator's own",
	"#LimitRangeItem": "Kubernetes' own",
}

// obvious are fields that need no words, wherever they stand.
var obvious = []string{"apiVersion", "kind", "name", "namespace", "metadata", "spec"}

// TestFieldsAreDocumented: a comment above a field is its documentation, which explain and the reference print.
func TestFieldsAreDocumented(t *testing.T) {
	for name, definition := range definitions(t) {
		if documentedElsewhere[name] != "" {
			continue
		}
		ast.Walk(definition.Value, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if !ok {
				return true
			}
			label, isIdentifier := field.Label.(*ast.Ident)
			if !isIdentifier || slices.Contains(obvious, label.Name) || name != "#Providers" && slices.Contains(providerKinds, label.Name) {
				return true
			}
			if !documented(field) {
				t.Errorf("%s: field %s has no comment", name, label.Name)
			}
			return true
		}, nil)
	}
}

func documented(field *ast.Field) bool {
	return slices.ContainsFunc(ast.Comments(field), func(g *ast.CommentGroup) bool { return g.Doc })
}

// TestProviderKindsAreTheSchemas: Go and CUE have the same list.
func TestProviderKindsAreTheSchemas(t *testing.T) {
	known := fieldNames(compileSchema(t).LookupPath(cue.ParsePath("#Provider")), false)
	kinds := slices.DeleteFunc(known, func(name string) bool { return slices.Contains([]string{"audiences", "sameCluster", "secrets"}, name) })
	if diff := cmp.Diff(kinds, providerKinds); diff != "" {
		t.Errorf("(-schema +Go):\n%s", diff)
	}
}

// TestESOVersions: every release on record is taken, with and without v; another is refused with the nearest.
func TestESOVersions(t *testing.T) {
	for _, version := range eso.Versions() {
		for _, written := range []string{version, "v" + version} {
			spec, problems := decodeText(strings.Replace(minimalPlatform("  providers: {}\n"), "2.9.0", written, 1))
			if problems.Errors() > 0 || spec.Clusters[0].Platform.ESO.Release.Chart != version {
				t.Errorf("%s: %v", written, problems)
			}
		}
	}
	for version, hint := range map[string]string{
		"99.1.2": "the nearest release known is " + eso.Versions()[len(eso.Versions())-1], "v0.1.0": "the nearest release known is 0.9.0", "v2.9.0-rc1": "the nearest release known is ",
	} {
		_, problems := decodeText(strings.Replace(minimalPlatform("  providers: {}\n"), "2.9.0", version, 1))
		if len(problems) != 1 || problems[0].Rule != problem.ESOVersionUnknown || !strings.HasPrefix(problems[0].Hint, hint) {
			t.Errorf("%s: want hint %q, got %v", version, hint, problems)
		}
	}
}

// quantityPattern is the regular expression of #Quantity.
func quantityPattern(t *testing.T) *regexp.Regexp {
	t.Helper()
	m := regexp.MustCompile(`(?m)^#Quantity: +=~("[^"]*")`).FindStringSubmatch(CUE)
	if m == nil {
		t.Fatal("#Quantity does not begin with a regular expression")
	}
	text, err := strconv.Unquote(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(text)
}

// TestQuantities: what the schema takes as a quantity, the API server takes.
func TestQuantities(t *testing.T) {
	pattern := quantityPattern(t).String()
	number := `(0|[1-9][0-9]{0,25})([.][0-9]{1,12})?`
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(pattern).Draw(t, "text")
		scalar := strconv.Quote(text)
		if rapid.Bool().Draw(t, "as a number") {
			text = rapid.StringMatching(number).Draw(t, "number")
			scalar = text
		}
		spec, problems := decodeText(minimalPlatform("  providers: {}\n  tenantPolicy: {overrides: [quota]}\n") + "---\n" +
			tenantText("  namespaces: {web: {quota: {pods: "+scalar+"}}}\n"))
		if len(problems) > 0 {
			if problems[0].Rule == problem.YAMLAmbiguous { // a number too large for YAML
				return
			}
			t.Fatalf("%s", written(problems))
		}
		quota := spec.Clusters[0].Tenants[0].Namespaces[0].Quota["pods"]
		if _, err := resource.ParseQuantity(quota); err != nil || quota != text {
			t.Fatalf("%s became %q: %v", scalar, quota, err)
		}
	})
	for _, refused := range []string{"", "-1", "1.", ".5", "1e3", "1E", "1KiB", "1 Gi", "0x1", "1_0", "1n", "1u", "Gi", "1234567890123456"} {
		_, problems := decodeText(minimalPlatform("  providers: {}\n  namespaceDefaults: {quota: {pods: " + strconv.Quote(refused) + "}}\n"))
		if len(problems) != 1 || problems[0].Rule != problem.FieldValue {
			t.Errorf("quantity %q: %v", refused, problems)
		}
	}
}

// TestDefaultTenant: a tenant with nothing but names is accepted for each provider kind, once the policy allows it.
func TestDefaultTenant(t *testing.T) {
	tests := map[string]string{
		"vault":    "",
		"aws-eu":   "{roleARN: \"arn:aws:iam::123456789012:role/web-x\"}",
		"azure-eu": "{clientID: 5e5f1f3e-0000-4000-8000-000000000001}",
		"gcp-eu":   "",
		"hub":      "",
		"here":     "",
	}
	for provider, identity := range tests {
		t.Run(provider, func(t *testing.T) {
			store := "{provider: " + provider + "}"
			if identity != "" {
				store = "{provider: " + provider + ", identity: " + identity + "}"
			}
			spec, problems := decodeText(platformText(t) + "---\n" + tenantText("  namespaces: {web: {stores: {main: "+store+"}}}\n"))
			if len(problems) > 0 {
				t.Fatal(written(problems))
			}
			got := spec.Clusters[0].Tenants[0].Namespaces[0].Stores[0]
			if got.Name != "main" || got.Provider.Name != provider || got.ServiceAccount != "main-access-sa" {
				t.Errorf("store %+v", got)
			}
		})
	}
}
