package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// All ways by which Flux delivers tenants, on one bed: each has a namespace for Flux's objects, and tenants of its own.
func TestDelivery(t *testing.T) {
	t.Parallel()
	b := bed.Own(t, bed.Options{})
	b.StartFlux(t)
	for name, test := range map[string]func(*testing.T, *bed.Bed){
		"push":   pushedToARegistry,
		"git":    committedToGit,
		"remove": removedByPlan,
		"move":   movedByPlan,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, b)
		})
	}
}

// fourTenants have all ways to a secret between them, members, limits, and a Namespace that Flux may delete.
func (w *workspace) fourTenants(t *testing.T, prefix string) {
	t.Helper()
	w.tenant(t, prefix+"-a", "{namespaces: {"+prefix+"-a: {stores: {vault: {provider: vault}}}}}")
	w.tenant(t, prefix+"-b", "{namespaces: {"+prefix+"-b: {stores: {published: {provider: published}}}}}")
	w.tenant(t, prefix+"-c", "{members: [{kind: Group, name: "+prefix+"-developers, role: view}], namespaces: {"+
		prefix+"-c: {stores: {jwt: {provider: vault-jwt}}}}}")
	w.tenant(t, prefix+"-d", "{namespaces: {"+prefix+"-d: {prune: true, stores: {published: {provider: published}}}}}")
}

// push pushes as a pipeline does, and returns the digests by the artifacts' names below the cluster's.
func (w *workspace) push(t *testing.T) map[string]string {
	t.Helper()
	digests := map[string]string{}
	for line := range strings.Lines(w.shell(t, "eso-tenant push "+w.repository()+" platforms tenants")) {
		name, digest, found := strings.Cut(strings.TrimSpace(line), "@")
		_, part, below := strings.Cut(name, "/e2e/")
		if !found || !below {
			t.Fatalf("push says %q", line)
		}
		digests[part] = digest
	}
	return digests
}

func (w *workspace) repository() string { return "oci://" + w.Registry.Host + "/" + w.namespace }

// pushed makes a workspace whose tenants go to the bed's registry, and has Flux apply them as docs/push.md says: the
// root by hand, once.
func pushed(t *testing.T, b *bed.Bed, name string, write func(*workspace)) *workspace {
	t.Helper()
	w := newWorkspace(t, b, name, "oci: {url: \"oci://"+b.Registry.Host+"/flux-"+name+"\", insecure: true, interval: 1h}")
	w.installApplier(t)
	write(w)
	w.commit(t, "first")
	w.furnish(t)
	w.push(t)
	w.shell(t, "eso-tenant render platforms tenants -o rendered && kubectl apply -f rendered/e2e/flux/root.yaml && rm -r rendered")
	return w
}

// look has all OCIRepositories look at the registry now.
func (w *workspace) look(t *testing.T) {
	t.Helper()
	w.Reconcile(t, slices.Collect(maps.Values(w.fluxObjects(t, "OCIRepository"))))
}

func pushedToARegistry(t *testing.T, b *bed.Bed) {
	t.Helper()
	w := pushed(t, b, "push", func(w *workspace) { w.fourTenants(t, "push") })
	w.waitKustomizations(t, "push-a", "push-b", "push-c", "push-d")
	w.synced(t)

	oneTenantChanges(t, w)
	w.brokenIsNotPushed(t)
	w.wrongArtifacts(t)

	// A tenant that goes: what Flux applied goes with it, but for the Namespace and what else is in it.
	before := w.rendered(t)
	data := w.data(t, "push-b")
	w.data(t, "push-d")
	w.remove(t, "push-b")
	w.remove(t, "push-d")
	w.writePlatform(t, "retired: [push-b, push-d]")
	w.commit(t, "without b and d")
	w.push(t)
	w.look(t)
	w.gone(t, w.kustomization("eso-tenant-push-b"), w.kustomization("eso-tenant-push-d"))
	w.gone(t, before.InNamespace("push-b").Not("Namespace")...)
	w.there(t, data, object("v1", "Namespace", "", "push-b"))
	// The other way round: a Namespace that Flux may delete goes.
	w.gone(t, object("v1", "Namespace", "", "push-d"))
	w.there(t, before.InNamespace("push-a")...)
}

