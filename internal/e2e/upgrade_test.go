package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// handMade are stores as people write them, in namespaces that none of ours has made. crm/jwt states its audience by a field
// that is deprecated. What `forgotten` does has no place in a fence: it uses the service account that all pods use.
const handMade = `
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: crm}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: forgotten}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: vault-auth, namespace: shop}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: reader, namespace: crm}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: reader-jwt, namespace: crm}}
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: vault, namespace: shop}
spec: {provider: {vault: {server: "https://vault.example.com:8200", path: kv, version: v2, ` + handMadeCA + `
  auth: {kubernetes: {mountPath: kubernetes, role: shop, serviceAccountRef: {name: vault-auth, audiences: [vault]}}}}}}
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: vault, namespace: crm}
spec: {provider: {vault: {server: "https://vault.example.com:8200", path: kv, version: v2, ` + handMadeCA + `
  auth: {kubernetes: {mountPath: kubernetes, role: crm, serviceAccountRef: {name: reader, audiences: [vault]}}}}}}
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: jwt, namespace: crm}
spec: {provider: {vault: {server: "https://vault.example.com:8200", path: kv, version: v2, ` + handMadeCA + `
  auth: {jwt: {path: jwt, role: crm-jwt, kubernetesServiceAccountToken: {serviceAccountRef: {name: reader-jwt}, audiences: [vault]}}}}}}
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: vault, namespace: forgotten}
spec: {provider: {vault: {server: "https://vault.example.com:8200", path: kv, version: v2, ` + handMadeCA + `
  auth: {kubernetes: {mountPath: kubernetes, role: forgotten, serviceAccountRef: {name: default, audiences: [vault]}}}}}}
`

const handMadeCA = `caProvider: {type: ConfigMap, name: kube-root-ca.crt, key: ca.crt},`

// handMadeRoles are the stores' roles in Vault.
var handMadeRoles = []struct{ role, namespace, serviceAccount, store string }{
	{"shop", "shop", "vault-auth", "vault"},
	{"crm", "crm", "reader", "vault"},
	{"crm-jwt", "crm", "reader-jwt", "jwt"},
	{"forgotten", "forgotten", "default", "vault"},
}

