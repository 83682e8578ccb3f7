package fn

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	yamlv3 "go.yaml.in/yaml/v3"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"pgregory.net/rapid"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/yaml"
)

// parsers are those that read what we write: kubectl, Flux and the API server the first, kustomize the others.
var parsers = map[string]func(doc string) (any, error){
	"sigs.k8s.io/yaml": func(doc string) (v any, err error) {
		err = yaml.UnmarshalStrict([]byte(doc), &v)
		return v, err
	},
	"go.yaml.in/yaml/v3": func(doc string) (v any, err error) {
		err = yamlv3.Unmarshal([]byte(doc), &v)
		return v, err
	},
	"kyaml": func(doc string) (v any, err error) {
		node, err := kyaml.Parse(doc)
		if err != nil {
			return nil, err
		}
		err = node.YNode().Decode(&v)
		return v, err
	},
}

type fatalf interface {
	Helper()
	Fatalf(string, ...any)
}

// parsesTo fails unless every parser reads want, a value as encoding/json decodes it, from doc.
func parsesTo(t fatalf, doc string, want any) {
	t.Helper()
	if !strings.HasSuffix(doc, "\n") {
		t.Fatalf("no line end in %q", doc)
	}
	for name, parse := range parsers {
		v, err := parse(doc)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, doc)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, doc)
		}
		var got any
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, doc)
		}
		if !cmp.Equal(want, got) {
			t.Fatalf("%s reads something else (-json +yaml):\n%s\n%s", name, cmp.Diff(want, got), doc)
		}
	}
}

// nasty are pieces of text that mean something to one parser or another.
var nasty = []string{
	"", " ", "  ", "\n", "\n\n", "\t", "\r", "\r\n", "\x00", "\x7f", "\u0085", "\u00a0", "\u2028", "\u2029", "\ufeff", "\ufffd", "\uffff", "🔑", "é", "\xff", "\xc3",
	"-", "- ", "--", "---", "...", ".", "..", ":", ": ", "?", "? ", "#", " #", ",", "[", "]", "{", "}", "&", "*", "!", "!!", "|", ">", "'", "\"", "%", "@", "`", "\\", "=", "<<",
	"null", "Null", "~", "true", "TRUE", "false", "yes", "Yes", "no", "on", "off", "y", "N", "0", "1", "-1", "+1", "07", "08", "0o7", "0x1F", "0b1", "1_000", "1e3", "1.", ".5", "+.5e-3",
	".inf", "-.Inf", ".nan", "1:20", "-1:20:30.5", "2001-01-01", "2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43", "123456789012345678901234567890",
	"a", "ab c", "status", "spec", "metadata", "creationTimestamp", "apiVersion", "kind", "items", "<a href=\"&\">", strings.Repeat("w ", 50), strings.Repeat("x", 1100),
}

func nastyString() *rapid.Generator[string] {
	piece := rapid.SampledFrom(nasty)
	return rapid.OneOf(piece, rapid.String(), rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(piece, 1, 6).Draw(t, "pieces"), "")
	}))
}

// tree is any value that JSON can hold.
func tree(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		nastyString().AsAny(), nastyString().AsAny(), rapid.Int64().AsAny(), rapid.Uint64().AsAny(), rapid.Bool().AsAny(), rapid.Just[any](nil),
		rapid.Float64().AsAny(), rapid.Float32().AsAny(),
	}
	if depth == 0 {
		return rapid.OneOf(leaves...)
	}
	inside := rapid.Deferred(func() *rapid.Generator[any] { return tree(depth - 1) })
	return rapid.OneOf(append(leaves,
		rapid.SliceOfN(inside, 0, 4).AsAny(), rapid.SliceOfN(inside, 0, 4).AsAny(),
		rapid.MapOfN(nastyString(), inside, 0, 5).AsAny(), rapid.MapOfN(nastyString(), inside, 0, 5).AsAny(),
	)...)
}

// keepsMeaning is the law: what we write is read as what encoding/json writes, or both refuse.
func keepsMeaning(t *rapid.T, v any) {
	out, err := appendYAML(nil, v)
	in, jsonErr := json.Marshal(v)
	if err != nil {
		if jsonErr == nil && !strings.Contains(err.Error(), "two keys are") {
			t.Fatalf("error %v, but encoding/json has none", err)
		}
		return
	}
	if jsonErr != nil {
		t.Fatalf("no error, but encoding/json has %v", jsonErr)
	}
	var want any
	if err := json.Unmarshal(in, &want); err != nil {
		t.Fatal(err)
	}
	parsesTo(t, string(out), kept(want))
	again, err := appendYAML(nil, v)
	if err != nil || !bytes.Equal(again, out) {
		t.Fatalf("the second time %q, %v", again, err)
	}
	generic, err := appendYAML(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	parsesTo(t, string(generic), kept(want))
}

func TestAppendYAMLKeepsTrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { keepsMeaning(t, tree(4).Draw(t, "tree")) })
}

func TestAppendYAMLKeepsStructs(t *testing.T) {
	for name, made := range map[string]*rapid.Generator[any]{
		"ClusterRole":       rapid.Make[[]rbacv1.PolicyRule]().AsAny(),
		"RoleBinding":       rapid.Make[struct{ Subjects []rbacv1.Subject }]().AsAny(),
		"NetworkPolicySpec": rapid.Make[networkingv1.NetworkPolicySpec]().AsAny(),
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { keepsMeaning(t, made.Draw(t, "value")) })
		})
	}
}

// A writer that many use at once, each with other objects, gives everyone their own.
func TestAppendYAMLTogether(t *testing.T) {
	var all sync.WaitGroup
	for name, v := range samples() {
		want := mustYAML(t, v)
		all.Go(func() {
			for range 200 {
				if got, err := appendYAML(nil, v); err != nil || string(got) != want {
					t.Errorf("%s: got %q, %v", name, got, err)
					return
				}
			}
		})
	}
	all.Wait()
}
