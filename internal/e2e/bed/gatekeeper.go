package bed

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eso-tenant/eso-tenant/internal/e2e/build"
	"github.com/eso-tenant/eso-tenant/internal/e2e/supervise"
)

// Where Gatekeeper runs and as whom, as its chart has it. Its webhook knows itself by just this service account.
const (
	GatekeeperNamespace      = "gatekeeper-system"
	GatekeeperServiceAccount = "gatekeeper-admin"
)

// Gatekeeper's two programs, as its chart's Deployments are called. The webhook decides; the audit makes a Constraint's kind of
// its template.
const (
	gatekeeperWebhook = "gatekeeper-controller-manager"
	gatekeeperAudit   = "gatekeeper-audit"
)

// gatekeeperValues is how the names of ConfigMaps with values for Gatekeeper's chart end.
const gatekeeperValues = "-gatekeeper-values"

// Gatekeeper is a running Gatekeeper, without its mutations.
type Gatekeeper struct {
	bed       *Bed
	chart     *chart.Chart
	values    map[string]any
	arguments map[string][]string // by Deployment
	port      int                 // the webhook's
	webhook   *supervise.Process
}

// GatekeeperValues returns the values for Gatekeeper's chart among what was rendered.
func GatekeeperValues(rendered Objects) (map[string]any, error) {
	return valuesOf(rendered, func(name string) bool { return strings.HasSuffix(name, gatekeeperValues) })
}

// TryStartGatekeeper builds Gatekeeper, installs it as its chart does with values, and starts it.
func (b *Bed) TryStartGatekeeper(ctx context.Context, values map[string]any) (*Gatekeeper, error) {
	var err error
	if b.built[build.Gatekeeper.Name], err = b.builder.Build(ctx, build.Gatekeeper); err != nil {
		return nil, err
	}
	folder := filepath.Join(b.built[build.Gatekeeper.Name], "charts", "gatekeeper")
	g := &Gatekeeper{bed: b, values: values, arguments: map[string][]string{}}
	if g.chart, err = loader.LoadDir(folder); err != nil {
		return nil, fmt.Errorf("reading Gatekeeper's chart: %w", err)
	}
	objects, err := g.render(values)
	if err != nil {
		return nil, err
	}
	for _, deployment := range []string{gatekeeperWebhook, gatekeeperAudit} {
		g.arguments[deployment], err = deploymentArguments(objects, deployment, "--port", "--health-addr", "--prometheus-port", "--disable-cert-rotation")
		if err != nil {
			return nil, err
		}
	}
	if err := g.install(ctx, filepath.Join(folder, "crds"), objects); err != nil {
		return nil, err
	}
	if _, err := g.run(ctx, gatekeeperAudit); err != nil {
		return nil, err
	}
	if err := g.start(ctx); err != nil {
		return nil, err
	}
	return g, nil
}

// render returns what Helm makes of the chart, but for its hooks, with values and those that a bed needs.
func (g *Gatekeeper) render(values map[string]any) (Objects, error) {
	all := map[string]any{
		"disableMutation": true, "auditInterval": 0, // what is there is not looked through; violations are not counted
		// The API server gives up after so many seconds, and refuses. The machine may be busy, which is no decision.
		"validatingWebhookTimeoutSeconds": 30,
		// Nobody reads its metrics. The usual ones are served at all addresses of the machine; these are sent, once a day.
		"metricsBackends": []any{"opentelemetry"}, "otlpEndpoint": "127.0.0.1:1", "otlpMetricInterval": "24h",
		"shutdownDelay": 0, // no Service has to forget it
	}
	maps.Copy(all, values)
	objects, err := renderChart(g.chart, "gatekeeper", GatekeeperNamespace, all, func(string) bool { return false })
	return objects.where(func(object *unstructured.Unstructured) bool { return object.GetAnnotations()["helm.sh/hook"] == "" }), err
}

