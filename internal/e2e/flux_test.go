package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// The bed's Git server and registry serve what Flux's controllers fetch and apply: whatever tests of Flux stand on.
func TestFluxFetchesAndApplies(t *testing.T) {
	b := bed.Start(t)
	b.StartFlux(t)
	from := func(source string) string {
		folder := t.TempDir()
		text := "{apiVersion: v1, kind: ConfigMap, metadata: {name: from-" + source + ", namespace: default}}\n"
		if err := os.WriteFile(filepath.Join(folder, "object.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return folder
	}
	commit := b.Git.Commit(t, "tenants", from("git"), "first")
	digest := b.Registry.Push(t, "tenants", "v1", from("oci"))
	objects := b.ApplyYAML(t, fmt.Sprintf(`
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: tenants, namespace: flux-system}
spec: {interval: 1m, url: %s/tenants.git, ref: {branch: main}}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: tenants, namespace: flux-system}
spec: {interval: 1m, url: "oci://%s/tenants", insecure: true, ref: {tag: v1}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: from-git, namespace: flux-system}
spec: {interval: 1m, prune: true, path: ./, sourceRef: {kind: GitRepository, name: tenants}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: from-oci, namespace: flux-system}
spec: {interval: 1m, prune: true, path: ./, sourceRef: {kind: OCIRepository, name: tenants}}
`, b.Git.URL, b.Registry.Host))
	t.Cleanup(func() {
		if err := b.TryDelete(context.Background(), objects); err != nil {
			t.Error(err)
		}
	})
	b.WaitReady(t, objects)
	for name, revision := range map[string]string{"from-git": "main@sha1:" + commit, "from-oci": "v1@" + digest} {
		if _, err := b.Client.CoreV1().ConfigMaps("default").Get(t.Context(), name, metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
		for _, kustomization := range objects.Of("Kustomization") {
			if kustomization.GetName() != name {
				continue
			}
			got, err := b.Get(t.Context(), kustomization)
			if err != nil {
				t.Fatal(err)
			}
			applied, _, err := unstructured.NestedString(got.Object, "status", "lastAppliedRevision")
			if err != nil || applied != revision {
				t.Errorf("%s has applied %q (%v), want %s", name, applied, err, revision)
			}
		}
	}
}
