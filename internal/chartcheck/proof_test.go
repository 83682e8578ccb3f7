package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/verify"
	"github.com/eso-tenant/eso-tenant/schema"
	"sigs.k8s.io/yaml"
)

// proofSpec is a Platform for a release of ESO, and a tenant.
func proofSpec(version, rbac string) string {
	return fmt.Sprintf(`apiVersion: eso-tenant.dev/v1alpha1
kind: Platform
metadata: {name: eu-1}
spec:
  externalSecrets: {version: %s, rbac: %s}
  enforcement: enforce
  providers: {vault: {audiences: [vault], vault: {server: "https://vault.example.com", auth: {kubernetes: {}}}}}
---
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: web}
spec: {namespaces: {web: {stores: {vault: {provider: vault}}}}}
`, version, rbac)
}

// TestChartIsProven: ESO's real chart, with the values that we render for it and with what we render beside it, is proven
// to be fenced; and without our values it is not.
func TestChartIsProven(t *testing.T) {
	for _, c := range charts(t) {
		version := c.Metadata.Version
		t.Run(version, func(t *testing.T) {
			rendering, problems := fn.Build([]schema.Source{{File: "spec.yaml", Data: []byte(proofSpec(version, "replace"))}})
			if problems.Errors() > 0 {
				t.Fatal(problems)
			}
			in, err := rendering.Expectation()
			if err != nil {
				t.Fatal(err)
			}
			ours := stream(t, rendering)
			values := chartValues(t, ours)

			in.Objects = manifests(t, ours+"---\n"+joined(mustRender(t, c.Chart, "external-secrets", values)))
			report := verify.Check(in)
			if report.Verdicts[verify.Mint] != verify.Proven || report.Verdicts[verify.Write] == verify.Breached || report.Problems.Errors() > 0 {
				t.Errorf("with our values: %v\n%v", report.Verdicts, report.Problems)
			}
			in.Objects = manifests(t, ours+"---\n"+joined(mustRender(t, c.Chart, "external-secrets", map[string]any{})))
			if report := verify.Check(in); report.Verdicts[verify.Write] != verify.Breached {
				t.Errorf("the stock chart beside ours: %v", report.Verdicts)
			}
		})
	}
}

func stream(t *testing.T, rendering *fn.Rendering) string {
	t.Helper()
	var b strings.Builder
	if err := rendering.WriteStream(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// chartValues are the values that the output has for the chart.
func chartValues(t *testing.T, ours string) map[string]any {
	t.Helper()
	for _, o := range manifests(t, ours) {
		if text := o.Text("data", "values.yaml"); o.Kind == "ConfigMap" && text != "" {
			var values map[string]any
			if err := yaml.Unmarshal([]byte(text), &values); err != nil {
				t.Fatal(err)
			}
			return values
		}
	}
	t.Fatal("there are no values for the chart")
	return nil
}

// manifests reads a stream as the command does; ConfigMaps too.
func manifests(t *testing.T, text string) []inventory.Object {
	t.Helper()
	set, problems := fn.ReadObjects([]string{"-"}, strings.NewReader(text), func(group, kind string) bool {
		return verify.Kinds(group, kind) || kind == "ConfigMap"
	})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return set.Objects
}

// joined are a chart's files as one stream.
func joined(files map[string]string) string {
	var docs []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if text := strings.TrimSpace(files[name]); text != "" && strings.HasSuffix(name, ".yaml") {
			docs = append(docs, strings.TrimPrefix(text, "---\n")+"\n")
		}
	}
	return strings.Join(docs, "---\n")
}