// A PushSecret that is to delete what it pushed holds a namespace that is deleted outright where nothing is fenced, too. It is
// no part of the fence, and here so that the same in TestTenantEnds is not blamed on it.
func pushSecretHolds(t *testing.T, b *bed.Bed) {
	t.Helper()
	b.ApplyYAML(t, unfencedPusher)
	b.Vault.Configure(t, "unfenced", "unfenced", "vault-auth", "unfenced")
	if err := b.Vault.TryWrite(t.Context(), "sys/policies/acl/unfenced", map[string]any{
		"policy": `path "kv/*" { capabilities = ["create", "read", "update", "delete"] }`,
	}); err != nil {
		t.Fatal(err)
	}
	push := b.ApplyYAML(t, deleting("unfenced"))
	b.WaitReady(t, push)
	if err := b.Client.CoreV1().Namespaces().Delete(t.Context(), "unfenced", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	held(t, b, push[0])
}

const unfencedPusher = `
{apiVersion: v1, kind: Namespace, metadata: {name: unfenced}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: vault-auth, namespace: unfenced}}
---
{apiVersion: v1, kind: Secret, metadata: {name: kept, namespace: unfenced}, stringData: {password: pushed}}
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: vault, namespace: unfenced}
spec: {provider: {vault: {server: "https://vault.example.com:8200", path: kv, version: v2, ` + handMadeCA + `
  auth: {kubernetes: {mountPath: kubernetes, role: unfenced, serviceAccountRef: {name: vault-auth, audiences: [vault]}}}}}}
`

// A cluster that is in use moves behind the fence, by the steps of docs/brownfield.md, and nobody notices but the store that
// the plan says will stop: no other is unready for longer than ESO takes to look at it again.
func TestUpgradeOfAClusterInUse(t *testing.T) {
	t.Parallel()
	b := bed.Own(t, bed.Options{Stock: true})
	pushSecretHolds(t, b)
	stores := b.ApplyYAML(t, handMade).Of("SecretStore")
	var reading bed.Objects
	for _, r := range handMadeRoles {
		b.Vault.Configure(t, r.role, r.namespace, r.serviceAccount, r.role)
		b.Vault.Secret(t, r.role+"/db", map[string]string{"password": "first"})
		reading = append(reading, b.ApplyYAML(t, bed.ExternalSecret(r.namespace, r.store+"-read", r.store, r.role+"/db"))...)
	}
	everybody := slices.Concat(stores, reading)
	b.WaitReady(t, everybody)
	watch := watchReadiness(b, everybody)
	defer watch.stop()

	folder := adoptedFrom(t, b)
	b.Apply(t, specified(t, b, folder))
	lookedAtAgain(t, b)
	secretsFollow(t, b, "observed")

	platform := filepath.Join(folder, "platform.yaml")
	content, err := os.ReadFile(platform)
	if err != nil {
		t.Fatal(err)
	}
	enforced := strings.Replace(string(content), "enforcement: observe", "enforcement: enforce", 1)
	if err := os.WriteFile(platform, []byte(enforced), 0o600); err != nil {
		t.Fatal(err)
	}
	rendered := specified(t, b, folder)
	b.Apply(t, rendered)
	values, err := bed.Values(rendered)
	if err != nil {
		t.Fatal(err)
	}
	b.ESO.Upgrade(t, values, postRenderers(t, rendered))
	b.Eventually(t, func(context.Context) error { return watch.unready("SecretStore forgotten/vault") })
	lookedAtAgain(t, b)
	secretsFollow(t, b, "enforced")
	if _, err := b.MintAs(t, bed.ESOServiceAccount, bed.ESONamespace, "forgotten", "default", []string{"vault"}, 600); err == nil {
		t.Error("enforced, ESO may still mint for any service account")
	}

	for name, longest := range watch.stop() {
		t.Logf("%s was unready for %.1f s", name, longest.Seconds())
		if longest > bed.RequeueInterval && !strings.Contains(name, " forgotten/") {
			t.Errorf("%s was unready for %s, longer than ESO takes to look at it again", name, longest)
		}
	}
	b.WaitSecret(t, "forgotten", "vault-read", "password", "observed")
}

// adoptedFrom dumps the cluster as docs/adopt.md says, and returns the folder of what `adopt` makes of it.
func adoptedFrom(t *testing.T, b *bed.Bed) string {
	t.Helper()
	dump := t.TempDir()
	kinds := "namespaces,serviceaccounts,deployments,statefulsets,daemonsets,cronjobs,pods"
	for kind := range strings.Lines(b.RunKubectl(t, "api-resources", "-o", "name", "--verbs=list")) {
		if strings.Contains(kind, "external-secrets.io") {
			kinds += "," + strings.TrimSpace(kind)
		}
	}
	files := []string{}
	for name, kinds := range map[string]string{"objects": kinds, "rbac": "roles,rolebindings,clusterroles,clusterrolebindings"} {
		file := filepath.Join(dump, name+".json")
		if err := os.WriteFile(file, []byte(b.RunKubectl(t, "get", kinds, "-A", "-o", "json")), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	folder := filepath.Join(dump, "fences")
	out, err := b.TryRun(t.Context(), "", append([]string{"adopt", "--cluster", "e2e", "-o", folder}, files...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(out)
	return folder
}

// specified is what a folder of specifications renders to.
func specified(t *testing.T, b *bed.Bed, folder string) bed.Objects {
	t.Helper()
	stream, err := b.TryRun(t.Context(), "", "render", folder)
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := bed.Parse(stream)
	if err != nil {
		t.Fatal(err)
	}
	if len(rendered.Of("SecretStore")) != 3 {
		t.Fatalf("%d stores were adopted, want all but the forgotten one", len(rendered.Of("SecretStore")))
	}
	return rendered
}

func postRenderers(t *testing.T, rendered bed.Objects) string {
	t.Helper()
	for _, object := range rendered.Of("ConfigMap") {
		if text, found, _ := unstructured.NestedString(object.Object, "data", "post-renderers.yaml"); found {
			return text
		}
	}
	t.Fatal("no post-renderers are rendered, and this chart has no value that withholds the right to mint")
	return ""
}

// lookedAtAgain waits until ESO has looked at every store again for certain.
func lookedAtAgain(t *testing.T, b *bed.Bed) {
	t.Helper()
	select {
	case <-b.Context().Done():
		t.Fatal(context.Cause(b.Context()))
	case <-time.After(bed.RequeueInterval + 2*time.Second):
	}
}

// secretsFollow changes what is in Vault and waits until it is in the cluster, but for `forgotten` once that is cut off.
func secretsFollow(t *testing.T, b *bed.Bed, value string) {
	t.Helper()
	for _, r := range handMadeRoles {
		b.Vault.Secret(t, r.role+"/db", map[string]string{"password": value})
	}
	for _, r := range handMadeRoles {
		if r.namespace != "forgotten" || value != "enforced" {
			b.WaitSecret(t, r.namespace, r.store+"-read", "password", value)
		}
	}
}

// readiness notes how long objects are not Ready, all the time.
type readiness struct {
	cancel  context.CancelFunc
	ended   chan struct{}
	mutex   sync.Mutex
	since   map[string]time.Time
	longest map[string]time.Duration
}

// watchReadiness looks at objects five times a second until it is stopped. An object that cannot be read is not Ready.
func watchReadiness(b *bed.Bed, objects bed.Objects) *readiness {
	ctx, cancel := context.WithCancel(context.Background())
	r := &readiness{
		cancel: cancel, ended: make(chan struct{}),
		since: map[string]time.Time{}, longest: map[string]time.Duration{},
	}
	go func() {
		defer close(r.ended)
		for ctx.Err() == nil {
			for _, object := range objects {
				r.note(nameOf(object), isReady(ctx, b, object))
			}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	return r
}

func nameOf(object *unstructured.Unstructured) string {
	return object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
}

func isReady(ctx context.Context, b *bed.Bed, object *unstructured.Unstructured) bool {
	got, err := b.Get(ctx, object)
	if err != nil {
		return ctx.Err() != nil
	}
	conditions, _, _ := unstructured.NestedSlice(got.Object, "status", "conditions")
	for _, condition := range conditions {
		if c, ok := condition.(map[string]any); ok && c["type"] == "Ready" {
			return c["status"] == "True"
		}
	}
	return false
}

func (r *readiness) note(name string, ready bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	since, was := r.since[name]
	if ready {
		delete(r.since, name)
		return
	}
	if !was {
		since = time.Now()
		r.since[name] = since
	}
	r.longest[name] = max(r.longest[name], time.Since(since))
}

// unready says with nil that an object is not Ready now.
func (r *readiness) unready(name string) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if _, is := r.since[name]; !is {
		return fmt.Errorf("%s is still Ready", name)
	}
	return nil
}

// stop returns the longest that each object was not Ready, of those that ever were not.
func (r *readiness) stop() map[string]time.Duration {
	r.cancel()
	<-r.ended
	return r.longest
}
