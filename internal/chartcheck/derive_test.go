package main

import (
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDerive makes the release file of each chart anew, byte for byte.
func TestDerive(t *testing.T) {
	for _, c := range charts(t) {
		t.Run(c.Metadata.Version, func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile("../../generators/eso/releases/" + c.Metadata.Version + ".json")
			if err != nil {
				t.Fatal(err)
			}
			from := mustLookup(t, c.Chart).Provenance
			var got strings.Builder
			if err := run([]string{"-chart", c.folder, "-tag", from.Tag, "-commit", from.Commit}, &got, io.Discard); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("the file is not what the chart gives (-file +chart):\n%s", diff)
			}
		})
	}
}

func TestRunRefuses(t *testing.T) {
	commit := strings.Repeat("0", 40)
	for name, args := range map[string][]string{
		"nothing":      {},
		"short commit": {"-chart", ".", "-tag", "x", "-commit", "abc"},
		"no tag":       {"-chart", ".", "-commit", commit},
		"argument":     {"-chart", ".", "-tag", "x", "-commit", commit, "more"},
	} {
		if err := run(args, io.Discard, io.Discard); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: %v, want usage", name, err)
		}
	}
	var output strings.Builder
	err := run([]string{"-chart", t.TempDir(), "-tag", "x", "-commit", commit}, &output, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "reading the chart") || output.Len() > 0 {
		t.Errorf("no chart: %v, output %q", err, output.String())
	}
}
