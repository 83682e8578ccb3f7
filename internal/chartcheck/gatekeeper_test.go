package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/verify"
	"github.com/eso-tenant/eso-tenant/schema"
	"sigs.k8s.io/yaml"
)

const (
	gatekeeperModule  = "github.com/open-policy-agent/gatekeeper/v3"
	gatekeeperVersion = "v3.23.1"
	gatekeeperSum     = "h1:njHTm0SJ6ZEhhEgmQTpJKTGQbc99fSs4hGiEp1OIKck="
)

// gatekeeperParts are the templates of Gatekeeper's chart that say whether it is asked.
var gatekeeperParts = []string{
	"templates/gatekeeper-validating-webhook-configuration-validatingwebhookconfiguration.yaml",
	"templates/gatekeeper-controller-manager-deployment.yaml",
}

// TestGatekeeperChart: what internal/verify takes for Gatekeeper's installation is what its chart makes of the values that
// we render for it, and of none. With the first the fence is proven, and with the other it is not.
func TestGatekeeperChart(t *testing.T) {
	c, err := loadChart(filepath.Join(download(t, gatekeeperModule, gatekeeperVersion, gatekeeperSum), "charts", "gatekeeper"))
	if err != nil {
		t.Fatal(err)
	}
	spec := strings.Replace(proofSpec("v2.9.0", "replace"), "enforcement: enforce\n", "enforcement: enforce\n  admission: {engine: Gatekeeper}\n", 1)
	spec = strings.Replace(spec, "spec: {namespaces:", "spec: {members: [{kind: Group, name: web, role: edit}], namespaces:", 1)
	rendering, problems := fn.Build([]schema.Source{{File: "spec.yaml", Data: []byte(spec)}})
	if problems.Errors() > 0 {
		t.Fatal(problems)
	}
	in, err := rendering.Expectation()
	if err != nil {
		t.Fatal(err)
	}
	ours := stream(t, rendering)
	for file, test := range map[string]struct {
		values  map[string]any
		verdict verify.Verdict
	}{
		"gatekeeper":       {gatekeeperValues(t, ours), verify.Proven},
		"gatekeeper-stock": {map[string]any{}, verify.Breached},
	} {
		files, err := renderIn(c, "gatekeeper", "gatekeeper-system", test.values, gatekeeperParts...)
		if err != nil {
			t.Fatal(err)
		}
		text := "# What Gatekeeper's chart makes of these values, in part (" + gatekeeperModule + " " + gatekeeperVersion + ", charts/gatekeeper).\n" +
			"# Written by internal/chartcheck, TestGatekeeperChart.\n" + plain(t, joined(files))
		golden := filepath.Join("..", "verify", "testdata", file+".yaml")
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(golden, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(golden); err != nil || string(want) != text {
			t.Errorf("%s is not what the chart makes: %v", golden, err)
		}
		in.Objects = manifests(t, ours+"---\n"+text)
		report := verify.Check(in)
		if got := report.Verdicts[verify.Mint]; got != test.verdict {
			t.Errorf("%s: %s, want %s\n%s", file, got, test.verdict, report.Problems)
		}
	}
}

// gatekeeperValues are the values that the output has for Gatekeeper's chart.
func gatekeeperValues(t *testing.T, ours string) map[string]any {
	t.Helper()
	for _, o := range manifests(t, ours) {
		if o.Kind == "ConfigMap" && strings.HasSuffix(o.Name, "gatekeeper-values") {
			var values map[string]any
			if err := yaml.Unmarshal([]byte(inventory.Text(o.Fields, "data", "values.yaml")), &values); err != nil {
				t.Fatal(err)
			}
			return values
		}
	}
	t.Fatal("there are no values for Gatekeeper's chart")
	return nil
}

// plain are documents as data: the chart's comments are its authors'.
func plain(t *testing.T, stream string) string {
	t.Helper()
	var docs []string
	for doc := range strings.SplitSeq(stream, "---\n") {
		var value any
		if err := yaml.Unmarshal([]byte(doc), &value); err != nil {
			t.Fatal(err)
		}
		text, err := yaml.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, string(text))
	}
	return strings.Join(docs, "---\n")
}
