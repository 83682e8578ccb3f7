package inventory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

func everything(string, string) bool { return true }

func noConfigMaps(_, kind string) bool { return kind != "ConfigMap" }

// text is one source.
func text(s string) iter.Seq[Source] {
	return slices.Values([]Source{{File: "in", Reader: strings.NewReader(s)}})
}

// summary is what was read in lines: objects with their places, problems, and what was skipped.
func summary(set *Set, problems problem.List) string {
	var b strings.Builder
	for _, o := range set.Objects {
		fmt.Fprintf(&b, "%s %s %s/%s", o.At, o.Kind, o.Namespace, o.Name)
		if o.RuleLines != nil {
			fmt.Fprintf(&b, " %v", o.RuleLines)
		}
		b.WriteString("\n")
	}
	for _, p := range problems.Sorted() {
		b.WriteString(p.Line() + "\n")
	}
	for _, kind := range slices.Sorted(mapsKeys(set.Skipped)) {
		fmt.Fprintf(&b, "skipped %s: %d\n", kind, set.Skipped[kind])
	}
	return b.String()
}

func mapsKeys(m map[string]int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

const (
	configMap = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}`
	account   = `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"a","namespace":"ns"}}`
)

func TestRead(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"JSON": {account, "in:1:1 ServiceAccount ns/a\n"},
		"JSON lines": {
			account + "\n" + configMap + "\n\n " + account + "\n",
			"in:1:1 ServiceAccount ns/a\nin:4:2 ServiceAccount ns/a\nskipped ConfigMap: 1\n",
		},
		"JSON without lines":  {account + account, "in:1:1 ServiceAccount ns/a\nin:1:85 ServiceAccount ns/a\n"},
		"a byte order mark":   {"\ufeff" + account, "in:1:1 ServiceAccount ns/a\n"},
		"a list of objects":   {"[" + account + ",\n" + account + "]", "in:1:2 ServiceAccount ns/a\nin:2:1 ServiceAccount ns/a\n"},
		"an empty list":       {"[]", ""},
		"a List":              {`{"apiVersion":"v1","items":[` + account + `],"kind":"List"}`, "in:1:29 ServiceAccount ns/a\n"},
		"an empty List":       {`{"apiVersion":"v1","items":[],"kind":"List"}`, ""},
		"a List without kind": {`{"apiVersion":"v1","items":[` + account + `]}`, "in:1:29 ServiceAccount ns/a\nin:1:1: this has no kind, so nobody can tell what it is [object-unreadable]\n"},
		"a List that is none": {`{"apiVersion":"v1","items":[` + account + `],"kind":"Lost"}`, "in:1:29 ServiceAccount ns/a\nin:1:1: this has items, as a List has, but is of kind \"Lost\" [object-unreadable]\n"},
		"a List in a List": {
			`{"apiVersion":"v1","kind":"List","items":[` + "\n" + `{"kind":"List","items":[` + account + `],"apiVersion":"v1"},` + "\n" + account + "]}",
			"in:2:25 ServiceAccount ns/a\nin:3:1 ServiceAccount ns/a\n",
		},
		"a List without items":   {`{"apiVersion":"v1","kind":"List"}`, "in:1:1: this List has no items [object-unreadable]\n"},
		"a List of nothing":      {`{"apiVersion":"v1","kind":"List","items":null}`, "in:1:1: this List has no items [object-unreadable]\n"},
		"two lists of items":     {`{"apiVersion":"v1","kind":"List","items":[],"items":[` + account + `]}`, "in:1:53: key \"items\" stands twice in this object [yaml-duplicate-key]\n"},
		"a typed list":           {`{"kind":"RoleList","apiVersion":"rbac.authorization.k8s.io/v1","items":[{"metadata":{"name":"r"},"rules":[{},` + "\n" + `{}]}]}`, "in:1:73 Role /r [1 2]\n"},
		"a typed list at last":   {`{"items":[{"metadata":{"name":"r"}}],"kind":"RoleList","apiVersion":"v1"}`, "in:1:11: this has neither apiVersion nor kind, so nobody can tell what it is [object-unreadable]\n"},
		"no object":              {"[1, \"a\", null]", "in:1:2: this is no object [object-unreadable]\nin:1:5: this is no object [object-unreadable]\nin:1:10: this is no object [object-unreadable]\n"},
		"no kind":                {`{"apiVersion":"v1","kind":1}`, "in:1:1: this has no kind, so nobody can tell what it is [object-unreadable]\n"},
		"no apiVersion":          {`{"kind":"Role"}`, "in:1:1: this has no apiVersion, so nobody can tell what it is [object-unreadable]\n"},
		"no metadata":            {`{"kind":"Role","apiVersion":"v1"}`, "in:1:1: Role has no metadata [object-unreadable]\n"},
		"no name":                {`{"kind":"Role","apiVersion":"v1","metadata":{"name":1}}`, "in:1:1: Role has no name, or one that is no text [object-unreadable]\n"},
		"a name to be made":      {`{"kind":"Role","apiVersion":"v1","metadata":{"generateName":"a-"}}`, "in:1:1 Role /\n"},
		"a namespace of numbers": {`{"kind":"Role","apiVersion":"v1","metadata":{"name":"a","namespace":1}}`, "in:1:1: Role \"a\" has a namespace that is no text [object-unreadable]\n"},
		"kinds twice":            {`{"kind":"ConfigMap","apiVersion":"v1","k\u0069nd":"Role"}`, "in:1:51: key \"kind\" stands twice in this object [yaml-duplicate-key]\nskipped ConfigMap: 1\n"},
		"keys twice":             {`{"kind":"Role","apiVersion":"v1",` + "\n" + ` "metadata":{"name":"a","name":"b"}}`, "in:2:25: key \"name\" stands twice in this map [yaml-duplicate-key]\n"},
		"cut short":              {`{"kind":"List","apiVersion":"v1","items":[` + account + ",\n" + account[:50], "in:1:43 ServiceAccount ns/a\nin:2:51: this is not JSON: it ends in the middle [yaml-syntax]\n"},
		"cut between":            {`{"kind":"List","apiVersion":"v1","items":[` + account, "in:1:43 ServiceAccount ns/a\nin:1:127: this is not JSON: it ends in the middle [yaml-syntax]\n"},
		"cut in a word":          {`{"kind":"List","apiVersion":"v1","a":tru`, "in:1:41: this is not JSON: it ends in the middle [yaml-syntax]\n"},
		"no comma":               {`{"kind":"List" "apiVersion":"v1"}`, "in:1:16: this is not JSON: a comma is missing [yaml-syntax]\n"},
		"a comma too many":       {`{"kind":"List",}`, "in:1:16: this is not JSON: here a text in quotes has to stand [yaml-syntax]\n"},
		"no colon":               {`{"a":{"b" 1}}`, "in:1:11: this is not JSON: a colon is missing [yaml-syntax]\n"},
		"no value":               {`{"a":nil}`, "in:1:9: this is not JSON: \"nil\" is no value [yaml-syntax]\n"},
		"a line in a text":       {"{\"a\":\"\n\"}", "in:1:7: this is not JSON: a control character stands in this text [yaml-syntax]\n"},
		"the wrong bracket":      {`{"a":[1}}`, "in:1:8: this is not JSON: a comma is missing [yaml-syntax]\n"},
		"more brackets":          {account + "}", "in:1:1 ServiceAccount ns/a\nin:1:85: this is not JSON: \"\" is no value [yaml-syntax]\n"},

		"YAML": {
			"# ours\nkind: ServiceAccount\napiVersion: v1\nmetadata:\n  name: a\n  namespace: ns\n---\nkind: ConfigMap\napiVersion: v1\n---\n# nothing\n---\n",
			"in:2:1 ServiceAccount ns/a\nskipped ConfigMap: 1\n",
		},
		"YAML in flow": {
			"---\n{kind: ServiceAccount, apiVersion: v1, metadata: {name: a}}\n---\n- {kind: ConfigMap, apiVersion: v1}\n- {kind: A, apiVersion: v1, metadata: {name: b}}\n",
			"in:2:1 ServiceAccount /a\nin:5:3 A /b\nskipped ConfigMap: 1\n",
		},
		"a role": {
			"apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: a}\nrules:\n- verbs: [get]\n- {}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: a\nrules:\n- verbs:\n  - get\n- {}\n",
			"in:1:1 Role /a [5 6]\nin:8:1 Role /a [13 15]\n",
		},
		"a List in YAML": {
			"apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: A\n  metadata:\n    name: a\n\n- {apiVersion: v1, kind: B, metadata: {name: b}}\n- apiVersion: v1\n  kind: ConfigMap\nkind: List\nmetadata:\n  resourceVersion: \"\"\n",
			"in:3:3 A /a\nin:8:3 B /b\nskipped ConfigMap: 1\n",
		},
		"an indented List in a List": {
			"apiVersion: v1\nkind: List\nitems:\n  - apiVersion: v1\n    kind: List\n    items:\n    - apiVersion: v1\n      kind: A\n      metadata: {name: a}\n",
			"in:7:7 A /a\n",
		},
		"a typed list in YAML":    {"apiVersion: v1\nkind: SecretList\nitems:\n- metadata:\n    name: a\n- metadata: {name: b}\n", "in:4:3 Secret /a\nin:6:3 Secret /b\n"},
		"a List cut short":        {"apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: A\n  metadata:\n    name: a\n", "in:3:3 A /a\nin:1:1: this has no kind, so nobody can tell what it is [object-unreadable]\n"},
		"an empty List in YAML":   {"apiVersion: v1\nitems: []\nkind: List\n", ""},
		"no List in YAML":         {"apiVersion: v1\nitems:\nkind: List\n", "in:1:1: this List has no items [object-unreadable]\n"},
		"a quote around items":    {"apiVersion: v1\nmetadata:\n  a: \"\nitems:\n- kind: A\"\nkind: List\n", "in:1:1: this List has fields beside its items that cannot be read [yaml-syntax]\n"},
		"half an object":          {"kind: A\n", "in:1:1: this has no apiVersion, so nobody can tell what it is [object-unreadable]\n"},
		"a text":                  {"hello\n", "in:1:1: this is no object [object-unreadable]\n"},
		"syntax":                  {"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\n---\na: b: c\n---\nkind: D\n", "in:1:1 ServiceAccount /a\nin:5:1: this is not YAML: mapping values are not allowed in this context [yaml-syntax]\n"},
		"keys twice in YAML":      {"apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  name: b\n", "in:5:3: key \"name\" stands twice in this map [yaml-duplicate-key]\n"},
		"kinds twice in YAML":     {"apiVersion: v1\nkind: ConfigMap\n\"kind\": A\nmetadata:\n  name: a\n", "in:3:1: key \"kind\" stands twice in this map [yaml-duplicate-key]\n"},
		"a merge":                 {"apiVersion: v1\nkind: ConfigMap\n<<: {kind: A}\n", "in:3:1: merge keys (<<) are not read [yaml-unsupported]\n"},
		"a merge further in":      {"apiVersion: v1\nkind: A\nmetadata: {name: a, <<: {namespace: b}}\n", "in:3:21: merge keys (<<) are not read [yaml-unsupported]\n"},
		"aliases":                 {"apiVersion: v1\nkind: &a A\nmetadata: {name: *a, namespace: b}\n", "in:1:1 A b/A\n"},
		"an alias to itself":      {"apiVersion: v1\nkind: A\nmetadata: {name: a}\nx: &x [*x]\n", "in:4:4: values are nested more than 256 deep [yaml-too-deep]\n"},
		"a tag":                   {"apiVersion: v1\nkind: A\nmetadata: {name: !x a}\n", "in:3:18: tag \"!x\" is not read [yaml-unsupported]\n"},
		"a boolean for kubectl":   {"apiVersion: v1\nkind: A\nmetadata:\n  name: a\nautomountServiceAccountToken: no\n", "in:5:31: this is a boolean to kubectl and a text to other parsers [yaml-ambiguous]\n"},
		"a date":                  {"apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  creationTimestamp: 2020-01-02\n", "in:1:1 A /a\n"},
		"nobody cares":            {"apiVersion: v1\nkind: ConfigMap\nx: no\ny: {z: 1, z: 1}\n", "skipped ConfigMap: 1\n"},
		"a control character":     {"a: \x01\n", "in:1:4: control character U+0001 stands in this text [yaml-encoding]\n"},
		"line ends of Windows":    {"apiVersion: v1\r\nkind: A\r\nmetadata:\r\n  name: a\r\n---\r\napiVersion: v1\r\nkind: ConfigMap\r\n", "in:1:1 A /a\nskipped ConfigMap: 1\n"},
		"a directive":             {"%YAML 1.1\n---\napiVersion: v1\nkind: ConfigMap\n", "skipped ConfigMap: 1\n"},
		"an end and another":      {"apiVersion: v1\nkind: ConfigMap\n...\n---\napiVersion: v1\nkind: ConfigMap\n", "skipped ConfigMap: 2\n"},
		"dashes in a block":       {"apiVersion: v1\nkind: A\nmetadata:\n  name: a\nx: |\n  ---\n  b\n---\n", "in:1:1 A /a\n"},
		"dashes that end nothing": {"apiVersion: v1\nkind: A\nmetadata:\n  name: a\n---x: b\n", "in:1:1 A /a\n"},
		"UTF-16":                  {"\xff\xfe{\x00", "in:1:1: this is no UTF-8 text; it begins as UTF-16 does [yaml-encoding]\n"},
		"nothing":                 {" \n", "in: this is empty [source-empty]\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			set, problems := Read(text(test.in), noConfigMaps)
			if diff := cmp.Diff(test.want, summary(set, problems)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			// However little a Reader gives at a time, the same is read.
			one := slices.Values([]Source{{File: "in", Reader: iotest.OneByteReader(strings.NewReader(test.in))}})
			if diff := cmp.Diff(test.want, summary(Read(one, noConfigMaps))); diff != "" {
				t.Errorf("byte for byte (-want +got)\n%s", diff)
			}
			sameAsSlow(t, test.in)
			sameAsJSON(t, test.in)
		})
	}
}

// TestReadKeepsNoSecrets: what is confidential is nowhere in what is kept, in whatever way it was written.
func TestReadKeepsNoSecrets(t *testing.T) {
	const secret = `apiVersion: v1
data:
  token: U0VDUkVU
kind: Secret
metadata:
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {"data":{"token":"U0VDUkVU"}}
    objectset.rio.cattle.io/applied: U0VDUkVU
    kubernetes.io/service-account.name: vault
  managedFields:
  - manager: U0VDUkVU
  name: s
stringData:
  token: U0VDUkVU
type: kubernetes.io/service-account-token
`
	asJSON, err := yaml.YAMLToJSON([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	want := []any{map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
		"metadata": map[string]any{"name": "s", "annotations": map[string]any{"kubernetes.io/service-account.name": "vault"}},
	}}
	for name, in := range map[string]string{
		"block": secret, "yaml.v3": secret + "x: !!str y\n", "JSON": string(asJSON),
		"a List": "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimSuffix(secret, "\n"), "\n", "\n  ") + "\n",
	} {
		set, problems := Read(text(in), everything)
		var got []any
		for _, o := range set.Objects {
			delete(o.Fields, "x")
			got = append(got, any(o.Fields))
		}
		if diff := cmp.Diff(want, got); diff != "" || problems != nil {
			t.Errorf("%s: %v (-want +got)\n%s", name, problems, diff)
		}
	}
}

// TestReadFormatsAgree: the golden outputs are the same objects in YAML, as a List in YAML, and in JSON.
func TestReadFormatsAgree(t *testing.T) {
	for name, data := range rendered(t) {
		want, problems := Read(text(string(data)), everything)
		if problems != nil || len(want.Objects) == 0 {
			t.Fatalf("%s: %d objects, %v", name, len(want.Objects), problems)
		}
		var items bytes.Buffer
		list := "apiVersion: v1\nitems:\n"
		for i, document := range strings.Split(string(data), "\n---\n") {
			list += "- " + strings.ReplaceAll(strings.TrimSuffix(document, "\n"), "\n", "\n  ") + "\n"
			asJSON, err := yaml.YAMLToJSON([]byte(document))
			if err != nil {
				t.Fatal(err)
			}
			items.Write(bytes.Repeat([]byte(","), min(i, 1)))
			items.Write(asJSON)
		}
		byKubectl, err := yaml.JSONToYAML([]byte(`{"apiVersion":"v1","items":[` + items.String() + `],"kind":"List","metadata":{"resourceVersion":""}}`))
		if err != nil {
			t.Fatal(err)
		}
		for form, in := range map[string]string{
			"kubectl's YAML": string(byKubectl),
			"List":           list + "kind: List\n",
			"JSON":           `{"apiVersion":"v1","items":[` + items.String() + `],"kind":"List"}`,
		} {
			got, problems := Read(text(in), everything)
			if diff := cmp.Diff(fieldsOf(want), fieldsOf(got)); diff != "" || problems != nil {
				t.Errorf("%s as %s: %v (-YAML +%s)\n%s", name, form, problems, form, diff)
			}
		}
	}
}

func fieldsOf(set *Set) []map[string]any {
	var all []map[string]any
	for _, o := range set.Objects {
		all = append(all, o.Fields)
	}
	return all
}

func TestReadBounds(t *testing.T) {
	lists := strings.Repeat(`{"apiVersion":"v1","kind":"List","items":[`, 9) + strings.Repeat(`]}`, 9)
	role := "apiVersion: v1\nkind: A\nmetadata: {name: a}\n"
	for name, test := range map[string]struct {
		in   string
		want problem.Rule
	}{
		"brackets":             {`[{"a":` + strings.Repeat("[", 1<<20), problem.YAMLTooDeep},
		"braces":               {`{"a":` + strings.Repeat(`{"a":`, 1<<20), problem.YAMLTooDeep},
		"brackets in YAML":     {strings.Repeat("[", 1<<20), problem.YAMLSyntax},
		"Lists":                {lists, problem.YAMLTooDeep},
		"braces in YAML":       {role + "a: " + strings.Repeat("{a: ", 300) + strings.Repeat("}", 300), problem.YAMLTooDeep},
		"lists in YAML":        {role + "a:\n" + strings.Repeat("- ", 300) + "a\n", problem.YAMLTooDeep},
		"an object too large":  {`{"a":"` + strings.Repeat("a", maxObjectBytes+1<<20), problem.SourceTooLarge},
		"a number too large":   {`{"apiVersion":"v1","kind":"A","metadata":{"name":"a"},"a":1e999}`, problem.YAMLSyntax},
		"a number too long":    {`{"a":` + strings.Repeat("1", 100) + "}", problem.YAMLSyntax},
		"a document too large": {"a: " + strings.Repeat("a", maxDocumentBytes+1<<20), problem.SourceTooLarge},
		"values":               {role + "a: [" + strings.Repeat("a,", maxMarks) + "]\n", problem.SourceTooLarge},
		"laughs": {
			role + "a0: &a0 [a,a,a,a,a,a,a,a,a]\n" + func() (s string) {
				for i := range 9 {
					s += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d,", i), 9))
				}
				return s
			}(), problem.YAMLTooDeep,
		},
		"Lists of Lists": {
			func() string {
				s := "&l0 {apiVersion: v1, kind: List, items: []}\n"
				for i := range 7 {
					s = fmt.Sprintf("&l%d {apiVersion: v1, kind: List, items: [%s%s]}", i+1, strings.TrimSpace(s), strings.Repeat(fmt.Sprintf(",*l%d", i), 30))
				}
				return s
			}(), problem.YAMLTooDeep,
		},
		"problems":         {strings.Repeat("{\"a\":1}\n", maxProblems+10), problem.TooManyProblems},
		"not UTF-8":        {`{"apiVersion":"v1","kind":"A","metadata":{"name":"` + "\xff" + `"}}`, problem.YAMLEncoding},
		"half a surrogate": {`{"apiVersion":"v1","kind":"A","metadata":{"name":"a\x"}}`, problem.YAMLSyntax},
	} {
		t.Run(name, func(t *testing.T) {
			set, problems := Read(text(test.in), everything)
			if !slices.ContainsFunc(problems, func(p problem.Problem) bool { return p.Rule == test.want }) {
				t.Errorf("%d objects, problems %.500v, want %s", len(set.Objects), problems, test.want)
			}
		})
	}
}

var errBroken = errors.New("broken pipe")

func TestReadUnreadable(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "in: this cannot be read to its end: broken pipe [source-unreadable]\n",
		account:                     "in:1:1 ServiceAccount ns/a\nin: this cannot be read to its end: broken pipe [source-unreadable]\n",
		account[:20]:                "in: this cannot be read to its end: broken pipe [source-unreadable]\n",
		"apiVersion: v1\nkind: A\n": "in: this cannot be read to its end: broken pipe [source-unreadable]\n",
	} {
		reader := io.MultiReader(strings.NewReader(in), iotest.ErrReader(errBroken))
		set, problems := Read(slices.Values([]Source{{File: "in", Reader: reader}}), everything)
		if diff := cmp.Diff(want, summary(set, problems)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", in, diff)
		}
	}
}

func TestFromTyped(t *testing.T) {
	at := problem.Position{File: "web.yaml", Line: 3, Column: 1}
	secret := map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]string{"name": "a", "namespace": "b"}, "data": map[string]string{"c": "d"}, "n": 7}
	got, err := FromTyped("v1", "Secret", "b", "a", secret, at)
	want := Object{
		APIVersion: "v1", Kind: "Secret", Namespace: "b", Name: "a", At: at,
		Fields: map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "a", "namespace": "b"}, "n": 7.0},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	for _, body := range []any{func() {}, []string{}, json.RawMessage(`{"a":1,"a":2}`)} {
		if o, err := FromTyped("v1", "A", "", "a", body, at); err == nil {
			t.Errorf("%T gives %v", body, o)
		}
	}
}

// dump is a List in JSON of n objects, given piece by piece.
func dump(n int, object string) io.Reader {
	next := 0
	return &generated{next: func() []byte {
		switch next++; {
		case next == 1:
			return []byte(`{"apiVersion":"v1","items":[` + object)
		case next <= n:
			return []byte("," + object)
		case next == n+1:
			return []byte(`],"kind":"List"}`)
		default:
			return nil
		}
	}}
}

type generated struct {
	next func() []byte
	rest []byte
}

func (g *generated) Read(p []byte) (int, error) {
	if len(g.rest) == 0 {
		if g.rest = g.next(); g.rest == nil {
			return 0, io.EOF
		}
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// TestReadHoldsLittle: while objects are read, hardly more is held than in the end.
func TestReadHoldsLittle(t *testing.T) {
	before := liveHeap()
	var peak uint64
	objects, source := 0, dump(20_000, account)
	watched := &generated{next: func() []byte {
		p := make([]byte, 64<<10)
		k, err := io.ReadFull(source, p)
		if k == 0 && err != nil {
			return nil
		}
		if objects++; objects%8 == 0 {
			peak = max(peak, liveHeap())
		}
		return p[:k]
	}}
	set, problems := Read(slices.Values([]Source{{File: "in", Reader: watched}}), everything)
	kept := liveHeap() - before
	if len(set.Objects) != 20_000 || problems != nil {
		t.Fatalf("%d objects, %v", len(set.Objects), problems)
	}
	if used := peak - min(peak, before); used > 2*kept { // and as much again until it is collected
		t.Errorf("%d KiB held, of which %d KiB are kept", used>>10, kept>>10)
	}
	runtime.KeepAlive(set)
}

// TestReadStreams: what is not kept takes no memory, however much it is.
func TestReadStreams(t *testing.T) {
	const n, size = 8000, 4 << 10
	big := `{"apiVersion":"v1","data":{"a":"` + strings.Repeat("x", size) + `"},"kind":"ConfigMap","metadata":{"name":"c"}}`
	before := liveHeap()
	var peak uint64
	source, read := dump(n, big), 0
	watched := &generated{next: func() []byte {
		p := make([]byte, 64<<10)
		k, err := io.ReadFull(source, p)
		if k == 0 && err != nil {
			return nil
		}
		if read += k; read%(4<<20) < k {
			peak = max(peak, liveHeap())
		}
		return p[:k]
	}}
	set, problems := Read(slices.Values([]Source{{File: "in", Reader: watched}}), noConfigMaps)
	if set.Skipped["ConfigMap"] != n || problems != nil {
		t.Fatalf("%v, %v", set.Skipped, problems)
	}
	if used := peak - min(peak, before); used > n*size/8 {
		t.Errorf("%d KiB held of a dump of %d KiB of which nothing is kept", used>>10, n*size>>10)
	}
}

// liveHeap is how much memory is in use.
func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// slowRead is what yaml.v3 alone makes of a source in YAML.
func slowRead(in string) (*Set, problem.List) {
	r := &reader{texts: newTexts(), wanted: map[heading]bool{}, keep: noConfigMaps, set: Set{Skipped: map[string]int{}}, file: "in"}
	r.slow([]byte(in), 1)
	return &r.set, r.problems
}

// sameAsSlow holds cutting and blockReader to yaml.v3: what is read without a problem is what yaml.v3 reads.
func sameAsSlow(t *testing.T, in string) {
	t.Helper()
	var w window
	w.reset(strings.NewReader(in))
	if first, second := w.begins(); first == '{' || first == '[' && (second == '{' || second == ']') || strings.HasPrefix(in, "\ufeff") {
		return
	}
	set, problems := Read(text(in), noConfigMaps)
	if len(problems) > 0 {
		return
	}
	want, problems := slowRead(in)
	if len(problems) > 0 {
		t.Fatalf("read, but to yaml.v3: %s\n%s", problems[0].Line(), in)
	}
	if diff := cmp.Diff(summary(want, nil), summary(set, nil)); diff != "" {
		t.Fatalf("(-yaml.v3 +read)\n%s\n%s", diff, in)
	}
	if diff := cmp.Diff(fieldsOf(want), fieldsOf(set)); diff != "" {
		t.Fatalf("(-yaml.v3 +read)\n%s\n%s", diff, in)
	}
}

// sameAsJSON holds reading JSON to encoding/json: what is read without a problem is JSON, and an object is the same.
func sameAsJSON(t *testing.T, in string) {
	t.Helper()
	set, problems := Read(text(in), everything)
	if len(problems) > 0 || !strings.HasPrefix(in, `{"`) {
		return
	}
	values := 0
	for decoder := json.NewDecoder(strings.NewReader(in)); ; values++ {
		var want map[string]any
		if err := decoder.Decode(&want); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("read, but to encoding/json: %v\n%s", err, in)
		}
		if _, isList := want["items"].([]any); isList || values > 0 {
			continue
		}
		trim(heading{Text(want, "apiVersion"), Text(want, "kind")}, want)
		if diff := cmp.Diff(want, set.Objects[0].Fields); diff != "" {
			t.Fatalf("(-encoding/json +read)\n%s\n%s", diff, in)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{`{"apiVersion":"v1","kind":"Secret","data":{"a":"b"},"metadata":{"name":"a","managedFields":[{"a":"}"}]},"x":[1,-2.5e3,true,null,"\\u00e9\\n"]}`, account, "[" + account + "]", `{"apiVersion":"v1","items":[` + account + `],"kind":"List"}`, "apiVersion: v1\nkind: List\nitems:\n- kind: A\n  x: |\n    y\n- a: 'b'\n"} {
		f.Add(seed)
	}
	for _, data := range rendered(f) {
		if first, _, _ := strings.Cut(string(data), "\n---\n"); len(first) < 1<<10 {
			f.Add(first + "\n---\n" + first + "\n")
			f.Add("apiVersion: v1\nitems:\n- " + strings.ReplaceAll(first, "\n", "\n  ") + "\n- kind: B\n  apiVersion: v1\nkind: List\nmetadata:\n  a: b\n")
		}
	}
	f.Fuzz(func(t *testing.T, in string) {
		sameAsSlow(t, in)
		sameAsJSON(t, in)
		set, problems := Read(text(in), everything)
		lines := 1 + strings.Count(in, "\n")
		for _, o := range set.Objects {
			if o.At.Line < 1 || o.At.Line > lines || o.Kind == "" || o.APIVersion == "" {
				t.Errorf("%v %s", o.At, o.Kind)
			}
		}
		for _, p := range problems {
			if p.Position.Line > lines {
				t.Errorf("a problem at line %d of %d: %s", p.Position.Line, lines, p.Line())
			}
		}
	})
}
