package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// exports are the schema in the formats that are JSON.
var exports = map[string]func() ([]byte, error){"jsonschema": JSONSchema, "openapi": OpenAPI, "kustomize": KustomizeOpenAPI}

func export(t testing.TB, name string) []byte {
	t.Helper()
	data, err := exports[name]()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// compileJSONSchema compiles the JSON Schema, which validates it against its meta-schema.
func compileJSONSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(export(t, "jsonschema")))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestExportsAreStable(t *testing.T) {
	for name := range exports {
		data := export(t, name)
		if !bytes.Equal(data, export(t, name)) {
			t.Errorf("%s: two runs differ", name)
		}
		if !bytes.HasSuffix(data, []byte("\n}\n")) || !bytes.HasPrefix(data, []byte("{\n  \"")) {
			t.Errorf("%s is not indented by two, or does not end with a newline", name)
		}
	}
}

// asJSON is a value from YAML as encoding/json would give it.
func asJSON(t testing.TB, v any) any {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// yamlFile is a file of YAML in the tests' folders.
type yamlFile struct{ name, text string }

func yamlFiles(t *testing.T, dir string) []yamlFile {
	t.Helper()
	var files []yamlFile
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(name) != ".yaml" {
			return err
		}
		data, err := os.ReadFile(name)
		files = append(files, yamlFile{filepath.ToSlash(name), string(data)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var documentStart = regexp.MustCompile(`(?m)^---.*\n`)

// ofOurs tells whether a value is a document of one of our kinds.
func ofOurs(v any) bool {
	m, _ := v.(map[string]any)
	kind, _ := m["kind"].(string)
	return m["apiVersion"] == APIVersion && slices.Contains(documentKinds, kind)
}

// TestJSONSchemaAccepts: what stands in examples and golden cases is right, and the JSON Schema says so.
func TestJSONSchemaAccepts(t *testing.T) {
	compiled := compileJSONSchema(t)
	files := slices.Concat(yamlFiles(t, "../examples"), yamlFiles(t, "../golden"))
	files = append(files, yamlFile{"testdata/platform.yaml", platformText(t)})
	checked := map[string]int{}
	for _, file := range files {
		_, err := os.Stat(filepath.Join(filepath.Dir(file.name), "problems.txt"))
		wrong := err == nil // mistakes are planted there
		for _, text := range documentStart.Split(file.text, -1) {
			var value any
			if err := yaml.Unmarshal([]byte(text), &value); err != nil {
				continue // planted
			}
			if !ofOurs(value) || wrong {
				continue
			}
			checked[fmt.Sprint(child(value, "kind"))]++
			if err := compiled.Validate(asJSON(t, value)); err != nil {
				t.Errorf("%s: %v", file.name, err)
			}
		}
	}
	for _, kind := range documentKinds {
		if checked[kind] == 0 {
			t.Errorf("no %s was found", kind)
		}
	}
}

// schemaRules are the rules that a JSON Schema can hold a document to.
var schemaRules = []problem.Rule{
	problem.FieldMissing, problem.FieldType, problem.FieldUnknown, problem.FieldValue, problem.NameInvalid,
	problem.ProviderKind, problem.KindUnknown, problem.VersionUnsupported,
}

// beyondJSON are the planted mistakes of these rules that a JSON Schema cannot see, as file:line, and why.
var beyondJSON = map[string]string{
	"field-missing/member-namespace.yaml:15": "it depends on the member's kind, and Go looks at it",
	"field-value/placeholder.yaml:10":        "Go reads the placeholders",
	"field-value/service-account.yaml:15":    "it depends on the member's kind, and Go looks at it",
	"provider-auth/custom.yaml:21":           "ESO's own provider is free in form",
	"shared-store-users/stores.yaml:29":      "what an identity has to have depends on the catalogue",
}

// TestJSONSchemaRefuses: a document in which one of the rules' cases plants a mistake that a JSON Schema can see is
// refused, and a document without any mistake is not.
func TestJSONSchemaRefuses(t *testing.T) {
	compiled := compileJSONSchema(t)
	used := map[string]bool{}
	refused := 0
	for _, file := range yamlFiles(t, "testdata/rules") {
		line := 0
		for _, text := range documentStart.Split(file.text, -1) {
			start := line
			line += strings.Count(text, "\n") + 1
			planted := slices.DeleteFunc(wants(t, file.name, text), func(w want) bool { return strings.HasPrefix(string(w.rule), "yaml-") })
			var value any
			if err := yaml.Unmarshal([]byte(text), &value); err != nil || value == nil || len(planted) == 0 && strings.Contains(text, "# want") {
				continue // JSON has no such document
			}
			err := compiled.Validate(asJSON(t, value))
			seen := slices.IndexFunc(planted, func(w want) bool { return slices.Contains(schemaRules, w.rule) })
			switch {
			case seen >= 0 && err == nil:
				at := fmt.Sprintf("%s:%d", strings.TrimPrefix(file.name, "testdata/rules/"), start+planted[seen].line)
				used[at] = true
				if beyondJSON[at] == "" {
					t.Errorf("%s: accepted, though %s %q", at, planted[seen].rule, planted[seen].substring)
				}
			case seen >= 0:
				refused++
			case len(planted) == 0 && err != nil && ofOurs(value):
				t.Errorf("%s:%d: there is no mistake, but %v", file.name, start+1, err)
			}
		}
	}
	for at := range beyondJSON {
		if !used[at] {
			t.Errorf("%s is refused, or is not there: it needs no reason any more", at)
		}
	}
	if refused < 20 {
		t.Errorf("only %d documents were refused", refused)
	}
}

// TestJSONSchemaAgrees: what is accepted by CUE is accepted by the JSON Schema; and of a mistake by one of the rules that a
// JSON Schema can see, it sees something.
func TestJSONSchemaAgrees(t *testing.T) {
	compiled := compileJSONSchema(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSpecimen(rt)
		planted := s.plantSome(rt, 2)
		_, problems, _ := Decode(drawLayout(rt, "layout").sources(s.documents()))
		seen := slices.ContainsFunc(problems, func(p problem.Problem) bool { return slices.Contains(schemaRules, p.Rule) })
		var refusals []error
		for _, doc := range s.documents() {
			refusals = append(refusals, compiled.Validate(asJSON(t, doc)))
		}
		if err := errors.Join(refusals...); (err != nil) != seen {
			rt.Fatalf("planted %q: the JSON Schema says %v; the problems are\n%s", planted, err, written(problems))
		}
	})
}

// child follows keys into maps; nil where there is nothing.
func child(v any, keys ...string) any {
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// eachSchema calls visit for every map in a schema.
func eachSchema(v any, visit func(m map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(v)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			eachSchema(v[key], visit)
		}
	case []any:
		for _, item := range v {
			eachSchema(item, visit)
		}
	}
}

func parseExport(t *testing.T, name string) map[string]any {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal(export(t, name), &document); err != nil {
		t.Fatal(err)
	}
	return document
}

// beyondECMA is what RE2 has and the regular expressions of ECMA-262, with or without their flag u, have not, or understand
// otherwise.
var beyondECMA = regexp.MustCompile(`\(\?|\[\[:|\\[^tnfrx]|\\x[^0-9a-f]|\\x.[^0-9a-f]|\{,|[+*?}]\+`)

// TestPatternsAreECMA: editors read the patterns as JavaScript does.
func TestPatternsAreECMA(t *testing.T) {
	for _, bad := range []string{`(?i)a`, `[[:alpha:]]`, `\pL`, `\s`, `\Aa`, `a\-b`, `\x{1f}`, `a++`} {
		if !beyondECMA.MatchString(bad) {
			t.Errorf("%s is let through", bad)
		}
	}
	found := 0
	for name := range exports {
		eachSchema(parseExport(t, name), func(m map[string]any) {
			pattern, isText := m["pattern"].(string)
			if !isText {
				return
			}
			found++
			if bad := beyondECMA.FindString(pattern); bad != "" {
				t.Errorf("%s: pattern %s: %s is not ECMA's", name, pattern, bad)
			}
			if _, err := regexp.Compile(pattern); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	if found < 100 {
		t.Errorf("only %d patterns were found", found)
	}
}

// TestEditorsAreTold: a record says what it has not, a pattern says what it asks for, and what an editor shows is there.
func TestEditorsAreTold(t *testing.T) {
	document := parseExport(t, "jsonschema")
	eachSchema(document, func(m map[string]any) {
		if _, isText := m["pattern"].(string); isText && m["patternErrorMessage"] == nil && m["type"] == "string" && m["description"] != nil {
			t.Errorf("pattern %s has no message", m["pattern"])
		}
		if _, isRecord := m["properties"].(map[string]any); isRecord && m["type"] == "object" && m["additionalProperties"] != any(false) && m["allOf"] == nil {
			t.Errorf("a record takes any field: %v", slices.Sorted(maps.Keys(m)))
		}
	})
	for _, kind := range documentKinds {
		if required := fmt.Sprint(definition(t, document, kind)["required"]); strings.Contains(required, "kind") {
			t.Errorf("%s asks for %s: what tells kinds apart would be reported twice", kind, required)
		}
	}
	tenant := definition(t, document, "TenantSpec")
	want := map[string]any{
		"type": "object", "description": "The tenant's namespaces, by name.",
		"additionalProperties": map[string]any{"$ref": "#/definitions/Namespace"},
		"propertyNames": map[string]any{
			"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
			"patternErrorMessage": "this is not a DNS label: lower-case letters, digits and '-', at most 63, beginning and ending with a letter or digit",
		},
	}
	if diff := cmp.Diff(any(want), child(tenant, "properties", "namespaces")); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
}

func definition(t *testing.T, document map[string]any, name string) map[string]any {
	t.Helper()
	found, ok := child(document, "definitions", name).(map[string]any)
	if !ok {
		t.Fatalf("there is no definition %s", name)
	}
	return found
}

// TestOpenAPI: the document has what OpenAPI 3.0 asks for, refers to nothing that is not there, and uses only words of its
// schemas.
func TestOpenAPI(t *testing.T) {
	document := parseExport(t, "openapi")
	for _, key := range []string{"openapi", "info", "paths", "components"} {
		if document[key] == nil {
			t.Errorf("there is no %s", key)
		}
	}
	schemas, _ := child(document, "components", "schemas").(map[string]any)
	for _, kind := range documentKinds {
		if schemas[kind] == nil {
			t.Errorf("there is no %s", kind)
		}
	}
	for name, schema := range schemas {
		checkOpenAPISchema(t, schemas, name, schema)
	}
}

// openAPIWords are the words of a Schema Object of OpenAPI 3.0.3 that we use.
var openAPIWords = []string{
	"$ref", "additionalProperties", "anyOf", "description", "enum", "items", "maximum", "minLength", "minimum", "not", "oneOf",
	"pattern", "properties", "required", "type",
}

func checkOpenAPISchema(t *testing.T, schemas map[string]any, at string, v any) {
	t.Helper()
	m, isMap := v.(map[string]any)
	if !isMap {
		t.Errorf("%s: %v is no schema", at, v)
		return
	}
	for key, value := range m {
		switch key {
		case "$ref":
			name, found := strings.CutPrefix(fmt.Sprint(value), "#/components/schemas/")
			if !found || schemas[name] == nil || len(m) > 1 {
				t.Errorf("%s: %v", at, m)
			}
		case "properties":
			properties, _ := value.(map[string]any)
			for name, property := range properties {
				checkOpenAPISchema(t, schemas, at+"."+name, property)
			}
		case "items", "not":
			checkOpenAPISchema(t, schemas, at+"."+key, value)
		case "additionalProperties":
			if value != any(false) {
				checkOpenAPISchema(t, schemas, at+"."+key, value)
			}
		case "anyOf", "oneOf":
			alternatives, _ := value.([]any)
			for i, alternative := range alternatives {
				checkOpenAPISchema(t, schemas, fmt.Sprintf("%s.%s[%d]", at, key, i), alternative)
			}
		case "type":
			if !slices.Contains([]any{"string", "integer", "number", "boolean", "array", "object"}, value) {
				t.Errorf("%s: type %v", at, value)
			}
		default:
			if !slices.Contains(openAPIWords, key) {
				t.Errorf("%s: %s is no word of OpenAPI 3.0", at, key)
			}
		}
	}
}
