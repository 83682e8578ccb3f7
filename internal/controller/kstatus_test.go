package controller

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eso-tenant/eso-tenant/internal/controller/v1alpha1"
)

// kstatusOf is what `flux`, `kubectl wait` and wait: true make of an object.
func kstatusOf(t *testing.T, o any, kind string) status.Status {
	t.Helper()
	raw, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{Object: raw}
	u.SetKind(kind)
	result, err := status.Compute(u)
	if err != nil {
		t.Fatal(err)
	}
	return result.Status
}

// Every state is what Flux's tools take it for, and every condition says which
// generation it is of.
func TestKstatus(t *testing.T) {
	broken := fleet("web")
	broken["tenants/web.yaml"] = strings.Replace(broken["tenants/web.yaml"], "stores", "storse", 1)
	zero := int32(0)
	tests := map[string]struct {
		do   func(e *env)
		want status.Status
	}{
		"published":   {func(e *env) { e.commit("2", fleet("web", "shop")) }, status.CurrentStatus},
		"nothing new": {func(*env) {}, status.CurrentStatus},
		"changed":     {func(e *env) { e.change(func(g *v1alpha1.TenantGenerator) { g.Spec.Path = "./" }) }, status.CurrentStatus},
		"refused":     {func(e *env) { e.commit("2", broken) }, status.InProgressStatus},
		"deletions refused": {func(e *env) {
			e.change(func(g *v1alpha1.TenantGenerator) { g.Spec.MaxDeletions = &zero })
			e.commit("2", fleet())
		}, status.InProgressStatus},
		"no source":   {func(e *env) { e.change(func(g *v1alpha1.TenantGenerator) { g.Spec.SourceRef.Name = "gone" }) }, status.InProgressStatus},
		"no artifact": {func(e *env) { e.artifact(nil) }, status.InProgressStatus},
		"not fetched": {func(e *env) {
			e.artifact(&meta.Artifact{URL: e.server.URL, Revision: "2", Digest: "sha256:" + strings.Repeat("0", 64), Path: "x", LastUpdateTime: metav1.Now()})
		}, status.InProgressStatus},
		"not published": {func(e *env) {
			e.commit("2", fleet("web", "shop"))
			e.fail = func(verb string, o client.Object) error {
				if _, ours := o.(*sourcev1.ExternalArtifact); ours {
					return errors.New("no")
				}
				return nil
			}
		}, status.InProgressStatus},
		"not allowed": {func(e *env) {
			e.NoCrossNamespaceRefs = true
			e.change(func(g *v1alpha1.TenantGenerator) { g.Spec.SourceRef.Namespace = "elsewhere" })
		}, status.FailedStatus},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.commit("1", fleet("web"))
			if g := e.settle(); kstatusOf(t, g, "TenantGenerator") != status.CurrentStatus {
				t.Fatalf("%+v", g.Status)
			}
			test.do(e)
			// Before it is handled, a change of the specification is seen to be in progress.
			before := &v1alpha1.TenantGenerator{}
			if err := e.Client.Get(context.Background(), fleetKey, before); err != nil {
				t.Fatal(err)
			}
			if before.Generation > 1 && kstatusOf(t, before, "TenantGenerator") != status.InProgressStatus {
				t.Error("a change that was not handled yet looks handled")
			}
			g, _, _ := e.reconcile()
			if got := kstatusOf(t, g, "TenantGenerator"); got != test.want {
				t.Errorf("%s, want %s: %+v", got, test.want, g.Status)
			}
			for _, c := range g.Status.Conditions {
				if c.ObservedGeneration != g.Generation {
					t.Errorf("condition %s is of generation %d, not %d", c.Type, c.ObservedGeneration, g.Generation)
				}
			}
			for name, a := range e.artifacts() {
				if got := kstatusOf(t, a, "ExternalArtifact"); got != status.CurrentStatus && test.want == status.CurrentStatus {
					t.Errorf("%s is %s", name, got)
				}
			}
		})
	}
}
