package verify_test

import (
	"testing"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

// TestVersion: an ESO that runs is of the release that its roles are for, as far as its image says.
func TestVersion(t *testing.T) {
	text, in := admissionWorld(t)
	for image, warned := range map[string]bool{
		"external-secrets/external-secrets:v2.9.0":                    false,
		"external-secrets/external-secrets:2.9.0-ubi":                 false,
		"registry:5000/external-secrets@sha256:0123":                  false, // a digest says nothing
		"registry:5000/external-secrets":                              false,
		"":                                                            false,
		"external-secrets/external-secrets:v0.20.4":                   true,
		"registry:5000/external-secrets:v2.8.0-distroless":            true,
		"external-secrets/external-secrets:v2.8.0@sha256:0123456789a": true,
	} {
		run := deployment("external-secrets", "external-secrets", "external-secrets", "external-secrets")
		in.Objects = append(objects(t, "rendered.yaml", text), objects(t, "run.yaml", run)...)
		last := in.Objects[len(in.Objects)-1]
		template, _ := last.Get("spec", "template", "spec").(map[string]any)
		template["containers"] = []any{map[string]any{"image": image}}
		found := false
		for _, p := range verify.Check(in).Problems {
			found = found || p.Rule == problem.OperatorVersion
		}
		if found != warned {
			t.Errorf("%s: warned %v", image, found)
		}
	}
}