// oneTenantChanges shows that a change of one tenant is one new artifact, and that one Kustomization reconciles.
func oneTenantChanges(t *testing.T, w *workspace) {
	t.Helper()
	w.look(t)
	before, applied, counted := w.push(t), w.revisions(t), w.reconciliations(t)
	w.tenant(t, "push-a", "{members: [{kind: Group, name: push-operators, role: view}], namespaces: {push-a: {stores: {vault: {provider: vault}}}}}")
	w.commit(t, "one more member") // a store would bring a Role, and may be asked for before the API server knows that Role
	w.furnish(t)
	after := w.push(t)
	if got := changed(before, after); !slices.Equal(got, []string{"tenants/push-a"}) {
		t.Errorf("a change of one tenant changed the artifacts %q", got)
	}
	w.look(t)
	w.settled(t, "eso-tenant-push-a", after["tenants/push-a"])
	if got := changed(applied, w.revisions(t)); !slices.Equal(got, []string{"eso-tenant-push-a"}) {
		t.Errorf("there are new revisions of %q", got)
	}
	w.synced(t)
	w.Eventually(t, func(context.Context) error {
		if now := w.reconciliations(t); now["eso-tenant-platform"] == counted["eso-tenant-platform"] {
			return errors.New("the platform has not reconciled with it")
		}
		return nil
	})
	now := w.reconciliations(t)
	// kustomize-controller reconciles what a Kustomization depends on with it: its own sort of both gives both.
	if got := changed(counted, now); !slices.Equal(got, []string{"eso-tenant-platform", "eso-tenant-push-a"}) {
		t.Errorf("%q reconciled", got)
	}
	for _, name := range []string{"eso-tenant-platform", "eso-tenant-push-a"} {
		if n := now[name] - counted[name]; n != 1 {
			t.Errorf("%s reconciled %d times", name, n)
		}
	}
}

