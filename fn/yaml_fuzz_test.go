package fn

import (
	"strings"
	"testing"
)

// Every text is the same text for every parser, as a value and as a key, wherever it stands;
// what is not UTF-8 in it is U+FFFD, as in encoding/json.
func FuzzAppendYAMLString(f *testing.F) {
	for _, s := range nasty {
		f.Add(s)
		f.Add("a\n" + s)
		f.Add(s + "\nb\n")
		f.Add("a " + s + " b")
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1<<16 {
			t.Skip("long")
		}
		for _, v := range []any{s, []string{s}, yamlObject{s: s}, yamlObject{"k": []any{[]any{s, yamlObject{s: s}}}}, yamlObject{s: []any{s}}, yamlObject{s: yamlObject{s: nil}}} {
			parsesTo(t, mustYAML(t, v), viaJSON(t, v))
		}
		if line := mustYAML(t, yamlObject{"k": s}); strings.Contains(line, "\n---") || strings.ContainsAny(line, "\r\t\x00") {
			t.Errorf("a line of %q is a document's end, or is not printable", line)
		}
	})
}
