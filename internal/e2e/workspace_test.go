package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// workspace is a Git work tree with specifications, as a platform team has one, and a namespace that Flux's objects are
// in. Several have one bed, so their tenants have names of their own; what they render of the Platform is the same.
type workspace struct {
	*bed.Bed
	folder    string
	namespace string // of Flux's objects
	applier   string // the service account that applies, in that namespace
	lines     string // the Platform's lines of its own
}

// newWorkspace makes the namespace, the account that applies as deploy/ has it, and the Platform's file. flux is what
// the Platform says of Flux, but for the namespace and the account.
func newWorkspace(t *testing.T, b *bed.Bed, name, flux string) *workspace {
	t.Helper()
	w := &workspace{Bed: b, folder: t.TempDir(), namespace: "flux-" + name, applier: "eso-tenant-applier-" + name}
	w.lines = "tenantPolicy: {overrides: [prune], namespaces: ['{tenant}(-.*)?', 'from-.*']}\nflux: {namespace: " + w.namespace + ", serviceAccountName: " + w.applier + ", " + flux + "}"
	b.ApplyYAML(t, "{apiVersion: v1, kind: Namespace, metadata: {name: "+w.namespace+"}}")
	w.writePlatform(t)
	w.shell(t, "git init -q . && git remote add origin https://git.example.com/fleet.git && git config user.name e2e && git config user.email e2e@localhost")
	return w
}

func (w *workspace) writePlatform(t *testing.T, more ...string) {
	t.Helper()
	w.write(t, "platforms/e2e.yaml", bed.Platform(append([]string{w.lines}, more...)...))
}

// applierObjects are a file of deploy/, for this workspace's namespace and account.
func (w *workspace) applierObjects(t *testing.T, file string) bed.Objects {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "deploy", file))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := bed.Parse(strings.NewReplacer("eso-tenant-applier", w.applier, "flux-system", w.namespace).Replace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects { // as the kustomization beside it does
		switch object.GetKind() {
		case "ServiceAccount", "Role", "RoleBinding":
			object.SetNamespace(w.namespace)
		}
		subjects, found, err := unstructured.NestedSlice(object.Object, "subjects")
		if err != nil || !found {
			continue
		}
		for _, subject := range subjects {
			if s, ok := subject.(map[string]any); ok {
				s["namespace"] = w.namespace
			}
		}
		if err := unstructured.SetNestedSlice(object.Object, subjects, "subjects"); err != nil {
			t.Fatal(err)
		}
	}
	return objects
}

// installApplier applies the account that applies, its rights, and the policy that holds it.
func (w *workspace) installApplier(t *testing.T) {
	t.Helper()
	w.Apply(t, append(w.applierObjects(t, "applier.yaml"), w.applierObjects(t, "admission-applier.yaml")...))
}

