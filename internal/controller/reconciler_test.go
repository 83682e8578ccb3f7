package controller

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eso-tenant/eso-tenant/internal/controller/v1alpha1"
)

func TestPublish(t *testing.T) {
	e := newEnv(t)
	e.commit("main@sha1:1", fleet("web", "shop"))
	g := e.settle()
	if !conditions.IsReady(g) || g.Status.Tenants != 2 || g.Status.PublishedSourceRevision != "main@sha1:1" {
		t.Fatalf("not published: %+v", g.Status)
	}
	all := e.artifacts()
	if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, []string{"fleet-flux", "fleet-platform", "fleet.shop", "fleet.web"}) {
		t.Fatalf("artifacts %q", got)
	}
	for name, a := range all {
		ref := a.Spec.SourceRef
		if ref == nil || ref.Kind != "TenantGenerator" || ref.Name != "fleet" || ref.Namespace != "flux-system" || ref.APIVersion != "flux.eso-tenant.dev/v1alpha1" {
			t.Errorf("%s: sourceRef %+v", name, ref)
		}
		if !metav1.IsControlledBy(a, g) || !isReady(a) {
			t.Errorf("%s: owners %v, conditions %v", name, a.OwnerReferences, a.Status.Conditions)
		}
		now := a.Status.Artifact
		answer := e.get(a)
		if answer.Code != http.StatusOK || digest.FromBytes(answer.Body.Bytes()).String() != now.Digest || int64(answer.Body.Len()) != *now.Size {
			t.Errorf("%s: served %d, %d bytes, not the digest %s", name, answer.Code, answer.Body.Len(), now.Digest)
		}
		if now.Metadata[originRevision] != "main@sha1:1" || !strings.Contains(now.Revision, "@sha256:"+strings.TrimSuffix(filepath.Base(now.Path), ".tar.gz")) {
			t.Errorf("%s: revision %s, metadata %v", name, now.Revision, now.Metadata)
		}
		if now.URL != "http://eso-tenant-controller.flux-system.svc.cluster.local./"+now.Path {
			t.Errorf("%s: URL %s", name, now.URL)
		}
	}
	files, err := readTree(bytes.NewReader(e.get(all["fleet-flux"]).Body.Bytes()), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	var kustomization string
	for _, f := range files {
		if f.Inside == "tenant.web.yaml" {
			kustomization = string(f.Data)
		}
	}
	for _, want := range []string{"kind: ExternalArtifact", "name: fleet.web", "path: ./\n", "serviceAccountName: eso-tenant-applier", "wait: true", "dependsOn:"} {
		if !strings.Contains(kustomization, want) {
			t.Errorf("the Kustomization of web lacks %q:\n%s", want, kustomization)
		}
	}
	if events := e.events(); len(events) != 1 || !strings.HasPrefix(events[0], "Normal Succeeded") || !strings.Contains(events[0], "4 new") {
		t.Errorf("events %q", events)
	}
}

