package inventory

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// slowly is what yaml.v3 makes of one document or of an item of a List.
func slowly(t testing.TB, text []byte, line int, item bool) (fields any, at, rules []int32, why string) {
	t.Helper()
	r := &reader{texts: newTexts(), wanted: map[heading]bool{}, keep: func(string, string) bool { return true }}
	documents := 0
	r.parse(text, line, func(n *nodes, root *yaml.Node) {
		documents++
		if item && root.Kind == yaml.SequenceNode && len(root.Content) == 1 {
			root = root.Content[0]
		} else if item {
			t.Fatalf("%q is no item", text)
		}
		fields = n.value(root, 0)
		at = []int32{line32(n.line + root.Line), line32(root.Column)}
		if root.Kind == yaml.MappingNode {
			rules = n.ruleLines(heading{"rbac.authorization.k8s.io/v1", "Role"}, n.look(root).rules)
		}
	})
	if len(r.problems) > 0 {
		return nil, nil, nil, r.problems[0].Line()
	}
	if documents > 1 {
		return nil, nil, nil, "several documents"
	}
	return fields, at, rules, ""
}

// same holds blockReader to yaml.v3: whatever it reads is the same there, and at the same place.
func same(t testing.TB, text []byte, item bool) (read bool) {
	t.Helper()
	const line = 7
	b := blockReader{texts: newTexts()}
	if !plainText(text) {
		return false
	}
	take := b.document
	if item {
		take = b.item
	}
	object, ok := take(text, line)
	if !ok {
		return false
	}
	want, at, rules, why := slowly(t, text, line, item)
	if why != "" {
		t.Fatalf("blockReader reads what yaml.v3 does not: %s\n%s", why, text)
	}
	if object == nil {
		if want != nil {
			t.Fatalf("blockReader takes this for empty\n%s", text)
		}
		return true
	}
	if diff := cmp.Diff(want, any(object)); diff != "" {
		t.Fatalf("(-yaml.v3 +blockReader)\n%s\n%s", diff, text)
	}
	if diff := cmp.Diff(at, []int32{line32(b.objectLine), line32(b.objectColumn)}); diff != "" {
		t.Fatalf("place (-yaml.v3 +blockReader)\n%s\n%s", diff, text)
	}
	if _, isList := object["rules"].([]any); isList && len(b.ruleLines) > 0 {
		if diff := cmp.Diff(rules, b.ruleLines); diff != "" {
			t.Fatalf("lines of rules (-yaml.v3 +blockReader)\n%s\n%s", diff, text)
		}
	} else if len(rules) != len(b.ruleLines) {
		t.Fatalf("%d rules, want %d\n%s", len(b.ruleLines), len(rules), text)
	}
	return true
}

// rendered are the golden outputs.
func rendered(t testing.TB) map[string][]byte {
	t.Helper()
	return filesLike(t, "../../golden/*/stream-*.yaml")
}

func filesLike(t testing.TB, pattern string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = data
	}
	return files
}

// TestBlockReads: everything that fn and kustomize write is read without yaml.v3, and as yaml.v3 reads it.
func TestBlockReads(t *testing.T) {
	files := rendered(t)
	maps.Copy(files, filesLike(t, "testdata/kustomize.yaml"))
	for name, data := range files {
		var w window
		w.reset(bytes.NewReader(data))
		for text, ok := w.document(); ok; text, ok = w.document() {
			if !same(t, text, false) {
				t.Errorf("%s: left to yaml.v3:\n%s", name, text)
			}
		}
	}
}

