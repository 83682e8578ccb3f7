package main

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// Templates of the chart.
const (
	rbacTemplate       = "templates/rbac.yaml"
	deploymentTemplate = "templates/deployment.yaml"
)

const namespace = "external-secrets"

// loadChart reads a chart's folder, less two things. What the chart depends on, bitwarden-sdk-server, is off by default
// and not in the source tree, and Helm's own command refuses to render without it. The CRDs are a megabyte that grants
// nothing.
func loadChart(folder string) (*chart.Chart, error) {
	loaded, err := loader.LoadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("reading the chart: %w", err)
	}
	loaded.Metadata.Dependencies = nil
	loaded.Templates = slices.DeleteFunc(loaded.Templates, func(f *chart.File) bool {
		return strings.HasPrefix(f.Name, "templates/crds/")
	})
	return loaded, nil
}

// render returns what Helm makes of the chart's templates, or of only those named, by the template's path.
func render(c *chart.Chart, release string, values map[string]any, templates ...string) (map[string]string, error) {
	return renderIn(c, release, namespace, values, templates...)
}

func renderIn(c *chart.Chart, release, namespace string, values map[string]any, templates ...string) (map[string]string, error) {
	part := *c
	if len(templates) > 0 {
		part.Templates = nil
		for _, file := range c.Templates {
			if slices.Contains(templates, file.Name) || path.Ext(file.Name) == ".tpl" {
				part.Templates = append(part.Templates, file)
			}
		}
	}
	options := chartutil.ReleaseOptions{Name: release, Namespace: namespace, IsInstall: true}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = chartutil.KubeVersion{Version: "v1.36.3", Major: "1", Minor: "36"} // Helm's own is one that no cluster is of any more
	all, err := chartutil.ToRenderValuesWithSchemaValidation(&part, values, options, capabilities, false)
	if err != nil {
		return nil, fmt.Errorf("combining values: %w", err)
	}
	files, err := engine.Render(&part, all)
	if err != nil {
		return nil, fmt.Errorf("rendering: %w", err)
	}
	byPath := map[string]string{}
	for name, text := range files {
		byPath[strings.TrimPrefix(name, c.Name()+"/")] = text
	}
	return byPath, nil
}

// object is the part of any object that this module looks at.
type object struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	} `json:"metadata"`
	Rules    []rbacv1.PolicyRule `json:"rules"`
	Subjects []rbacv1.Subject    `json:"subjects"`
	RoleRef  rbacv1.RoleRef      `json:"roleRef"`
}

// objects parses rendered files, in the order of their paths.
func objects(files map[string]string) ([]object, error) {
	var all []object
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if path.Ext(name) != ".yaml" {
			continue
		}
		parsed, err := parse(files[name])
		if err != nil {
			return nil, fmt.Errorf("parsing what %s renders: %w", name, err)
		}
		all = append(all, parsed...)
	}
	return all, nil
}

func parse(stream string) ([]object, error) {
	var all []object
	for document := range strings.SplitSeq("\n"+stream, "\n---") {
		var o object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			return nil, err
		}
		if o.Kind != "" {
			all = append(all, o)
		}
	}
	return all, nil
}

// find returns the only object of the kind whose name ends so.
func find(all []object, kind, suffix string) (*object, error) {
	var found *object
	for i := range all {
		if all[i].Kind != kind || !strings.HasSuffix(all[i].Metadata.Name, suffix) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("more than one %s *%s", kind, suffix)
		}
		found = &all[i]
	}
	if found == nil {
		return nil, fmt.Errorf("no %s *%s", kind, suffix)
	}
	return found, nil
}
