package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// follow does what a plan of offboard says, as it stands there: commands are run, and at its edits `edit` is called, and
// what it wrote is checked, committed and pushed. Flux comes to it a moment later, as in a real cluster. It returns what
// each command printed.
func (w *workspace) follow(t *testing.T, arguments string, edit func()) map[string]string {
	t.Helper()
	var plan struct {
		Clusters []struct {
			Steps []struct {
				Title    string
				Edits    []any
				Commands []string
			}
		}
	}
	if err := json.Unmarshal([]byte(w.shell(t, "eso-tenant offboard "+arguments+" platforms tenants --format json")), &plan); err != nil {
		t.Fatal(err)
	}
	if len(plan.Clusters) != 1 || len(plan.Clusters[0].Steps) < 4 {
		t.Fatalf("the plan is %+v", plan)
	}
	printed, edits := map[string]string{}, 0
	looked := make(chan error, 1)
	for _, step := range plan.Clusters[0].Steps {
		if len(step.Edits) > 0 {
			edits++
			edit()
			w.furnish(t)
		}
		for _, command := range step.Commands {
			printed[command] = w.typed(t, command)
		}
		if len(step.Edits) > 0 {
			w.commit(t, step.Title)
			w.push(t)
			sources := slices.Collect(maps.Values(w.fluxObjects(t, "OCIRepository")))
			go func() {
				time.Sleep(time.Second)
				looked <- ignoreGone(w.TryReconcile(context.WithoutCancel(t.Context()), sources))
			}()
		}
	}
	if edits != 1 {
		t.Errorf("the plan has %d steps with edits", edits)
	}
	if err := <-looked; err != nil {
		t.Error(err)
	}
	return printed
}