func TestBlock(t *testing.T) {
	tests := map[string]struct {
		text string
		read bool
	}{
		"empty":                        {"# nothing\n", true},
		"only a line":                  {"---\n", true},
		"a header":                     {"# a\n\n# b\n---\n# c\na: b\n", true},
		"words":                        {"a: true\nb: false\nc: null\nd: \"true\"\ne: 'null'\nf: truest\n", true},
		"numbers":                      {"a: 1\nb: -7\nc: 0\nd: 1.5\ne: 0644\nf: 1e3\ng: 1.0e+30\nh: 0o14\ni: 2020-01-02\n", true},
		"numbers that are none":        {"a: 10.0.0.0/8\nb: 50%\nc: 1.2.3\nd: 5m\ne: v1\nf: -x\n", true},
		"other words":                  {"a: yes\n", false},
		"keys that are words":          {"on: a\n", false},
		"nothing":                      {"a:\nb:\n  c:\n", true},
		"lists":                        {"a:\n- b\n- c: d\n  e: f\n- - g\n  - h\n-  i\n", false},
		"lists in line":                {"a:\n- b\n- c: d\n  e:\n  - f\n- - g\n  - - h\n  - i: j\nk: l\n", true},
		"lists further in":             {"a:\n  - b\n  - c\nd:\n    - e\n", true},
		"empty ones":                   {"a: {}\nb: []\nc:\n- {}\n- []\n", true},
		"flow":                         {"a: {b: c}\n", false},
		"flow behind":                  {"a: {} b\n", false},
		"quotes":                       {"a: 'it''s'\nb: \"\\\"\\\\\\n\\x41\\u00e9\\U0001F600\\N\\_\\L\\P\\e\\0\"\n\"c d\": ''\n'e: f': \"\"\n", true},
		"a quote left open":            {"a: 'b\n", false},
		"a quote and more":             {"a: 'b' c\n", false},
		"quotes on several lines":      {"a: \"b\n  c\"\n", false},
		"surrogates":                   {"a: \"\\ud83d\\ude00\"\n", false},
		"a scalar on several lines":    {"a: b\n  c\n", false},
		"a scalar on the next line":    {"a:\n  b\n", false},
		"an indented document":         {" a: b\n", false},
		"a list and a key":             {"- a\nb: c\n", false},
		"twice":                        {"a: b\na: c\n", false},
		"merge":                        {"<<: b\n", false},
		"an anchor":                    {"a: &b c\nd: *b\n", false},
		"a tag":                        {"a: !!str 1\n", false},
		"a comment behind":             {"a: b # c\n", false},
		"comments between":             {"a:\n  # x\n  b: c\n  # y\n  # z\nd: # e\n", false},
		"comments of their own":        {"a:\n  # x\n  b: c\n  # y\n# z\nd:\n# w\n- e\n# v\n- f\n", true},
		"a colon inside":               {"a: b:c\nd:e: f\nhttp://x: https://y:1\n", true},
		"a colon at the end":           {"a: b:\n", false},
		"two colons":                   {"a: b: c\n", false},
		"managed fields":               {"a:\n- f:\n    f:metadata:\n      .: {}\n      f:a: {}\n      k:{\"uid\":\"1\"}: {}\n", true},
		"a block":                      {"a: |\n  b\n   c\n\n  d\ne: |-\n  f\ng: |+\n  h\n\n\ni:\n- |\n  j\n", true},
		"a block at the end":           {"a: |+\n  b\n\n\n", true},
		"a block clipped at the end":   {"a: |\n  b\n\n\n", true},
		"a block that begins blank":    {"a: |\n\n  b\n", false},
		"a block with an indent":       {"a: |2\n   b\n", false},
		"a folded block":               {"a: >\n  b\n", false},
		"a block of comments":          {"a: |\n  # b\n # c\nd: e\n", true},
		"an empty block":               {"a: |\nb: c\n", false},
		"a question":                   {"? a\n: b\n", false},
		"the wrong indent":             {"a:\n  b: c\n d: e\n", false},
		"deeper":                       {"a:\n  b: c\n    d: e\n", false},
		"a tab":                        {"a:\tb\n", false},
		"no end":                       {"a: b", false},
		"an end of the document":       {"a: b\n...\n", false},
		"a long key":                   {strings.Repeat("k", 200) + ": a\n", false},
		"deep":                         {strings.Repeat("- ", 300) + "a\n", false},
		"a space behind":               {"a: b \n", false},
		"a key with a space before it": {"a : b\n", false},
		"two keys, spaces before one":  {"a : b: c\n", false},
		"a key behind a marker":        {"--- a: b\n", false},
		"a key behind an end":          {"a: b\n... c: d\n", false},
		"dashes":                       {"a: ---\nb: --- c\n", true},
		"rules":                        {"rules:\n- a: b\n  c: d\n\n- e: f\n# x\n- g: h\n", true},
		"no rules":                     {"a:\n  rules:\n  - b\nrules: []\n", true},
		"other letters":                {"a: é\nb: 名前\nc: \"é\"\n", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if read := same(t, []byte(test.text), false); read != test.read {
				t.Errorf("read: %t, want %t\n%s", read, test.read, test.text)
			}
		})
	}
}

func TestBlockItem(t *testing.T) {
	for text, read := range map[string]bool{
		"- a: b\n  c: d\n":                    true,
		"- a:\n  - b\n  c:\n  - d":            false, // cut short
		"- a:\n  - b\n  c:\n  - d\n":          true,
		"- rules:\n  - a: b\n  - c\n  d: e\n": true,
		"- a: b\n- c: d\n":                    false,
		"- a\n":                               false,
		"-  a: b\n":                           false,
		"- a: b\n c: d\n":                     false,
		"- a: |\n    b\n  c: d\n":             true,
		"- # c\n  a: b\n":                     false,
	} {
		if got := same(t, []byte(text), true); got != read {
			t.Errorf("read: %t, want %t\n%s", got, read, text)
		}
	}
}

func FuzzBlock(f *testing.F) {
	f.Add("a: b\nc:\n- d: |\n    e\n  f: 'g'\n- \"h\": 1\n", false)
	f.Add("- a: b\n  rules:\n  - c: d\n", true)
	f.Add("a: |+\n  b\n\n\nc: |-\n    # d\n   \n", false)
	for _, data := range rendered(f) {
		text, _, _ := strings.Cut(string(data), "\n---\n")
		f.Add(text+"\n", false)
	}
	f.Fuzz(func(t *testing.T, text string, item bool) {
		if strings.HasSuffix(text, "\n") && !strings.Contains(text, "\n---") {
			same(t, []byte(text), item)
		}
	})
}
