package features

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// usual is how long a new ExternalSecret takes to be synced, with room for a machine that has other things to do.
const usual = 15 * time.Second

// generatorGroup is of all kinds of generators.
const generatorGroup = "generators.external-secrets.io"

// generatorKinds are all kinds of generators that the cluster has.
func generatorKinds(t *testing.T, b *bed.Bed) []string {
	t.Helper()
	resources, err := b.Client.Discovery().ServerResourcesForGroupVersion(generatorGroup + "/v1alpha1")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, resource := range resources.APIResources {
		if !strings.Contains(resource.Name, "/") && resource.Kind != "GeneratorState" {
			kinds = append(kinds, resource.Kind)
		}
	}
	if !slices.Contains(kinds, "ClusterGenerator") || len(kinds) < 10 {
		t.Fatalf("the kinds of generators are %q", kinds)
	}
	return kinds
}

// external and push are objects with a spec in flow style.
func external(namespace, name, spec string) string {
	return fmt.Sprintf("---\n{apiVersion: external-secrets.io/v1, kind: ExternalSecret, metadata: {name: %s, namespace: %s}, "+
		"spec: {refreshInterval: 10s, target: {name: %s}, %s}}\n", name, namespace, name, spec)
}

func push(namespace, name, spec string) string {
	return fmt.Sprintf("---\n{apiVersion: external-secrets.io/v1alpha1, kind: PushSecret, metadata: {name: %s, namespace: %s}, "+
		"spec: {refreshInterval: 10s, %s}}\n", name, namespace, spec)
}

// blockers are objects by which a tenant names what is off, what ESO has no rights for, or what there is not: every kind of
// generator, cluster-wide stores in each place that may name one, a service account beside the fence, and, where the
// namespace has no store of ours, a ConfigMap that ESO may not read.
func blockers(namespace string, kinds []string) string {
	none := "kind: ClusterSecretStore, name: none"
	all := []string{
		external(namespace, "cluster-store", "secretStoreRef: {"+none+"}, data: [{secretKey: a, remoteRef: {key: a}}]"),
		external(namespace, "cluster-store-of-an-item", "secretStoreRef: {kind: SecretStore, name: vault}, "+
			"data: [{secretKey: a, remoteRef: {key: a}, sourceRef: {storeRef: {"+none+"}}}]"),
		external(namespace, "cluster-store-of-all", "dataFrom: [{extract: {key: a}, sourceRef: {storeRef: {"+none+"}}}]"),
		fmt.Sprintf(`
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: unfenced, namespace: %[1]s}}
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: unfenced, namespace: %[1]s}
spec:
  provider:
    kubernetes:
      remoteNamespace: published
      server: {url: "https://kubernetes.default.svc", caProvider: {type: ConfigMap, name: kube-root-ca.crt, key: ca.crt}}
      auth: {serviceAccount: {name: unfenced}}
`, namespace),
		external(namespace, "unfenced", "secretStoreRef: {kind: SecretStore, name: unfenced}, data: [{secretKey: a, remoteRef: {key: a}}]"),
		push(namespace, "cluster-store", "secretStoreRefs: [{"+none+"}], selector: {secret: {name: vault-read}}, data: [{match: {secretKey: password, remoteRef: {remoteKey: a}}}]"),
		push(namespace, "labelled", "secretStoreRefs: [{kind: ClusterSecretStore, labelSelector: {matchLabels: {a: b}}}], "+
			"selector: {secret: {name: vault-read}}, data: [{match: {secretKey: password, remoteRef: {remoteKey: a}}}]"),
	}
	for _, kind := range kinds {
		name := "generator-" + strings.ToLower(kind)
		reference := "generatorRef: {apiVersion: " + generatorGroup + "/v1alpha1, kind: " + kind + ", name: none}"
		all = append(all,
			external(namespace, name, "dataFrom: [{sourceRef: {"+reference+"}}]"),
			push(namespace, name, "secretStoreRefs: [{kind: SecretStore, name: vault}], selector: {"+reference+"}, data: [{match: {remoteRef: {remoteKey: a}}}]"))
	}
	return strings.Join(all, "")
}