// API writes are in proportion to what changed.
func TestWritesAreProportional(t *testing.T) {
	e := newEnv(t)
	steps := []struct {
		what  string
		do    func()
		want  map[string]int
		event string // of which there is one, or none at all
	}{
		{"three tenants", func() { e.commit("1", fleet("a", "b", "c")) }, map[string]int{"create ExternalArtifact": 5, "status ExternalArtifact": 5}, "5 new"},
		{"nothing", func() {}, map[string]int{}, ""},
		{"another revision with the same content", func() { e.commit("2", fleet("a", "b", "c")) }, map[string]int{}, ""},
		{"a file that says nothing", func() {
			files := fleet("a", "b", "c")
			files["README.md"] = "# hello"
			e.commit("3", files)
		}, map[string]int{}, ""},
		{"one tenant changed", func() {
			files := fleet("a", "b", "c")
			files["tenants/b.yaml"] = tenantFile("b", ", serviceAccount: other-sa")
			e.commit("4", files)
		}, map[string]int{"status ExternalArtifact": 1}, "1 changed"},
		{"one tenant back as it was", func() { e.commit("5", fleet("a", "b", "c")) }, map[string]int{"status ExternalArtifact": 1}, "1 changed"},
		{"one tenant gone", func() { e.commit("6", fleet("a", "c")) }, map[string]int{"delete ExternalArtifact": 1, "status ExternalArtifact": 1}, "1 changed, 1 gone"},
		{"one tenant more", func() { e.commit("7", fleet("a", "c", "d")) }, map[string]int{"create ExternalArtifact": 1, "status ExternalArtifact": 2}, "1 new, 1 changed"},
		{"another process", func() { e.restart("v1.0.0") }, map[string]int{}, ""},
		{"another release with the same output", func() { e.restart("v1.0.1") }, map[string]int{}, ""},
		{"reconcile.fluxcd.io/requestedAt", func() {
			e.change(func(g *v1alpha1.TenantGenerator) {
				metav1.SetMetaDataAnnotation(&g.ObjectMeta, meta.ReconcileRequestAnnotation, "now")
			})
		}, map[string]int{}, ""},
		{"labels for all", func() {
			e.change(func(g *v1alpha1.TenantGenerator) {
				g.Spec.CommonMetadata = &v1alpha1.CommonMetadata{Labels: map[string]string{"team": "platform"}}
			})
		}, map[string]int{"patch ExternalArtifact": 5, "status ExternalArtifact": 1}, "1 changed"},
	}
	for _, step := range steps {
		step.do()
		e.take()
		g := e.settle()
		if !conditions.IsReady(g) || g.Status.ObservedGeneration != g.Generation {
			t.Fatalf("%s: not ready: %+v", step.what, g.Status)
		}
		if diff := cmp.Diff(step.want, e.take()); diff != "" {
			t.Errorf("%s: writes (-want +got):\n%s", step.what, diff)
		}
		events := e.events()
		if (len(events) > 0) != (step.event != "") || len(events) > 1 || len(events) == 1 && !strings.Contains(events[0], step.event) {
			t.Errorf("%s: events %q, want one of %q", step.what, events, step.event)
		}
		if got, _ := meta.ReconcileAnnotationValue(g.Annotations); g.Status.LastHandledReconcileAt != got {
			t.Errorf("%s: lastHandledReconcileAt %q, requested %q", step.what, g.Status.LastHandledReconcileAt, got)
		}
		for name, a := range e.artifacts() {
			if code := e.get(a).Code; code != http.StatusOK {
				t.Errorf("%s: %s is served with %d", step.what, name, code)
			}
		}
	}
}

// What is wrong with a source leaves what was published, and is not tried again.
func TestRefused(t *testing.T) {
	broken := fleet("web", "shop")
	broken["tenants/web.yaml"] = strings.Replace(broken["tenants/web.yaml"], "stores", "storse", 1)
	two := fleet("web", "shop")
	two["platform2.yaml"] = strings.Replace(platform, "eu-1", "us-1", 1)
	var many []string
	for _, c := range "abcdefghijkl" {
		many = append(many, "t"+string(c))
	}
	tests := map[string]struct {
		files   map[string]string
		reason  string
		message string
	}{
		"a broken tenant":    {broken, v1alpha1.ReasonValidationFailed, "\ntenants/web.yaml:7:7: spec.namespaces.web-prod"},
		"an empty source":    {map[string]string{"README.md": "x"}, v1alpha1.ReasonValidationFailed, "there is no Platform"},
		"two Platforms":      {two, v1alpha1.ReasonValidationFailed, "lives on"},
		"too many deletions": {fleet("web"), v1alpha1.ReasonDeletionsRefused, "13 tenants would vanish, and spec.maxDeletions allows 10"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.commit("good", fleet(append(many, "web", "shop")...))
			e.settle()
			before := e.artifacts()
			e.commit("bad", test.files)
			e.take()
			e.events()
			g, result, err := e.reconcile()
			if err != nil || result.RequeueAfter != time.Hour {
				t.Errorf("hot retry: %v, %v", result, err)
			}
			ready := conditions.Get(g, meta.ReadyCondition)
			if ready.Status != metav1.ConditionFalse || ready.Reason != test.reason || !strings.Contains(ready.Message, test.message) || !strings.Contains(ready.Message, "what revision good holds stays") {
				t.Errorf("Ready is %+v", ready)
			}
			if conditions.IsStalled(g) || conditions.IsReconciling(g) {
				t.Errorf("conditions %+v", g.Status.Conditions)
			}
			if diff := cmp.Diff(map[string]int{}, e.take()); diff != "" {
				t.Errorf("written: %s", diff)
			}
			if diff := cmp.Diff(before, e.artifacts()); diff != "" {
				t.Errorf("artifacts changed: %s", diff)
			}
			if events := e.events(); len(events) != 1 || !strings.HasPrefix(events[0], "Warning "+test.reason) {
				t.Errorf("events %q", events)
			}
			fetched := e.fetched
			for range 3 { // and after a restart, too
				e.settle()
				e.restart("v1.0.0")
			}
			if e.fetched != fetched || len(e.events()) > 0 {
				t.Errorf("the same revision was looked at again: fetched %d times more", e.fetched-fetched)
			}
			e.commit("good again", fleet(append(many, "web", "shop")...))
			if g := e.settle(); !conditions.IsReady(g) {
				t.Errorf("not well again: %+v", g.Status)
			}
		})
	}
}

