package controller

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/opencontainers/go-digest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/eso-tenant/eso-tenant/internal/controller/v1alpha1"
)

const platform = `apiVersion: eso-tenant.dev/v1alpha1
kind: Platform
metadata: {name: eu-1}
spec:
  externalSecrets: {version: v2.9.0}
  enforcement: enforce
  providers:
    vault:
      audiences: [vault]
      vault: {server: https://vault.example.com:8200, path: kv, version: v2, auth: {kubernetes: {mountPath: kubernetes}}}
`

// tenantFile is a tenant with one namespace and one store.
func tenantFile(name, more string) string {
	return fmt.Sprintf("apiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {name: %s}\nspec:\n  namespaces:\n    %s-prod:\n      stores:\n        vault: {provider: vault%s}\n", name, name, more)
}

// fleet are the files of a source with some tenants.
func fleet(names ...string) map[string]string {
	files := map[string]string{"platform.yaml": platform}
	for _, name := range names {
		files["tenants/"+name+".yaml"] = tenantFile(name, "")
	}
	return files
}

// archiveOf makes a tar.gz as source-controller does.
func archiveOf(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(files[name])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// env is a cluster in memory with one source and one TenantGenerator, both called fleet.
type env struct {
	t testing.TB
	*Reconciler
	recorder *record.FakeRecorder
	server   *httptest.Server
	folder   string
	ended    string

	mu      sync.Mutex
	archive []byte
	fetched int
	writes  map[string]int // by verb and kind
	fail    func(verb string, o client.Object) error
}

var fleetKey = types.NamespacedName{Namespace: "flux-system", Name: "fleet"}

func newEnv(t testing.TB) *env {
	t.Helper()
	e := &env{t: t, folder: t.TempDir(), writes: map[string]int{}}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, sourcev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	e.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.fetched++
		_, _ = w.Write(e.archive)
	}))
	t.Cleanup(e.server.Close)
	generator := &v1alpha1.TenantGenerator{
		ObjectMeta: metav1.ObjectMeta{Namespace: fleetKey.Namespace, Name: fleetKey.Name, UID: "8b3c", Generation: 1},
		Spec: v1alpha1.TenantGeneratorSpec{
			SourceRef: v1alpha1.SourceReference{Kind: "GitRepository", Name: "fleet"},
			Interval:  metav1.Duration{Duration: time.Hour},
		},
	}
	source := &sourcev1.GitRepository{ObjectMeta: metav1.ObjectMeta{Namespace: fleetKey.Namespace, Name: fleetKey.Name, Generation: 1}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(generator, source).
		WithStatusSubresource(&v1alpha1.TenantGenerator{}, &sourcev1.GitRepository{}, &sourcev1.ExternalArtifact{}).
		WithIndex(&v1alpha1.TenantGenerator{}, sourceIndex, indexSource).
		WithInterceptorFuncs(e.counting()).Build()
	e.recorder = record.NewFakeRecorder(1000)
	e.Reconciler = &Reconciler{
		Client: c, Writer: clientWriter{c}, Events: e.recorder, Fetcher: NewFetcher(DefaultLimits(), "", 10*time.Second), Version: "v1.0.0",
		ServiceAccountName: "eso-tenant-applier", RequeueDependency: time.Second, Timeout: time.Minute, Workers: 4,
		End: func(reason string) { e.ended = reason },
	}
	e.open()
	return e
}

// clientWriter writes to the cluster in memory.
type clientWriter struct {
	client.Client
}

func (w clientWriter) Create(ctx context.Context, a *sourcev1.ExternalArtifact) error {
	return w.Client.Create(ctx, a)
}

func (w clientWriter) WriteStatus(ctx context.Context, key types.NamespacedName, status []byte) error {
	a := &sourcev1.ExternalArtifact{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	return w.Client.Status().Patch(ctx, a, client.RawPatch(types.MergePatchType, status))
}

// open opens the storage, as a process that starts does.
func (e *env) open() {
	e.t.Helper()
	storage, err := OpenStorage(e.folder, "eso-tenant-controller.flux-system.svc.cluster.local.")
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = storage.Close() })
	e.Storage = storage
}

// restart forgets all that is in memory, as a new process does.
func (e *env) restart(version string) {
	old := e.Reconciler
	e.Reconciler = &Reconciler{
		Client: old.Client, Writer: old.Writer, Events: old.Events, Fetcher: old.Fetcher, Version: version, ServiceAccountName: old.ServiceAccountName,
		RequeueDependency: old.RequeueDependency, Timeout: old.Timeout, Workers: old.Workers, End: old.End, NoCrossNamespaceRefs: old.NoCrossNamespaceRefs,
	}
	e.open()
}