func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// typed runs a plan's command. Flux's command line tool is not there; what it does to a Kustomization is done in its
// place, under its name, which is what kustomize-controller goes by.
func (w *workspace) typed(t *testing.T, command string) string {
	t.Helper()
	rest, isFlux := strings.CutPrefix(command, "flux ")
	if !isFlux {
		return w.shell(t, command)
	}
	words := strings.Fields(rest)
	if len(words) != 5 || words[1] != "kustomization" || words[3] != "-n" || words[4] != w.namespace {
		t.Fatalf("what is %q?", command)
	}
	one := w.kustomization(words[2])
	var err error
	switch words[0] {
	case "suspend":
		err = w.PatchAs(t.Context(), one, "flux", `{"spec": {"suspend": true}}`)
	case "resume": // and it waits
		err = w.PatchAs(t.Context(), one, "flux", `{"spec": {"suspend": false}}`)
		w.Eventually(t, func(ctx context.Context) error { return w.observed(ctx, one) })
		w.WaitReady(t, bed.Objects{one})
	case "reconcile":
		err = w.TryReconcile(t.Context(), bed.Objects{one})
	default:
		err = fmt.Errorf("what is %q?", command)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ""
}

// observed says with nil that a controller has seen an object as it is.
func (w *workspace) observed(ctx context.Context, one *unstructured.Unstructured) error {
	got, err := w.Get(ctx, one)
	if err != nil {
		return err
	}
	seen, _, err := unstructured.NestedInt64(got.Object, "status", "observedGeneration")
	if err == nil && seen != got.GetGeneration() {
		err = fmt.Errorf("%s is at generation %d, its controller at %d", one.GetName(), got.GetGeneration(), seen)
	}
	return err
}

func removedByPlan(t *testing.T, b *bed.Bed) {
	t.Helper()
	w := pushed(t, b, "remove", func(w *workspace) {
		w.tenant(t, "goes", "{members: [{kind: Group, name: goes, role: view}], namespaces: {goes: {stores: {vault: {provider: vault}, published: {provider: published}}}}}")
		w.tenant(t, "shrinks", "{namespaces: {shrinks-stays: {stores: {vault: {provider: vault}}}, shrinks-goes: {stores: {published: {provider: published}}}}}")
		w.tenant(t, "wholly", "{namespaces: {wholly: {stores: {published: {provider: published}}}}}")
	})
	w.waitKustomizations(t, "goes", "shrinks", "wholly")
	w.synced(t)
	before := w.rendered(t)
	data := []*unstructured.Unstructured{w.data(t, "goes"), w.data(t, "shrinks-goes"), w.data(t, "shrinks-stays")}
	w.data(t, "wholly")

	printed := w.follow(t, "goes", func() {
		w.remove(t, "goes")
		w.writePlatform(t, "retired: [goes]")
	})
	for command, out := range printed {
		if strings.HasPrefix(command, "kubectl get secretstore") && out != "" {
			t.Errorf("%s lists\n%s", command, out)
		}
	}
	w.gone(t, w.kustomization("eso-tenant-goes"), object("v1", "Secret", "goes", "vault-read"),
		object("external-secrets.io/v1", "ExternalSecret", "goes", "vault-read"))
	w.gone(t, before.InNamespace("goes").Not("Namespace")...)
	for _, one := range before {
		if one.GetLabels()["eso-tenant.dev/tenant"] == "goes" && one.GetKind() != "Namespace" {
			w.gone(t, one) // also elsewhere: what the store of the same cluster read
		}
	}

	w.follow(t, "shrinks --namespace shrinks-goes", func() {
		w.tenant(t, "shrinks", "{namespaces: {shrinks-stays: {stores: {vault: {provider: vault}}}}}")
	})
	w.gone(t, before.InNamespace("shrinks-goes").Not("Namespace")...)
	w.there(t, before.InNamespace("shrinks-stays")...)
	w.synced(t)

	w.follow(t, "wholly --delete-namespaces", func() { w.remove(t, "wholly") })
	w.gone(t, object("v1", "Namespace", "", "wholly"))
	w.there(t, append(data, object("v1", "Namespace", "", "goes"), object("v1", "Namespace", "", "shrinks-goes"))...)
}

func movedByPlan(t *testing.T, b *bed.Bed) {
	t.Helper()
	const (
		one = "one: {stores: {vault: {provider: vault}, published: {provider: published}}}"
		two = "two: {prune: true, stores: {jwt: {provider: vault-jwt}}}"
	)
	w := pushed(t, b, "move", func(w *workspace) {
		w.tenant(t, "from", "{members: [{kind: Group, name: from, role: view}], namespaces: {from-"+one+", from-"+two+"}}")
		w.tenant(t, "to", "{namespaces: {to: {stores: {vault: {provider: vault}}}}}")
	})
	w.waitKustomizations(t, "from", "to")
	w.synced(t)
	data := []*unstructured.Unstructured{w.data(t, "from-one"), w.data(t, "from-two")}
	before := w.identities(t)

	// One namespace. The suspension lasts while the root reconciles; what kubectl sets, it takes off.
	w.follow(t, "from --namespace from-two --to to", func() {
		w.Reconcile(t, bed.Objects{w.kustomization("eso-tenant")})
		if !w.suspended(t, "eso-tenant-from") {
			t.Error("the root has resumed what was suspended")
		}
		w.tenant(t, "from", "{members: [{kind: Group, name: from, role: view}], namespaces: {from-"+one+"}}")
		w.tenant(t, "to", "{namespaces: {to: {stores: {vault: {provider: vault}}}, from-"+two+"}}")
	})
	w.waitKustomizations(t, "from", "to")
	w.owned(t, "from-two", "eso-tenant-to")

	for _, object := range w.leftOf(t, "from") {
		if strings.Contains(object, "from-two") {
			t.Errorf("%s is left of the old tenant", object)
		}
	}

	// All that is left, to a tenant that there is not yet.
	w.follow(t, "from --to new", func() {
		w.remove(t, "from")
		w.tenant(t, "new", "{members: [{kind: Group, name: new, role: view}], namespaces: {from-"+one+"}}")
	})
	w.waitKustomizations(t, "new", "to")
	w.gone(t, w.kustomization("eso-tenant-from"))
	w.owned(t, "from-one", "eso-tenant-new")
	w.there(t, data...)
	for name, uid := range before {
		if got, there := w.identities(t)[name]; !there || got != uid {
			t.Errorf("%s is not what it was: %s, now %s", name, uid, got)
		}
	}
	w.synced(t)
	for _, object := range w.leftOf(t, "from") {
		t.Errorf("%s is left of the old tenant", object)
	}

	// The other way round: what kubectl suspends, the root resumes.
	w.shell(t, `kubectl patch kustomization eso-tenant-to -n `+w.namespace+` --type=merge -p '{"spec": {"suspend": true}}'`)
	w.Reconcile(t, bed.Objects{w.kustomization("eso-tenant")})
	if w.suspended(t, "eso-tenant-to") {
		t.Error("kubectl does as well as flux: the plan could say so")
	}
}

func (w *workspace) suspended(t *testing.T, name string) bool {
	t.Helper()
	got, err := w.Get(t.Context(), w.kustomization(name))
	if err != nil {
		t.Fatal(err)
	}
	suspended, _, err := unstructured.NestedBool(got.Object, "spec", "suspend")
	return err == nil && suspended
}

// identities are the UIDs of the stores, accounts and Namespaces that there are, by kind and name.
func (w *workspace) identities(t *testing.T) map[string]string {
	t.Helper()
	uids := map[string]string{}
	for _, one := range w.tenants(t).Of("Namespace", "SecretStore", "ServiceAccount", "Role", "RoleBinding") {
		if one.GetNamespace() == "published" || strings.Contains(one.GetName(), "-member-") {
			continue // named after the tenant
		}
		got, err := w.Get(t.Context(), one)
		if err != nil {
			t.Fatal(err)
		}
		uids[one.GetKind()+" "+one.GetNamespace()+"/"+one.GetName()] = string(got.GetUID())
	}
	return uids
}

// owned fails unless a Kustomization has what is in a namespace, and the Namespace.
func (w *workspace) owned(t *testing.T, namespace, kustomization string) {
	t.Helper()
	for _, one := range w.tenants(t).InNamespace(namespace) {
		got, err := w.Get(t.Context(), one)
		if err != nil {
			t.Error(err)
			continue
		}
		if owner := got.GetLabels()["kustomize.toolkit.fluxcd.io/name"]; owner != kustomization {
			t.Errorf("%s %s/%s is of %s", one.GetKind(), one.GetNamespace(), one.GetName(), owner)
		}
	}
}

// leftOf names what there still is with a tenant's label.
func (w *workspace) leftOf(t *testing.T, tenant string) []string {
	t.Helper()
	out, err := w.Shell(t.Context(), w.folder, "kubectl get secretstores,roles,rolebindings,serviceaccounts,networkpolicies,namespaces -A "+
		"-o jsonpath='{range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name} {end}' -l app.kubernetes.io/managed-by=eso-tenant,eso-tenant.dev/tenant="+tenant)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(out)
}