// changed names what is not the same in two maps.
func changed[V comparable](before, after map[string]V) []string {
	var names []string
	for name := range maps.Keys(after) {
		if old, there := before[name]; !there || old != after[name] {
			names = append(names, name)
		}
	}
	for name := range before {
		if _, there := after[name]; !there {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// brokenIsNotPushed shows that one wrong specification keeps the change of another from the registry.
func (w *workspace) brokenIsNotPushed(t *testing.T) {
	t.Helper()
	digests := w.push(t)
	w.tenant(t, "push-c", "{namespaces: {push-c: {stores: {jwt: {provider: vault-jwt}, vault: {provider: vault}}}}}")
	w.tenant(t, "push-e", "{namespaces: {kube-system: {stores: {vault: {provider: vault}}}}}")
	w.commit(t, "broken")
	_, err := w.Shell(t.Context(), w.folder, "eso-tenant push "+w.repository()+" platforms tenants")
	if code, says := exitCode(err), fmt.Sprint(err); code != 1 || !strings.Contains(says, "tenants/push-e.yaml:4:") {
		t.Errorf("exit code %d, %s", code, says)
	}
	for part, digest := range digests {
		got, err := w.Registry.Digest(t.Context(), w.namespace+"/e2e/"+part, "latest")
		if err != nil || got != digest {
			t.Errorf("%s is %s (%v), was %s", part, got, err, digest)
		}
	}
	if got, err := w.Registry.Digest(t.Context(), w.namespace+"/e2e/tenants/push-e", "latest"); err == nil {
		t.Errorf("the broken tenant was pushed: %s", got)
	}
	// The other way round: without the broken one, the other's change comes through.
	w.remove(t, "push-e")
	w.commit(t, "mended")
	w.furnish(t)
	if got := changed(digests, w.push(t)); !slices.Equal(got, []string{"tenants/push-c"}) {
		t.Errorf("%q changed", got)
	}
	w.look(t)
	w.synced(t)
}

// wrongArtifacts shows that a tag or a digest that there is not, and content that is not what the digest says, are
// noticed, and that nothing is applied of it.
func (w *workspace) wrongArtifacts(t *testing.T) {
	t.Helper()
	tampering := httptest.NewServer(tamper(t, w.Registry.Host))
	defer tampering.Close()
	generated := w.fluxObjects(t, "OCIRepository")["eso-tenant-push-c"]
	name := w.namespace + "/e2e/tenants/push-c"
	// another is the OCIRepository that was generated, of another host and reference.
	another := func(n, host, refKey, ref string) *unstructured.Unstructured {
		one := object(generated.GetAPIVersion(), generated.GetKind(), w.namespace, n)
		spec, _, err := unstructured.NestedMap(generated.Object, "spec")
		if err != nil {
			t.Fatal(err)
		}
		spec["url"], spec["ref"] = "oci://"+host+"/"+name, map[string]any{refKey: ref}
		one.Object["spec"] = spec
		return one
	}
	tampered := another("tampered", tampering.Listener.Addr().String(), "tag", "latest")
	for _, wrong := range []struct {
		source *unstructured.Unstructured
		says   string
	}{
		{another("no-tag", w.Registry.Host, "tag", "v0"), "MANIFEST_UNKNOWN"},
		{another("no-digest", w.Registry.Host, "digest", "sha256:"+strings.Repeat("0", 64)), "MANIFEST_UNKNOWN"},
		{tampered, "error verifying sha256 checksum"},
	} {
		w.Apply(t, bed.Objects{wrong.source})
		w.WaitSays(t, wrong.source, "Ready", "False", wrong.says)
		w.Delete(t, bed.Objects{wrong.source})
	}
	// The other way round: by the digest that there is, it comes; and with a layer that is extracted, which is the default,
	// source-controller takes another layer for the one that was pushed.
	digest, err := w.Registry.Digest(t.Context(), name, "latest")
	if err != nil {
		t.Fatal(err)
	}
	right := another("right-digest", w.Registry.Host, "digest", digest)
	unstructured.RemoveNestedField(tampered.Object, "spec", "layerSelector")
	taken := bed.Objects{right, tampered}
	w.Apply(t, taken)
	w.WaitReady(t, taken)
	w.Delete(t, taken)
}

// tamper is a registry that gives another layer for the one that is asked for, of the same length.
func tamper(t *testing.T, host string) http.Handler {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	proxy.ModifyResponse = func(r *http.Response) error {
		if r.Request.Method != http.MethodGet || !strings.Contains(r.Request.URL.Path, "/blobs/") {
			return nil
		}
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		const gzip = 0x1f // the first byte of a layer; the other blob is the configuration
		if content[0] == gzip {
			other, err := bed.Archive(map[string]string{"other.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: tampered, namespace: default}}\n"})
			if err != nil {
				return err
			}
			n := copy(content, other)
			clear(content[n:])
		}
		r.Body = io.NopCloser(bytes.NewReader(content))
		return nil
	}
	return proxy
}

// exitCode is that of a command that failed, 0 for none, -1 if it did not run.
func exitCode(err error) int {
	_, after, found := strings.Cut(fmt.Sprint(err), "exit status ")
	if err == nil {
		return 0
	}
	code, e := strconv.Atoi(strings.TrimSpace(strings.SplitN(after, "\n", 2)[0]))
	if !found || e != nil {
		return -1
	}
	return code
}

// committedToGit is the other way: what is rendered is committed, and one source has the folders of all.
func committedToGit(t *testing.T, b *bed.Bed) {
	t.Helper()
	w := newWorkspace(t, b, "git", "sourceRef: {kind: GitRepository, name: eso-tenant}")
	w.fourTenants(t, "git")
	w.commit(t, "first")
	w.furnish(t)
	commit := w.deliver(t)
	root := w.ApplyYAML(t, fmt.Sprintf(`
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: eso-tenant, namespace: %[1]s}
spec: {interval: 1h, url: %[2]s/%[1]s.git, ref: {branch: main}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: eso-tenant, namespace: %[1]s}
spec: {interval: 1h, prune: true, path: ./e2e/flux, sourceRef: {kind: GitRepository, name: eso-tenant}}
`, w.namespace, b.Git.URL))
	w.theApplierNeedsItsVerbs(t)
	w.waitKustomizations(t, "git-a", "git-b", "git-c", "git-d")
	w.synced(t)

	// With one source, all Kustomizations look at a new commit; but what is the same is not written again.
	before, counted := resourceVersions(t, b, w.tenants(t)), w.reconciliations(t)
	w.tenant(t, "git-a", "{members: [{kind: Group, name: git-operators, role: view}], namespaces: {git-a: {stores: {vault: {provider: vault}}}}}")
	w.commit(t, "one more member")
	w.furnish(t)
	changedCommit := w.deliver(t)
	w.Reconcile(t, root.Of("GitRepository"))
	for _, tenant := range []string{"platform", "git-a", "git-b", "git-c", "git-d"} {
		w.settled(t, "eso-tenant-"+tenant, changedCommit)
	}
	if commit == changedCommit {
		t.Error("a commit changed nothing")
	}
	if now := w.reconciliations(t); len(changed(counted, now)) < 5 {
		t.Errorf("only %q reconciled: docs/push.md says that all do", changed(counted, now))
	}
	for _, name := range changed(before, resourceVersions(t, b, w.tenants(t))) {
		if !strings.Contains(name, "git-a") {
			t.Errorf("%s was written", name)
		}
	}
	w.synced(t)

	rendered, data := w.rendered(t), w.data(t, "git-b")
	w.remove(t, "git-b")
	w.remove(t, "git-d")
	w.commit(t, "without b and d")
	w.deliver(t)
	w.Reconcile(t, root.Of("GitRepository"))
	w.gone(t, w.kustomization("eso-tenant-git-b"))
	w.gone(t, rendered.InNamespace("git-b").Not("Namespace")...)
	w.there(t, data, object("v1", "Namespace", "", "git-b"))
	w.gone(t, object("v1", "Namespace", "", "git-d"))
	w.there(t, rendered.InNamespace("git-a")...)
}

// deliver renders into the repository that Flux looks at, and returns the commit.
func (w *workspace) deliver(t *testing.T) string {
	t.Helper()
	w.shell(t, "eso-tenant render platforms tenants -o rendered")
	commit := w.Git.Commit(t, w.namespace, filepath.Join(w.folder, "rendered"), "rendered")
	if err := os.RemoveAll(filepath.Join(w.folder, "rendered")); err != nil {
		t.Fatal(err)
	}
	return commit
}

// theApplierNeedsItsVerbs shows which rights the account that applies cannot do without: with all of deploy/applier.yaml
// but escalate and bind, nothing that grants is taken.
func (w *workspace) theApplierNeedsItsVerbs(t *testing.T) {
	t.Helper()
	weak := w.applierObjects(t, "applier.yaml")
	for _, role := range weak.Of("ClusterRole") {
		dropVerbs(t, role, "escalate", "bind")
	}
	w.Apply(t, weak)
	w.WaitSays(t, w.kustomization("eso-tenant-platform"), "Ready", "False", "attempting to grant RBAC permissions not currently held")
	w.installApplier(t)
	w.Reconcile(t, bed.Objects{w.kustomization("eso-tenant-platform")})
}

// dropVerbs takes verbs from all rules of a role.
func dropVerbs(t *testing.T, role *unstructured.Unstructured, verbs ...string) {
	t.Helper()
	rules, _, err := unstructured.NestedSlice(role.Object, "rules")
	if err != nil {
		t.Fatal(err)
	}
	var kept []any
	for _, rule := range rules {
		r, _ := rule.(map[string]any)
		all, _, err := unstructured.NestedStringSlice(r, "verbs")
		if err != nil {
			t.Fatal(err)
		}
		all = slices.DeleteFunc(all, func(verb string) bool { return slices.Contains(verbs, verb) })
		if len(all) == 0 {
			continue
		}
		if err := unstructured.SetNestedStringSlice(r, all, "verbs"); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, r)
	}
	if err := unstructured.SetNestedSlice(role.Object, kept, "rules"); err != nil {
		t.Fatal(err)
	}
}
