package features

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// tenant is one tenant of a variant, by its name, with a store of each kind.
func tenant(v variant) string {
	return `
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: ` + v.name + `}
spec: {namespaces: {` + v.name + `: {stores: {vault: {provider: vault}, published: {provider: published}}}}}
`
}

// feature is something of ESO's that is on or off.
type feature struct {
	name    string
	objects func(v variant) string
	// happened says with nil that ESO did what the objects ask for.
	happened func(ctx context.Context, b *bed.Bed, v variant) error
}

var features = []feature{
	{"clusterSecretStores", readsShared, func(ctx context.Context, b *bed.Bed, v variant) error {
		return secretIs(ctx, b, v.name, "by-shared", "password", "shared")
	}},
	{"clusterExternalSecrets", everywhere, func(ctx context.Context, b *bed.Bed, v variant) error {
		return secretIs(ctx, b, v.name, "everywhere", "password", "of "+v.name+"/vault")
	}},
	{"pushSecrets", pushes, func(ctx context.Context, b *bed.Bed, v variant) error {
		return inVault(ctx, b, v.name+"-vault/pushed", "of "+v.name+"/vault")
	}},
	{"clusterPushSecrets", pushesEverywhere, func(ctx context.Context, b *bed.Bed, v variant) error {
		return inVault(ctx, b, v.name+"-vault/pushed-everywhere", "of "+v.name+"/vault")
	}},
}

func readsShared(v variant) string {
	one := `
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: by-shared, namespace: %s}
spec:
  refreshInterval: 10s
  secretStoreRef: {kind: ClusterSecretStore, name: shared-` + v.name + `}
  target: {name: by-shared}
  data: [{secretKey: password, remoteRef: {key: shared-` + v.name + `/db, property: password}}]
`
	other := v.name + "-other"
	return "{apiVersion: v1, kind: Namespace, metadata: {name: " + other + "}}" + fmt.Sprintf(one, v.name) + fmt.Sprintf(one, other)
}

func everywhere(v variant) string {
	return `
apiVersion: external-secrets.io/v1
kind: ClusterExternalSecret
metadata: {name: everywhere-` + v.name + `}
spec:
  externalSecretName: everywhere
  refreshTime: 10s
  namespaceSelectors: [{matchLabels: {eso-tenant.dev/tenant: ` + v.name + `}}]
  externalSecretSpec:
    refreshInterval: 10s
    secretStoreRef: {kind: SecretStore, name: vault}
    target: {name: everywhere}
    data: [{secretKey: password, remoteRef: {key: ` + v.name + `-vault/db, property: password}}]
`
}

// pushing is the spec of a PushSecret of the Secret that the store `vault` was read into.
func pushing(v variant, key string) string {
	return `{refreshInterval: 10s, secretStoreRefs: [{kind: SecretStore, name: vault}], selector: {secret: {name: vault-read}},
  data: [{match: {secretKey: password, remoteRef: {remoteKey: ` + v.name + `-vault/` + key + `, property: password}}}]}`
}

func pushes(v variant) string {
	return `
apiVersion: external-secrets.io/v1alpha1
kind: PushSecret
metadata: {name: pushed, namespace: ` + v.name + `}
spec: ` + pushing(v, "pushed") + "\n"
}

func pushesEverywhere(v variant) string {
	return `
apiVersion: external-secrets.io/v1alpha1
kind: ClusterPushSecret
metadata: {name: pushed-` + v.name + `}
spec:
  pushSecretName: pushed-everywhere
  refreshTime: 10s
  namespaceSelectors: [{matchLabels: {eso-tenant.dev/tenant: ` + v.name + `}}]
  pushSecretSpec: ` + strings.ReplaceAll(pushing(v, "pushed-everywhere"), "\n", "\n  ") + "\n"
}

// generated are ExternalSecrets of all generators that the bed's ESO has, and of a cluster-wide one.
func generated(v variant) string {
	var all strings.Builder
	for kind, spec := range map[string]string{
		"Fake": "{data: {value: generated}}", "Password": "{length: 20, digits: 5, symbols: 0, allowRepeat: true, noUpper: false}", "UUID": "{}",
		"ClusterGenerator": "{kind: Fake, generator: {fakeSpec: {data: {value: generated}}}}",
	} {
		name := "generated-" + strings.ToLower(kind)
		metadata := "name: " + name + ", namespace: " + v.name
		if kind == "ClusterGenerator" {
			name += "-" + v.name
			metadata = "name: " + name
		}
		fmt.Fprintf(&all, `
---
{apiVersion: generators.external-secrets.io/v1alpha1, kind: %[1]s, metadata: {%[2]s}, spec: %[3]s}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: %[4]s, namespace: %[5]s}
spec:
  refreshInterval: 10s
  target: {name: %[4]s}
  dataFrom: [{sourceRef: {generatorRef: {apiVersion: generators.external-secrets.io/v1alpha1, kind: %[1]s, name: %[4]s}}}]
`, kind, metadata, spec, name, v.name)
	}
	return all.String()
}

// Every variant works for what is on, and for nothing that is off, by roles that are trimmed as it says and no further.
func TestEveryVariantWorks(t *testing.T) {
	t.Parallel()
	b := bed.Own(t, bed.Options{Platform: bed.Platform(unfenced)})
	b.ESO.Stop()
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			shared := ""
			if v.on("clusterSecretStores") {
				shared = "sharedStores: {shared-" + v.name + ": {provider: vault, tenants: [" + v.name + "]}}"
			}
			rendered := b.Render(t, v.platform(shared), tenant(v))
			e := start(t, b, v, rendered)
			defer e.Stop()
			rights(t, b, v)
			furnishShared(t, b, v, rendered)
			reading := b.Furnish(t, rendered)
			b.WaitReady(t, rendered)
			b.WaitReady(t, reading)
			mayPush(t, b, v)
			for _, f := range features {
				b.ApplyYAML(t, f.objects(v))
			}
			b.WaitReady(t, b.ApplyYAML(t, generated(v)))
			happens(t, b, v)
			refusedElsewhere(t, b, v)
			if lines := refusals(e.Log(t), v); lines != "" {
				t.Errorf("ESO was refused what it needs:\n%s", lines)
			}
		})
	}
}

