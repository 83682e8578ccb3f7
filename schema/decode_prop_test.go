package schema

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	cueyaml "cuelang.org/go/encoding/yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// exported compares Specs by what generators see of them, wherever it was written.
var exported = cmp.Options{
	cmpopts.IgnoreUnexported(Platform{}, Member{}, Store{}, Exemption{}),
	cmp.Comparer(func(a, b *eso.Release) bool { // a release is a constant of some hundred rules
		return (a == nil) == (b == nil) && (a == nil || a.Chart == b.Chart)
	}),
	cmpopts.IgnoreTypes(problem.Position{}),
	cmpopts.EquateEmpty(),
}

var place = regexp.MustCompile(`f[0-9][.]yaml:[0-9]+:[0-9]+`)

// unplaced is what the problems say, without where.
func unplaced(problems problem.List) []string {
	var lines []string
	for _, p := range problems {
		lines = append(lines, string(p.Rule)+": "+p.Path+": "+place.ReplaceAllString(p.Message, "here"))
	}
	slices.Sort(lines)
	return lines
}

func texts(sources []Source) map[string]string {
	all := map[string]string{}
	for _, src := range sources {
		all[src.File] = string(src.Data)
	}
	return all
}

// TestPlantedMistakes: k mistakes give at least k problems, each of them at a place inside its file.
func TestPlantedMistakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpecimen(t)
		planted := s.plantSome(t, 6)
		sources := drawLayout(t, "layout").sources(s.documents())
		_, problems, _ := Decode(sources)
		if errors := problems.Errors(); errors < len(planted) || (len(planted) == 0 && errors > 0) {
			t.Fatalf("%d mistakes:\n%s\n%d errors:\n%s\n%s", len(planted), planted, errors, written(problems), texts(sources))
		}
		for _, p := range problems {
			if complaint := misplaced(p, texts(sources)); complaint != "" {
				t.Fatalf("%s: %s\n%s", p.Line(), complaint, texts(sources))
			}
		}
	})
}

// TestOrderDoesNotMatter: neither that of keys, nor of documents, nor of files.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpecimen(t)
		s.plantSome(t, 3)
		one, other := drawLayout(t, "one").sources(s.documents()), drawLayout(t, "other").sources(s.documents())
		spec1, problems1, _ := Decode(one)
		spec2, problems2, _ := Decode(other)
		if diff := cmp.Diff(unplaced(problems1), unplaced(problems2)); diff != "" {
			t.Fatalf("problems differ (-one +other):\n%s\n%s\n%s", diff, texts(one), texts(other))
		}
		if diff := cmp.Diff(spec1, spec2, exported); diff != "" {
			t.Fatalf("specs differ (-one +other):\n%s\n%s\n%s", diff, texts(one), texts(other))
		}
	})
}

// TestTenantSetIsTheSame: a TenantSet means what its Platform and Tenants mean as documents of their own.
func TestTenantSetIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpecimenOn(t, []string{"eu-1"})
		apart, problems, _ := Decode(drawLayout(t, "apart").sources(s.documents()))
		if problems.Errors() > 0 {
			t.Fatal(written(problems))
		}
		together, problems, _ := Decode(drawLayout(t, "together").sources([]object{s.tenantSet()}))
		if problems.Errors() > 0 {
			t.Fatal(written(problems))
		}
		if diff := cmp.Diff(apart, together, exported); diff != "" {
			t.Fatalf("(-apart +together):\n%s", diff)
		}
	})
}

func (s *specimen) tenantSet() object {
	platform := maps.Clone(part(s.platforms[0]["spec"]))
	platform["name"] = nameOf(s.platforms[0])
	tenants := object{}
	for _, tenant := range s.tenants {
		tenants[nameOf(tenant)] = tenant["spec"]
	}
	return kinded("TenantSet", "all", object{"platform": platform, "tenants": tenants})
}

// cueAccepts asks CUE itself, with its own reader of YAML and nothing of ours.
func cueAccepts(t fataler, schema cue.Value, definition, text string) bool {
	t.Helper()
	file, err := cueyaml.Extract("spec.yaml", text)
	if err != nil {
		t.Fatalf("CUE does not read this: %v\n%s", err, text)
	}
	return schema.LookupPath(cue.ParsePath(definition)).Unify(cuecontext.New().BuildFile(file)).Validate(cue.Concrete(true), cue.Final()) == nil
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// TestAcceptedByCUE: what Decode takes, CUE takes.
func TestAcceptedByCUE(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpecimen(t)
		l := drawLayout(t, "layout")
		if _, problems, _ := Decode(l.sources(s.documents())); problems.Errors() > 0 {
			t.Fatalf("%s", written(problems))
		}
		schema := cuecontext.New().CompileString(CUE)
		for _, doc := range s.documents() {
			if text := l.document(doc); !cueAccepts(t, schema, fmt.Sprint("#", doc["kind"]), text) {
				t.Fatalf("refused by CUE:\n%s", text)
			}
		}
	})
}

// TestSchemaProblemsAreCUEs: the walk over schema and value finds a mistake exactly where CUE refuses the document,
// whatever is changed in it; and never has to say just that something is wrong.
func TestSchemaProblemsAreCUEs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpecimen(t)
		doc := rapid.SampledFrom(s.documents()).Draw(t, "document")
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			change(t, doc)
		}
		doc["apiVersion"], doc["kind"] = APIVersion, rapid.SampledFrom([]string{"Platform", "Tenant"}).Draw(t, "kind")
		text := drawLayout(t, "layout").document(doc)
		dec := &decoder{}
		for _, d := range dec.documents(Source{File: "f0.yaml", Data: []byte(text)}) {
			dec.validate(d, fmt.Sprint("#", doc["kind"]), "", d.root)
		}
		if accepts := cueAccepts(t, cuecontext.New().CompileString(CUE), fmt.Sprint("#", doc["kind"]), text); accepts != (len(dec.problems) == 0) {
			t.Fatalf("CUE accepts: %t; problems:\n%s\n%s", accepts, written(dec.problems), text)
		}
		for _, p := range dec.problems {
			if complaint := misplaced(p, map[string]string{"f0.yaml": text}); complaint != "" || p.Rule == problem.SchemaOther {
				t.Fatalf("%s: %s\n%s", p.Line(), complaint, text)
			}
		}
	})
}

// change replaces, removes or adds a value somewhere in a document.
func change(t *rapid.T, doc object) {
	in := doc
	for {
		keys := slices.Sorted(maps.Keys(in))
		if len(keys) == 0 {
			break
		}
		inner, ok := in[rapid.SampledFrom(keys).Draw(t, "key")].(object)
		if !ok {
			break
		}
		in = inner
	}
	key := rapid.SampledFrom(append(slices.Sorted(maps.Keys(in)), "name", "x", "A_b", "default", "")).Draw(t, "changed")
	if rapid.IntRange(0, 3).Draw(t, "remove") == 0 {
		delete(in, key)
		return
	}
	in[key] = rapid.SampledFrom([]any{
		nil, true, 0, -1, 700, 1.5, "", "x", "A B", "enforce", "restricted", "https://x.example.com", "1.34", "é\u200b", object{}, object{"x": "y"}, object{"enforce": "x"}, []any{}, []any{"tokens"}, []any{1}, []any{object{}},
	}).Draw(t, "value")
}
