package bed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/eso-tenant/eso-tenant/internal/e2e/build"
	"github.com/eso-tenant/eso-tenant/internal/e2e/supervise"
)

// ESO's release, where it runs and as whom, as its chart has it.
const (
	ESOVersion        = "v0.20.4"
	ESONamespace      = "external-secrets"
	ESOServiceAccount = "external-secrets"
)

// RequeueInterval is how often ESO looks at a store again. Its default is five minutes.
const RequeueInterval = 10 * time.Second

// ESO is the running controller. Its webhook and cert-controller do not run: nothing in the bed could call them.
type ESO struct {
	// Arguments are those that it was started with, without addresses and logging.
	Arguments []string

	bed       *Bed
	chart     *chart.Chart
	release   string // which the chart calls its service account and Deployment after
	namespace string
	process   *supervise.Process
	mayEnd    bool
}

// startESO installs ESO and starts it: its kinds, what the chart makes with the values that we render for the Platform
// (or with none), and what we render of the Platform's.
func (b *Bed) startESO(ctx context.Context, options Options) error {
	built := b.built[build.ESO.Name]
	definitions, err := definitionsIn(filepath.Join(built, "config", "crds", "bases"))
	if err != nil {
		return err
	}
	// `published` is what the bed's Platform lets tenants read from, Secret by Secret.
	namespaces, err := Parse("{apiVersion: v1, kind: Namespace, metadata: {name: " + ESONamespace + "}}\n---\n" +
		"{apiVersion: v1, kind: Namespace, metadata: {name: published}}\n")
	if err != nil {
		return err
	}
	if err := b.TryApply(ctx, append(definitions, namespaces...)); err != nil {
		return err
	}
	b.ESO = &ESO{bed: b, release: ESOServiceAccount, namespace: ESONamespace}
	if b.ESO.chart, err = loader.LoadDir(filepath.Join(built, "deploy", "charts", "external-secrets")); err != nil {
		return fmt.Errorf("reading ESO's chart: %w", err)
	}
	var values map[string]any
	if !options.Stock {
		rendered, err := b.TryRender(ctx, options.Platform)
		if err != nil {
			return err
		}
		if err := b.TryApply(ctx, rendered); err != nil {
			return err
		}
		if values, err = Values(rendered); err != nil {
			return err
		}
	}
	return b.ESO.install(ctx, values)
}

// TryBeside installs and starts one more ESO beside the bed's own, for a Platform that names a namespace and a release for
// it: `rendered` is what we render for that. Both see the same objects. If it may end, its end is no failure of the bed's.
func (b *Bed) TryBeside(ctx context.Context, release string, rendered Objects, values map[string]any, mayEnd bool) (*ESO, error) {
	e := &ESO{bed: b, chart: b.ESO.chart, release: release, namespace: release, mayEnd: mayEnd}
	namespace, err := Parse("{apiVersion: v1, kind: Namespace, metadata: {name: " + release + "}}")
	if err != nil {
		return nil, err
	}
	if err := b.TryApply(ctx, append(namespace, rendered...)); err != nil {
		return nil, err
	}
	if err := e.install(ctx, values); err != nil {
		return nil, err
	}
	return e, nil
}

// Stop ends ESO.
func (e *ESO) Stop() { e.process.Stop() }

// Ended is closed when ESO has ended.
func (e *ESO) Ended() <-chan struct{} { return e.process.Ended() }

// Values returns the values for ESO's chart among what was rendered.
func Values(rendered Objects) (map[string]any, error) {
	return valuesOf(rendered, func(name string) bool { return !strings.HasSuffix(name, gatekeeperValues) })
}

// valuesOf returns the values for a chart, from the ConfigMap of a name that is taken.
func valuesOf(rendered Objects, take func(name string) bool) (map[string]any, error) {
	for _, object := range rendered.Of("ConfigMap") {
		text, found, err := unstructured.NestedString(object.Object, "data", "values.yaml")
		if err != nil || !found || !take(object.GetName()) {
			continue
		}
		var values map[string]any
		err = yaml.Unmarshal([]byte(text), &values)
		return values, err
	}
	return nil, fmt.Errorf("looking for the chart's values: none of %d objects has any", len(rendered))
}

