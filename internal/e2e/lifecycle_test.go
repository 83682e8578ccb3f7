package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// everything is a Platform with all features on, whose finalizers an end has to wait for.
var everything = bed.PlatformWith(
	"features: [clusterSecretStores, clusterExternalSecrets, pushSecrets, clusterPushSecrets, generators]")

// mortal is a tenant with a store of each kind.
func mortal(name string) string {
	return `
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: ` + name + `}
spec:
  members: [{kind: Group, name: developers, role: edit}]
  namespaces: {` + name + `: {stores: {vault: {provider: vault}, published: {provider: published}}}}
`
}

// possessions are what a tenant makes by itself, and what holds a finalizer of ESO's. The ClusterExternalSecret is none of
// the tenant's, and puts a finalizer on its Namespace. `removed` has its Secret removed by
// ESO, `kept` by the garbage collector. A GeneratorState is made by hand: none of the bed's generators has any state.
func possessions(namespace string) string {
	return fmt.Sprintf(`
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: removed, namespace: %[1]s}
spec:
  refreshInterval: 10s
  secretStoreRef: {kind: SecretStore, name: vault}
  target: {name: removed, deletionPolicy: Delete}
  data: [{secretKey: password, remoteRef: {key: %[1]s-vault/db, property: password}}]
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: kept, namespace: %[1]s}
spec:
  refreshInterval: 10s
  secretStoreRef: {kind: SecretStore, name: vault}
  target: {name: kept, deletionPolicy: Retain}
  data: [{secretKey: password, remoteRef: {key: %[1]s-vault/db, property: password}}]
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: orphan, namespace: %[1]s}
spec:
  refreshInterval: 10s
  secretStoreRef: {kind: SecretStore, name: vault}
  target: {name: orphan, creationPolicy: Orphan}
  data: [{secretKey: password, remoteRef: {key: %[1]s-vault/db, property: password}}]
---
apiVersion: external-secrets.io/v1alpha1
kind: PushSecret
metadata: {name: pushed, namespace: %[1]s}
spec:
  refreshInterval: 10s
  deletionPolicy: None
  secretStoreRefs: [{kind: SecretStore, name: vault}]
  selector: {secret: {name: kept}}
  data: [{match: {secretKey: password, remoteRef: {remoteKey: %[1]s-vault/pushed, property: password}}}]
---
apiVersion: generators.external-secrets.io/v1alpha1
kind: GeneratorState
metadata: {name: state, namespace: %[1]s}
spec:
  resource: {apiVersion: generators.external-secrets.io/v1alpha1, kind: Fake, metadata: {name: fake}, spec: {data: {a: b}}}
  state: {}
---
apiVersion: external-secrets.io/v1
kind: ClusterExternalSecret
metadata: {name: everywhere-%[1]s}
spec:
  externalSecretName: everywhere
  refreshTime: 10s
  namespaceSelectors: [{matchLabels: {eso-tenant.dev/tenant: %[1]s}}]
  externalSecretSpec:
    refreshInterval: 10s
    secretStoreRef: {kind: SecretStore, name: vault}
    target: {name: everywhere}
    data: [{secretKey: password, remoteRef: {key: %[1]s-vault/db, property: password}}]
`, namespace)
}

// furnished applies tenants, with the right to push into Vault, and all that they make by themselves.
func furnished(t *testing.T, b *bed.Bed, platform string, names ...string) map[string]bed.Objects {
	t.Helper()
	made := map[string]bed.Objects{}
	var all bed.Objects
	for _, name := range names {
		rendered := b.Render(t, platform, mortal(name))
		b.Apply(t, rendered)
		reading := b.Furnish(t, rendered)
		if err := b.Vault.TryWrite(t.Context(), "sys/policies/acl/"+name+"-vault", map[string]any{
			"policy": `path "kv/*" { capabilities = ["create", "read", "update", "delete"] }`,
		}); err != nil {
			t.Fatal(err)
		}
		made[name] = slices.Concat(rendered, reading, own(t, b, name))
		all = append(all, made[name]...)
	}
	b.WaitReady(t, all) // after all are there, so that they become so together
	for _, name := range names {
		b.Eventually(t, func(ctx context.Context) error { return finalized(ctx, b, name) })
	}
	return made
}