// install makes what Gatekeeper needs to run: its kinds, its rights, a certificate, and the Pods that its programs say they are.
func (g *Gatekeeper) install(ctx context.Context, crds string, objects Objects) error {
	b := g.bed
	definitions, err := definitionsIn(crds)
	if err != nil {
		return err
	}
	// The label is what a hook of the chart sets.
	namespace, err := Parse("{apiVersion: v1, kind: Namespace, metadata: {name: " + GatekeeperNamespace +
		", labels: {admission.gatekeeper.sh/ignore: no-self-managing}}}")
	if err != nil {
		return err
	}
	made := slices.Concat(definitions, namespace, objects.Of("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"))
	for deployment := range g.arguments {
		pod, err := podOf(objects, deployment)
		if err != nil {
			return err
		}
		made = append(made, pod)
	}
	if err := b.TryApply(ctx, made); err != nil {
		return err
	}
	for from, to := range map[string]string{"server.crt": "tls.crt", "server.key": "tls.key"} {
		content, err := os.ReadFile(b.pki.file(from))
		if err != nil {
			return err
		}
		if err := os.MkdirAll(g.certificates(), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(g.certificates(), to), content, 0o600); err != nil {
			return err
		}
	}
	token, err := b.Mint(ctx, GatekeeperNamespace, GatekeeperServiceAccount, nil, 24*60*60)
	if err != nil {
		return err
	}
	return b.Kubeconfig(g.kubeconfig(), token)
}

func (g *Gatekeeper) certificates() string { return filepath.Join(g.bed.Folder, "gatekeeper") }
func (g *Gatekeeper) kubeconfig() string   { return filepath.Join(g.bed.Folder, "gatekeeper.kubeconfig") }

// podOf is a Pod as a Deployment's template has it. Nothing runs it.
func podOf(objects Objects, deployment string) (*unstructured.Unstructured, error) {
	for _, object := range objects.Of("Deployment") {
		template, found, err := unstructured.NestedMap(object.Object, "spec", "template")
		if err != nil || !found || object.GetName() != deployment {
			continue
		}
		pod := &unstructured.Unstructured{Object: template}
		pod.SetAPIVersion("v1")
		pod.SetKind("Pod")
		pod.SetName(deployment)
		pod.SetNamespace(object.GetNamespace())
		return pod, nil
	}
	return nil, fmt.Errorf("looking for the Deployment %s: none of %d objects is it", deployment, len(objects))
}

// start starts the webhook, and once it is ready has the API server ask it.
func (g *Gatekeeper) start(ctx context.Context) (err error) {
	if g.webhook, err = g.run(ctx, gatekeeperWebhook); err != nil {
		return err
	}
	return g.ask(ctx, g.values)
}

// run starts one of the programs, as Gatekeeper's service account, and waits until it is ready: it has taken up by then what is in
// the cluster.
func (g *Gatekeeper) run(ctx context.Context, deployment string) (*supervise.Process, error) {
	b := g.bed
	return b.supervisor.StartOnPorts(ctx, 2, func(ports []int) supervise.Program {
		if deployment == gatekeeperWebhook {
			g.port = ports[0]
		}
		return supervise.Program{
			Name: deployment, Path: b.binary(build.Gatekeeper, "gatekeeper"),
			Environment: []string{
				"HOME=" + b.Folder, "TMPDIR=" + b.Folder, "KUBECONFIG=" + g.kubeconfig(),
				"POD_NAME=" + deployment, "POD_NAMESPACE=" + GatekeeperNamespace, "NAMESPACE=" + GatekeeperNamespace, "CONTAINER_NAME=manager",
			},
			Arguments: append(slices.Clone(g.arguments[deployment]),
				"--host=127.0.0.1", fmt.Sprintf("--port=%d", ports[0]), "--health-addr="+host(ports[1]),
				"--disable-cert-rotation=true", "--cert-dir="+g.certificates(), "--api-cache-dir="+filepath.Join(b.Folder, deployment)),
			Ready: get("http://" + host(ports[1]) + "/readyz"),
		}
	})
}

