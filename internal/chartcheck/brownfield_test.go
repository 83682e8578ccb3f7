package main

import (
	"os"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"helm.sh/helm/v3/pkg/chartutil"
	"sigs.k8s.io/yaml"
)

// helmRelease is the part of Flux's kind that is looked at here.
type helmRelease struct {
	Metadata struct{ Name string }
	Spec     struct {
		Chart         struct{ Spec struct{ Version string } }
		Values        map[string]any
		PostRenderers []any
	}
}

// TestBrownfield renders the chart as the HelmRelease of examples/brownfield does, and looks for the right to mint for
// any service account.
func TestBrownfield(t *testing.T) {
	o := eso.Options{Trims: []eso.Trim{eso.TrimTokens}}
	tested := 0
	for _, c := range charts(t) {
		if !strings.HasPrefix(c.Metadata.Version, "0.20.") {
			continue
		}
		tested++
		release := mustHelmRelease(t)
		name, spec := release.Metadata.Name, release.Spec
		r, err := eso.Lookup(spec.Chart.Spec.Version)
		if err != nil {
			t.Fatal(err)
		}
		stock := mustRender(t, c.Chart, name, spec.Values)
		if n := minters(mustObjects(t, stock)); n != 1 {
			t.Errorf("%d roles of the stock chart have the right to mint, not 1", n)
		}
		// Without the ConfigMap of values, the release must not be upgraded.
		if _, err := postRender(t, stock, spec.PostRenderers); err == nil || !strings.Contains(err.Error(), "test failed") {
			t.Errorf("without values of ours: error %v", err)
		}
		values := chartutil.CoalesceTables(spec.Values, r.HelmValues(o)) // spec.values win over valuesFrom
		after, err := postRender(t, mustRender(t, c.Chart, name, values), spec.PostRenderers)
		if err != nil {
			t.Fatal(err)
		}
		if n := minters(after); n != 0 {
			t.Errorf("%d roles still have the right to mint", n)
		}
		checkHeld(t, "brownfield", after, name, r.HelmRules(o), r.LeaderElection)
	}
	if tested == 0 {
		t.Error("no chart 0.20 was rendered")
	}
}

func mustHelmRelease(t *testing.T) helmRelease {
	t.Helper()
	text, err := os.ReadFile("../../examples/brownfield/eso/helmrelease.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var release helmRelease
	if err := yaml.Unmarshal(text, &release); err != nil {
		t.Fatal(err)
	}
	return release
}

// minters counts the objects that grant the right to mint for any service account.
func minters(all []object) int {
	count := 0
	for _, object := range all {
		if rightsOf(object.Rules)[mint] {
			count++
		}
	}
	return count
}
