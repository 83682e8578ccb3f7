package scale

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
	"github.com/eso-tenant/eso-tenant/internal/e2e/build"
)

// fewTenants are enough for an average, and few enough for a machine with two cores.
const fewTenants = 100

// BenchmarkFlux measures what kustomize-controller spends on a tenant's Kustomization, with ESO beside it that makes its
// stores Ready: the first time, when a tenant has a new revision, and when nothing has changed.
func BenchmarkFlux(b *testing.B) {
	for range b.N {
		flux(b)
	}
}

func flux(b *testing.B) {
	b.Helper()
	on := start(b, bed.Options{})
	if err := on.TryStartFlux(b.Context()); err != nil {
		b.Fatal(err)
	}
	if _, err := on.TryStartAlone(b.Context(), "--default-applier=eso-tenant-applier"); err != nil {
		b.Fatal(err)
	}
	root, err := build.Root()
	if err != nil {
		b.Fatal(err)
	}
	for _, file := range []string{"applier.yaml", "admission-applier.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, "deploy", file))
		if err != nil {
			b.Fatal(err)
		}
		objects, err := bed.Parse(string(text))
		if err != nil {
			b.Fatal(err)
		}
		for _, object := range objects { // as the kustomization beside it does
			switch object.GetKind() {
			case "ServiceAccount", "Role", "RoleBinding":
				object.SetNamespace(bed.FluxNamespace)
			}
			subjects, _, _ := unstructured.NestedSlice(object.Object, "subjects")
			for _, subject := range subjects {
				if s, ok := subject.(map[string]any); ok {
					s["namespace"] = bed.FluxNamespace
				}
			}
			if len(subjects) > 0 {
				object.Object["subjects"] = subjects
			}
		}
		if err := on.TryApply(b.Context(), objects); err != nil {
			b.Fatal(err)
		}
	}
	files := fleet(fewTenants)
	files["platform.yaml"] = bed.Platform()
	var all []string
	for _, text := range files {
		all = append(all, text)
	}
	rendered, err := on.TryRender(b.Context(), all...)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := on.TryFurnish(b.Context(), rendered); err != nil {
		b.Fatal(err)
	}
	k := newKustomizeController(b, on)
	source := newSource(b, on, "fleet")
	source.commit("1", files)

	k.step("first", func() {
		apply(b, on, `
apiVersion: flux.eso-tenant.dev/v1alpha1
kind: TenantGenerator
metadata: {name: fleet, namespace: flux-system}
spec: {sourceRef: {kind: GitRepository, name: fleet}, interval: 1h}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: tenants, namespace: flux-system}
spec: {interval: 1h, sourceRef: {kind: ExternalArtifact, name: fleet-flux}, path: ./, prune: true}
`)
	})
	k.step("unchanged", func() { k.requestAll() })
	for i := range fewTenants {
		name := fmt.Sprintf("t%05d", i)
		files["tenants/"+name+".yaml"] = strings.Replace(tenant(name, ""), "spec:\n", "spec:\n  members: [{kind: Group, name: "+name+", role: view}]\n", 1)
	}
	k.step("changed", func() { source.commit("2", files) })
}

// kustomizeController is Flux's, as it is watched from outside.
type kustomizeController struct {
	b   *testing.B
	bed *bed.Bed
	pid int
	url string
}

func newKustomizeController(b *testing.B, on *bed.Bed) *kustomizeController {
	b.Helper()
	c := on.FluxController(build.KustomizeController)
	return &kustomizeController{b, on, c.ID, c.Metrics}
}

// count is how many reconciliations ended, and how many found a dependency not ready.
func (k *kustomizeController) count() (finished, putOff int) {
	k.b.Helper()
	text, err := os.ReadFile(filepath.Join(k.bed.Logs(), build.KustomizeController.Name+".log"))
	if err != nil {
		k.b.Fatal(err)
	}
	return strings.Count(string(text), `"msg":"Reconciliation finished`), strings.Count(string(text), `"msg":"Dependencies do not meet ready condition`)
}