// own makes a tenant's possessions. A state is ESO's to make: the policies refuse it to everybody else.
func own(t *testing.T, b *bed.Bed, name string) bed.Objects {
	t.Helper()
	objects, err := bed.Parse(possessions(name))
	if err != nil {
		t.Fatal(err)
	}
	b.Apply(t, objects.Not("GeneratorState"))
	operator, err := b.AsServiceAccount(bed.ESONamespace, bed.ESOServiceAccount)
	if err != nil {
		t.Fatal(err)
	}
	if err := operator.TryApply(t.Context(), objects.Of("GeneratorState")); err != nil {
		t.Fatal(err)
	}
	return objects
}

// finalized says with nil that everything in a namespace that shall hold a finalizer does. Else its end would show nothing.
func finalized(ctx context.Context, b *bed.Bed, namespace string) error {
	for _, name := range []string{"ExternalSecret removed", "ExternalSecret kept", "GeneratorState state"} {
		kind, name, _ := strings.Cut(name, " ")
		version := "external-secrets.io/v1"
		if kind == "GeneratorState" {
			version = "generators.external-secrets.io/v1alpha1"
		}
		got, err := b.Get(ctx, object(version, kind, namespace, name))
		if err != nil {
			return err
		}
		if len(got.GetFinalizers()) == 0 {
			return fmt.Errorf("%s %s/%s has no finalizer", kind, namespace, name)
		}
	}
	got, err := b.Get(ctx, object("v1", "Namespace", "", namespace))
	if err == nil && len(got.GetFinalizers()) == 0 {
		return fmt.Errorf("Namespace %s has no finalizer of its ClusterExternalSecret's", namespace)
	}
	return err
}

func object(version, kind, namespace, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetAPIVersion(version)
	o.SetKind(kind)
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}

// ended waits until a namespace is gone, and says what holds it if it is not.
func ended(t *testing.T, b *bed.Bed, namespace string) {
	t.Helper()
	start := time.Now()
	b.Eventually(t, func(ctx context.Context) error { return gone(ctx, b, namespace) })
	t.Logf("%s ended in %.1f s", namespace, time.Since(start).Seconds())
}

func gone(ctx context.Context, b *bed.Bed, namespace string) error {
	got, err := b.Client.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	failure := fmt.Errorf("namespace %s is %s, with the finalizers %q", namespace, got.Status.Phase, got.Finalizers)
	for _, condition := range got.Status.Conditions {
		if condition.Status == "True" {
			failure = errors.Join(failure, errors.New(condition.Message))
		}
	}
	return failure
}

// deletedBy returns who deleted a Secret, by the audit log. What the controller manager's one user does is not in it.
func deletedBy(t *testing.T, b *bed.Bed, namespace, name string) []string {
	t.Helper()
	var users []string
	for _, event := range b.AuditEvents(t, func(e bed.AuditEvent) bool {
		return e.Verb == "delete" && e.ObjectRef.Resource == "secrets" && e.ObjectRef.Namespace == namespace &&
			e.ObjectRef.Name == name && e.ResponseStatus.Code == 200
	}) {
		users = append(users, event.User.Username)
	}
	return users
}

const esoUser = "system:serviceaccount:" + bed.ESONamespace + ":" + bed.ESOServiceAccount

// ends are ways in which a tenant ends. Each is given all that the tenant has.
var ends = []struct {
	name string
	end  func(*testing.T, *bed.Bed, bed.Objects)
}{
	{"outright", endOutright}, {"in-order", endInOrder}, {"wrong-order", endInWrongOrder}, {"pushing", endPushing},
}

// A tenant ends whole, whichever way it is ended, and whoever the controllers are that end it: with a service account each,
// as kubeadm runs them, or all as one user. Our policies are in force.
func TestTenantEnds(t *testing.T) {
	t.Parallel()
	b := bed.Own(t, bed.Options{Platform: everything})
	for _, accounts := range []bool{true, false} {
		suffix := map[bool]string{true: "", false: "-as-one"}[accounts]
		// Also for the first: the garbage collector takes half a minute to know kinds that are newer than it.
		b.RestartControllerManager(t, accounts)
		var names []string
		for _, e := range ends {
			names = append(names, e.name+suffix)
		}
		made := furnished(t, b, everything, names...)
		t.Run("accounts="+strconv.FormatBool(accounts), func(t *testing.T) {
			for _, e := range ends {
				t.Run(e.name, func(t *testing.T) {
					t.Parallel()
					e.end(t, b, made[e.name+suffix])
				})
			}
		})
	}
	t.Run("left behind", func(t *testing.T) { leftBehind(t, b) })
}

