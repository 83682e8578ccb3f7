package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"helm.sh/helm/v3/pkg/chart"
)

const module = "github.com/external-secrets/external-secrets"

// modules are ESO's releases whose Go module can be had with the chart in it. A module's chart is that of the release
// before: upstream tags the program first, and raises the chart's version after.
var modules = []struct{ version, sum string }{
	{"v0.18.2", "h1:uTGUkEeclsLu93SkhToDGBs8+aaSwkstLWIQ3g21ZMI="},
	{"v0.19.2", "h1:bdOpEt9Pww2e8QGh4apX7M0nehwNOVAQJLd8z6hAXWI="},
	{"v0.20.4", "h1:HhNAjWfFEshhItphr28SGsHzf2bUP7uDAOVLg76uNAg="},
}

// source is a chart and where it was read from.
type source struct {
	*chart.Chart
	folder string
}

// charts returns every chart to test: those of modules, and those whose folders ESO_CHARTS lists.
func charts(t *testing.T) []source {
	t.Helper()
	folders := filepath.SplitList(os.Getenv("ESO_CHARTS"))
	for _, m := range modules {
		folders = append(folders, filepath.Join(download(t, module, m.version, m.sum), filepath.FromSlash(chartFolder)))
	}
	var all []source
	for _, folder := range folders {
		c, err := loadChart(folder)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, source{c, folder})
	}
	return all
}

func mustLookup(t *testing.T, c *chart.Chart) *eso.Release {
	t.Helper()
	r, err := eso.Lookup(c.Metadata.Version)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// download returns the folder of a module's source. Such a one is no requirement of ours: with it would come two thousand
// packages' worth of others.
func download(t *testing.T, module, version, sum string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module+"@"+version)
	command.Dir = t.TempDir()
	output, err := command.Output()
	if err != nil {
		t.Fatalf("downloading %s %s: %v\n%s", module, version, err, output)
	}
	var got struct{ Dir, Sum string }
	if err := json.Unmarshal(output, &got); err != nil {
		t.Fatal(err)
	}
	if got.Sum != sum {
		t.Fatalf("%s %s has the sum %s, want %s", module, version, got.Sum, sum)
	}
	return got.Dir
}
