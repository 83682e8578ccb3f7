package generators

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/schema"
)

// The values are written as YAML by hand, the postRenderers as JSON: both say what was meant, for every release, and
// the ConfigMap has the same.
func TestChartFilesAreYAML(t *testing.T) {
	for _, version := range eso.Versions() {
		platform := platformOn(t, version, eso.Options{})
		for _, options := range combinations(platform.ESO.Release) {
			platform.ESO.Options = options
			release := platform.ESO.Release
			for mode, want := range map[schema.RBACMode]map[string]any{
				schema.Replace: release.ChartValues(options), schema.HelmValues: release.HelmValues(options),
			} {
				platform.ESO.RBAC = mode
				checkChartFiles(t, New(platform), want)
			}
		}
	}
}

func checkChartFiles(t *testing.T, x *Expander, want map[string]any) {
	t.Helper()
	op := x.platform.ESO
	files := x.ChartFiles()
	var got map[string]any
	if err := yaml.UnmarshalStrict([]byte(files[ValuesKey]), &got); err != nil {
		t.Fatalf("%s: %v\n%s", op.Release.Chart, err, files[ValuesKey])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s, %s, features %v (-values +YAML):\n%s", op.Release.Chart, op.RBAC, op.Options.Features, diff)
	}
	var renderers []any
	if err := yaml.UnmarshalStrict([]byte(files[PostRenderersKey]), &renderers); err != nil {
		t.Fatalf("%s: %v\n%s", op.Release.Chart, err, files[PostRenderersKey])
	}
	wantRenderers := []any(nil)
	if op.RBAC == schema.HelmValues {
		wantRenderers = op.Release.PostRenderers(op.HelmRelease, op.Options)
	}
	if diff := cmp.Diff(wantRenderers, renderers); diff != "" {
		t.Errorf("%s, %s (-postRenderers +YAML):\n%s", op.Release.Chart, op.RBAC, diff)
	}
	config, ok := chartValues(x)[0].Body.(*corev1.ConfigMap)
	if !ok || !cmp.Equal(files, config.Data) {
		t.Errorf("%s: the ConfigMap has other files", op.Release.Chart)
	}
}
