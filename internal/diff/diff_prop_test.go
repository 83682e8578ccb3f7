package diff_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/eso-tenant/eso-tenant/internal/diff"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
)

// value draws a value as JSON has it, of few words, so that two are often alike.
func value(depth int) *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Map(rapid.SampledFrom([]string{"", "a", "b", "https://a.b/?q=1", "https://a.b/?q=2", "p\x1bw", "Bearer: x", "Bearer: y", "1\n2", "1\n3"}), func(s string) any { return s }),
		rapid.Map(rapid.IntRange(0, 2), func(n int) any { return float64(n) }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Just[any](nil),
	)
	if depth == 0 {
		return leaf
	}
	inner := value(depth - 1)
	keys := rapid.SampledFrom([]string{"a", "b.c", "name", "password", "value", "rules", "status"})
	return rapid.OneOf(
		leaf,
		rapid.Map(rapid.SliceOfN(inner, 0, 3), func(l []any) any { return l }),
		rapid.Map(rapid.MapOfN(keys, inner, 0, 3), func(m map[string]any) any { return m }),
	)
}

func objects(t *rapid.T, label string) []inventory.Object {
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 3, rapid.ID[string]).Draw(t, label+" names")
	var all []inventory.Object
	for _, name := range names {
		fields := map[string]any{"apiVersion": "example.org/v1", "kind": "Thing", "metadata": map[string]any{"name": name}}
		fields["spec"] = value(3).Draw(t, label+" spec of "+name)
		all = append(all, inventory.Object{APIVersion: "example.org/v1", Kind: "Thing", Name: name, Fields: fields})
	}
	return all
}

// differ tells whether two specs differ, by another way than the package's own:
// null in a map is nothing, and so is an empty spec.
func differ(a, b inventory.Object) bool {
	clean := func(o inventory.Object) any {
		spec := withoutNull(o.Fields["spec"])
		if m, ok := spec.(map[string]any); ok && len(m) == 0 {
			return nil
		}
		return spec
	}
	return !cmp.Equal(clean(a), clean(b))
}

func withoutNull(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for key, inner := range v {
			if inner != nil {
				m[key] = withoutNull(inner)
			}
		}
		return m
	case []any:
		l := []any{}
		for _, inner := range v {
			l = append(l, withoutNull(inner))
		}
		return l
	default:
		return v
	}
}

// What is reported is what differs, and nothing else is.
func TestPropReportsWhatDiffers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := objects(t, "before"), objects(t, "after")
		a, _ := diff.NewIndex(before)
		b, _ := diff.NewIndex(after)
		reported := map[string]diff.Op{}
		for _, c := range diff.Between(a, b, diff.Options{}) {
			reported[c.Name] = c.Op
		}
		for _, name := range []string{"x", "y", "z"} {
			want := diff.Op("")
			i := slices.IndexFunc(before, func(o inventory.Object) bool { return o.Name == name })
			j := slices.IndexFunc(after, func(o inventory.Object) bool { return o.Name == name })
			switch {
			case i < 0 && j < 0:
			case i < 0:
				want = diff.Added
			case j < 0:
				want = diff.Removed
			case differ(before[i], after[j]):
				want = diff.Changed
			}
			if reported[name] != want {
				t.Errorf("%s: %q is reported, want %q", name, reported[name], want)
			}
		}
	})
}

// The way back is the mirror of the way there, field by field.
func TestPropMirror(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, _ := diff.NewIndex(objects(t, "before"))
		b, _ := diff.NewIndex(objects(t, "after"))
		there, back := diff.Between(a, b, diff.Options{}), diff.Between(b, a, diff.Options{})
		opposite := map[diff.Op]diff.Op{diff.Added: diff.Removed, diff.Removed: diff.Added, diff.Changed: diff.Changed}
		for i := range back {
			back[i].Op = opposite[back[i].Op]
			for j, f := range back[i].Fields {
				back[i].Fields[j] = diff.Field{Path: f.Path, Old: f.New, New: f.Old}
			}
		}
		anyOrder := cmpopts.SortSlices(func(f, g diff.Field) bool { return f.Path+f.Old+f.New < g.Path+g.Old+g.New })
		if d := cmp.Diff(there, back, anyOrder); d != "" {
			t.Error(d)
		}
	})
}

// Comparing changes nothing in what it is given.
func TestPropReadsOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := objects(t, "before"), objects(t, "after")
		was, err := json.Marshal([]any{before, after})
		if err != nil {
			t.Fatal(err)
		}
		a, _ := diff.NewIndex(before)
		b, _ := diff.NewIndex(after)
		diff.Between(a, b, diff.Options{})
		now, err := json.Marshal([]any{before, after})
		if err != nil || !bytes.Equal(was, now) {
			t.Errorf("%s\nbecame\n%s (%v)", was, now, err)
		}
	})
}
