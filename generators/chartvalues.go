package generators

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/schema"
)

// The keys in the ConfigMap of chart values, and the names of the same files
// beside the objects in folder output. A HelmRelease's valuesFrom expects the
// first by default.
const (
	ValuesKey        = "values.yaml"
	PostRenderersKey = "post-renderers.yaml"
)

// chartValues makes the ConfigMap with what the chart has to be installed with.
func chartValues(x *Expander) []Object {
	files := x.ChartFiles()
	if len(files) == 0 {
		return nil
	}
	meta := x.object(kindConfigMap, x.platform.ESO.Namespace, "values")
	return []Object{{Meta: meta, File: "chart-values", Body: &corev1.ConfigMap{
		TypeMeta: meta.typeMeta(), ObjectMeta: meta.objectMeta(), Data: files,
	}}}
}

// ChartFiles are what belongs to the Platform's rbac mode and goes to ESO's
// Helm chart, by key: its values, and the spec.postRenderers of a HelmRelease
// for charts whose values cannot withhold the right to mint.
func (x *Expander) ChartFiles() map[string]string {
	op := x.platform.ESO
	files := map[string]string{}
	if values := x.values(); len(values) > 0 {
		var b strings.Builder
		fmt.Fprintf(&b, "# Values for the external-secrets chart %s that go with rbac: %s.\n", versions(op), op.RBAC)
		b.WriteString("# With webhook.certManager, name your issuer in webhook.certManager.cert.issuerRef.\n")
		writeValues(&b, values, 0)
		files[ValuesKey] = b.String()
	}
	if op.RBAC == schema.HelmValues && x.platform.Enforcement == schema.Enforce {
		if renderers := op.Release.PostRenderers(op.HelmRelease, op.Options); renderers != nil {
			files[PostRenderersKey] = postRenderers(op.Release.Chart, renderers)
		}
	}
	return files
}

// values are the chart values of the mode. Nothing is switched off as long as
// nothing is enforced, and where somebody else makes ESO's role, its chart is
// none of ours.
func (x *Expander) values() map[string]any {
	op := x.platform.ESO
	enforced := x.platform.Enforcement == schema.Enforce
	switch {
	case op.RBAC == schema.Replace && !enforced:
		return map[string]any{"rbac": map[string]any{"create": false}}
	case op.RBAC == schema.Replace:
		return both(op, func(r *eso.Release) map[string]any { return r.ChartValues(op.Options) })
	case op.RBAC == schema.HelmValues && enforced:
		return both(op, func(r *eso.Release) map[string]any { return r.HelmValues(op.Options) })
	default:
		return nil
	}
}

// both are the values for the release in use, and for the next one as well
// during an upgrade.
func both(op schema.ESO, values func(*eso.Release) map[string]any) map[string]any {
	if op.UpgradeTo == nil {
		return values(op.Release)
	}
	union, _ := eso.UnionValues(values(op.Release), values(op.UpgradeTo))
	return union
}

// postRenderers writes them as JSON, which is YAML too.
func postRenderers(chart string, renderers []any) string {
	text, err := json.MarshalIndent(renderers, "", "  ")
	if err != nil {
		panic(err) // maps, lists and texts only
	}
	return "# spec.postRenderers of the HelmRelease: chart " + chart + " has no value that withholds the right to mint.\n" +
		"# They are for this version of the chart: change them in the same commit as it.\n" + string(text) + "\n"
}

// versions names the chart in use, and during an upgrade the next one too.
func versions(op schema.ESO) string {
	if op.UpgradeTo == nil {
		return op.Release.Chart
	}
	return op.Release.Chart + " and " + op.UpgradeTo.Chart
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
