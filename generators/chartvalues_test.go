package generators

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/eso-tenant/eso-tenant/generators/eso"
)

// The values are written as YAML by hand: it says what was meant, for every release, and the ConfigMap has the same.
func TestChartValuesAreYAML(t *testing.T) {
	for _, version := range eso.Versions() {
		platform := platformOn(t, version, eso.Options{})
		for _, options := range combinations(platform.ESO.Release) {
			platform.ESO.Options = options
			x := New(platform)
			var got map[string]any
			if err := yaml.UnmarshalStrict([]byte(x.ChartValues()), &got); err != nil {
				t.Fatalf("%s: %v\n%s", version, err, x.ChartValues())
			}
			if diff := cmp.Diff(platform.ESO.Release.ChartValues(options), got); diff != "" {
				t.Errorf("%s, features %v (-values +YAML):\n%s", version, options.Features, diff)
			}
			config, ok := chartValues(x)[0].Body.(*corev1.ConfigMap)
			if !ok || config.Data[ValuesKey] != x.ChartValues() {
				t.Errorf("%s: the ConfigMap has other values", version)
			}
		}
	}
}