// rights is the other way round of each trim: what is not trimmed is there.
func rights(t *testing.T, b *bed.Bed, v variant) {
	t.Helper()
	for _, right := range []struct {
		verb, resource, namespace string
		want                      bool
	}{
		{"create", "serviceaccounts/token", "default", !v.trimmed("tokens")},
		{"create", "secrets", "default", !v.trimmed("secretWrites")},
		{"delete", "secrets", "default", !v.trimmed("secretWrites")},
		{"get", "configmaps", "default", !v.trimmed("configMaps")},
		{"create", "secrets", v.name, true},
		{"get", "configmaps", v.name, true},
		{"list", "secrets", "", true},
	} {
		if got := may(t, b, v, right.verb, right.resource, right.namespace); got != right.want {
			t.Errorf("may %s %s in %q: %t, want %t", right.verb, right.resource, right.namespace, got, right.want)
		}
	}
}

// furnishShared gives the shared store of a variant its role and its secret in Vault.
func furnishShared(t *testing.T, b *bed.Bed, v variant, rendered bed.Objects) {
	t.Helper()
	for _, store := range rendered.Of("ClusterSecretStore") {
		auth, _, err := unstructured.NestedMap(store.Object, "spec", "provider", "vault", "auth", "kubernetes")
		if err != nil {
			t.Fatal(err)
		}
		role, _ := auth["role"].(string)
		account, _, err := unstructured.NestedString(auth, "serviceAccountRef", "name")
		if err != nil || role == "" || account == "" {
			t.Fatalf("the shared store names no role or no service account: %v, %v", auth, err)
		}
		b.Vault.Configure(t, role, v.release(), account, store.GetName())
		b.Vault.Secret(t, store.GetName()+"/db", map[string]string{"password": "shared"})
	}
}

// mayPush lets the tenant's role write in Vault too.
func mayPush(t *testing.T, b *bed.Bed, v variant) {
	t.Helper()
	path := v.name + "-vault"
	if err := b.Vault.TryWrite(t.Context(), "sys/policies/acl/"+path, map[string]any{
		"policy": `path "kv/+/` + path + `/*" { capabilities = ["create", "read", "update"] }`,
	}); err != nil {
		t.Fatal(err)
	}
}

// settled is how long what is off is given to happen all the same. What is on was there a second or two after it was asked
// for, measured with ten other programs at work.
const settled = 4 * time.Second

// happens waits for what is on, and then says what has happened though it is off.
func happens(t *testing.T, b *bed.Bed, v variant) {
	t.Helper()
	on := func(name string) bool { // a ClusterPushSecret makes PushSecrets
		return v.on(name) || name == "pushSecrets" && v.on("clusterPushSecrets")
	}
	for _, f := range features {
		if on(f.name) {
			b.Eventually(t, func(ctx context.Context) error { return f.happened(ctx, b, v) })
		}
	}
	time.Sleep(settled)
	for _, f := range features {
		if !on(f.name) && f.happened(t.Context(), b, v) == nil {
			t.Errorf("%s is off and works all the same", f.name)
		}
	}
}

// refusedElsewhere: a namespace that the shared store's conditions do not name gets nothing by it.
func refusedElsewhere(t *testing.T, b *bed.Bed, v variant) {
	t.Helper()
	if !v.on("clusterSecretStores") {
		return
	}
	b.Eventually(t, func(ctx context.Context) error {
		events, err := b.Client.CoreV1().Events(v.name+"-other").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		var said []string
		for _, event := range events.Items {
			if event.Type == corev1.EventTypeWarning && strings.Contains(event.Message, "not allowed") {
				return nil
			}
			said = append(said, event.Message)
		}
		return fmt.Errorf("no event says that the store is not for this namespace: %q", said)
	})
	_, err := b.Client.CoreV1().Secrets(v.name+"-other").Get(t.Context(), "by-shared", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the shared store is for all namespaces: %v", err)
	}
}

// refusals are the lines of ESO's log that say that it may not do something in the variant's namespace or in the whole
// cluster. It sees other variants' namespaces too, where it may nothing.
func refusals(log string, v variant) string {
	var lines strings.Builder
	for line := range strings.Lines(log) {
		plain := strings.ReplaceAll(line, `\`, "")
		if strings.Contains(plain, "is forbidden") &&
			(strings.Contains(plain, "cluster scope") || strings.Contains(plain, `namespace "`+v.name+`"`)) {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

func secretIs(ctx context.Context, b *bed.Bed, namespace, name, key, want string) error {
	secret, err := b.Client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if got := string(secret.Data[key]); got != want {
		return fmt.Errorf("%s of Secret %s/%s is %q, want %q", key, namespace, name, got, want)
	}
	return nil
}

func inVault(ctx context.Context, b *bed.Bed, path, want string) error {
	data, err := b.Vault.TryRead(ctx, "", "kv/data/"+path)
	if err != nil {
		return err
	}
	content, ok := data["data"].(map[string]any)
	if !ok || content["password"] != want {
		return errors.New("kv/" + path + " holds something else")
	}
	return nil
}