// With one worker for each kind, as ESO's chart has it, a tenant that names what ESO cannot have keeps no other waiting. ESO's
// worker takes objects in turn, so one that it never came back from would stop all behind it. The other way round: with the
// reads of generators taken away too, which our roles never do, the first that is named does just that.
func TestNobodyBlocksTheWorkers(t *testing.T) {
	t.Parallel()
	b := bed.Own(t, bed.Options{Platform: bed.Platform(unfenced)})
	b.ESO.Stop()
	v := variant{name: "workers", features: "pushSecrets"}
	rendered := b.Render(t, v.platform(), tenant(v), tenant(variant{name: "hostile"}))
	e := start(t, b, v, rendered)
	if !slices.Contains(e.Arguments, "--concurrent=1") {
		t.Fatalf("ESO runs with %q, want one worker of each kind", e.Arguments)
	}
	reading := b.Furnish(t, rendered)
	b.WaitReady(t, rendered)
	b.WaitReady(t, reading)
	mayPush(t, b, v)

	b.ApplyYAML(t, "{apiVersion: v1, kind: Namespace, metadata: {name: hostile-bare}}")
	kinds := generatorKinds(t, b)
	named := b.ApplyYAML(t, blockers("hostile", kinds)+blockers("hostile-bare", kinds))
	took, err := syncs(t, b, v, "behind", usual)
	if err != nil {
		t.Fatalf("a worker is blocked: %v\nESO has begun with all but %q", err, untouched(t, b, named))
	}
	t.Logf("behind %d objects that name what ESO cannot have: synced and pushed after %.1f s", len(named), took.Seconds())
	if left := untouched(t, b, named); len(left) > 0 {
		t.Errorf("ESO has not begun with %q, so that nothing is shown of them", left)
	}

	withoutGenerators(t, b, v)
	e.Restart(t, e.Arguments...)
	if _, err := syncs(t, b, v, "blocked", usual); err == nil {
		t.Error("without reads of generators, nothing is blocked, so that nothing is shown")
	}
	b.Apply(t, rendered.Of("ClusterRole"))
	took, err = syncs(t, b, v, "free", time.Minute)
	if err != nil {
		t.Fatalf("with the reads back, the worker is still blocked: %v", err)
	}
	t.Logf("with the reads back, synced after %.1f s", took.Seconds())
}

// syncs makes an ExternalSecret of another tenant, and a PushSecret of what it is synced to, and returns how long it takes
// until that is in Vault.
func syncs(t *testing.T, b *bed.Bed, v variant, name string, within time.Duration) (time.Duration, error) {
	t.Helper()
	begun := time.Now()
	b.ApplyYAML(t, bed.ExternalSecret(v.name, name, "vault", v.name+"-vault/db")+
		push(v.name, name, "secretStoreRefs: [{kind: SecretStore, name: vault}], selector: {secret: {name: "+name+"}}, "+
			"data: [{match: {secretKey: password, remoteRef: {remoteKey: "+v.name+"-vault/"+name+", property: password}}}]"))
	for {
		err := inVault(t.Context(), b, v.name+"-vault/"+name, "of "+v.name+"/vault")
		if err == nil {
			return time.Since(begun), nil
		}
		if time.Since(begun) > within {
			_, noSecret := b.Client.CoreV1().Secrets(v.name).Get(t.Context(), name, metav1.GetOptions{})
			return 0, fmt.Errorf("not within %s: %w", within, errors.Join(err, noSecret))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// untouched are the objects that ESO has not begun with: an ExternalSecret gets a finalizer first of all, a PushSecret a
// condition at the end. One that selects no store ends without a word, and is not among them.
func untouched(t *testing.T, b *bed.Bed, objects bed.Objects) []string {
	t.Helper()
	var left []string
	for _, object := range objects.Of("ExternalSecret", "PushSecret") {
		got, err := b.Get(t.Context(), object)
		if err != nil {
			t.Fatal(err)
		}
		if _, touched := got.Object["status"]; !touched && got.GetName() != "labelled" && len(got.GetFinalizers()) == 0 {
			left = append(left, object.GetKind()+" "+object.GetNamespace()+"/"+object.GetName())
		}
	}
	return left
}

// withoutGenerators takes from ESO's ClusterRole what decision 8 of DESIGN.md leaves in it.
func withoutGenerators(t *testing.T, b *bed.Bed, v variant) {
	t.Helper()
	roles := b.Client.RbacV1().ClusterRoles()
	role, err := roles.Get(t.Context(), "eso-tenant-"+v.release()+"-controller", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for i := range role.Rules {
		if slices.Contains(role.Rules[i].APIGroups, generatorGroup) {
			kept := slices.DeleteFunc(slices.Clone(role.Rules[i].Resources), func(r string) bool { return r != "generatorstates" })
			taken += len(role.Rules[i].Resources) - len(kept)
			role.Rules[i].Resources = kept
		}
	}
	role.Rules = slices.DeleteFunc(role.Rules, func(r rbacv1.PolicyRule) bool { return len(r.Resources) == 0 })
	if _, err := roles.Update(t.Context(), role, metav1.UpdateOptions{}); err != nil || taken == 0 {
		t.Fatalf("taking %d reads away: %v", taken, err)
	}
}