// install is what an upgrade of the Helm release with other values does: it applies the chart's service accounts, roles,
// bindings and Deployments, and starts ESO anew with the arguments that its Deployment has. No pod comes of a Deployment
// here; it is there to be read.
func (e *ESO) install(ctx context.Context, values map[string]any) error {
	return e.upgrade(ctx, values, "")
}

// upgrade is install with spec.postRenderers of a HelmRelease, as YAML, in between.
func (e *ESO) upgrade(ctx context.Context, values map[string]any, postRenderers string) error {
	objects, err := e.render(values)
	if err != nil {
		return err
	}
	if postRenderers != "" {
		if objects, err = e.postRender(ctx, objects, postRenderers); err != nil {
			return err
		}
	}
	kinds := []string{"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Deployment"}
	if err := e.bed.TryApply(ctx, objects.Of(kinds...)); err != nil {
		return err
	}
	arguments, err := deploymentArguments(objects, e.release, "--metrics-addr", "--live-addr", "--loglevel", "--zap-time-encoding")
	if err != nil {
		return err
	}
	return e.restart(ctx, arguments)
}

// postRender does what Flux's helm-controller does with post-renderers of kustomize's kind: one after the other changes what
// the chart renders.
func (e *ESO) postRender(ctx context.Context, objects Objects, postRenderers string) (Objects, error) {
	var renderers []struct {
		Kustomize map[string]any `json:"kustomize"`
	}
	if err := yaml.UnmarshalStrict([]byte(postRenderers), &renderers); err != nil {
		return nil, fmt.Errorf("reading post-renderers: %w", err)
	}
	for _, renderer := range renderers {
		folder, err := os.MkdirTemp(e.bed.Folder, "post-render-")
		if err != nil {
			return nil, err
		}
		var stream strings.Builder
		for _, object := range objects {
			content, err := yaml.Marshal(object.Object)
			if err != nil {
				return nil, err
			}
			stream.WriteString("---\n" + string(content))
		}
		renderer.Kustomize["resources"] = []string{"all.yaml"}
		kustomization, err := yaml.Marshal(renderer.Kustomize)
		if err != nil {
			return nil, err
		}
		for name, content := range map[string]string{"all.yaml": stream.String(), "kustomization.yaml": string(kustomization)} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
				return nil, err
			}
		}
		out, err := e.bed.kubectl(ctx, "kustomize", folder)
		if err != nil {
			return nil, err
		}
		if objects, err = Parse(out); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// render returns what Helm makes of the chart. The definitions of kinds are applied on their own.
func (e *ESO) render(values map[string]any) (Objects, error) {
	objects, err := renderChart(e.chart, e.release, e.namespace, values, func(template string) bool {
		return strings.HasPrefix(template, "templates/crds/")
	})
	if err != nil {
		return nil, err
	}
	for _, object := range objects { // some templates leave it to Helm
		if object.GetNamespace() == "" && !strings.HasPrefix(object.GetKind(), "Cluster") {
			object.SetNamespace(e.namespace)
		}
	}
	return objects, nil
}

// restart ends ESO if it runs, and starts it with arguments, as its own service account.
func (e *ESO) restart(ctx context.Context, arguments []string) error {
	b := e.bed
	if e.process != nil {
		e.process.Stop()
	}
	token, err := b.MintForPod(ctx, e.namespace, e.release, 24*60*60)
	if err != nil {
		return err
	}
	kubeconfig := filepath.Join(b.Folder, e.release+".kubeconfig")
	if err := b.Kubeconfig(kubeconfig, token); err != nil {
		return err
	}
	e.Arguments = arguments
	e.process, err = b.supervisor.StartOnPorts(ctx, 2, func(ports []int) supervise.Program {
		return supervise.Program{
			Name: e.release, MayEnd: e.mayEnd, Path: b.binary(build.ESO, "external-secrets"),
			Environment: b.environment("KUBECONFIG=" + kubeconfig),
			Arguments: append(slices.Clone(arguments),
				"--metrics-addr="+host(ports[0]), "--live-addr="+host(ports[1]),
				"--loglevel=debug", "--zap-time-encoding=iso8601", "--store-requeue-interval="+RequeueInterval.String()),
			Ready: get("http://" + host(ports[1]) + "/healthz"),
		}
	})
	return err
}