// step does something, waits until all tenants' Kustomizations have applied what they are to, and reports what that cost.
func (k *kustomizeController) step(name string, do func()) {
	k.b.Helper()
	cpuBefore := idle(k.b, k.pid)
	requests := metric(k.b, k.url, "rest_client_requests_total")
	sum, count := metric(k.b, k.url, "controller_runtime_reconcile_time_seconds_sum"), metric(k.b, k.url, "controller_runtime_reconcile_time_seconds_count")
	finished, putOff := k.count()
	at := time.Now()
	do()
	k.converged(finished)
	took := time.Since(at)
	used := idle(k.b, k.pid) - cpuBefore
	nowFinished, nowPutOff := k.count()
	n := float64(nowFinished - finished)
	sum, count = metric(k.b, k.url, "controller_runtime_reconcile_time_seconds_sum")-sum, metric(k.b, k.url, "controller_runtime_reconcile_time_seconds_count")-count
	for unit, value := range map[string]float64{
		"s-took": took.Seconds(), "finished": n, "put-off": float64(nowPutOff - putOff), "reconciles": count,
		"ms-cpu-each": 1000 * used.Seconds() / n, "ms-worker-each": 1000 * sum / n,
		"requests-each": (metric(k.b, k.url, "rest_client_requests_total") - requests) / n,
	} {
		k.b.ReportMetric(value, name+":"+unit)
	}
}

// kustomizations are the tenants'.
func (k *kustomizeController) kustomizations() []unstructured.Unstructured {
	k.b.Helper()
	list, err := k.list()
	if err != nil {
		k.b.Fatal(err)
	}
	return list
}

func (k *kustomizeController) list() ([]unstructured.Unstructured, error) {
	objects, err := bed.Parse("{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {name: x, namespace: flux-system}}")
	if err != nil {
		return nil, err
	}
	resource, err := k.bed.Resource(objects[0].GroupVersionKind(), bed.FluxNamespace)
	if err != nil {
		return nil, err
	}
	list, err := resource.List(k.b.Context(), metav1.ListOptions{LabelSelector: "eso-tenant.dev/tenant"})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// requestAll asks for a reconciliation of all, as `flux reconcile` does.
func (k *kustomizeController) requestAll() {
	k.b.Helper()
	token := time.Now().Format(time.RFC3339Nano)
	for _, object := range k.kustomizations() {
		patch := fmt.Sprintf(`{"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": %q}}}`, token)
		if err := k.bed.PatchAs(k.b.Context(), &object, "flux", patch); err != nil {
			k.b.Fatal(err)
		}
	}
}

// converged waits until all are Ready with the newest revision of their artifact, and at least as many reconciliations
// have ended as there are Kustomizations.
func (k *kustomizeController) converged(before int) {
	k.b.Helper()
	ctx, cancel := context.WithTimeout(k.b.Context(), 20*time.Minute)
	defer cancel()
	for {
		err := k.behind()
		if finished, _ := k.count(); err == nil && finished-before < fewTenants {
			err = fmt.Errorf("%d reconciliations ended", finished-before)
		}
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			k.b.Fatal(err)
		}
		time.Sleep(time.Second)
	}
}

// behind says what Kustomization has not applied what its artifact is.
func (k *kustomizeController) behind() error {
	list, err := k.list()
	if err != nil {
		return err
	}
	if len(list) < fewTenants+1 {
		return fmt.Errorf("there are %d Kustomizations", len(list))
	}
	for _, object := range list {
		text := func(fields ...string) string {
			value, _, _ := unstructured.NestedString(object.Object, fields...)
			return value
		}
		artifact, err := bed.Parse("{apiVersion: source.toolkit.fluxcd.io/v1, kind: ExternalArtifact, metadata: {namespace: flux-system, name: " + text("spec", "sourceRef", "name") + "}}")
		if err != nil {
			return err
		}
		got, err := k.bed.Get(k.b.Context(), artifact[0])
		if err != nil {
			return err
		}
		want, _, _ := unstructured.NestedString(got.Object, "status", "artifact", "revision")
		if applied := text("status", "lastAppliedRevision"); applied == "" || applied != want {
			return errors.New(object.GetName() + " has applied " + applied + ", not " + want)
		}
		if requested, handled := object.GetAnnotations()["reconcile.fluxcd.io/requestedAt"], text("status", "lastHandledReconcileAt"); requested != handled {
			return errors.New(object.GetName() + " has not handled the request")
		}
	}
	return nil
}