func TestMaxDeletions(t *testing.T) {
	e := newEnv(t)
	e.commit("1", fleet("a", "b", "c"))
	e.settle()
	zero, three := int32(0), int32(3)
	e.change(func(g *v1alpha1.TenantGenerator) { g.Spec.MaxDeletions = &zero })
	e.commit("2", fleet("a", "b"))
	if g := e.settle(); conditions.GetReason(g, meta.ReadyCondition) != v1alpha1.ReasonDeletionsRefused || !strings.Contains(conditions.GetMessage(g, meta.ReadyCondition), `"c"`) {
		t.Errorf("%+v", g.Status)
	}
	e.change(func(g *v1alpha1.TenantGenerator) { g.Spec.MaxDeletions = &three })
	if g := e.settle(); !conditions.IsReady(g) || g.Status.Tenants != 2 {
		t.Errorf("%+v", g.Status)
	}
	// A folder that holds a Platform and no tenant any more takes all of them away.
	e.change(func(g *v1alpha1.TenantGenerator) { g.Spec.MaxDeletions = &zero })
	e.commit("3", fleet())
	if g := e.settle(); conditions.GetReason(g, meta.ReadyCondition) != v1alpha1.ReasonDeletionsRefused {
		t.Errorf("%+v", g.Status)
	}
}

func TestSpecRefused(t *testing.T) {
	tests := map[string]struct {
		prepare func(e *env)
		change  func(g *v1alpha1.TenantGenerator)
	}{
		"another namespace, where that is switched off": {
			func(e *env) { e.NoCrossNamespaceRefs = true },
			func(g *v1alpha1.TenantGenerator) { g.Spec.SourceRef.Namespace = "elsewhere" },
		},
		"its own output": {
			func(*env) {},
			func(g *v1alpha1.TenantGenerator) {
				g.Spec.SourceRef = v1alpha1.SourceReference{Kind: "ExternalArtifact", Name: "fleet.web"}
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.commit("1", fleet("web"))
			e.settle()
			test.prepare(e)
			e.change(test.change)
			for range 2 {
				g, result, err := e.reconcile()
				if err != nil || !result.IsZero() || !conditions.IsStalled(g) || conditions.GetReason(g, meta.ReadyCondition) != reasonAccessDenied {
					t.Errorf("%v, %v, %+v", result, err, g.Status.Conditions)
				}
			}
			if events := slices.DeleteFunc(e.events(), func(s string) bool { return strings.HasPrefix(s, "Normal") }); len(events) != 1 {
				t.Errorf("events %q", events)
			}
			e.NoCrossNamespaceRefs = false
			e.change(func(g *v1alpha1.TenantGenerator) {
				g.Spec.SourceRef = v1alpha1.SourceReference{Kind: "GitRepository", Name: "fleet"}
			})
			if g := e.settle(); !conditions.IsReady(g) || conditions.Has(g, meta.StalledCondition) {
				t.Errorf("not well again: %+v", g.Status.Conditions)
			}
		})
	}
}

func TestSourceNotReady(t *testing.T) {
	e := newEnv(t)
	for _, missing := range []bool{false, true} {
		if missing {
			e.change(func(g *v1alpha1.TenantGenerator) { g.Spec.SourceRef.Name = "gone" })
		}
		g, result, err := e.reconcile()
		if err != nil || result.RequeueAfter != e.RequeueDependency || conditions.GetReason(g, meta.ReadyCondition) != v1alpha1.ReasonSourceNotReady {
			t.Errorf("missing %t: %v, %v, %+v", missing, result, err, g.Status)
		}
	}
}