// ask has the API server ask Gatekeeper about what its chart says with values. The webhooks are the chart's, but that they lead
// to an address and not to a Service.
func (g *Gatekeeper) ask(ctx context.Context, values map[string]any) error {
	objects, err := g.render(values)
	if err != nil {
		return err
	}
	configurations := objects.Of("ValidatingWebhookConfiguration")
	if len(configurations) != 1 {
		return fmt.Errorf("looking for Gatekeeper's webhooks: the chart has %d configurations", len(configurations))
	}
	webhooks, _, err := unstructured.NestedSlice(configurations[0].Object, "webhooks")
	if err != nil {
		return err
	}
	for _, item := range webhooks {
		webhook, _ := item.(map[string]any) // else it leads nowhere
		path, found, err := unstructured.NestedString(webhook, "clientConfig", "service", "path")
		if err != nil || !found {
			return fmt.Errorf("reading Gatekeeper's webhooks: one leads to no Service: %w", err)
		}
		webhook["clientConfig"] = map[string]any{"url": "https://" + host(g.port) + path, "caBundle": base64.StdEncoding.EncodeToString(g.bed.CA)}
	}
	if err := unstructured.SetNestedSlice(configurations[0].Object, webhooks, "webhooks"); err != nil {
		return err
	}
	return g.bed.TryApply(ctx, configurations)
}

// Enforced says with nil that Gatekeeper has taken up each of these Constraints as it is in the cluster now.
func (g *Gatekeeper) Enforced(ctx context.Context, constraints Objects) error {
	statuses := schema.GroupVersionResource{Group: "status.gatekeeper.sh", Version: "v1beta1", Resource: "constraintpodstatuses"}
	list, err := g.bed.Dynamic.Resource(statuses).Namespace(GatekeeperNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	type status struct {
		ConstraintUID      string
		Enforced           bool
		Errors             []struct{ Message string }
		ObservedGeneration int64
	}
	taken := map[string]status{}
	for i := range list.Items {
		if !strings.Contains(list.Items[i].GetName(), "controller--manager") { // that the audit has it is not the point
			continue
		}
		var one status
		if err := convert(list.Items[i].Object["status"], &one); err != nil {
			return err
		}
		if len(one.Errors) > 0 {
			return fmt.Errorf("Gatekeeper says of %s: %v", list.Items[i].GetName(), one.Errors)
		}
		taken[one.ConstraintUID] = one
	}
	for _, constraint := range constraints {
		got, err := g.bed.Get(ctx, constraint)
		if err != nil {
			return err
		}
		if one := taken[string(got.GetUID())]; !one.Enforced || one.ObservedGeneration != got.GetGeneration() {
			return fmt.Errorf("Gatekeeper does not enforce %s yet", got.GetName())
		}
	}
	return nil
}

// StartGatekeeper starts Gatekeeper with values of its chart.
func (b *Bed) StartGatekeeper(t *testing.T, values map[string]any) *Gatekeeper {
	t.Helper()
	g, err := b.TryStartGatekeeper(t.Context(), values)
	b.check(t, err)
	return g
}

// Stop ends Gatekeeper's webhook. The API server goes on asking it.
func (g *Gatekeeper) Stop() { g.webhook.Stop() }

// Ask has the API server ask Gatekeeper as its chart has it with other values.
func (g *Gatekeeper) Ask(t *testing.T, values map[string]any) {
	t.Helper()
	g.bed.check(t, g.ask(t.Context(), values))
}

// Restart starts Gatekeeper's webhook again.
func (g *Gatekeeper) Restart(t *testing.T) {
	t.Helper()
	g.webhook.Stop()
	g.bed.check(t, g.start(t.Context()))
}
