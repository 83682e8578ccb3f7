package schema

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// fuzzSeeds are the sources of all rule cases, and what else a parser may stumble over.
func fuzzSeeds(t testing.TB) []string {
	t.Helper()
	seeds := []string{
		"", "\ufeff", "---\n", "a: &a [*a]\n", "? a\n: b\n", "- - - a\n", "a: |\n  b\n", "{\"a\": 1}", "%YAML 1.1\n---\n", "a:\r\n  b:\r\n", "\t", "&a a: *a\n", aliasBomb(6),
		platformText(t), tenantText("  namespaces: {web: {stores: {vault: {provider: vault}}}}\n"),
		"apiVersion: eso-tenant.dev/v1alpha1\nkind: TenantSet\nmetadata: {name: x}\nspec: {platform: {name: y}, tenants: {z: {namespaces: {z:}}}}\n",
	}
	err := filepath.WalkDir("testdata/rules", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(file)
		seeds = append(seeds, string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return seeds
}

const fuzzPlatform = `
  providers: {vault: {audiences: [vault], vault: {server: "https://vault.example.com", auth: {kubernetes: {}}}}}
`

// checkAnyBytes: whatever a file beside a good Platform holds, reading it ends, says the same each time, and points
// inside the file.
func checkAnyBytes(t interface{ Errorf(string, ...any) }, data []byte) {
	platform := minimalPlatform(fuzzPlatform[1:])
	sources := []Source{{File: "fuzz.yaml", Data: data}, {File: "platform.yaml", Data: []byte(platform)}}
	spec, problems, foreign := Decode(sources)
	for _, p := range problems {
		if complaint := misplaced(p, map[string]string{"fuzz.yaml": string(data), "platform.yaml": platform}); complaint != "" {
			t.Errorf("%s: %s\n%q", p.Line(), complaint, data)
		}
	}
	again, problemsAgain, foreignAgain := Decode(sources)
	if diff := cmp.Diff(problems, problemsAgain); diff != "" || foreign != foreignAgain {
		t.Errorf("problems differ from one run to the next; foreign %d and %d:\n%s", foreign, foreignAgain, diff)
	}
	if diff := cmp.Diff(spec, again, exported); diff != "" {
		t.Errorf("the Spec differs from one run to the next:\n%s", diff)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range fuzzSeeds(f) {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkAnyBytes(t, data) })
}

// TestSplicedSources: the fuzzer's property, for sources cut and put together again: it gets further than single bytes
// do, and in each run of the tests.
func TestSplicedSources(t *testing.T) {
	seeds := fuzzSeeds(t)
	pieces := rapid.SampledFrom([]string{
		"\n", " ", "  ", "\t", ":", ": ", "- ", "? ", "{", "}", "[", "]", ",", "&a ", "*a", "!!str ", "!x ", "|", ">-", "\"", "'", "#", "---\n", "...\n", "%", "<<: *a\n", "\r\n", "\r", "\u2028", "\u0085",
		"\ufeff", "\x00", "\xff", "é", "🔑", "null", "~", "true", "0", "1.5", "1e3", "{}", "[]", "web", "vault", "spec:", "name: ", "kind: Platform\n",
	})
	rapid.Check(t, func(t *rapid.T) {
		data := []byte(rapid.SampledFrom(seeds).Draw(t, "seed"))
		for range rapid.IntRange(1, 6).Draw(t, "splices") {
			from := rapid.IntRange(0, len(data)).Draw(t, "from")
			to := min(len(data), from+rapid.IntRange(0, 12).Draw(t, "length"))
			data = slices.Concat(data[:from], []byte(pieces.Draw(t, "piece")), data[to:])
		}
		checkAnyBytes(t, data)
	})
}