func TestSuspend(t *testing.T) {
	e := newEnv(t)
	e.commit("1", fleet("web"))
	e.settle()
	e.change(func(g *v1alpha1.TenantGenerator) { g.Spec.Suspend = true })
	e.commit("2", fleet("web", "shop"))
	e.take()
	g, result, err := e.reconcile()
	if err != nil || !result.IsZero() || g.Status.PublishedSourceRevision != "1" || len(e.take()) > 0 {
		t.Errorf("%v, %v, %+v", result, err, g.Status)
	}
	if err := e.Client.Delete(context.Background(), g); err != nil {
		t.Fatal(err)
	}
	if e.settle(); len(e.artifacts()) != 0 {
		t.Error("suspended, it does not clean up")
	}
}

func TestFinalize(t *testing.T) {
	e := newEnv(t)
	e.commit("1", fleet("web", "shop"))
	g := e.settle()
	if err := e.Client.Delete(context.Background(), g); err != nil {
		t.Fatal(err)
	}
	// As long as something cannot be deleted, the object stays.
	e.fail = func(verb string, o client.Object) error {
		if verb == "delete" && o.GetName() == "fleet.web" {
			return errors.New("no")
		}
		return nil
	}
	if _, _, err := e.reconcile(); err == nil {
		t.Error("no error")
	}
	if err := e.Client.Get(context.Background(), fleetKey, g); err != nil {
		t.Fatalf("the object went before its artifacts: %v", err)
	}
	e.fail = nil
	e.settle()
	if err := e.Client.Get(context.Background(), fleetKey, g); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("the object stays: %v", err)
	}
	if left := e.artifacts(); len(left) > 0 {
		t.Errorf("left: %v", slices.Collect(maps.Keys(left)))
	}
}

// An ExternalArtifact that is somebody else's is never taken over.
func TestForeignArtifact(t *testing.T) {
	e := newEnv(t)
	foreign := &sourcev1.ExternalArtifact{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "fleet.web", Labels: map[string]string{v1alpha1.LabelGenerator: "fleet"}}}
	if err := e.Client.Create(context.Background(), foreign); err != nil {
		t.Fatal(err)
	}
	e.commit("1", fleet("web"))
	g, _, err := e.reconcile()
	if err == nil || conditions.GetReason(g, meta.ReadyCondition) != v1alpha1.ReasonPublishFailed || !strings.Contains(err.Error(), "fleet.web") {
		t.Errorf("%v, %+v", err, g.Status)
	}
	if got := e.artifacts()["fleet.web"]; got.Status.Artifact != nil || len(got.OwnerReferences) > 0 {
		t.Errorf("it was taken over: %+v", got)
	}
	if len(e.artifacts()) > 0 && e.artifacts()["fleet-flux"] != nil {
		t.Error("Kustomizations were published whose artifacts are not")
	}
}

