package scaffold

import (
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// Whatever a value is, it stays that text, where it stands alone and inside
// brackets, and what stands around it stays, too.
func TestEncode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringMatching(`[ -~\n]*`),
			rapid.SampledFrom([]string{"yes", "010", "1e3", "null", "~", "- a", "a: b", "a # b", "[x]", "{x}", "*a", "&a", "!a", "a\nb: c", "a, b", "", " a", "'", `"`, "2026-11-24"}),
		).Draw(t, "text")
		alone, err := encodeText(text)
		if err != nil {
			t.Fatal(err)
		}
		inside, err := encodeFlow(text)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Alone, After any
			Inside       []any
		}
		source := "alone: " + alone + " # comment\ninside: [" + inside + ", last] # comment\nafter: fine\n"
		if err := yaml.Unmarshal([]byte(source), &got); err != nil {
			t.Fatalf("%v\n%s", err, source)
		}
		if got.Alone != text || len(got.Inside) != 2 || got.Inside[0] != text || got.Inside[1] != "last" || got.After != "fine" {
			t.Fatalf("%q became %v in:\n%s", text, got, source)
		}
	})
}
