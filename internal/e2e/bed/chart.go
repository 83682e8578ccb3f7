package bed

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eso-tenant/eso-tenant/internal/e2e/build"
)

// renderChart returns what Helm makes of a chart, but for the templates that `skip` takes. What a chart depends on is not
// in the modules that charts are from, and off by default.
func renderChart(whole *chart.Chart, release, namespace string, values map[string]any, skip func(template string) bool) (Objects, error) {
	part := *whole
	metadata := *whole.Metadata
	metadata.Dependencies = nil
	part.Metadata = &metadata
	part.Templates = slices.DeleteFunc(slices.Clone(whole.Templates), func(file *chart.File) bool { return skip(file.Name) })
	capabilities := chartutil.DefaultCapabilities.Copy()
	version, err := chartutil.ParseKubeVersion(build.Kubernetes.Variables["k8s.io/component-base/version.gitVersion"])
	if err != nil {
		return nil, fmt.Errorf("reading the version of Kubernetes: %w", err)
	}
	capabilities.KubeVersion = *version // which Helm asks the cluster for
	options := chartutil.ReleaseOptions{Name: release, Namespace: namespace, IsInstall: true}
	all, err := chartutil.ToRenderValues(&part, values, options, capabilities)
	if err != nil {
		return nil, fmt.Errorf("combining values of the chart %s: %w", metadata.Name, err)
	}
	files, err := engine.Render(&part, all)
	if err != nil {
		return nil, fmt.Errorf("rendering the chart %s: %w", metadata.Name, err)
	}
	var objects Objects
	for name, text := range files {
		if path.Ext(name) != ".yaml" {
			continue
		}
		parsed, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("reading what %s renders: %w", name, err)
		}
		objects = append(objects, parsed...)
	}
	return objects, nil
}

// deploymentArguments are those of a Deployment's one container, less those of some names.
func deploymentArguments(objects Objects, name string, less ...string) ([]string, error) {
	for _, deployment := range objects.Of("Deployment") {
		if deployment.GetName() != name {
			continue
		}
		containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
		if err != nil || len(containers) != 1 {
			return nil, fmt.Errorf("reading the Deployment %s: it has %d containers: %w", name, len(containers), err)
		}
		container, _ := containers[0].(map[string]any) // else there are no arguments
		arguments, _, err := unstructured.NestedStringSlice(container, "args")
		if err != nil {
			return nil, fmt.Errorf("reading the Deployment %s: %w", name, err)
		}
		return slices.DeleteFunc(arguments, func(argument string) bool {
			flag, _, _ := strings.Cut(argument, "=")
			return slices.Contains(less, flag)
		}), nil
	}
	return nil, fmt.Errorf("looking for the Deployment %s: none of %d objects is it", name, len(objects))
}