func (w *workspace) write(t *testing.T, path, text string) {
	t.Helper()
	path = filepath.Join(w.folder, filepath.FromSlash(path))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// tenant writes a tenant's file; spec is in flow style.
func (w *workspace) tenant(t *testing.T, name, spec string) {
	t.Helper()
	w.write(t, "tenants/"+name+".yaml", "apiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {name: "+name+"}\nspec: "+spec+"\n")
}

func (w *workspace) remove(t *testing.T, tenant string) {
	t.Helper()
	if err := os.Remove(filepath.Join(w.folder, "tenants", tenant+".yaml")); err != nil {
		t.Fatal(err)
	}
}

// shell runs a line in the work tree.
func (w *workspace) shell(t *testing.T, line string) string {
	t.Helper()
	out, err := w.Shell(t.Context(), w.folder, line)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *workspace) commit(t *testing.T, message string) {
	t.Helper()
	w.shell(t, "git add -A . && git commit -q --allow-empty -m '"+message+"'")
}

// rendered is what the specifications render to.
func (w *workspace) rendered(t *testing.T) bed.Objects {
	t.Helper()
	objects, err := bed.Parse(w.shell(t, "eso-tenant render platforms tenants"))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// tenants are those of what is rendered that are not the Platform's, which workspaces have in common.
func (w *workspace) tenants(t *testing.T) bed.Objects {
	t.Helper()
	var own bed.Objects
	for _, one := range w.rendered(t) {
		if one.GetLabels()["eso-tenant.dev/tenant"] != "platform" {
			own = append(own, one)
		}
	}
	return own
}

// furnish gives every store something to read. A Kustomization waits for its stores, and they for that.
func (w *workspace) furnish(t *testing.T) bed.Objects {
	t.Helper()
	reading, err := w.TryFurnish(t.Context(), w.rendered(t))
	if err != nil {
		t.Fatal(err)
	}
	return reading
}

// synced waits until each store of the tenants reads a secret.
func (w *workspace) synced(t *testing.T) {
	t.Helper()
	reading := w.furnish(t)
	w.Apply(t, reading)
	ready(t, w.Bed, w.rendered(t), reading)
}

// fluxObjects are those of a kind in the workspace's namespace, by name.
func (w *workspace) fluxObjects(t *testing.T, kind string) map[string]*unstructured.Unstructured {
	t.Helper()
	group := "source.toolkit.fluxcd.io/v1"
	if kind == "Kustomization" {
		group = "kustomize.toolkit.fluxcd.io/v1"
	}
	one := object(group, kind, w.namespace, "")
	resource, err := w.Resource(one.GroupVersionKind(), w.namespace)
	if err != nil {
		t.Fatal(err)
	}
	list, err := resource.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*unstructured.Unstructured{}
	for i := range list.Items {
		byName[list.Items[i].GetName()] = &list.Items[i]
	}
	return byName
}

func (w *workspace) kustomization(name string) *unstructured.Unstructured {
	return object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", w.namespace, name)
}

// waitKustomizations waits until those of the platform and of some tenants are there and ready.
func (w *workspace) waitKustomizations(t *testing.T, tenants ...string) {
	t.Helper()
	for _, name := range append([]string{"platform"}, tenants...) {
		w.WaitReady(t, bed.Objects{w.kustomization("eso-tenant-" + name)})
	}
}

// revisions are what Kustomizations have applied, by name.
func (w *workspace) revisions(t *testing.T) map[string]string {
	t.Helper()
	applied := map[string]string{}
	for name, k := range w.fluxObjects(t, "Kustomization") {
		applied[name], _, _ = unstructured.NestedString(k.Object, "status", "lastAppliedRevision")
	}
	return applied
}

// reconciliations are how often the workspace's Kustomizations have come to an end, by name.
func (w *workspace) reconciliations(t *testing.T) map[string]int {
	t.Helper()
	counts, err := w.Reconciliations()
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]int{}
	for name, count := range counts {
		if rest, ours := strings.CutPrefix(name, w.namespace+"/"); ours {
			own[rest] = count
		}
	}
	return own
}

// settled waits until a Kustomization has applied a revision that begins or ends so.
func (w *workspace) settled(t *testing.T, name, revision string) {
	t.Helper()
	w.Eventually(t, func(ctx context.Context) error {
		got, err := w.Get(ctx, w.kustomization(name))
		if err != nil {
			return err
		}
		applied, _, err := unstructured.NestedString(got.Object, "status", "lastAppliedRevision")
		if err == nil && !strings.HasSuffix(applied, revision) {
			err = fmt.Errorf("%s has applied %s, not yet %s", name, applied, revision)
		}
		return err
	})
}

// gone waits until objects are not there any more.
func (w *workspace) gone(t *testing.T, objects ...*unstructured.Unstructured) {
	t.Helper()
	for _, one := range objects {
		w.Eventually(t, func(ctx context.Context) error {
			_, err := w.Get(ctx, one)
			if apierrors.IsNotFound(err) {
				return nil
			}
			return errors.Join(fmt.Errorf("%s %s/%s is still there", one.GetKind(), one.GetNamespace(), one.GetName()), err)
		})
	}
}

// there fails for objects that are not.
func (w *workspace) there(t *testing.T, objects ...*unstructured.Unstructured) {
	t.Helper()
	for _, one := range objects {
		got, err := w.Get(t.Context(), one)
		switch {
		case err != nil:
			t.Error(err)
		case got.GetDeletionTimestamp() != nil:
			t.Errorf("%s %s/%s is being deleted", one.GetKind(), one.GetNamespace(), one.GetName())
		}
	}
}

// data is something of a tenant's own in a namespace: what must not go when the fence goes.
func (w *workspace) data(t *testing.T, namespace string) *unstructured.Unstructured {
	t.Helper()
	return w.ApplyYAML(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: data, namespace: "+namespace+"}, data: {of: "+namespace+"}}")[0]
}
