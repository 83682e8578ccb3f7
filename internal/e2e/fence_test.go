package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// example reads a file of examples/.
func example(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "examples", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// ready waits until all that reads secrets does so.
func ready(t *testing.T, b *bed.Bed, rendered, reading bed.Objects) {
	t.Helper()
	b.WaitReady(t, rendered)
	b.WaitReady(t, reading)
	for _, one := range reading {
		store := strings.TrimSuffix(one.GetName(), "-read")
		b.WaitSecret(t, one.GetNamespace(), one.GetName(), "password", "of "+one.GetNamespace()+"/"+store)
	}
}

// quickstartPlatform is the README's example, unchanged but for ESO's release.
func quickstartPlatform(t *testing.T) string {
	t.Helper()
	return strings.ReplaceAll(example(t, "quickstart/platform.yaml"), "version: v2.9.0", "version: "+bed.ESOVersion)
}

// quickstart is what is rendered of it.
func quickstart(t *testing.T, b *bed.Bed) bed.Objects {
	t.Helper()
	return b.Render(t, quickstartPlatform(t), example(t, "quickstart/tenants/secure.yaml"))
}

// The README's example works where ESO has our role and no other.
func TestQuickstartSyncs(t *testing.T) {
	t.Parallel()
	b := bed.Own(t, bed.Options{Platform: quickstartPlatform(t)}) // its policies take no store but of its own providers
	rendered := quickstart(t, b)
	b.Apply(t, rendered)
	ready(t, b, rendered, b.Furnish(t, rendered))
	noClusterRole(t, b)
}

// noClusterRole fails if ESO holds a ClusterRole that is not ours: the proof would be of something else.
func noClusterRole(t *testing.T, b *bed.Bed) {
	t.Helper()
	bindings, err := b.Client.RbacV1().ClusterRoleBindings().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var roles []string
	for _, binding := range bindings.Items {
		for _, subject := range binding.Subjects {
			if subject.Name == bed.ESOServiceAccount && subject.Namespace == bed.ESONamespace {
				roles = append(roles, binding.RoleRef.Name)
			}
		}
	}
	if !slices.Equal(roles, []string{"eso-tenant-external-secrets-controller"}) {
		t.Errorf("ESO holds the ClusterRoles %q, want ours alone", roles)
	}
}

// fleet is six tenants, by all ways that the bed's Platform has: Vault that reviews tokens, Vault that checks their
// signature, and Secrets of the same cluster.
const fleet = `
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: fleet-a}
spec: {namespaces: {fleet-a: {stores: {vault: {provider: vault}}}}}
---
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: fleet-b}
spec: {namespaces: {fleet-b: {stores: {jwt: {provider: vault-jwt}}}}}
---
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: fleet-c}
spec: {namespaces: {fleet-c: {stores: {published: {provider: published}}}}}
---
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: fleet-d}
spec:
  namespaces:
    fleet-d-test: {stores: {vault: {provider: vault}, jwt: {provider: vault-jwt}}}
    fleet-d-prod: {stores: {vault: {provider: vault}, published: {provider: published}}}
---
# Two stores, one service account.
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: fleet-e}
spec:
  namespaces:
    fleet-e:
      stores:
        one: {provider: vault, serviceAccount: reader}
        two: {provider: vault, serviceAccount: reader}
---
# Built-in roles and a namespace without any store.
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: fleet-f}
spec:
  members: [{kind: Group, name: fleet-f-developers, role: view}]
  namespaces:
    fleet-f: {stores: {jwt: {provider: vault-jwt}}}
    fleet-f-empty: {}
`

func TestFleetSyncs(t *testing.T) {
	b := bed.Start(t)
	rendered := b.Render(t, bed.Platform(), fleet)
	b.Apply(t, rendered)
	reading := b.Furnish(t, rendered)
	if len(reading) != 10 {
		t.Errorf("%d stores are read from, want 10", len(reading))
	}
	ready(t, b, rendered, reading)
	if refused := forbidden(b.ESO.Log(t)); len(refused) > 0 {
		t.Errorf("ESO was refused what it needs:\n%s", strings.Join(refused, "\n"))
	}
}

// The other way round: without the Role that we render, a store gets nothing, and with it, it does. So it is this Role
// that lets ESO in, and nothing that was left over.
func TestWithoutTheRoleNothingSyncs(t *testing.T) {
	t.Parallel()
	b := bed.Own(t, bed.Options{Platform: rbacOnly}) // a policy would refuse the store before
	rendered := b.Render(t, rbacOnly, `
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: outside-roleless}
spec: {namespaces: {outside-roleless: {stores: {published: {provider: published}}}}}
`)
	b.Apply(t, rendered.Not("Role", "RoleBinding"))
	reading := b.Furnish(t, rendered)
	b.Eventually(t, func(ctx context.Context) error { return eventSays(ctx, b, "published", "is forbidden") })
	if _, err := b.Client.CoreV1().Secrets("outside-roleless").Get(t.Context(), reading[0].GetName(), metav1.GetOptions{}); err == nil {
		t.Error("there is a Secret all the same")
	}
	b.Apply(t, rendered)
	ready(t, b, rendered, reading)
}

// forbidden returns the lines of ESO's log that say that it may not do something, but for those of tests in which it
// shall not: they are about namespaces that begin with outside.
func forbidden(log string) []string {
	var lines []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, "forbidden") && !strings.Contains(line, "outside") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// rbacOnly is a Platform whose fence is RBAC alone, so that what is refused is refused by it. Cluster stores are on, as
// ESO passes over them without a word else.
var rbacOnly = bed.PlatformWith("features: [clusterSecretStores]", "admission: {engine: none}")

const outsider = `
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: outside}
spec: {namespaces: {outside: {stores: {inside: {provider: vault, serviceAccount: vault-access-sa}}}}}
`

// outsideStores are objects beside the fence. Every service account may read the Secret that the stores are about, so
// whether ESO mints its token is all that decides.
const outsideStores = `
{apiVersion: v1, kind: Namespace, metadata: {name: outside-vault}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: outside-other}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: other-sa, namespace: outside}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: other-sa, namespace: outside-other}}
---
{apiVersion: v1, kind: Secret, metadata: {name: db, namespace: outside-vault}, stringData: {password: secret}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: read, namespace: outside-vault}
rules: [{apiGroups: [""], resources: [secrets], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: read, namespace: outside-vault}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: read}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:serviceaccounts"}]
`

// account is a service account that somebody points a store at.
type account struct{ store, namespace, name string }

var outsideAccounts = []account{
	{"other", "outside", "other-sa"},
	{"default", "outside", "default"},
	{"another-namespace", "outside-other", "other-sa"},
	{"eso-itself", bed.ESONamespace, bed.ESOServiceAccount},
}

// storeAs is a store and an ExternalSecret of it. ESO refuses a SecretStore that names another namespace's service
// account by itself, so that takes a ClusterSecretStore.
func storeAs(a account, prefix string) string {
	kind, reference := "SecretStore", "name: "+a.name
	if a.namespace != "outside" {
		kind, reference = "ClusterSecretStore", "name: "+a.name+", namespace: "+a.namespace
	}
	ca := "type: ConfigMap, name: kube-root-ca.crt, key: ca.crt"
	metadata := "name: " + prefix + a.store + ", namespace: outside"
	if kind == "ClusterSecretStore" {
		ca, metadata = ca+", namespace: outside", "name: "+prefix+a.store
	}
	return fmt.Sprintf(`
apiVersion: external-secrets.io/v1
kind: %[1]s
metadata: {%[2]s}
spec:
  provider:
    kubernetes:
      remoteNamespace: outside-vault
      server: {url: "https://kubernetes.default.svc", caProvider: {%[3]s}}
      auth: {serviceAccount: {%[4]s, audiences: ["%[5]s"]}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: %[6]s, namespace: outside}
spec:
  refreshInterval: 10s
  secretStoreRef: {kind: %[1]s, name: %[6]s}
  target: {name: %[6]s}
  data: [{secretKey: password, remoteRef: {key: db, property: password}}]
`, kind, metadata, ca, reference, bed.Issuer, prefix+a.store)
}

// A store that names a service account beside the fence gets nothing, and one can see why; with the rule back that we
// take away, it gets everything.
func TestOutsideTheFence(t *testing.T) {
	b := bed.Own(t, bed.Options{Platform: rbacOnly})
	rendered := b.Render(t, rbacOnly, outsider)
	b.Apply(t, rendered)
	b.ApplyYAML(t, outsideStores)
	ready(t, b, rendered, b.Furnish(t, rendered))
	for _, a := range outsideAccounts {
		t.Run(a.store, func(t *testing.T) { refusedStore(t, b, a) })
	}
	for _, a := range outsideAccounts {
		if _, err := b.MintAs(t, bed.ESOServiceAccount, bed.ESONamespace, a.namespace, a.name, nil, 0); err == nil {
			t.Errorf("ESO's service account can mint tokens of %s/%s", a.namespace, a.name)
		}
	}

	// The other way round: ESO's chart without values of ours, which brings its own ClusterRole.
	b.ESO.Install(t, nil)
	for _, a := range outsideAccounts {
		b.ApplyYAML(t, storeAs(a, "unfenced-"))
		b.WaitSecret(t, "outside", "unfenced-"+a.store, "password", "secret")
	}
}

func refusedStore(t *testing.T, b *bed.Bed, a account) {
	t.Helper()
	objects := b.ApplyYAML(t, storeAs(a, ""))
	b.Eventually(t, func(context.Context) error {
		status, reason, message := b.Condition(t, objects[1], "Ready")
		if status != "False" || reason != "SecretSyncedError" {
			return fmt.Errorf("the ExternalSecret is Ready=%q, %s: %s", status, reason, message)
		}
		return nil
	})
	want := fmt.Sprintf(`serviceaccounts %q is forbidden: User "system:serviceaccount:external-secrets:external-secrets" `+
		`cannot create resource "serviceaccounts/token" in API group "" in the namespace %q`, a.name, a.namespace)
	b.Eventually(t, func(ctx context.Context) error { return eventSays(ctx, b, a.store, want) })
	if status, reason, _ := b.Condition(t, objects[0], "Ready"); status != "False" || reason != "InvalidProviderConfig" {
		t.Errorf("the store is Ready=%q, %s", status, reason)
	}
	requests := b.AuditEvents(t, bed.TokenRequests(a.namespace, a.name))
	if len(requests) == 0 {
		t.Error("the audit log has no request for the token")
	}
	for _, request := range requests {
		if request.ResponseStatus.Code != 403 || request.Annotations["authorization.k8s.io/decision"] != "forbid" {
			t.Errorf("a request for the token was answered %d, %s", request.ResponseStatus.Code,
				request.Annotations["authorization.k8s.io/decision"])
		}
	}
	if _, err := b.Client.CoreV1().Secrets("outside").Get(t.Context(), a.store, metav1.GetOptions{}); err == nil {
		t.Error("there is a Secret")
	}
}

// eventSays says with nil that a warning about an object of a name has a text in its message. Events about what is in no
// namespace are in one all the same, so all are looked through.
func eventSays(ctx context.Context, b *bed.Bed, name, text string) error {
	events, err := b.Client.CoreV1().Events("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var others []string
	for _, event := range events.Items {
		if event.InvolvedObject.Name != name || event.Type != corev1.EventTypeWarning {
			continue
		}
		if strings.Contains(strings.ReplaceAll(event.Message, `\"`, `"`), text) {
			return nil
		}
		others = append(others, event.Message)
	}
	return fmt.Errorf("no event about %s says %q, but %q", name, text, others)
}