// counting counts writes, and lets a test fail them.
func (e *env) counting() interceptor.Funcs {
	note := func(verb string, o client.Object) error {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.fail != nil {
			if err := e.fail(verb, o); err != nil {
				return err
			}
		}
		kind := strings.TrimPrefix(fmt.Sprintf("%T", o), "*v1.")
		e.writes[verb+" "+strings.TrimPrefix(kind, "*v1alpha1.")]++
		return nil
	}
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if err := note("create", o); err != nil {
				return err
			}
			o.SetUID(types.UID("uid-" + o.GetName()))
			o.SetGeneration(1)
			return c.Create(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if err := note("patch", o); err != nil {
				return err
			}
			return c.Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := note("delete", o); err != nil {
				return err
			}
			// The client in memory knows no preconditions.
			return c.Delete(ctx, o)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			if err := note("status", o); err != nil {
				return err
			}
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
	}
}

// take returns what was written since the last call, but for the TenantGenerator's own status.
func (e *env) take() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	taken := e.writes
	e.writes = map[string]int{}
	for key := range taken {
		if strings.HasSuffix(key, " TenantGenerator") {
			delete(taken, key)
		}
	}
	return taken
}

// commit gives the source another revision.
func (e *env) commit(revision string, files map[string]string) {
	e.t.Helper()
	archive := archiveOf(e.t, files)
	e.mu.Lock()
	e.archive = archive
	e.mu.Unlock()
	e.artifact(&meta.Artifact{
		URL: e.server.URL + "/fleet.tar.gz", Path: "fleet.tar.gz", Revision: revision, Digest: digest.FromBytes(archive).String(), LastUpdateTime: metav1.Now(),
	})
}

func (e *env) artifact(a *meta.Artifact) {
	e.t.Helper()
	source := &sourcev1.GitRepository{}
	if err := e.Client.Get(context.Background(), fleetKey, source); err != nil {
		e.t.Fatal(err)
	}
	source.Status.Artifact = a
	if err := e.Client.Status().Update(context.Background(), source); err != nil {
		e.t.Fatal(err)
	}
}

// reconcile runs one reconciliation and returns the object after it.
func (e *env) reconcile() (*v1alpha1.TenantGenerator, ctrl.Result, error) {
	e.t.Helper()
	result, err := e.Reconcile(context.Background(), ctrl.Request{NamespacedName: fleetKey})
	g := &v1alpha1.TenantGenerator{}
	if getErr := client.IgnoreNotFound(e.Client.Get(context.Background(), fleetKey, g)); getErr != nil {
		e.t.Fatal(getErr)
	}
	return g, result, err
}

// settle reconciles, and fails the test on an error.
func (e *env) settle() *v1alpha1.TenantGenerator {
	e.t.Helper()
	g, _, err := e.reconcile()
	if err != nil {
		e.t.Fatal(err)
	}
	return g
}

// change changes the TenantGenerator as a user does.
func (e *env) change(change func(*v1alpha1.TenantGenerator)) {
	e.t.Helper()
	g := &v1alpha1.TenantGenerator{}
	if err := e.Client.Get(context.Background(), fleetKey, g); err != nil {
		e.t.Fatal(err)
	}
	before := g.Spec.DeepCopy()
	change(g)
	if fmt.Sprint(*before) != fmt.Sprint(g.Spec) {
		g.Generation++
	}
	if err := e.Client.Update(context.Background(), g); err != nil {
		e.t.Fatal(err)
	}
}

// artifacts are the ExternalArtifacts by name.
func (e *env) artifacts() map[string]*sourcev1.ExternalArtifact {
	e.t.Helper()
	list := &sourcev1.ExternalArtifactList{}
	if err := e.Client.List(context.Background(), list); err != nil {
		e.t.Fatal(err)
	}
	all := map[string]*sourcev1.ExternalArtifact{}
	for i := range list.Items {
		all[list.Items[i].Name] = &list.Items[i]
	}
	return all
}

// get asks the file server for what an ExternalArtifact names.
func (e *env) get(a *sourcev1.ExternalArtifact) *httptest.ResponseRecorder {
	e.t.Helper()
	answer := httptest.NewRecorder()
	e.Storage.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/"+a.Status.Artifact.Path, nil))
	return answer
}

// events are those since the last call.
func (e *env) events() []string {
	var all []string
	for {
		select {
		case event := <-e.recorder.Events:
			all = append(all, event)
		default:
			return all
		}
	}
}