// What somebody else changes is put right.
func TestTampered(t *testing.T) {
	for name, tamper := range map[string]func(e *env, a *sourcev1.ExternalArtifact){
		"deleted": func(e *env, a *sourcev1.ExternalArtifact) { _ = e.Client.Delete(context.Background(), a) },
		"another artifact": func(e *env, a *sourcev1.ExternalArtifact) {
			a.Status.Artifact.URL, a.Status.Artifact.Path = "http://evil.example.com/x", "x"
			_ = e.Client.Status().Update(context.Background(), a)
		},
		"no artifact": func(e *env, a *sourcev1.ExternalArtifact) {
			a.Status.Artifact = nil
			_ = e.Client.Status().Update(context.Background(), a)
		},
		"no label": func(e *env, a *sourcev1.ExternalArtifact) {
			delete(a.Labels, v1alpha1.LabelPart)
			_ = e.Client.Update(context.Background(), a)
		},
		"no file": func(e *env, a *sourcev1.ExternalArtifact) { _ = e.Storage.root.Remove(a.Status.Artifact.Path) },
		"a damaged file": func(e *env, a *sourcev1.ExternalArtifact) {
			_ = e.Storage.root.WriteFile(a.Status.Artifact.Path, []byte("x"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.commit("1", fleet("web", "shop"))
			e.settle()
			want := e.artifacts()["fleet.web"]
			tamper(e, want.DeepCopy())
			e.knows("8b3c").verified = time.Time{} // files are looked at once in an interval
			if g := e.settle(); !conditions.IsReady(g) {
				t.Fatalf("%+v", g.Status)
			}
			got := e.artifacts()["fleet.web"]
			if !same(got.Status.Artifact, want.Status.Artifact) || !isReady(got) || got.Labels[v1alpha1.LabelPart] != "tenant" {
				t.Errorf("%+v", got)
			}
			if answer := e.get(got); digest.FromBytes(answer.Body.Bytes()).String() != got.Status.Artifact.Digest {
				t.Error("the file is not what the artifact says")
			}
		})
	}
}

// A storage that is lost with its pod is made again, without a write to the cluster.
func TestStorageLost(t *testing.T) {
	e := newEnv(t)
	e.commit("1", fleet("web", "shop"))
	e.settle()
	if err := os.RemoveAll(filepath.Join(e.folder, storedFolder)); err != nil {
		t.Fatal(err)
	}
	e.restart("v1.0.0")
	e.take()
	e.settle()
	if diff := cmp.Diff(map[string]int{}, e.take()); diff != "" {
		t.Errorf("written: %s", diff)
	}
	for name, a := range e.artifacts() {
		if code := e.get(a).Code; code != http.StatusOK {
			t.Errorf("%s is served with %d", name, code)
		}
	}
}

// A run that fails anywhere is finished by a later one, and nothing is lost.
func TestInterrupted(t *testing.T) {
	for _, verb := range []string{"create", "status", "patch", "delete"} {
		for nth := range 6 {
			e := newEnv(t)
			e.commit("1", fleet("a", "b", "c"))
			count := 0
			arm := func() {
				count = 0
				e.fail = func(v string, o client.Object) error {
					if _, ours := o.(*sourcev1.ExternalArtifact); v != verb || !ours {
						return nil
					}
					if count++; count == nth+1 {
						return errors.New("the API server is gone")
					}
					return nil
				}
			}
			arm()
			for range 3 {
				_, _, _ = e.reconcile()
			}
			e.commit("2", fleet("a", "d"))
			arm()
			for range 3 {
				_, _, _ = e.reconcile()
				for name, a := range e.artifacts() {
					if a.Status.Artifact != nil && e.get(a).Code != http.StatusOK {
						t.Errorf("%s %d: %s names what is not served", verb, nth, name)
					}
				}
			}
			if got := slices.Sorted(maps.Keys(e.artifacts())); !slices.Equal(got, []string{"fleet-flux", "fleet-platform", "fleet.a", "fleet.d"}) {
				t.Errorf("%s %d: artifacts %q", verb, nth, got)
			}
		}
	}
}

// CUE that does not end leaves an evaluation behind: the process ends, and the
// next one does not begin it again.
func TestEndlessCUE(t *testing.T) {
	e := newEnv(t)
	e.MaxCUEBytes = 1 // so that any evaluation is too much
	files := fleet("web")
	files["rules.cue"] = "package infra\n\nimport \"list\"\n\n#x: [for i in list.Range(0, 150, 1) for j in list.Range(0, 150, 1) {i * j}]\nrules: slow: tenant: #x: len(#x)\n"
	e.commit("1", files)
	g := e.settle()
	if conditions.GetReason(g, meta.ReadyCondition) != v1alpha1.ReasonValidationFailed || !strings.Contains(conditions.GetMessage(g, meta.ReadyCondition), "cue-too-long") {
		t.Fatalf("%+v", g.Status)
	}
	if e.ended == "" {
		t.Error("the process goes on")
	}
	e.ended = ""
	fetched := e.fetched
	e.restart("v1.0.0")
	if e.settle(); e.fetched != fetched || e.ended != "" {
		t.Error("the next process begins it again")
	}
}

func TestShardLabel(t *testing.T) {
	e := newEnv(t)
	e.change(func(g *v1alpha1.TenantGenerator) { g.Labels = map[string]string{labelShard: "s1"} })
	e.commit("1", fleet("web"))
	e.settle()
	for name, a := range e.artifacts() {
		if a.Labels[labelShard] != "s1" {
			t.Errorf("%s is of shard %q", name, a.Labels[labelShard])
		}
	}
	files, err := readTree(bytes.NewReader(e.get(e.artifacts()["fleet-flux"]).Body.Bytes()), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Inside != "kustomization.yaml" && !strings.Contains(string(f.Data), labelShard+": s1") {
			t.Errorf("%s is of no shard", f.Inside)
		}
	}
}