// leftBehind: a feature that is switched off while there are objects of it leaves its finalizers, here on a Namespace.
func leftBehind(t *testing.T, b *bed.Bed) {
	t.Helper()
	const namespace = "left-behind"
	furnished(t, b, everything, namespace)
	rendered := b.Render(t, bed.Platform())
	b.Apply(t, rendered)
	values, err := bed.Values(rendered)
	if err != nil {
		t.Fatal(err)
	}
	b.ESO.Install(t, values)
	namespaces := b.Client.CoreV1().Namespaces()
	if err := namespaces.Delete(t.Context(), namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	b.Eventually(t, func(ctx context.Context) error { // all in it has ended
		got, err := namespaces.Get(ctx, namespace, metav1.GetOptions{})
		if err == nil && len(got.Spec.Finalizers) > 0 {
			err = gone(ctx, b, namespace)
		}
		return err
	})
	if _, err := namespaces.Patch(t.Context(), namespace, types.MergePatchType, []byte(`{"metadata": {"finalizers": null}}`),
		metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	ended(t, b, namespace)
}

// deleting is a PushSecret that is to delete what it pushed.
func deleting(namespace string) string {
	return `
apiVersion: external-secrets.io/v1alpha1
kind: PushSecret
metadata: {name: deleting, namespace: ` + namespace + `}
spec:
  refreshInterval: 10s
  deletionPolicy: Delete
  secretStoreRefs: [{kind: SecretStore, name: vault}]
  selector: {secret: {name: kept}}
  data: [{match: {secretKey: password, remoteRef: {remoteKey: ` + namespace + `-vault/deleting, property: password}}}]
`
}

// A PushSecret that is to delete what it pushed needs its store for that. In a namespace that is deleted outright, the
// service account may go before it, and with it every token: then it holds the namespace until somebody takes its finalizer
// away. That is no doing of ours: pushSecretHolds shows it
// without a fence.
func endPushing(t *testing.T, b *bed.Bed, tenant bed.Objects) {
	t.Helper()
	namespace := namespaceOf(tenant)
	push := b.ApplyYAML(t, deleting(namespace))
	b.WaitReady(t, push)
	b.Eventually(t, func(ctx context.Context) error { return inVault(ctx, b, namespace+"-vault/deleting") })
	if err := b.Client.CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	held(t, b, push[0])
}

// held sees a PushSecret hold its namespace, which is being deleted, and the namespace end without it.
func held(t *testing.T, b *bed.Bed, push *unstructured.Unstructured) {
	t.Helper()
	namespace := push.GetNamespace()
	b.Eventually(t, func(ctx context.Context) error { // all but it is gone
		err := gone(ctx, b, namespace)
		if err != nil && strings.Contains(err.Error(), "pushsecret.externalsecrets.io/finalizer in 1 resource instances") &&
			!strings.Contains(err.Error(), "externalsecrets.externalsecrets.io") && !strings.Contains(err.Error(), "generatorstate") {
			return nil
		}
		return fmt.Errorf("the PushSecret does not hold its namespace: %w", err)
	})
	resource, err := b.Resource(push.GroupVersionKind(), namespace)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resource.Patch(t.Context(), push.GetName(), types.MergePatchType, []byte(`{"metadata": {"finalizers": null}}`),
		metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	ended(t, b, namespace)
}

// inVault says with nil that a secret is in Vault.
func inVault(ctx context.Context, b *bed.Bed, path string) error {
	data, err := b.Vault.TryRead(ctx, "", "kv/data/"+path)
	if err != nil {
		return err
	}
	if content, _ := data["data"].(map[string]any); content["password"] == nil {
		return fmt.Errorf("kv/%s is %v", path, data)
	}
	return nil
}

func endOutright(t *testing.T, b *bed.Bed, tenant bed.Objects) {
	t.Helper()
	namespace := namespaceOf(tenant)
	if err := b.Client.CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	ended(t, b, namespace)
}

// asKubectl deletes an object as kubectl does: what it owns goes after it, and not before, so that it is ESO that deletes a
// Secret if it deletes any.
func asKubectl(t *testing.T, b *bed.Bed, object *unstructured.Unstructured) {
	t.Helper()
	resource, err := b.Resource(object.GroupVersionKind(), object.GetNamespace())
	if err != nil {
		t.Fatal(err)
	}
	background := metav1.DeletePropagationBackground
	if err := resource.Delete(t.Context(), object.GetName(), metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		t.Fatal(err)
	}
}

func notThere(ctx context.Context, b *bed.Bed, object *unstructured.Unstructured) error {
	_, err := b.Get(ctx, object)
	if apierrors.IsNotFound(err) {
		return nil
	}
	return errors.Join(fmt.Errorf("%s %s/%s is still there", object.GetKind(), object.GetNamespace(), object.GetName()), err)
}

// offboard is the rest of the order in which a tenant is taken away: after its PushSecrets and ExternalSecrets, what else ESO
// has to clean up, the stores, the Roles by which it may, and what is left.
func offboard(t *testing.T, b *bed.Bed, tenant bed.Objects) {
	t.Helper()
	b.Delete(t, tenant.Of("PushSecret", "GeneratorState", "ClusterExternalSecret"))
	b.Delete(t, tenant.Of("SecretStore"))
	b.Delete(t, tenant.Of("Role", "RoleBinding"))
	b.Delete(t, ofTenant(tenant).Not("Namespace"))
	b.Delete(t, ofTenant(tenant).Of("Namespace"))
}

// ofTenant leaves out what is the Platform's.
func ofTenant(objects bed.Objects) bed.Objects {
	var own bed.Objects
	for _, o := range objects {
		if o.GetLabels()["eso-tenant.dev/tenant"] != "platform" {
			own = append(own, o)
		}
	}
	return own
}

func namespaceOf(tenant bed.Objects) string { return tenant.Of("SecretStore")[0].GetNamespace() }

func endInOrder(t *testing.T, b *bed.Bed, tenant bed.Objects) {
	t.Helper()
	namespace := namespaceOf(tenant)
	push := b.ApplyYAML(t, deleting(namespace))
	b.WaitReady(t, push)
	b.Eventually(t, func(ctx context.Context) error { return inVault(ctx, b, namespace+"-vault/deleting") })
	asKubectl(t, b, push[0])
	b.Eventually(t, func(ctx context.Context) error { return notThere(ctx, b, push[0]) })
	if err := inVault(t.Context(), b, namespace+"-vault/deleting"); err == nil {
		t.Error("what was pushed is still in Vault")
	}
	for _, one := range tenant.Of("ExternalSecret") {
		asKubectl(t, b, one)
		b.Eventually(t, func(ctx context.Context) error { return notThere(ctx, b, one) })
	}
	for _, name := range []string{"removed", "kept"} {
		b.Eventually(t, func(ctx context.Context) error { return noSecret(ctx, b, namespace, name) })
	}
	if got := deletedBy(t, b, namespace, "removed"); !slices.Contains(got, esoUser) {
		t.Errorf("deletionPolicy Delete: the Secret was deleted by %q, want ESO", got)
	}
	if got := deletedBy(t, b, namespace, "kept"); slices.Contains(got, esoUser) {
		t.Error("deletionPolicy Retain: ESO has deleted the Secret all the same")
	}
	if err := noSecret(t.Context(), b, namespace, "orphan"); err == nil {
		t.Error("creationPolicy Orphan: the Secret is gone with its ExternalSecret, so that others show nothing")
	}
	offboard(t, b, tenant)
	ended(t, b, namespace)
}

func noSecret(ctx context.Context, b *bed.Bed, namespace, name string) error {
	_, err := b.Client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return errors.Join(fmt.Errorf("Secret %s/%s is still there", namespace, name), err)
}

// The order matters: with the Roles gone first, ESO may not delete the Secret that it has to, and the ExternalSecret does not
// end. It does when the Role is back, or when the whole namespace goes.
func endInWrongOrder(t *testing.T, b *bed.Bed, tenant bed.Objects) {
	t.Helper()
	namespace := namespaceOf(tenant)
	b.Delete(t, tenant.Of("Role", "RoleBinding"))
	external := object("external-secrets.io/v1", "ExternalSecret", namespace, "removed")
	asKubectl(t, b, external)
	refused := func(e bed.AuditEvent) bool {
		return e.Verb == "delete" && e.ObjectRef.Resource == "secrets" && e.ObjectRef.Namespace == namespace &&
			e.User.Username == esoUser && e.ResponseStatus.Code == 403
	}
	b.Eventually(t, func(context.Context) error {
		if len(b.AuditEvents(t, refused)) < 2 {
			return errors.New("ESO was not refused twice to delete the Secret")
		}
		return nil
	})
	if _, err := b.Get(t.Context(), external); err != nil {
		t.Errorf("the ExternalSecret has ended without the Role: %v", err)
	}
	endOutright(t, b, tenant)
}
