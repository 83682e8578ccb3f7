package controller

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/eso-tenant/eso-tenant/internal/controller/v1alpha1"
)

func TestNewRevision(t *testing.T) {
	with := func(revision, digest string) *sourcev1.GitRepository {
		return &sourcev1.GitRepository{Status: sourcev1.GitRepositoryStatus{Artifact: &meta.Artifact{Revision: revision, Digest: digest}}}
	}
	none := &sourcev1.GitRepository{}
	for _, test := range []struct {
		before, after *sourcev1.GitRepository
		want          bool
	}{
		{none, none, false},
		{none, with("1", "a"), true},
		{with("1", "a"), with("1", "a"), false},
		{with("1", "a"), with("2", "a"), true},
		{with("1", "a"), with("1", "b"), true},
		{with("1", "a"), none, false},
	} {
		if got := (newRevision{}).Update(event.UpdateEvent{ObjectOld: test.before, ObjectNew: test.after}); got != test.want {
			t.Errorf("%v, then %v: %t", test.before.Status.Artifact, test.after.Status.Artifact, got)
		}
	}
	if (newRevision{}).Create(event.CreateEvent{Object: none}) || !(newRevision{}).Create(event.CreateEvent{Object: with("1", "a")}) {
		t.Error("Create")
	}
	// What we publish ourselves is nobody's source, and not looked up at each write.
	artifact := func(kind, revision string) *sourcev1.ExternalArtifact {
		return &sourcev1.ExternalArtifact{
			Spec:   sourcev1.ExternalArtifactSpec{SourceRef: &meta.NamespacedObjectKindReference{Kind: kind}},
			Status: sourcev1.ExternalArtifactStatus{Artifact: &meta.Artifact{Revision: revision}},
		}
	}
	for _, test := range []struct {
		before, after string
		want          bool
	}{
		{"TenantGenerator", "TenantGenerator", false},
		{"ArtifactGenerator", "ArtifactGenerator", true},
		{"ArtifactGenerator", "TenantGenerator", true}, // whoever uses it has to be told
		{"TenantGenerator", "ArtifactGenerator", true},
	} {
		if got := (newRevision{}).Update(event.UpdateEvent{ObjectOld: artifact(test.before, "1"), ObjectNew: artifact(test.after, "2")}); got != test.want {
			t.Errorf("from %s to %s: %t", test.before, test.after, got)
		}
	}
	if (newRevision{}).Create(event.CreateEvent{Object: artifact("TenantGenerator", "1")}) || !(newRevision{}).Create(event.CreateEvent{Object: artifact("ArtifactGenerator", "1")}) {
		t.Error("Create of an ExternalArtifact")
	}
	if (newRevision{}).Delete(event.DeleteEvent{Object: none}) {
		t.Error("Delete")
	}
}

func TestArtifactTampered(t *testing.T) {
	base := sourcev1.ExternalArtifact{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}, Status: sourcev1.ExternalArtifactStatus{Artifact: &meta.Artifact{URL: "x"}}}
	for name, change := range map[string]func(*sourcev1.ExternalArtifact){
		"a label":    func(a *sourcev1.ExternalArtifact) { a.Labels["a"] = "c" },
		"a source":   func(a *sourcev1.ExternalArtifact) { a.Spec.SourceRef = &meta.NamespacedObjectKindReference{} },
		"an address": func(a *sourcev1.ExternalArtifact) { a.Status.Artifact.URL = "y" },
	} {
		changed := base.DeepCopy()
		change(changed)
		if !(artifactTampered{}).Update(event.UpdateEvent{ObjectOld: &base, ObjectNew: changed}) {
			t.Errorf("%s is not looked at", name)
		}
	}
	if (artifactTampered{}).Update(event.UpdateEvent{ObjectOld: &base, ObjectNew: base.DeepCopy()}) {
		t.Error("nothing changed, and it is looked at")
	}
}

func TestUsersOf(t *testing.T) {
	e := newEnv(t)
	source := &sourcev1.GitRepository{ObjectMeta: metav1.ObjectMeta{Namespace: fleetKey.Namespace, Name: fleetKey.Name}}
	if got := e.usersOf("GitRepository")(context.Background(), source); len(got) != 1 || got[0].NamespacedName != fleetKey {
		t.Errorf("%v", got)
	}
	if got := e.usersOf("Bucket")(context.Background(), source); len(got) != 0 {
		t.Errorf("%v", got)
	}
	source.Namespace = "elsewhere"
	if got := e.usersOf("GitRepository")(context.Background(), source); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// A replica is ready once it leads and has handled what was there, each once.
func TestInitial(t *testing.T) {
	e := newEnv(t)
	i := &Initial{Client: e.Client}
	ready := func() bool { return i.Check(&http.Request{}) == nil }
	if ready() {
		t.Error("ready before it leads")
	}
	if err := i.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if ready() {
		t.Error("ready before anything was handled")
	}
	i.done(types.NamespacedName{Namespace: "x", Name: "y"})
	if ready() {
		t.Error("ready after something else was handled")
	}
	e.Reconciler.Initial = i
	if _, _, err := e.reconcile(); err != nil {
		t.Fatal(err)
	}
	if !ready() {
		t.Error("not ready, also where the source is missing")
	}
	early := &Initial{Client: e.Client}
	early.done(fleetKey)
	if err := early.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := early.Check(nil); err != nil {
		t.Errorf("handled before it was asked, it is waited for: %v", err)
	}
}

// The collector spares what ExternalArtifacts name, and waits for whoever publishes.
func TestCollector(t *testing.T) {
	e := newEnv(t)
	e.commit("1", fleet("a", "b"))
	e.settle()
	old := e.artifacts()["fleet.b"].Status.Artifact.Path
	files := fleet("a", "b")
	files["tenants/b.yaml"] = tenantFile("b", ", serviceAccount: other-sa")
	e.commit("2", files)
	e.settle()
	c := &Collector{Reconciler: e.Reconciler, Retention: time.Minute}
	e.publishing.RLock()
	if err := c.collect(context.Background(), time.Now().Add(time.Hour)); err != nil || !there(e.Storage, old) {
		t.Errorf("collected while something is published: %v", err)
	}
	e.publishing.RUnlock()
	if err := c.collect(context.Background(), time.Now()); err != nil || !there(e.Storage, old) {
		t.Errorf("collected at once: %v", err)
	}
	for range 3 { // a year in which nothing is rewritten
		if err := c.collect(context.Background(), time.Now().Add(24*365*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if there(e.Storage, old) {
		t.Error("the old artifact stays")
	}
	for name, a := range e.artifacts() {
		if code := e.get(a).Code; code != http.StatusOK {
			t.Errorf("%s is served with %d", name, code)
		}
	}
	var generator v1alpha1.TenantGenerator
	if err := e.Client.Get(context.Background(), fleetKey, &generator); err != nil {
		t.Fatal(err)
	}
}
