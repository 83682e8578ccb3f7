package generators

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// ValuesKey is the key in the ConfigMap of chart values, as a HelmRelease's
// valuesFrom expects it.
const ValuesKey = "values.yaml"

// chartValues makes the ConfigMap with the values that the chart has to be
// installed with.
func chartValues(x *Expander) []Object {
	meta := x.object(kindConfigMap, x.platform.ESO.Namespace, "values")
	return []Object{{Meta: meta, File: "chart-values", Body: &corev1.ConfigMap{
		TypeMeta: meta.typeMeta(), ObjectMeta: meta.objectMeta(),
		Data: map[string]string{ValuesKey: x.ChartValues()},
	}}}
}

// ChartValues is the values file for ESO's Helm chart that belongs to the
// Platform's ClusterRole.
func (x *Expander) ChartValues() string {
	release := x.platform.ESO.Release
	var b strings.Builder
	fmt.Fprintf(&b, "# Values for the external-secrets chart %s that go with these roles.\n", release.Chart)
	b.WriteString("# With webhook.certManager, name your issuer in webhook.certManager.cert.issuerRef.\n")
	values := release.ChartValues(x.platform.ESO.Options)
	if x.platform.Enforcement == schema.Observe {
		// Nothing is switched off as long as nothing is enforced.
		values = map[string]any{"rbac": values["rbac"]}
	}
	writeValues(&b, values, 0)
	return b.String()
}

// writeValues writes nested maps of plain scalars, the only thing that chart
// values of ours are, as YAML.
func writeValues(b *strings.Builder, values map[string]any, depth int) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		b.WriteString(strings.Repeat("  ", depth) + key + ":")
		if inner, ok := values[key].(map[string]any); ok {
			b.WriteString("\n")
			writeValues(b, inner, depth+1)
			continue
		}
		fmt.Fprintf(b, " %v\n", values[key])
	}
}
